"""SportyBet's answers: tournament tree, paged list of upcoming events, events of tournaments, details.

The prices come from `book`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine, PricedOutcome
from palimpsest_pipeline.simulator.simulated_platforms import SPORTYBET
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

PLATFORM = SPORTYBET
SRL_CATEGORY = {"id": "sr:category:2123", "name": "Simulated Reality League"}
HIGHLIGHTS_PER_TOURNAMENT = 10
UP_MARKETS = [{"name": "1UP", "rootMarketId": "1", "nodeMarketId": "60200", "notSupport": False}]
UP_MARKETS += [{"name": "2UP", "rootMarketId": "1", "nodeMarketId": "60100", "notSupport": False}]
EARLY_RESULT_MARKETS = (("1UP", "60200"), ("2UP", "60100"), ("one_x_two_never_down", "60210"))
EARLY_TOTAL_SPECIFIERS = {
    "total=1.5": "minsnr=10|total=1.5",
    "total=2.5": "minsnr=30|total=2.5",
    "total=3.5": "minsnr=50|total=3.5",
}


def build_envelope(data: Any) -> dict[str, Any]:
    return {"bizCode": 10000, "message": "0#0", "data": data}


def build_refusal(code: int, text: str) -> dict[str, Any]:
    return {"bizCode": code, "innerMsg": text, "message": text}


def is_simulated(listing: SimulatedListing) -> bool:
    return listing.group_name.endswith(" SRL")


def find_category(listing: SimulatedListing) -> dict[str, str]:
    if is_simulated(listing):
        return SRL_CATEGORY
    country = listing.fixture.tournament.country
    return {"id": country.ids[PLATFORM], "name": country.names[PLATFORM]}


class SportyBetRenderer:
    """The renderer of SportyBet's answers at an instant."""

    def __init__(self, timeline: Timeline, books: BookGenerator) -> None:
        self.timeline = timeline
        self.books = books

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return all listings that are in the football lists now: matches by tournament, then simulated ones."""
        return [*self.timeline.list_upcoming(PLATFORM, now), *self.timeline.list_simulated(now)]

    def group_by_tournament(self, now: datetime) -> dict[str, list[SimulatedListing]]:
        """Return the listings by tournament id."""
        grouped: dict[str, list[SimulatedListing]] = {}
        for listing in self.list_listings(now):
            grouped.setdefault(listing.group_id, []).append(listing)
        return grouped

    def render_tree(self, now: datetime) -> dict[str, Any]:
        """Return the answer popularAndSportList."""
        categories: dict[str, dict[str, Any]] = {}
        total = 0
        popular: list[dict[str, Any]] = []
        for group_id, listings in self.group_by_tournament(now).items():
            category_names = find_category(listings[0])
            node = categories.setdefault(category_names["id"], {**category_names, "eventSize": 0, "tournaments": []})
            entry = {"id": group_id, "name": listings[0].group_name, "eventSize": len(listings)}
            node["tournaments"].append(entry)
            node["eventSize"] += len(listings)
            total += len(listings)
            if len(popular) < 5 and not is_simulated(listings[0]):
                popular.append({**entry, "categoryName": category_names["name"], "categoryId": category_names["id"]})
        sport = {"id": "sr:sport:1", "name": "Football", "eventSize": total, "categories": list(categories.values())}
        size = sum(int(entry["eventSize"]) for entry in popular)
        return build_envelope(
            {
                "popularEvents": [{"id": "sr:sport:1", "name": "Football", "eventSize": size, "tournaments": popular}],
                "sportList": [sport],
            }
        )

    def render_upcoming(
        self, now: datetime, market_ids: Sequence[str], page: int, page_size: int, option: str
    ) -> dict[str, Any]:
        """Return the answer pcUpcomingEvents: whole tournaments in pages of at most `page_size` events.

        With `option` 1 it has at most ten events per tournament.
        """
        grouped = self.group_by_tournament(now)
        pages: list[list[list[SimulatedListing]]] = [[]]
        filled = 0
        for listings in grouped.values():
            listed = listings[:HIGHLIGHTS_PER_TOURNAMENT] if option == "1" else listings
            if filled and filled + len(listed) > page_size:
                pages.append([])
                filled = 0
            pages[-1].append(listed)
            filled += len(listed)
        page_listings = pages[page - 1] if 1 <= page <= len(pages) else []
        total = sum(map(len, grouped.values()))
        return build_envelope(
            {
                "totalNum": total,
                "tournaments": [self._render_tournament(listings, now, market_ids) for listings in page_listings],
            }
        )

    def render_tournaments(
        self, now: datetime, tournament_ids: Iterable[str], market_ids: Sequence[str]
    ) -> dict[str, Any]:
        """Return the answer pcEvents: one element per tournament that has events."""
        grouped = self.group_by_tournament(now)
        return build_envelope(
            [self._render_tournament(grouped[one], now, market_ids) for one in tournament_ids if one in grouped]
        )

    def _render_tournament(
        self, listings: Sequence[SimulatedListing], now: datetime, market_ids: Sequence[str]
    ) -> dict[str, Any]:
        category = find_category(listings[0])
        events = [self.render_event(listing, now, frozenset(market_ids)) for listing in listings]
        return {
            "id": listings[0].group_id,
            "name": listings[0].group_name,
            "events": events,
            "categoryName": category["name"],
            "categoryId": category["id"],
        }

    def render_event(
        self, listing: SimulatedListing, now: datetime, only: frozenset[str] | None = None, product: int = 3
    ) -> dict[str, Any]:
        """Return one event: with all markets if `only` is None, else in the form of lists with these markets.

        For a match in play, the book has only a few markets.
        """
        in_play = self.timeline.is_in_play(listing, now)
        home, away = listing.teams
        suffix = " SRL" if is_simulated(listing) else ""
        event: dict[str, Any] = {
            "eventId": listing.external_id,
            "gameId": str(10000 + listing.fixture.number * 7 % 40000),
            "productStatus": "0#0",
            "estimateStartTime": int(self.timeline.find_kickoff(listing.fixture, PLATFORM, now).timestamp() * 1000),
            "status": 1 if in_play else 0,
            "matchStatus": "H1" if in_play else "Not start",
            "homeTeamId": f"sr:competitor:{2000 + home.number}",
            "homeTeamName": home.names[PLATFORM] + suffix,
            "awayTeamName": away.names[PLATFORM] + suffix,
            "awayTeamId": f"sr:competitor:{2000 + away.number}",
            "sport": {
                "id": "sr:sport:1",
                "name": "Football",
                "category": {
                    **find_category(listing),
                    "tournament": {"id": listing.group_id, "name": listing.group_name},
                },
            },
        }
        if only is not None:
            event["totalMarketSize"] = self.books.count_lines(listing, now)[0]
        changed = int(self.timeline.find_priced_at(listing, now).timestamp() * 1000)
        lines = self.books.list_lines(listing, now, only=only)
        if in_play:
            lines = [line for line in lines if line.market.native_id.startswith("800")]
        event["markets"] = self._render_markets(listing, lines, changed, product, in_list=only is not None)
        return event | self._render_other_fields(listing, in_list=only is not None)

    def _render_other_fields(self, listing: SimulatedListing, in_list: bool) -> dict[str, Any]:
        fixture, is_top = listing.fixture, listing.fixture.tournament.tier == "top"
        extra_fields: dict[str, Any] = {}
        if not in_list:
            extra_fields = {"liveChannel": False, "webViewLiveChannel": True, "socialMediaLiveChannel": False}
            if is_top:
                extra_fields["audioLiveChannel"] = True
        extra_fields |= {"bookingStatus": "Booked" if fixture.number % 5 else "Unavailable", "topTeam": is_top}
        if not in_list:
            icon = "https://s.sporty.net/common/main/res/{:032x}.png"
            extra_fields |= {
                "homeTeamIcon": icon.format(listing.teams[0].number),
                "awayTeamIcon": icon.format(listing.teams[1].number),
            }
        if not in_list or listing.quirk % 4 == 0:
            extra_fields |= {"commentsNum": listing.quirk % 9, "topicId": 11_000_000 + fixture.number}
        if is_top and not in_list:
            extra_fields["oddsBoost"] = True
        source = self._render_source(listing)
        extra_fields |= {
            "fixtureVenue": {"name": f"{fixture.home.names[PLATFORM]} Stadium"},
            "giftGrabActivityResultVO": {"activityEnabled": False, "enabled": False},
            "ai": False,
            "bgEvent": False,
            "matchTrackerNotAllowed": False,
            "eventSource": {"preMatchSource": source, "liveSource": dict(source)},
            "containsPcbb": False,
            "banned": False,
        }
        return extra_fields

    @staticmethod
    def _render_source(listing: SimulatedListing) -> dict[str, str]:
        number = listing.external_id.removeprefix("sr:match:")
        is_genius = number.startswith("1111111") or not number.isdigit()
        return {"sourceType": "BET_GENIUS" if is_genius else "BET_RADAR", "sourceId": number}

    def _render_markets(
        self, listing: SimulatedListing, lines: list[OfferedLine], changed_ms: int, product: int, in_list: bool
    ) -> list[dict[str, Any]]:
        middle: dict[str, str] = {}
        for offered in lines:
            if offered.line:
                middle.setdefault(offered.market.native_id, offered.line)
        home, away = (team.names[PLATFORM] for team in listing.teams)
        return [
            self._render_market(
                offered,
                changed_ms=changed_ms,
                product=product,
                middle=middle.get(offered.market.native_id),
                home=home,
                away=away,
                in_list=in_list,
            )
            for offered in lines
        ]

    def _render_market(
        self,
        offered: OfferedLine,
        *,
        changed_ms: int,
        product: int,
        middle: str | None,
        home: str,
        away: str,
        in_list: bool,
    ) -> dict[str, Any]:
        market, facts = offered.market, offered.market.facts
        placeholders = _build_placeholders(offered, home, away)
        market_fields: dict[str, Any] = {"id": market.native_id}
        if offered.line:
            market_fields["specifier"] = offered.line
        is_labelled = facts["group"] is not None
        market_fields |= {
            "product": product,
            "desc": _fill_template(facts["desc"], placeholders),
            "status": 1 if offered.is_suspended or product == 1 else 0,
        }
        if is_labelled:
            market_fields |= {
                "group": facts["group"],
                "groupId": facts["groupId"],
                "marketGuide": market.line_template,
                "title": facts["title"],
                "name": market.name,
            }
        favourite = 1 if offered.line and offered.line == middle else 0
        market_fields |= {
            "favourite": favourite,
            "outcomes": [_render_outcome(price, placeholders, market.native_id, in_list) for price in offered.prices],
        }
        market_fields["farNearOdds"] = (
            1 if favourite else (-1 if offered.line and market.lines.index(offered.line) > 4 else 0)
        )
        if market.native_id in {"1", "60100", "60200"}:
            market_fields["marketExtendVOS"] = [dict(entry) for entry in UP_MARKETS]
        market_fields["sourceType"] = facts["source"]
        if facts["source"] != "LSPORTS":
            market_fields["lastOddsChangeTime"] = changed_ms
        early_payouts = _render_early_payouts(market.native_id, offered.line)
        if early_payouts:
            market_fields["earlyPayoutMarkets"] = early_payouts
        if facts.get("mode"):
            market_fields |= {"mode": facts["mode"], "parameters": facts["parameters"]}
        market_fields["banned"] = False
        return market_fields


def _render_early_payouts(native: str, line: str) -> list[dict[str, Any]]:
    if native == "1":
        pairs = [(name, "1", "", mapped, "") for name, mapped in EARLY_RESULT_MARKETS]
    elif native == "18" and line in EARLY_TOTAL_SPECIFIERS:
        pairs = [("over_under", "18", line, "60180", EARLY_TOTAL_SPECIFIERS[line])]
    else:
        return []
    names = ("name", "sourceMarketId", "sourceSpecifier", "mappedMarketId", "mappedSpecifier")
    return [dict(zip(names, pair, strict=True)) | {"supported": True} for pair in pairs]


def _build_placeholders(offered: OfferedLine, home: str, away: str) -> dict[str, str]:
    placeholders = {"{home}": home, "{away_team}": away}
    for piece in offered.line.split("|"):
        name, _, value = piece.partition("=")
        placeholders[f"{{{name}}}"] = value
        if name == "hcp" and ":" not in value:
            away_handicap = -float(value)
            placeholders["{away}"] = f"{'+' if away_handicap > 0 else ''}{away_handicap:g}"
    return placeholders


def _fill_template(template: str, placeholders: dict[str, str]) -> str:
    if "{" not in template:
        return template
    for name, value in placeholders.items():
        template = template.replace(name, value)
    return template


def _render_outcome(
    price: PricedOutcome, placeholders: dict[str, str], native_market: str, in_list: bool
) -> dict[str, Any]:
    label, native = price.outcome.label, price.outcome.native_id
    if price.player:
        team = placeholders["{home}"] if price.player.side == 1 else placeholders["{away_team}"]
        label = f"{price.player.name} ({team})" + (f" {price.outcome.label}" if native_market == "800097" else "")
        native = native if native_market == "800097" else f"sr:player:{native}"
    fields: dict[str, Any] = {
        "id": native,
        "odds": f"{price.odds:.2f}" if price.odds else "1.00",
        "probability": f"{price.chance.win:.10f}" if price.chance.win >= 5e-11 else "0E-10",
        "voidProbability": "0E-10",
        "isActive": 1 if price.odds else 0,
    }
    if native_market in {"60200", "60100", "60110"} and price.outcome.canonical_key != "draw":
        fields["cashOutIsActive"] = 1
    fields["desc"] = _fill_template(label, placeholders)
    if price.player and native_market == "800097":
        fields |= {"playerName": label.removesuffix(f" {price.outcome.label}"), "playerScore": price.outcome.label}
    if in_list and native_market == "1":
        fields["oddsBoostLfb"] = price.outcome.native_id != "1"
    return fields
