"""The keys of all advisory locks, and a block that one session at a time can enter.

No table is named here. The caller decides which steps belong in one transaction: marks that other sessions set
meanwhile are deleted outside a snapshot, because a snapshot does not show them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import psycopg


class AdvisoryLock(IntEnum):
    """The key of every advisory lock. A value never changes.

    During an upgrade two versions may use one database.
    """

    PLATFORM_HISTORY = 7_015
    """The first half of a key; the second half is made of the key of the platform."""
    CYCLE_PRODUCT = 7_016
    """The first half of a key; the second half is made of product and cycle."""
    CYCLE_OPENING = 7_017
    EXPORTED_DAY = 7_018
    """The first half of a key; the second half is the number of the day that is exported or restored."""
    HISTORY_PARTITIONS = 7_015_261_001
    KICKOFF_DATES = 7_017_000_001
    """One key for all dates, so that two sessions never write a fixture that moves to another date."""
    ODDS_ALERTS_FIRST = 7_017_000_003
    ODDS_ALERTS_SECOND = 7_017_000_004
    CURRENT_PRICES_FIRST = 7_017_000_011
    CURRENT_PRICES_SECOND = 7_017_000_012
    COVERAGE_PAGE = 7_017_000_021
    """Held while a page is read and written, so that the last page written has the newest data."""
    EXPORT_DIMENSIONS = 7_018_261_001
    """Held while the dimensions are read and written, so that the last ones written are the newest."""
    LANDING_RETENTION = 7_019_000_001
    MIGRATION = 7_201_905_114
    LISTINGS = 7_201_905_115
    """Held by every session that derives rows from observations.

    So two cycles that are written at once use each other's observations.
    """
    DAGSTER_STORAGE = 7_201_905_115
    """The same number, used in Dagster's own database.

    Held while its tables are created or upgraded.
    """
    MAPPING_LEDGER = 7_201_905_117
    """Held while the ledger is replaced, so that older rows never replace newer ones."""
    ALERTS = 7_310_226_044
    """Held while problems are searched. Two sessions at once would open the same alert twice."""


class Busy(RuntimeError):
    """The error when another session has the lock and the caller does not wait for it."""


@contextmanager
def hold_lock(conn: psycopg.Connection, lock_key: int, *, wait: bool = True) -> Iterator[None]:
    """Hold the advisory lock inside the block.

    Raises Busy when another session has it and `wait` is False.
    """
    if not conn.autocommit:
        raise ValueError("the lock must be taken before a transaction begins: pass a connection in autocommit mode")
    if wait:
        conn.execute("select pg_advisory_lock(%s)", [lock_key])
    elif conn.execute("select from (select pg_try_advisory_lock(%s) as had) l where had", [lock_key]).rowcount == 0:
        raise Busy(f"another session has the lock {lock_key}")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s)", [lock_key])


@contextmanager
def open_snapshot(conn: psycopg.Connection) -> Iterator[None]:
    """Run the block in one transaction that sees the database as of its first query.

    A row that another session changes after that can be read, but not written.
    """
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read")
        yield
