"""BetPawa's answers in both API versions: category tree, event lists by query, details.

The prices come from `simulator.book`. Only fields that the dialect reads are sent. The older version (v3) sends prices
as `price` and counters as numbers; the newer one (v4) leaves out fields with their default value, and sends prices as
`odds` and counters as text.
"""

from datetime import datetime
from typing import Any

from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine, PricedOutcome
from palimpsest_pipeline.simulator.simulated_platforms import BETPAWA
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

PLATFORM = BETPAWA
MAIN_MARKET_ID = "3743"
MAX_PAGE_SIZE = 100


class QueryError(Exception):
    """The simulated server refuses a list query; the text is sent as `serverMessage`."""


def _drop_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without null, false, zero, empty text and empty lists, which v4 never sends."""
    return {
        name: value for name, value in fields.items() if not (value is None or value is False or value in (0, "", []))
    }


class BetPawaRenderer:
    """The renderer of BetPawa's answers at an instant, in one API version ("v3" or "v4")."""

    def __init__(self, timeline: Timeline, books: BookGenerator, version: str = "v4") -> None:
        self.timeline = timeline
        self.books = books
        self.version = version
        self.is_old_version = version == "v3"

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return all listings that are in the football lists now, by kickoff."""
        return sorted(
            self.timeline.list_upcoming(PLATFORM, now),
            key=lambda one: (self.timeline.find_kickoff(one.fixture, PLATFORM, now), int(one.external_id)),
        )

    # Tree

    def _render_counts(self, n_upcoming: int) -> dict[str, Any]:
        if self.is_old_version:
            return {"upcoming": n_upcoming}
        return {"upcoming": str(n_upcoming)} if n_upcoming else {}

    def render_tree(self, now: datetime, category: str = "2") -> dict[str, Any]:
        """Return regions and competitions of football with their counts; other categories have no events."""
        listings = self.list_listings(now) if category == "2" else []
        regions: dict[str, dict[str, list[SimulatedListing]]] = {}
        for listing in listings:
            country = listing.fixture.tournament.country
            regions.setdefault(country.ids[PLATFORM], {}).setdefault(listing.group_id, []).append(listing)
        nodes = []
        for region_id, competitions in regions.items():
            country = next(iter(competitions.values()))[0].fixture.tournament.country
            entries = [
                {
                    "competition": {"id": number, "name": inside[0].fixture.tournament.names[PLATFORM]},
                    "eventCounts": self._render_counts(len(inside)),
                }
                for number, inside in competitions.items()
            ]
            nodes.append(
                {
                    "region": {"id": region_id, "name": country.names[PLATFORM]},
                    "competitions": entries,
                    "eventCounts": self._render_counts(sum(map(len, competitions.values()))),
                }
            )
        football = {
            "category": {"id": "2", "name": "Football"},
            "regions": nodes,
            "eventCounts": self._render_counts(len(listings)),
        }
        return {"withRegions": [football]}

    # Lists

    def render_query_lists(self, body: Any, now: datetime) -> dict[str, Any]:
        """Return the answer events/lists/by-queries. Raises QueryError with the server's message."""
        queries = body.get("queries") if isinstance(body, dict) else None
        if not isinstance(queries, list) or not queries:
            raise QueryError("queries must not be empty")
        return {"responses": [self._render_query(query, now) for query in queries]}

    def _render_query(self, query_block: Any, now: datetime) -> dict[str, Any]:
        if (
            not isinstance(query_block, dict)
            or "take" not in query_block
            or not isinstance(query_block.get("query"), dict)
        ):
            raise QueryError("query and take are required")
        try:
            take, skip = int(query_block["take"]), int(query_block.get("skip") or 0)
        except (TypeError, ValueError):
            raise QueryError("take and skip must be numbers") from None
        if not 1 <= take <= MAX_PAGE_SIZE:
            raise QueryError("Maximum number of events is 100")
        is_football = "2" in map(str, query_block["query"].get("categories") or ["2"])
        listings = self.list_listings(now) if is_football else []
        main_market = frozenset((MAIN_MARKET_ID,))
        events = [self.render_event(item, now, main_market) for item in listings[skip : skip + take]]
        return {"responses": events} if events or self.is_old_version else {}

    # Events

    def render_event(
        self, listing: SimulatedListing, now: datetime, only: frozenset[str] | None = None
    ) -> dict[str, Any]:
        """Return one event with all its markets; with `only`, as in lists, with the markets of these ids."""
        fixture, tournament = listing.fixture, listing.fixture.tournament
        home, away = listing.teams
        kickoff = self.timeline.find_kickoff(fixture, PLATFORM, now)
        lines = self.books.list_lines(listing, now, self.version, only)
        if listing.quirk % 1000 < 7:
            lines = [line for line in lines if line.market.native_id not in {MAIN_MARKET_ID, "4693"}]
        is_live = self.timeline.is_in_play(listing, now)
        market_groups = _group_by_market(lines)[: 20 if is_live else None]
        count, _ = self.books.count_lines(listing, now, self.version)
        neutral = " (n)" if fixture.is_neutral else ""
        event: dict[str, Any] = {
            "id": listing.external_id,
            "name": f"{home.names[PLATFORM]} - {away.names[PLATFORM]}{neutral}",
            "results": None,
            "widgets": self._render_widgets(listing),
            "participants": [
                {"name": team.names[PLATFORM], "position": place} for place, team in enumerate((home, away), start=1)
            ],
            "startTime": kickoff.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "markets": [self._render_market(listing, group) for group in market_groups],
            "totalMarketCount": count if self.is_old_version else str(count),
            "category": {"id": "2", "name": "Football"},
            "region": {"id": tournament.country.ids[PLATFORM], "name": tournament.country.names[PLATFORM]},
            "competition": {"id": listing.group_id, "name": listing.group_name},
        }
        info = {"live": is_live}
        if self.is_old_version:
            return event | {"additionalInfo": info}
        return _drop_defaults(event) | {"additionalInfo": _drop_defaults(info)}

    @staticmethod
    def _render_widgets(listing: SimulatedListing) -> list[dict[str, Any]]:
        fixture = listing.fixture
        widgets: list[dict[str, Any]] = []
        if fixture.sr_id is not None:
            widgets = [{"id": str(fixture.sr_id), "type": "SPORTRADAR"}] * 2  # before kickoff, and in play
        elif fixture.number % 2:
            return []
        if fixture.genius_id is not None:
            genius = {"id": str(fixture.genius_id), "type": "GENIUSSPORTS"}
            widgets.insert(listing.quirk % (len(widgets) + 1), genius)
        return widgets

    def _render_market(self, listing: SimulatedListing, lines: list[OfferedLine]) -> dict[str, Any]:
        market = lines[0].market
        kind = {"id": market.native_id, "name": market.name, "handicapType": market.facts["kind"]}
        by_line = sorted(lines, key=lambda offered: float(offered.canonical_line.split("|")[-1] or 0))
        return {
            "marketType": kind if self.is_old_version else _drop_defaults(kind),
            "row": [row for line in by_line for row in self._render_rows(listing, line)],
        }

    def _render_rows(self, listing: SimulatedListing, offered: OfferedLine) -> list[dict[str, Any]]:
        """Return the prices of one line in rows, each with as many prices as the market has columns."""
        size = offered.market.facts["columns"]
        unpriced_form = _choose_unpriced_form(listing, offered)
        prices = [self._render_price(price, offered, unpriced_form) for price in offered.prices]
        handicap: dict[str, Any] = {}
        if offered.market.facts["kind"]:
            handicap = {"handicap": round(float(offered.canonical_line) * 4)}
        elif self.is_old_version:
            handicap = {"handicap": None}
        return [handicap | {"prices": prices[at : at + size]} for at in range(0, len(prices), size)]

    def _render_price(self, price: PricedOutcome, offered: OfferedLine, unpriced_form: str) -> dict[str, Any]:
        odds: float | None = price.odds if price.odds is not None else 0.0
        if unpriced_form:
            odds = None if unpriced_form == "null" else 0.0
        is_suspended = not unpriced_form and (offered.is_suspended or price.odds is None)
        fields: dict[str, Any] = {"name": price.outcome.label, "typeId": price.outcome.native_id}
        if self.is_old_version:
            return fields | {"price": odds, "suspended": is_suspended}
        if odds is not None:
            fields["odds"] = odds
        return fields | ({"suspended": True} if is_suspended else {})


def _group_by_market(lines: list[OfferedLine]) -> list[list[OfferedLine]]:
    grouped: dict[str, list[OfferedLine]] = {}
    for line in lines:
        grouped.setdefault(line.market.native_id, []).append(line)
    return sorted(grouped.values(), key=lambda group: group[0].market.facts["priority"])


def _choose_unpriced_form(listing: SimulatedListing, offered: OfferedLine) -> str:
    """Return 'null' or 'zero' if the market is listed without usable prices, in one of two forms, else ''."""
    if offered.market.native_id not in {"4693", "3795"}:
        return ""
    draw = listing.quirk % 100
    return "null" if draw < 3 else "zero" if draw < 5 else ""
