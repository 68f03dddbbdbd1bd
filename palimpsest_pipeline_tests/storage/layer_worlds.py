"""A small world of prices over several days, named: listings of three platforms, their fixtures, a vocabulary, and a
few hundred answers.

What must be read from it comes from `history_worlds`, which computes it in plain Python from the answers alone.
"""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start

from .history_worlds import DAYS, Book, Facts, Key, Said, expected_as_of, take_in

LISTINGS = {
    1: ("betpawa", "p1", 7, True),
    2: ("sportybet", "s1", 7, True),
    3: ("bet9ja", "b1", 7, True),
    4: ("bet9ja", "b2", 7, False),
    5: ("betpawa", "p2", 8, True),
    6: ("sportybet", "s2", None, False),
}
"""listing_id: platform, external id, SportRadar id, primary."""
TOURNAMENTS = {7: "sr:17", 8: "sr:18"}
MARKETS = {1: "match_result", 2: "total_goals", 3: "scorer", 4: "correct_score"}
OUTCOMES = {(1, 1): "1", (1, 2): "X", (1, 3): "2", (2, 1): "over", (2, 2): "under", (4, 1): "0:0", (4, 2): "1:0"}
FACTS: dict[Key, list[Facts]] = {
    (1, "", ""): [
        ("offered", 0, (2100, 3400, 3000)),
        ("offered", 2, (2100, 3400, 3050)),
        ("suspended", 7, (2100, 3400, 3000)),
        ("offered", 0, (2000, None, 3333)),
    ],
    (2, "total=2.5", ""): [("offered", 0, (1800, 2000)), ("offered", 0, (1850, 1950)), ("no_price", 0, (None, None))],
    (2, "total=3.5", ""): [("offered", 0, (2800, 1400)), ("offered", 1, (2800, 1400))],
    (3, "", "O'Neil"): [("offered", 0, (5000,)), ("suspended", 1, (5000,))],
    (4, "", "1:0"): [("offered", 0, (7500,)), ("offered", 0, (8000,))],
}


def answers(seed: int = 5) -> list[Said]:
    """On most days most listings answer up to nine times; books mostly stay as they are. Some books are empty."""
    luck = random.Random(seed)
    said: list[Said] = []
    for listing_id in LISTINGS:
        book: Book = {}
        for day in DAYS:
            begins = get_day_start(day)
            for instant in sorted(
                begins + timedelta(microseconds=luck.randrange(86_400_000_000)) for _ in range(luck.randrange(10))
            ):
                book = (
                    {key: luck.choice(FACTS[key]) for key in FACTS if luck.random() < 0.8}
                    if luck.random() < 0.4
                    else book
                )
                said.append(Said(listing_id, instant, book if luck.random() < 0.9 else {}))
    return said


def name(conn: psycopg.Connection[Any]) -> None:
    """Write who the listings are and what the markets are called."""
    kickoff = datetime(2026, 3, 5, 18, tzinfo=UTC)
    for market_id, key in MARKETS.items():
        conn.execute(
            "insert into core.markets (market_id, market_key, sport, period, family, name, line_kind, fair_sum) values (%s, %s, 'football', 'ft', 'family', %s, 'none', '1')",
            [market_id, key, key],
        )
    for (market_id, ordinal), key in OUTCOMES.items():
        conn.execute("insert into core.market_outcomes values (%s, %s, %s, %s)", [market_id, ordinal, key, key])
    for sr_id, tournament in TOURNAMENTS.items():
        conn.execute(
            "insert into core.fixtures values (%s, 'football', %s, null, 'PL', 'A', 'B', 'betpawa', %s, 0, '{betpawa}', 1, '{}', false, null)",
            [sr_id, tournament, kickoff],
        )
    for listing_id, (platform, external_id, fixture, primary) in LISTINGS.items():
        conn.execute("insert into ops.listing_ids values (%s, %s, %s)", [listing_id, platform, external_id])
        conn.execute(
            """
            insert into core.event_listings (listing_id, platform, external_id, sport, kind, tournament_external_id, tournament_name, home_team,
                away_team, kickoff_at, sr_id, fixture_sr_id, is_primary, first_seen_at, last_seen_at, last_cycle_id)
            values (%s, %s, %s, 'football', 'match', 't1', 'PL', 'A', 'B', %s, %s, %s, %s, %s, %s, 1)
            """,
            [listing_id, platform, external_id, kickoff, fixture, fixture, primary, kickoff, kickoff],
        )


def ingest_world(conn: psycopg.Connection[Any], world: Sequence[Said]) -> None:
    """Take the whole world in and name it. The partitions of DAYS must be there."""
    take_in(conn, world)
    name(conn)


def expected_markets(
    world: Iterable[Said], instant: datetime, listing_ids: Iterable[int], max_age: timedelta | None = None
) -> set[tuple[Any, ...]]:
    """What `read_markets_as_of` must say: (listing_id, market_key, specifier, outcome, state, off_mask, odds,
    observed_at, last_confirmed_at).
    """
    world = list(world)
    found: set[tuple[Any, ...]] = set()
    for listing_id in listing_ids:
        earliest = get_day_start(instant.date()) if max_age is None else instant - max_age
        spoken = [a.observed_at for a in world if a.listing_id == listing_id and earliest <= a.observed_at <= instant]
        if spoken:
            found |= {
                (listing, MARKETS[market_id], *rest)
                for listing, market_id, *rest in expected_as_of(world, max(spoken), [listing_id])
            }
    return found


def as_set(markets: pl.DataFrame) -> set[tuple[Any, ...]]:
    columns = (
        "listing_id",
        "market_key",
        "specifier",
        "outcome",
        "state",
        "off_mask",
        "odds_milli",
        "observed_at",
        "last_confirmed_at",
    )
    rows = [tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in markets.select(columns).iter_rows()]
    assert len(set(rows)) == len(rows), "a market is there twice"
    return set(rows)
