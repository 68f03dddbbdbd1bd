"""Betika's answers for the simulator: the tree with counts, pages of upcoming matches, details.

Betika uses the unified feed, and so does one platform of the world, `source`. The matches and the feed's lines are
taken from `source`, at prices of Betika's own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.book import BookGenerator
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.unified_feed import FeedBooks
from palimpsest_pipeline.simulator.world import SimulatedListing

SPORT_ID: Final = "14"
CLOCK: Final = ZoneInfo("Africa/Nairobi")
DEFAULT_PAGE_SIZE: Final = 10
MAX_PAGE_SIZE: Final = 100
NOTHING: Final[dict[str, Any]] = {"data": [], "meta": {}}


class BetikaRenderer:
    """The renderer of Betika's answers at an instant."""

    endpoints: ClassVar[Mapping[str, str]] = {r"/uo/sport\?": "tree", r"/uo/match\?": "detail"}

    def __init__(self, timeline: Timeline, books: BookGenerator, source: Platform) -> None:
        self.feed = FeedBooks(timeline, books, source, 0.97, 201.0, {})

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return the matches that Betika lists, by start time."""
        listings = self.feed.list_listings(now)
        return sorted(listings, key=lambda one: (self.feed.find_kickoff(one, now), one.fixture.number))

    def answer(self, path: str, params: Mapping[str, str], now: datetime) -> tuple[int, Any]:
        """Return the status and the JSON of a request."""
        if path.endswith("/uo/sport"):
            return 200, self.render_tree(now) if params.get("id") == SPORT_ID else {"data": [], "meta": {"total": "0"}}
        if path.endswith("/uo/matches"):
            page, limit = params.get("page", "1"), params.get("limit", str(DEFAULT_PAGE_SIZE))
            if params.get("sport_id") != SPORT_ID or not (page.isdigit() and limit.isdigit()):
                return 200, {"data": [], "meta": {"total": "0"}}
            return 200, self.render_page(now, int(page), min(int(limit), MAX_PAGE_SIZE))
        if path.endswith("/uo/match"):
            listing = self.feed.find_listing(params.get("parent_match_id", ""), now)
            is_listed = listing is not None and not self.feed.timeline.is_in_play(listing, now)
            return 200, self.render_match(listing, now) if listing is not None and is_listed else NOTHING
        return 404, {}

    def render_tree(self, now: datetime) -> dict[str, Any]:
        """Return the categories and their competitions with the numbers of matches."""
        categories: dict[str, dict[str, dict[str, Any]]] = {}
        for listing in self.list_listings(now):
            competitions = categories.setdefault(self._find_country(listing), {})
            node: dict[str, Any] = {
                "competition_id": str(listing.fixture.tournament.rank),
                "competition_name": listing.group_name,
            }
            competition = competitions.setdefault(listing.group_name, {**node, "count": 0})
            competition["count"] += 1
        data = [
            {
                "category_id": str(number),
                "category_name": name,
                "competitions": [{**one, "count": str(one["count"])} for one in competitions.values()],
                "count": len(competitions),
            }
            for number, (name, competitions) in enumerate(categories.items())
        ]
        n_competitions = sum(map(len, categories.values()))
        return {"data": data, "meta": {"limit": "1000", "total": str(n_competitions)}}

    def render_page(self, now: datetime, page: int, limit: int) -> dict[str, Any]:
        """Return one page, from 1, of the upcoming matches."""
        listings = self.list_listings(now)
        rows = [
            {**self._render_head(listing, now), "competition_id": str(listing.fixture.tournament.rank)}
            for listing in listings[(page - 1) * limit : page * limit]
        ]
        return {"data": rows, "meta": {"total": str(len(listings)), "limit": str(limit), "current_page": page}}

    def render_match(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        """Return one match with its markets, each with the prices of all its lines.

        Suspended lines are left out.
        """
        markets: dict[str, dict[str, Any]] = {}
        for line in self.feed.list_lines(listing, now):
            if line.source.is_suspended:
                continue
            node = {"sub_type_id": line.market, "name": line.name.upper(), "odds": []}
            markets.setdefault(line.market, node)["odds"] += [
                {
                    "display": label.upper(),
                    "odd_key": label,
                    "odd_value": f"{odds:.2f}",
                    "special_bet_value": line.specifier,
                    "outcome_id": number,
                }
                for number, label, odds in line.prices
                if odds is not None
            ]
        return {"data": list(markets.values()), "meta": self._render_head(listing, now), "market_groups": []}

    def _find_country(self, listing: SimulatedListing) -> str:
        return listing.fixture.tournament.country.names[self.feed.source]

    def _render_head(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        home, away = listing.teams
        kickoff = self.feed.find_kickoff(listing, now).astimezone(CLOCK)
        return {
            "home_team": home.names[self.feed.source],
            "away_team": away.names[self.feed.source],
            "game_id": str(10_000 + listing.fixture.number),
            "match_id": str(11_000_000 + listing.fixture.number),
            "start_time": f"{kickoff:%Y-%m-%d %H:%M:%S}",
            "competition_name": listing.group_name,
            "category": self._find_country(listing),
            "parent_match_id": str(listing.fixture.sr_id),
            "sport_id": SPORT_ID,
            "provider": "sr",
            "is_esport": False,
        }
