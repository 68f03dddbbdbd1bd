"""Betway's answers for the simulator: leagues, lists of a league, one match, pages of its markets.

Betway uses the unified feed, and so does one platform of the world, `source`. The matches and the feed's lines are
taken from `source`, at prices of Betway's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.book import BookGenerator
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.unified_feed import FeedBooks, FeedLine
from palimpsest_pipeline.simulator.world import SimulatedListing

from .book import PLAYER_MARKETS
from .endpoints import join_league

SPORT: Final = "soccer"
UP_MARKET: Final = "1601"
UP_SPECIFIERS: Final = {"60200": "xup=1", "60100": "xup=2"}
"""The early-payout markets: the source's ids, and the specifiers of Betway's single market for them."""
_SLUG_PATTERN: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class RenderedLine:
    """One line of a book as Betway names it.

    `prices` holds number, label and odds (None: no price) of each outcome."""

    market: str
    specifier: str
    name: str
    prices: tuple[tuple[str, str, float | None], ...]
    source: FeedLine

    @property
    def tail(self) -> str:
        """Return the specifier as the end of an id, each part closed by `~`."""
        return "".join(f"{piece}~" for piece in self.specifier.split("|") if piece)


def make_slug(name: str) -> str:
    return _SLUG_PATTERN.sub("-", name.lower()).strip("-")


class BetwayRenderer:
    """The renderer of Betway's answers at an instant."""

    endpoints: ClassVar[Mapping[str, str]] = {
        "/RegionsAndLeagues/": "tree",
        "/EventAndGameState|/MarketGroupNamesAndMarketsForEvent": "detail",
    }

    def __init__(self, timeline: Timeline, books: BookGenerator, source: Platform) -> None:
        self.feed = FeedBooks(timeline, books, source, 0.985, 101.0, dict.fromkeys(UP_SPECIFIERS, UP_MARKET))

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return the matches that Betway lists."""
        return self.feed.list_listings(now)

    def answer(self, path: str, params: Mapping[str, str], now: datetime) -> tuple[int, Any]:
        """Return the status and the JSON of a request; None as JSON for an empty body."""
        if not params.get("countryCode"):
            return 400, {"errorCode": 6000001, "errorMessage": "countryCode"}
        if "/RegionsAndLeagues/" in path:
            return 200, self.render_tree(now) if path.endswith(f"/{SPORT}") else {"regions": []}
        if path.endswith("/BetBook/Filtered/"):
            return 200, self.render_list(params, now)
        listing = self.feed.find_listing(params.get("eventId", ""), now)
        if path.endswith("/EventAndGameState"):
            return (404, {}) if listing is None else (200, {"sportEvent": self.render_event(listing, now)})
        if path.endswith("/MarketGroupNamesAndMarketsForEvent"):
            return 200, self.render_markets(listing, now, int(params.get("skip", 0)), int(params.get("take", 20)))
        return 404, {}

    def find_league(self, listing: SimulatedListing) -> tuple[str, str]:
        """Return the slugs of the region and the league."""
        return make_slug(listing.fixture.tournament.country.names[self.feed.source]), make_slug(listing.group_name)

    def render_tree(self, now: datetime) -> dict[str, Any]:
        """Return all regions with their leagues, without counts."""
        regions: dict[str, dict[str, Any]] = {}
        for listing in self.list_listings(now):
            region, league = self.find_league(listing)
            name = listing.fixture.tournament.country.names[self.feed.source]
            node = regions.setdefault(region, {"regionId": region, "name": name, "leagues": {}})
            node["leagues"].setdefault(league, {"leagueId": league, "name": listing.group_name})
        return {"regions": [{**node, "leagues": list(node["leagues"].values())} for node in regions.values()]}

    def render_list(self, params: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Return a page of the matches of one league."""
        league = params.get("RegionAndLeagueIds[0].regionId"), params.get("RegionAndLeagueIds[0].leagueId")
        listings = [one for one in self.list_listings(now) if self.find_league(one) == league]
        skip, take = int(params.get("Skip", 0)), int(params.get("Take", 20))
        events = [self.render_event(one, now) for one in listings[skip : skip + take]]
        is_final = skip + take >= len(listings)
        return {"events": events, "markets": [], "outcomes": [], "prices": [], "isFinalPage": is_final}

    def render_event(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        """Return one match without its markets."""
        region, league = self.find_league(listing)
        home, away = (team.names[self.feed.source] for team in listing.teams)
        in_play = self.feed.timeline.is_in_play(listing, now)
        return {
            "eventId": listing.fixture.sr_id,
            "isActive": True,
            "isFinished": False,
            "isLive": in_play,
            "shouldDisplay": True,
            "name": f"{home} vs. {away}",
            "expectedStartEpoch": int(self.feed.find_kickoff(listing, now).timestamp()),
            "sportId": SPORT,
            "regionId": region,
            "region": listing.fixture.tournament.country.names[self.feed.source],
            "leagueId": league,
            "league": listing.group_name,
            "joinedLeagueId": join_league(SPORT, region, league),
            "homeTeam": home,
            "awayTeam": away,
            "isOutright": False,
        }

    def list_lines(self, listing: SimulatedListing, now: datetime) -> list[RenderedLine]:
        """Return the listing's book as Betway names and prices it."""
        lines = (_rename_line(line) for line in self.feed.list_lines(listing, now))
        return [line for line in lines if line is not None]

    def render_markets(self, listing: SimulatedListing | None, now: datetime, skip: int, take: int) -> dict[str, Any]:
        """Return a page of markets with their outcomes and prices; nothing for an unknown match.

        The lines of a total or handicap follow a header, which counts as a market.
        """
        if listing is None:
            return {"marketGroupNames": [], "marketsInGroup": [], "outcomes": [], "prices": []}
        event_id, producer = str(listing.fixture.sr_id), "1" if self.feed.timeline.is_in_play(listing, now) else "3"
        lines = self.list_lines(listing, now)
        entries: list[tuple[dict[str, Any], RenderedLine | None]] = []
        for market in dict.fromkeys(line.market for line in lines):
            own_lines = [line for line in lines if line.market == market]
            is_squashed = len(own_lines) > 1 and market != UP_MARKET
            if is_squashed:
                header = _render_market(event_id, own_lines[0], producer, is_header=True)
                header["squashedMarketIds"] = [f"{event_id}{market}{line.tail}" for line in own_lines]
                entries.append((header, None))
            for line in own_lines:
                market_entry = _render_market(event_id, line, producer)
                entries.append((market_entry | {"isSquashedMarket": is_squashed}, line))
        page = entries[skip : skip + take]
        outcomes = [
            outcome
            for entry, line in page
            if line is not None
            for outcome in _render_outcomes(event_id, line, is_squashed=entry["isSquashedMarket"])
        ]
        prices = [
            {"outcomeId": f"{event_id}{line.market}{line.tail}{number}", "priceDecimal": odds or 0}
            for _, line in page
            if line is not None
            for number, _, odds in line.prices
        ]
        markets = [entry for entry, _ in page]
        return {"marketGroupNames": ["Main"], "marketsInGroup": markets, "outcomes": outcomes, "prices": prices}


def _rename_line(line: FeedLine) -> RenderedLine | None:
    """Return a line of the feed as Betway writes it; None for a list of players that Betway does not sell."""
    has_players = any(price.player for price in line.source.prices)
    if has_players and int(line.market) not in PLAYER_MARKETS:
        return None
    specifier = UP_SPECIFIERS.get(line.source.market.native_id, line.specifier)
    prices = tuple((outcome_id.rpartition(":")[2], label, odds) for outcome_id, label, odds in line.prices)
    return RenderedLine(line.market, specifier, line.name, prices, line)


def _render_market(event_id: str, line: RenderedLine, producer: str, *, is_header: bool = False) -> dict[str, Any]:
    tail = "" if is_header else line.tail
    return {
        "marketId": f"{event_id}{line.market}{tail}",
        "isActive": True,
        "shouldDisplay": True,
        "isSuspended": line.source.source.is_suspended and not is_header,
        "eventId": int(event_id),
        "name": line.name,
        "displayName": line.name,
        "handicap": 0,
        "additionalInfo": {"Producer": producer},
        "isSquashedParent": is_header,
        "isSquashedMarket": False,
        "subscriptionId": int(line.market),
    }


def _render_outcomes(event_id: str, line: RenderedLine, *, is_squashed: bool) -> list[dict[str, Any]]:
    own_id = f"{event_id}{line.market}{line.tail}"
    return [
        {
            "outcomeId": own_id + number,
            "shouldDisplay": True,
            "isTradingActive": odds is not None,
            "marketId": f"{event_id}{line.market}" if is_squashed else own_id,
            "eventId": int(event_id),
            "name": label,
            "displayName": label,
            "originalMarketId": own_id,
        }
        for number, label, odds in line.prices
    ]
