"""SportyBet's answers: tournament tree, paged list of upcoming events, events of tournaments, event detail.

Values come from the books.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from palimpsest_pipeline.domain.enums import Platform

from .book import BookGenerator, OfferedLine, PricedOutcome
from .timeline import Timeline
from .world import Listing

PLATFORM = Platform.SPORTYBET
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


def is_simulated(listing: Listing) -> bool:
    return listing.group_name.endswith(" SRL")


def find_category(listing: Listing) -> dict[str, str]:
    if is_simulated(listing):
        return SRL_CATEGORY
    country = listing.fixture.tournament.country
    return {"id": country.ids[PLATFORM], "name": country.names[PLATFORM]}


class SportyBetRenderer:
    """Renders SportyBet at an instant."""

    def __init__(self, timeline: Timeline, books: BookGenerator) -> None:
        self.timeline = timeline
        self.books = books

    def list_listings(self, now: datetime) -> list[Listing]:
        """Everything in the football lists now: matches by kickoff inside their tournament, simulated ones last."""
        return [*self.timeline.list_upcoming(PLATFORM, now), *self.timeline.list_simulated(now)]

    def group_by_tournament(self, now: datetime) -> dict[str, list[Listing]]:
        """Tournament id -> its listings."""
        grouped: dict[str, list[Listing]] = {}
        for listing in self.list_listings(now):
            grouped.setdefault(listing.group_id, []).append(listing)
        return grouped

    def render_tree(self, now: datetime) -> dict[str, Any]:
        """popularAndSportList."""
        categories: dict[str, dict[str, Any]] = {}
        total = 0
        popular: list[dict[str, Any]] = []
        for group_id, listings in self.group_by_tournament(now).items():
            of = find_category(listings[0])
            node = categories.setdefault(of["id"], {**of, "eventSize": 0, "tournaments": []})
            entry = {"id": group_id, "name": listings[0].group_name, "eventSize": len(listings)}
            node["tournaments"].append(entry)
            node["eventSize"] += len(listings)
            total += len(listings)
            if len(popular) < 5 and not is_simulated(listings[0]):
                popular.append({**entry, "categoryName": of["name"], "categoryId": of["id"]})
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
        """pcUpcomingEvents: whole tournaments packed into pages of at most `page_size` events; `option` 1 shows at
        most ten per tournament.
        """
        grouped = self.group_by_tournament(now)
        pages: list[list[list[Listing]]] = [[]]
        filled = 0
        for listings in grouped.values():
            shown = listings[:HIGHLIGHTS_PER_TOURNAMENT] if option == "1" else listings
            if filled and filled + len(shown) > page_size:
                pages.append([])
                filled = 0
            pages[-1].append(shown)
            filled += len(shown)
        chosen = pages[page - 1] if 1 <= page <= len(pages) else []
        total = sum(map(len, grouped.values()))
        return build_envelope(
            {
                "totalNum": total,
                "tournaments": [self._render_tournament(listings, now, market_ids) for listings in chosen],
            }
        )

    def render_tournaments(
        self, now: datetime, tournament_ids: Iterable[str], market_ids: Sequence[str]
    ) -> dict[str, Any]:
        """pcEvents: one element per tournament that has events."""
        grouped = self.group_by_tournament(now)
        return build_envelope(
            [self._render_tournament(grouped[one], now, market_ids) for one in tournament_ids if one in grouped]
        )

    def _render_tournament(
        self, listings: Sequence[Listing], now: datetime, market_ids: Sequence[str]
    ) -> dict[str, Any]:
        of = find_category(listings[0])
        events = [self.render_event(listing, now, frozenset(market_ids)) for listing in listings]
        return {
            "id": listings[0].group_id,
            "name": listings[0].group_name,
            "events": events,
            "categoryName": of["name"],
            "categoryId": of["id"],
        }

    def render_event(
        self, listing: Listing, now: datetime, only: frozenset[str] | None = None, product: int = 3
    ) -> dict[str, Any]:
        """One event; `only` None is the detail (all markets), otherwise the list form with these market ids.

        In play little is left of the book.
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

    def _render_other_fields(self, listing: Listing, in_list: bool) -> dict[str, Any]:
        fixture, top = listing.fixture, listing.fixture.tournament.tier == "top"
        rest: dict[str, Any] = {}
        if not in_list:
            rest = {"liveChannel": False, "webViewLiveChannel": True, "socialMediaLiveChannel": False}
            if top:
                rest["audioLiveChannel"] = True
        rest |= {"bookingStatus": "Booked" if fixture.number % 5 else "Unavailable", "topTeam": top}
        if not in_list:
            icon = "https://s.sporty.net/common/main/res/{:032x}.png"
            rest |= {
                "homeTeamIcon": icon.format(listing.teams[0].number),
                "awayTeamIcon": icon.format(listing.teams[1].number),
            }
        if not in_list or listing.quirk % 4 == 0:
            rest |= {"commentsNum": listing.quirk % 9, "topicId": 11_000_000 + fixture.number}
        if top and not in_list:
            rest["oddsBoost"] = True
        source = self._render_source(listing)
        rest |= {
            "fixtureVenue": {"name": f"{fixture.home.names[PLATFORM]} Stadium"},
            "giftGrabActivityResultVO": {"activityEnabled": False, "enabled": False},
            "ai": False,
            "bgEvent": False,
            "matchTrackerNotAllowed": False,
            "eventSource": {"preMatchSource": source, "liveSource": dict(source)},
            "containsPcbb": False,
            "banned": False,
        }
        return rest

    @staticmethod
    def _render_source(listing: Listing) -> dict[str, str]:
        number = listing.external_id.removeprefix("sr:match:")
        genius = number.startswith("1111111") or not number.isdigit()
        return {"sourceType": "BET_GENIUS" if genius else "BET_RADAR", "sourceId": number}

    def _render_markets(
        self, listing: Listing, lines: list[OfferedLine], changed_ms: int, product: int, in_list: bool
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
        words = _build_placeholders(offered, home, away)
        made: dict[str, Any] = {"id": market.native_id}
        if offered.line:
            made["specifier"] = offered.line
        labelled = facts["group"] is not None
        made |= {
            "product": product,
            "desc": _fill_template(facts["desc"], words),
            "status": 1 if offered.is_suspended or product == 1 else 0,
        }
        if labelled:
            made |= {
                "group": facts["group"],
                "groupId": facts["groupId"],
                "marketGuide": market.line_template,
                "title": facts["title"],
                "name": market.name,
            }
        favourite = 1 if offered.line and offered.line == middle else 0
        made |= {
            "favourite": favourite,
            "outcomes": [_render_outcome(price, words, market.native_id, in_list) for price in offered.prices],
        }
        made["farNearOdds"] = 1 if favourite else (-1 if offered.line and market.lines.index(offered.line) > 4 else 0)
        if market.native_id in {"1", "60100", "60200"}:
            made["marketExtendVOS"] = [dict(entry) for entry in UP_MARKETS]
        made["sourceType"] = facts["source"]
        if facts["source"] != "LSPORTS":
            made["lastOddsChangeTime"] = changed_ms
        early = _render_early_payouts(market.native_id, offered.line)
        if early:
            made["earlyPayoutMarkets"] = early
        if facts.get("mode"):
            made |= {"mode": facts["mode"], "parameters": facts["parameters"]}
        made["banned"] = False
        return made


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
    words = {"{home}": home, "{away_team}": away}
    for piece in offered.line.split("|"):
        name, _, value = piece.partition("=")
        words[f"{{{name}}}"] = value
        if name == "hcp" and ":" not in value:
            other = -float(value)
            words["{away}"] = f"{'+' if other > 0 else ''}{other:g}"
    return words


def _fill_template(template: str, words: dict[str, str]) -> str:
    if "{" not in template:
        return template
    for name, value in words.items():
        template = template.replace(name, value)
    return template


def _render_outcome(price: PricedOutcome, words: dict[str, str], native_market: str, in_list: bool) -> dict[str, Any]:
    label, native = price.outcome.label, price.outcome.native_id
    if price.player:
        team = words["{home}"] if price.player.side == 1 else words["{away_team}"]
        label = f"{price.player.name} ({team})" + (f" {price.outcome.label}" if native_market == "800097" else "")
        native = native if native_market == "800097" else f"sr:player:{native}"
    made: dict[str, Any] = {
        "id": native,
        "odds": f"{price.odds:.2f}" if price.odds else "1.00",
        "probability": f"{price.chance.win:.10f}" if price.chance.win >= 5e-11 else "0E-10",
        "voidProbability": "0E-10",
        "isActive": 1 if price.odds else 0,
    }
    if native_market in {"60200", "60100", "60110"} and price.outcome.canonical_key != "draw":
        made["cashOutIsActive"] = 1
    made["desc"] = _fill_template(label, words)
    if price.player and native_market == "800097":
        made |= {"playerName": label.removesuffix(f" {price.outcome.label}"), "playerScore": price.outcome.label}
    if in_list and native_market == "1":
        made["oddsBoostLfb"] = price.outcome.native_id != "1"
    return made
