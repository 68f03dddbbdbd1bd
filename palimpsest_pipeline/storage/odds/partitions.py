"""List, create, lock and drop the daily partitions of the odds history.

They are named `core.captures_YYYYMMDD` and `core.market_changes_YYYYMMDD` (UTC days); `retention` decides how long they
stay.

There is no default partition. A row of a day without a partition must raise an error, and a default partition that
already has such rows would prevent the creation of the right partition.
"""

import time
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import floor_to_hour

from ..db.copy_frames import read_frame
from ..db.locks import AdvisoryLock

PARTITIONED_TABLES: Final = ("captures", "market_changes")
"""Tables of `core` with one partition per UTC day of observed_at."""
N_DAYS_AHEAD: Final = 14
"""Number of days ahead for which partitions are created."""
LOCK_WAIT_MS: Final = 200
"""Maximum wait for an exclusive table lock, in milliseconds.

It is well below one second, after which Postgres searches for a deadlock.
"""

PARTITIONS_SQL: Final = r"""
select parent.relname::text as "table", right(child.relname::text, 8) as "day"
from pg_inherits
join pg_class parent on parent.oid = inhparent
join pg_class child on child.oid = inhrelid
join pg_namespace space on space.oid = parent.relnamespace
where space.nspname = 'core' and parent.relname in ('captures', 'market_changes') and child.relname ~ '_\d{8}$'
order by 1, 2
"""


class InUse(Exception):
    """The error when a day cannot be locked exclusively because another session uses the history."""


class MissingPartitionError(PalimpsestError, LookupError):
    """The error when a day has no partition. `days` are the UTC days."""

    def __init__(self, days: Iterable[date]) -> None:
        self.days = tuple(sorted(set(days)))
        day_list = ", ".join(day.isoformat() for day in self.days)
        super().__init__(
            f"no partition of the odds history for UTC day {day_list}: materialize core/history_partitions, which "
            "makes the days ahead; for any other day call partitions.ensure_partitions, or restore the day when it was "
            "exported and dropped"
        )


def build_partition_name(table: str, day: date) -> str:
    """Return the name of a table's partition of a UTC day, without its schema."""
    return f"{table}_{day:%Y%m%d}"


def read_partitions(conn: psycopg.Connection[Any]) -> pl.DataFrame:
    """Return the attached partitions: `table` String (without schema), `day` Date, sorted by both."""
    rows = read_frame(conn, PARTITIONS_SQL)
    return rows.with_columns(pl.col("day").str.to_date("%Y%m%d"))


def hold_partitions(conn: psycopg.Connection[Any]) -> None:
    """Lock all partitions so that no day is dropped until the transaction ends.

    Readers, writers and sessions that create partitions are not blocked.
    """
    conn.execute("lock table only core.captures, only core.market_changes in access share mode")


def require_partitions(conn: psycopg.Connection[Any], days: Iterable[date]) -> None:
    """Raise MissingPartitionError unless both tables have a partition for each of the days.

    Existing partitions are then protected from being dropped (`hold_partitions`).
    """
    hold_partitions(conn)
    missing = find_missing_partitions(conn, days)
    if missing:
        raise MissingPartitionError(day for _, day in missing)


def ensure_partitions(conn: psycopg.Connection[Any], days: Iterable[date]) -> list[str]:
    """Create the missing partitions of these UTC days and return the names of the created ones.

    Repeated and concurrent calls are safe. The lock is held until the caller's transaction ends, so use a short
    transaction of its own.
    """
    sorted_days = sorted(set(days))
    if not find_missing_partitions(conn, sorted_days):
        return []
    lock_partition_creation(conn)
    # another session may have created them while this one waited for the lock
    missing = find_missing_partitions(conn, sorted_days)
    for table, day in missing:
        create_partition(conn, table, day)
    return [build_partition_name(table, day) for table, day in missing]


def lock_partition_creation(conn: psycopg.Connection[Any]) -> None:
    """Block other sessions from creating partitions until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.HISTORY_PARTITIONS])


def ensure_days_ahead(conn: psycopg.Connection[Any], now: datetime, n_days: int = N_DAYS_AHEAD) -> list[str]:
    """Create the missing partitions of the UTC day of `now` and of the next `n_days` days.

    Returns the names of the created partitions. Raises ValueError when `now` has no time zone.
    """
    today = floor_to_hour(now).date()
    return ensure_partitions(conn, [today + timedelta(days=n) for n in range(n_days + 1)])


def find_missing_partitions(conn: psycopg.Connection[Any], days: Iterable[date]) -> list[tuple[str, date]]:
    """Return the pairs (table, day) without a partition, sorted by day and table."""
    existing = set(read_partitions(conn).iter_rows())
    return [(table, day) for day in sorted(set(days)) for table in PARTITIONED_TABLES if (table, day) not in existing]


def find_days_with_rows(conn: psycopg.Connection[Any], days: Iterable[date]) -> list[date]:
    """Return the given UTC days that have a row in either table, sorted."""
    day_set = set(days)
    existing = [(table, day) for table, day in read_partitions(conn).iter_rows() if day in day_set]
    if not existing:
        return []
    queries = [
        sql.SQL("select {}::date where exists (select from {})").format(
            sql.Literal(day), sql.Identifier("core", build_partition_name(table, day))
        )
        for table, day in existing
    ]
    return sorted({day for (day,) in conn.execute(sql.SQL(" union all ").join(queries)).fetchall()})


def create_partition(conn: psycopg.Connection[Any], table: str, day: date) -> None:
    """Create the partition of a table for one UTC day.

    A table is created first and then attached, because `create ... partition of` would block readers and writers of the
    parent table.
    """
    create_day_table(conn, table, day)
    attach_day_table(conn, table, day)


def create_day_table(conn: psycopg.Connection[Any], table: str, day: date) -> None:
    """Create the table for a UTC day without attaching it, so it can be filled first."""
    parent, name = sql.Identifier("core", table), sql.Identifier("core", build_partition_name(table, day))
    conn.execute(sql.SQL("create table {} (like {} including all)").format(name, parent))


def attach_day_table(conn: psycopg.Connection[Any], table: str, day: date) -> None:
    """Attach the table of a UTC day as a partition.

    Raises psycopg's CheckViolation when it contains rows of another day.
    """
    parent, name = sql.Identifier("core", table), sql.Identifier("core", build_partition_name(table, day))
    conn.execute(
        sql.SQL("alter table {} attach partition {} for values from ({}) to ({})").format(
            parent,
            name,
            sql.Literal(f"{day.isoformat()} 00:00:00+00"),
            sql.Literal(f"{(day + timedelta(days=1)).isoformat()} 00:00:00+00"),
        )
    )


def lock_day_exclusively(conn: psycopg.Connection[Any], day: date, patience_s: float) -> None:
    """Lock the day's partitions exclusively until the transaction ends.

    Raises InUse when the lock is not free within `patience_s` seconds. Dropping a partition also locks the parent
    tables, so the call waits for every reader and writer of the history. Each attempt to lock is short, because other
    sessions queue behind a waiting lock, and a deadlock would abort one of the transactions. The transaction is rolled
    back between two attempts, so this must be its first call.
    """
    names = [sql.Identifier("core", build_partition_name(table, day)) for table in PARTITIONED_TABLES]
    parents = [sql.SQL("only ") + sql.Identifier("core", table) for table in PARTITIONED_TABLES]
    statement = sql.SQL("lock table {} in access exclusive mode").format(sql.SQL(", ").join([*parents, *names]))
    deadline = time.monotonic() + patience_s
    while True:
        try:
            conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{LOCK_WAIT_MS}ms")))
            conn.execute(statement)
            conn.execute("set local lock_timeout to default")
        except psycopg.errors.LockNotAvailable as error:
            conn.rollback()
            if time.monotonic() >= deadline:
                raise InUse(f"the odds history was in use for the whole {patience_s:g} s of waiting") from error
            time.sleep(LOCK_WAIT_MS / 1000)
        else:
            return


def lock_day_against_writes(conn: psycopg.Connection[Any], table: str, day: date) -> None:
    """Block writes by other sessions to the partition until the transaction ends.

    Readers are not blocked.
    """
    name = sql.Identifier("core", build_partition_name(table, day))
    conn.execute(sql.SQL("lock table {} in share row exclusive mode").format(name))


def reindex_day(conn: psycopg.Connection[Any], day: date) -> int | None:
    """Rebuild the indexes of a past day; return the bytes freed, or None if the day was in use.

    During the day, rows arrive in the order of listings, so index pages are split and stay half empty. Run it in its
    own transaction: writers of the day wait until it ends, and readers nearly as long.
    """
    freed = 0
    try:
        with conn.transaction():
            conn.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_WAIT_MS}ms"])
            for table in PARTITIONED_TABLES:
                name = f"core.{build_partition_name(table, day)}"
                freed += _read_index_bytes(conn, name)
                conn.execute(sql.SQL("reindex table {}").format(sql.Identifier(*name.split("."))))
                freed -= _read_index_bytes(conn, name)
    except psycopg.errors.LockNotAvailable:
        return None
    return freed


def _read_index_bytes(conn: psycopg.Connection[Any], table: str) -> int:
    row = conn.execute("select pg_indexes_size(%s::regclass)", [table]).fetchone()
    assert row is not None
    return int(row[0])


def drop_day(conn: psycopg.Connection[Any], day: date) -> None:
    """Drop both partitions of a day with their rows, in the transaction of `lock_day_exclusively`."""
    names = sql.SQL(", ").join(sql.Identifier("core", build_partition_name(table, day)) for table in PARTITIONED_TABLES)
    conn.execute(sql.SQL("drop table {}").format(names))
