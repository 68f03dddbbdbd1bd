"""SportyBet's answers: tournament tree, paged list of upcoming events, details.

The prices come from `simulator.book`. Only fields that the dialect reads are sent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine, PricedOutcome
from palimpsest_pipeline.simulator.simulated_platforms import SPORTYBET
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

PLATFORM = SPORTYBET
SRL_CATEGORY = {"id": "sr:category:2123", "name": "Simulated Reality League"}


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
        for group_id, listings in self.group_by_tournament(now).items():
            category_names = find_category(listings[0])
            node = categories.setdefault(category_names["id"], {**category_names, "eventSize": 0, "tournaments": []})
            entry = {"id": group_id, "name": listings[0].group_name, "eventSize": len(listings)}
            node["tournaments"].append(entry)
            node["eventSize"] += len(listings)
            total += len(listings)
        sport = {"id": "sr:sport:1", "name": "Football", "eventSize": total, "categories": list(categories.values())}
        return build_envelope({"sportList": [sport]})

    def render_upcoming(self, now: datetime, market_ids: Sequence[str], page: int, page_size: int) -> dict[str, Any]:
        """Return the answer pcUpcomingEvents: whole tournaments in pages of at most `page_size` events."""
        grouped = self.group_by_tournament(now)
        pages: list[list[list[SimulatedListing]]] = [[]]
        filled = 0
        for listings in grouped.values():
            if filled and filled + len(listings) > page_size:
                pages.append([])
                filled = 0
            pages[-1].append(listings)
            filled += len(listings)
        page_listings = pages[page - 1] if 1 <= page <= len(pages) else []
        total = sum(map(len, grouped.values()))
        return build_envelope(
            {
                "totalNum": total,
                "tournaments": [self._render_tournament(listings, now, market_ids) for listings in page_listings],
            }
        )

    def _render_tournament(
        self, listings: Sequence[SimulatedListing], now: datetime, market_ids: Sequence[str]
    ) -> dict[str, Any]:
        events = [self.render_event(listing, now, frozenset(market_ids)) for listing in listings]
        return {"id": listings[0].group_id, "name": listings[0].group_name, "events": events}

    def render_event(
        self, listing: SimulatedListing, now: datetime, only: frozenset[str] | None = None, product: int = 3
    ) -> dict[str, Any]:
        """Return one event as its detail has it, with all markets; with `only`, as the lists have it.

        `only` holds the ids of the markets that a list embeds. `product` is the number of the feed that each market
        names: 3 before kickoff, 1 live. A match in play has only a few markets.
        """
        in_play = self.timeline.is_in_play(listing, now)
        home, away = listing.teams
        suffix = " SRL" if is_simulated(listing) else ""
        event: dict[str, Any] = {
            "eventId": listing.external_id,
            "productStatus": "0#0",
            "estimateStartTime": int(self.timeline.find_kickoff(listing.fixture, PLATFORM, now).timestamp() * 1000),
            "status": 1 if in_play else 0,
            "homeTeamName": home.names[PLATFORM] + suffix,
            "awayTeamName": away.names[PLATFORM] + suffix,
            "sport": {
                "id": "sr:sport:1",
                "name": "Football",
                "category": {
                    **find_category(listing),
                    "tournament": {"id": listing.group_id, "name": listing.group_name},
                },
            },
        }
        source = self._render_source(listing)
        event |= {"eventSource": {"preMatchSource": source, "liveSource": source}, "banned": False}
        if only is not None:
            event["totalMarketSize"] = self.books.count_lines(listing, now)[0]
        lines = self.books.list_lines(listing, now, only=only)
        if in_play:
            lines = [line for line in lines if line.market.native_id.startswith("800")]
        team_names = [team.names[PLATFORM] for team in listing.teams]
        return event | {"markets": [_render_market(offered, product, *team_names) for offered in lines]}

    @staticmethod
    def _render_source(listing: SimulatedListing) -> dict[str, str]:
        number = listing.external_id.removeprefix("sr:match:")
        is_genius = number.startswith("1111111") or not number.isdigit()
        return {"sourceType": "BET_GENIUS" if is_genius else "BET_RADAR", "sourceId": number}


def _render_market(offered: OfferedLine, product: int, home: str, away: str) -> dict[str, Any]:
    market, facts = offered.market, offered.market.facts
    placeholders = _build_placeholders(offered, home, away)
    return {
        "id": market.native_id,
        **({"specifier": offered.line} if offered.line else {}),
        "product": product,
        "desc": _fill_template(facts["desc"], placeholders),
        "status": 1 if offered.is_suspended or product == 1 else 0,
        **({"name": market.name} if facts["group"] is not None else {}),
        "outcomes": [_render_outcome(price, placeholders, market.native_id) for price in offered.prices],
        "banned": False,
    }


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


def _render_outcome(price: PricedOutcome, placeholders: dict[str, str], native_market: str) -> dict[str, Any]:
    label, native = price.outcome.label, price.outcome.native_id
    if price.player:
        team = placeholders["{home}"] if price.player.side == 1 else placeholders["{away_team}"]
        label = f"{price.player.name} ({team})" + (f" {price.outcome.label}" if native_market == "800097" else "")
        native = native if native_market == "800097" else f"sr:player:{native}"
    return {
        "id": native,
        "odds": f"{price.odds:.2f}" if price.odds else "1.00",
        "isActive": 1 if price.odds else 0,
        "desc": _fill_template(label, placeholders),
    }
