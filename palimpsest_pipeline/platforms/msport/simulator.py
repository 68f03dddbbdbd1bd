"""MSport's answers for the simulator: pages of all upcoming events by cursor, and details.

MSport uses the unified feed, and so does one platform of the world, `source`. The matches and the feed's lines are
taken from `source`, at prices of MSport's own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.book import BookGenerator
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.unified_feed import FeedBooks, FeedLine
from palimpsest_pipeline.simulator.world import SimulatedListing

from .endpoints import LIVE_PRODUCT_ID, PREMATCH_PRODUCT_ID

SPORT_ID: Final = "sr:sport:1"
OWN_MARKETS: Final = {"60200": "5000002", "60100": "5000001"}
"""The early-payout markets: the source's ids, and MSport's ids, which are in the reverse order."""
OWN_MARKET_IDS: Final = frozenset(OWN_MARKETS.values())
PREFIX: Final = "sr:match:"
DEFAULT_PAGE_SIZE: Final = 50


def build_envelope(data: Any) -> dict[str, Any]:
    return {"bizCode": 10000, "message": "success", "innerMsg": None, "data": data}


def build_refusal(code: int, text: str) -> dict[str, Any]:
    return {"bizCode": code, "message": text, "innerMsg": text, "data": None}


class MsportRenderer:
    """The renderer of MSport's answers at an instant."""

    endpoints: ClassVar[Mapping[str, str]] = {"/match/detail": "detail"}

    def __init__(self, timeline: Timeline, books: BookGenerator, source: Platform) -> None:
        self.feed = FeedBooks(timeline, books, source, 0.99, 101.0, OWN_MARKETS)

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return the matches that MSport lists, tournament by tournament."""
        return sorted(self.feed.list_listings(now), key=lambda listing: (listing.group_id, listing.fixture.number))

    def answer(self, path: str, params: Mapping[str, str], now: datetime) -> tuple[int, Any]:
        """Return the status and the JSON of a request."""
        if path.endswith("/sports-matches-list"):
            if params.get("sportId") != SPORT_ID:
                return 200, build_envelope({"tournaments": [], "lastEventId": None})
            limit = params.get("limit", "")
            size = int(limit) if limit.isdigit() else DEFAULT_PAGE_SIZE
            return 200, self.render_page(now, params.get("lastEventId", ""), size)
        product = params.get("productId", PREMATCH_PRODUCT_ID)
        if path.endswith("/match/detail") and product in (PREMATCH_PRODUCT_ID, LIVE_PRODUCT_ID):
            listing = self.feed.find_listing(params.get("eventId", "").removeprefix(PREFIX), now)
            if listing is None:
                return 200, build_refusal(19000, "Invalid")
            return 200, build_envelope(self.render_event(listing, now, int(product)))
        return 404, build_refusal(19001, "Resource not found")

    def render_page(self, now: datetime, cursor: str, size: int) -> dict[str, Any]:
        """Return the events after the cursor; an unknown cursor, such as a match that has begun, gives none."""
        listings = self.list_listings(now)
        ids = [f"{PREFIX}{listing.fixture.sr_id}" for listing in listings]
        start = 0 if not cursor else ids.index(cursor) + 1 if cursor in ids else len(ids)
        page = listings[start : start + size]
        tournaments: dict[str, dict[str, Any]] = {}
        for listing in page:
            event = self._render_head(listing, now)
            node = {name: event[name] for name in ("category", "tournament", "tournamentId")}
            tournaments.setdefault(listing.group_id, {**node, "events": []})["events"].append(event)
        last_id = ids[start + len(page) - 1] if page else None
        return build_envelope({"tournaments": list(tournaments.values()), "lastEventId": last_id})

    def render_event(
        self, listing: SimulatedListing, now: datetime, product: int = int(PREMATCH_PRODUCT_ID)
    ) -> dict[str, Any]:
        """Return one event with all its markets, each of the feed `product`: 3 before kickoff, 1 live.

        Of a match in play, the feed before kickoff has no markets.
        """
        is_running = self.feed.timeline.is_in_play(listing, now)
        lines = [] if is_running and product != int(LIVE_PRODUCT_ID) else self.feed.list_lines(listing, now)
        markets = [_render_market(line, product) for line in lines]
        return {**self._render_head(listing, now), "marketsCount": len(markets), "markets": markets}

    def _render_head(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        source, fixture = self.feed.source, listing.fixture
        home, away = listing.teams
        is_running = self.feed.timeline.is_in_play(listing, now)
        return {
            "eventId": f"{PREFIX}{fixture.sr_id}",
            "homeTeam": home.names[source],
            "awayTeam": away.names[source],
            "homeTeamId": f"sr:competitor:{2000 + home.number}",
            "awayTeamId": f"sr:competitor:{2000 + away.number}",
            "category": fixture.tournament.country.names[source],
            "categoryId": fixture.tournament.country.ids[source],
            "tournament": listing.group_name,
            "tournamentId": listing.group_id,
            "sport": "Soccer",
            "sportId": SPORT_ID,
            "startTime": int(self.feed.find_kickoff(listing, now).timestamp() * 1000),
            "status": int(is_running),
            "playedTime": "10'00\"" if is_running else None,
            "scoreOfWholeMatch": "0:0" if is_running else None,
        }


def _render_market(line: FeedLine, product: int) -> dict[str, Any]:
    own_prefix = line.market if line.market in OWN_MARKET_IDS else ""
    return {
        "id": int(line.market),
        "name": line.name,
        "description": line.name,
        "group": "Main",
        "product": product,
        "specifiers": line.specifier,
        "status": int(line.source.is_suspended or product == int(LIVE_PRODUCT_ID)),
        "outcomes": [
            {
                "id": f"{own_prefix}0{number}" if own_prefix else number,
                "description": label,
                "odds": f"{odds:.2f}" if odds else "0.00",
                "isActive": int(odds is not None),
            }
            for number, label, odds in line.prices
        ],
    }
