"""What polling the simulated books comes to, as the frames of `find_price_leads`: with planted leaders, or without."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.metrics import build_outcome_sets
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.simulator.book import BookGenerator
from palimpsest_pipeline.simulator.simulated_markets import list_simulated_markets
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedFixture, SimulatedListing, build_world

from ..life_worlds import Book, Facts, Key, Life, Looked

EPOCH: Final = datetime(2026, 5, 5, 0, 10, tzinfo=UTC)
EVERY: Final = timedelta(minutes=10)
MARKETS: Final = ("match_result", "both_teams_to_score", "double_chance", "draw_no_bet")
WORDS: Final = load_installed_vocabulary()
KEYS: Final = WORDS.markets.select("market_id", "market_key").cast({"market_id": pl.Int16})
OUTCOMES: Final = (
    WORDS.outcomes.cast({"market_id": pl.Int16, "ordinal": pl.Int16})
    .join(KEYS, on="market_id")
    .filter(pl.col("market_key").is_in(MARKETS))
    .sort("market_key", "ordinal")
)
SETS: Final = build_outcome_sets(WORDS.markets, WORDS.outcomes, WORDS.complete_sets).join(KEYS, on="market_id")
NAMES: Final[dict[str, list[str]]] = {
    key: rows["outcome_key"].to_list() for (key,), rows in OUTCOMES.group_by("market_key", maintain_order=True)
}


def build_timeline(seed: int, size: int) -> Timeline:
    return Timeline(build_world(seed, size, EPOCH))


def list_shared_fixtures(timeline: Timeline) -> list[SimulatedFixture]:
    """Fixtures that every platform of the world lists with the same home side, and that kick off long after EPOCH: in the
    last hour all books change their prices more often at once.
    """
    platforms = {listing.platform for listings in timeline.world.listings.values() for listing in listings}
    return [
        fixture
        for fixture in timeline.world.fixtures
        if fixture.sr_id is not None
        and fixture.rotated_on is None
        and set(fixture.platforms) == platforms
        and fixture.kickoff_at >= EPOCH + timedelta(hours=8)
    ]


def poll(timeline: Timeline, fixtures: Sequence[SimulatedFixture], hours: float, every: timedelta = EVERY) -> Life:
    """Looks at all listings of the fixtures, each platform at its own second of the interval."""
    books, looks, holders = BookGenerator(timeline), [], {}
    numbers = {fixture.number for fixture in fixtures}
    listings = [
        listing
        for entries in timeline.world.listings.values()
        for listing in entries
        if listing.fixture.number in numbers and not listing.is_duplicate
    ]
    for listing_id, listing in enumerate(listings, start=1):
        assert listing.fixture.sr_id is not None
        holders[listing_id] = (listing.fixture.sr_id, str(listing.platform))
        phase = timedelta(seconds=(listing_id * 37) % 300)
        for cycle in range(int(timedelta(hours=hours) / every)):
            at = EPOCH + cycle * every + phase
            looks.append(Looked(listing_id, cycle + 1, at, "answered", book=_read_book(books, listing, at)))
    kickoffs = {fixture.sr_id: [(EPOCH, fixture.kickoff_at)] for fixture in fixtures if fixture.sr_id is not None}
    return Life(looks, kickoffs, holders)


def _read_book(books: BookGenerator, listing: SimulatedListing, at: datetime) -> Book:
    """What the listing offers of MARKETS, which have no lines."""
    book: dict[Key, Facts] = {}
    for offered in books.list_lines(listing, at, only=_list_market_ids(listing.platform)):
        [part] = offered.market.parts
        odds_by_key = {price.outcome.canonical_key: price.odds for price in offered.prices}
        odds = tuple(None if (price := odds_by_key[name]) is None else round(price * 1000) for name in NAMES[part.key])
        mask = sum(1 << place for place, price in enumerate(odds) if price is not None)
        state = "suspended" if offered.is_suspended else "offered"
        book.setdefault((part.key, "", ""), (state, mask if offered.is_suspended else None, odds))
    return book


@cache
def _list_market_ids(platform: Platform) -> frozenset[str]:
    return frozenset(market.native_id for market in list_simulated_markets(platform) if market.parts[0].key in MARKETS)
