"""Advisory locks: all keys, a context manager that holds a lock, and one that opens a snapshot.

A snapshot is a transaction that sees the database as of its first query. Rows that other sessions write meanwhile are
not visible in it, so work that must include them belongs outside the block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import psycopg


class AdvisoryLock(IntEnum):
    """The keys of all advisory locks.

    A value must never change: during an upgrade, two versions of the pipeline may use one database.
    """

    PLATFORM_HISTORY = 7_015
    """The first half of a key; the second half is made of the key of the platform."""
    CYCLE_PRODUCT = 7_016
    """First half of a two-part key; the second half is computed from product and cycle."""
    CYCLE_OPENING = 7_017
    EXPORTED_DAY = 7_018
    """First half of a two-part key; the second half is the ordinal of the exported or restored day."""
    HISTORY_PARTITIONS = 7_015_261_001
    KICKOFF_DATES = 7_017_000_001
    """Held while rows by kickoff date are written.

    There is one key for all dates, so two sessions never write a fixture that moves from one date to another.
    """
    ODDS_ALERTS_FIRST = 7_017_000_003
    ODDS_ALERTS_SECOND = 7_017_000_004
    CURRENT_PRICES_FIRST = 7_017_000_011
    CURRENT_PRICES_SECOND = 7_017_000_012
    COVERAGE_PAGE = 7_017_000_021
    """Held while a page of coverage is read and written, so the last page written has the newest data."""
    EXPORT_DIMENSIONS = 7_018_261_001
    """Held while the archive's dimensions are read and written, so the last ones written are the newest."""
    LANDING_RETENTION = 7_019_000_001
    PUSH_OUTBOX = 7_019_000_002
    """Held from the writing of messages to their commit.

    So messages are committed in the order of their numbers.
    """
    PUSH_SENDER = 7_019_000_003
    """Held by the process that sends messages. The function `ops.claim_push_sender` has the same key."""
    MIGRATION = 7_201_905_114
    LISTINGS = 7_201_905_115
    """Held by every session that derives rows from observations.

    If two sessions write cycles at the same time, the second one sees the observations of the first.
    """
    DAGSTER_STORAGE = 7_201_905_115
    """Held in Dagster's own database while its tables are created or upgraded.

    The value equals LISTINGS, but the lock is taken in another database.
    """
    MAPPING_LEDGER = 7_201_905_117
    """Held while the mapping ledger is replaced, so older rows never replace newer ones."""
    ALERTS = 7_310_226_044
    """Held while alerts are evaluated. Otherwise two sessions could open the same alert twice."""


class Busy(RuntimeError):
    """The error when another session holds the lock and the caller does not wait."""


@contextmanager
def hold_lock(conn: psycopg.Connection, lock_key: int, *, wait: bool = True) -> Iterator[None]:
    """Hold the advisory lock during the block.

    If another session holds the lock, wait for it, or raise Busy when `wait` is False.
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

    A row that another session changes meanwhile can be read, but an attempt to write it raises an error.
    """
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read")
        yield
