"""Which listings earlier cycles know: what a cycle begins with, however many that are over lie beside them."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import psycopg
import pytest

from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs

NOON: Final = datetime(2026, 6, 26, 12, tzinfo=UTC)
HOURS: Final = (None, -3, 0, 3)
"""Kickoffs of a listing and of its fixture, in hours from NOON; None: the listing's was refused."""
ALL_OVER: Final = 30_000
INDEX: Final = "ix_event_listings_kickoff_at"


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def claim(conn: psycopg.Connection, sr_id: int, kickoff_at: datetime | None) -> None:
    """Make that the kickoff that the listing claims; its fixture keeps its own."""
    conn.execute("update core.event_listings set kickoff_at = %s where fixture_sr_id = %s", [kickoff_at, sr_id])


@pytest.mark.parametrize("hours", [-4, -3, -1, 0, 2, 3])
def test_a_listing_is_known_while_its_kickoff_or_where_that_was_refused_its_fixtures_is_to_come(
    conn: psycopg.Connection, hours: float
) -> None:
    pairs = dict(enumerate(product(HOURS, HOURS[1:]), start=1))
    put_kickoffs(conn, at(-10), {sr_id: at(of_fixture or 0) for sr_id, (_, of_fixture) in pairs.items()})
    for sr_id, (claimed, _) in pairs.items():
        claim(conn, sr_id, None if claimed is None else at(claimed))
    conn.execute("update core.event_listings set fixture_sr_id = null where fixture_sr_id = 1")
    conn.execute("update core.event_listings set deleted_at = %s where fixture_sr_id = %s", [at(-9), len(pairs)])
    in_force = {sr_id: claimed if claimed is not None else of_fixture for sr_id, (claimed, of_fixture) in pairs.items()}
    expected = {sr_id: at(kickoff) for sr_id, kickoff in in_force.items() if kickoff > hours and 1 < sr_id < len(pairs)}
    found = {listing.sr_id: listing.kickoff_at for listing in upcoming_fixtures.read_upcoming_listings(conn, at(hours))}
    assert found == expected
    some = [sr_id for sr_id in pairs if sr_id % 2]
    of_some = {listing.sr_id for listing in upcoming_fixtures.read_upcoming_listings(conn, at(hours), some)}
    assert of_some == expected.keys() & set(some)


@pytest.fixture
def long_history(conn: psycopg.Connection) -> psycopg.Connection:
    """Many listings whose match is over, twenty to come, and some whose kickoff was refused."""
    put_kickoffs(conn, at(-10), {sr_id: at(-sr_id / 100) for sr_id in range(1, ALL_OVER)})
    put_kickoffs(conn, at(-10), {ALL_OVER + n: at(1 + n) for n in range(20)})
    for n in range(3):
        claim(conn, ALL_OVER + n, None)
    conn.execute("analyze core.event_listings")
    conn.execute("analyze core.fixtures")
    return conn


def test_upcoming_listings_are_found_by_the_index_on_kickoffs(long_history: psycopg.Connection) -> None:
    asked = {"now": NOON, "all": True, "sr_ids": []}
    plan = "\n".join(
        line
        for (line,) in long_history.execute(
            f"explain {upcoming_fixtures.UPCOMING_LISTINGS_SQL}".encode(), asked
        ).fetchall()
    )
    assert INDEX in plan, plan
    assert "Seq Scan on event_listings" not in plan, plan
    assert len(upcoming_fixtures.read_upcoming_listings(long_history, NOON)) == 20
