"""One at a time: the keys of all advisory locks, and a block that one session at a time is in. Knows no table.

What is done in one transaction and what after it is the caller's: marks that others set meanwhile are taken away
outside a snapshot, in which they could not be seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import psycopg


class AdvisoryLock(IntEnum):
    """The key of every advisory lock. A value never changes: during an upgrade two versions may use one database."""

    PLATFORM_HISTORY = 7_015
    """First half; the second half is the number of the platform."""
    CYCLE_PRODUCT = 7_016
    """First half; the second half is made of product and cycle."""
    CYCLE_OPENING = 7_017
    EXPORTED_DAY = 7_018
    """First half; the second half is the number of the day, which is exported or restored."""
    HISTORY_PARTITIONS = 7_015_261_001
    KICKOFF_DATES = 7_017_000_001
    """One for all dates: a fixture that moves from one to another is never written by two sessions at once."""
    ODDS_ALERTS = 7_017_000_003
    CURRENT_PRICES_FIRST = 7_017_000_011
    CURRENT_PRICES_SECOND = 7_017_000_012
    COVERAGE_PAGE = 7_017_000_021
    """Held while a page is read and written, so that what is written last was read last."""
    EXPORT_DIMENSIONS = 7_018_261_001
    """Held while they are read and written, so that what was read last is also written last."""
    LANDING_RETENTION = 7_019_000_001
    MIGRATION = 7_201_905_114
    LISTINGS = 7_201_905_115
    """Held by everything that derives rows from observations, so that two cycles written at once see each other's."""
    DAGSTER_STORAGE = 7_201_905_115
    """The same number, held in another database: Dagster's own, by whoever makes or upgrades its tables."""
    MAPPING_LEDGER = 7_201_905_117
    """Held by whoever replaces the ledger, so that a slower reader of older rows does not come last."""
    ALERTS = 7_310_226_044
    """Held by whoever looks for troubles: two at once would open the same trouble twice."""


class Busy(RuntimeError):
    """Somebody else has the lock, and the caller would not wait for it."""


@contextmanager
def hold_lock(conn: psycopg.Connection, lock_key: int, *, wait: bool = True) -> Iterator[None]:
    """Nobody else who takes the advisory lock is inside the block.

    Raises Busy when somebody is and the caller does not `wait`.
    """
    if not conn.autocommit:
        raise ValueError("the lock is taken before a transaction begins: give a connection in autocommit")
    if wait:
        conn.execute("select pg_advisory_lock(%s)", [lock_key])
    elif conn.execute("select from (select pg_try_advisory_lock(%s) as had) l where had", [lock_key]).rowcount == 0:
        raise Busy(f"somebody else has the lock {lock_key}")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s)", [lock_key])


@contextmanager
def open_snapshot(conn: psycopg.Connection) -> Iterator[None]:
    """One transaction, which sees the database as it is at its first question.

    A row that somebody else changes after that can only be read.
    """
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read")
        yield
