"""Betway's answers for the simulator: leagues, lists of a league, one match, pages of its markets.

Betway speaks the market ids of the unified feed, as the listings of the world's `source` platform do: the matches, and
those of its lines that the feed knows, are taken from there, at prices of its own.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import Listing

from .book import PLAYER_MARKETS
from .endpoints import join_league

SPORT: Final = "soccer"
MAX_UOF_ID: Final = 2000
"""Ids from here on are the source's own."""
UP_MARKETS: Final = {"60200": ("1601", "xup=1"), "60100": ("1601", "xup=2")}
"""The source's ids of early payouts, and Betway's."""
PRICE_FACTOR: Final = 0.985
MAX_ODDS: Final = 101.0
_SLUG_PATTERN: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class RenderedLine:
    """One line of a book as Betway names it. `prices` maps outcome ids to odds, None where there are none."""

    market: str
    specifier: str
    name: str
    prices: Mapping[str, float | None]
    labels: Mapping[str, str]
    is_suspended: bool
    source: OfferedLine

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
        self._timeline = timeline
        self._books = books
        self._source = source

    def list_listings(self, now: datetime) -> list[Listing]:
        """Return the matches that Betway lists: those of the source with a SportRadar id."""
        return [
            listing for listing in self._timeline.list_upcoming(self._source, now) if listing.fixture.sr_id is not None
        ]

    def answer(self, path: str, params: Mapping[str, str], now: datetime) -> tuple[int, Any]:
        """Return the status and the JSON of a request; None as JSON for an empty body."""
        if not params.get("countryCode"):
            return 400, {"errorCode": 6000001, "errorMessage": "countryCode"}
        if "/RegionsAndLeagues/" in path:
            return 200, self.render_tree(now) if path.endswith(f"/{SPORT}") else {"regions": []}
        if path.endswith("/BetBook/Filtered/"):
            return 200, self.render_list(params, now)
        listing = next((one for one in self._list_known(now) if str(one.fixture.sr_id) == params.get("eventId")), None)
        if path.endswith("/EventAndGameState"):
            return (404, {}) if listing is None else (200, {"sportEvent": self.render_event(listing, now)})
        if path.endswith("/MarketGroupNamesAndMarketsForEvent"):
            return 200, self.render_markets(listing, now, int(params.get("skip", 0)), int(params.get("take", 20)))
        return 404, {}

    def _list_known(self, now: datetime) -> Iterable[Listing]:
        in_play = (one for one in self._timeline.world.listings[self._source] if self._timeline.is_in_play(one, now))
        return (one for one in (*self.list_listings(now), *in_play) if one.fixture.sr_id is not None)

    def find_league(self, listing: Listing) -> tuple[str, str]:
        """Return the slugs of the region and the league."""
        return make_slug(listing.fixture.tournament.country.names[self._source]), make_slug(listing.group_name)

    def render_tree(self, now: datetime) -> dict[str, Any]:
        """Return all regions with their leagues, without counts."""
        regions: dict[str, dict[str, Any]] = {}
        for listing in self.list_listings(now):
            region, league = self.find_league(listing)
            name = listing.fixture.tournament.country.names[self._source]
            node = regions.setdefault(region, {"regionId": region, "name": name, "leagues": {}})
            node["leagues"].setdefault(league, {"leagueId": league, "name": listing.group_name})
        return {"regions": [{**node, "leagues": list(node["leagues"].values())} for node in regions.values()]}

    def render_list(self, params: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Return a page of the matches of one league."""
        wanted = params.get("RegionAndLeagueIds[0].regionId"), params.get("RegionAndLeagueIds[0].leagueId")
        listings = [one for one in self.list_listings(now) if self.find_league(one) == wanted]
        skip, take = int(params.get("Skip", 0)), int(params.get("Take", 20))
        events = [self.render_event(one, now) for one in listings[skip : skip + take]]
        is_final = skip + take >= len(listings)
        return {"events": events, "markets": [], "outcomes": [], "prices": [], "isFinalPage": is_final}

    def render_event(self, listing: Listing, now: datetime) -> dict[str, Any]:
        """Return one match without its markets."""
        region, league = self.find_league(listing)
        home, away = (team.names[self._source] for team in listing.teams)
        in_play = self._timeline.is_in_play(listing, now)
        return {
            "eventId": listing.fixture.sr_id,
            "isActive": True,
            "isFinished": False,
            "isLive": in_play,
            "shouldDisplay": True,
            "name": f"{home} vs. {away}",
            "expectedStartEpoch": int(self._timeline.find_kickoff(listing.fixture, self._source, now).timestamp()),
            "sportId": SPORT,
            "regionId": region,
            "region": listing.fixture.tournament.country.names[self._source],
            "leagueId": league,
            "league": listing.group_name,
            "joinedLeagueId": join_league(SPORT, region, league),
            "homeTeam": home,
            "awayTeam": away,
            "isOutright": False,
        }

    def list_lines(self, listing: Listing, now: datetime) -> list[RenderedLine]:
        """Return the listing's book as Betway names and prices it."""
        lines = (_rename_line(offered) for offered in self._books.list_lines(listing, now))
        return [line for line in lines if line is not None]

    def render_markets(self, listing: Listing | None, now: datetime, skip: int, take: int) -> dict[str, Any]:
        """Return a page of markets with their outcomes and prices; nothing for an unknown match.

        The lines of a total or handicap stand together under a header, which counts as a market.
        """
        if listing is None:
            return {"marketGroupNames": [], "marketsInGroup": [], "outcomes": [], "prices": []}
        event_id, producer = str(listing.fixture.sr_id), "1" if self._timeline.is_in_play(listing, now) else "3"
        lines = self.list_lines(listing, now)
        entries: list[tuple[dict[str, Any], RenderedLine | None]] = []
        for market in dict.fromkeys(line.market for line in lines):
            own_lines = [line for line in lines if line.market == market]
            is_squashed = len(own_lines) > 1 and market != "1601"
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
            for number, odds in line.prices.items()
        ]
        markets = [entry for entry, _ in page]
        return {"marketGroupNames": ["Main"], "marketsInGroup": markets, "outcomes": outcomes, "prices": prices}


def _rename_line(offered: OfferedLine) -> RenderedLine | None:
    """Return a line of the source as Betway has it; None for one that Betway does not sell."""
    native = offered.market.native_id
    if native in UP_MARKETS:
        market, specifier = UP_MARKETS[native]
    elif native.isdecimal() and int(native) < MAX_UOF_ID:
        market, specifier = native, offered.line
    else:
        return None
    prices: dict[str, float | None] = {}
    labels: dict[str, str] = {}
    for price in offered.prices:
        number = price.outcome.native_id.rpartition(":")[2]
        if price.player and int(market) not in PLAYER_MARKETS:
            return None
        prices[number] = None if price.odds is None else _quote(price.odds)
        labels[number] = price.outcome.label
    return RenderedLine(market, specifier, offered.market.name, prices, labels, offered.is_suspended, offered)


def _quote(odds: float) -> float:
    return min(max(round(odds * PRICE_FACTOR, 2), 1.01), MAX_ODDS)


def _render_market(event_id: str, line: RenderedLine, producer: str, *, is_header: bool = False) -> dict[str, Any]:
    tail = "" if is_header else line.tail
    return {
        "marketId": f"{event_id}{line.market}{tail}",
        "isActive": True,
        "shouldDisplay": True,
        "isSuspended": line.is_suspended and not is_header,
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
            "name": line.labels[number],
            "displayName": line.labels[number],
            "originalMarketId": own_id,
        }
        for number, odds in line.prices.items()
    ]
