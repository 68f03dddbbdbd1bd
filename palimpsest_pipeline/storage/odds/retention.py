"""Retention: days leave Postgres when their time is over and they can be read elsewhere.

Belongs here: the status of a day of the odds history in Postgres and the archive, dropping days, removing the current
state of listings without a stored answer, and deleting the lifecycle of old fixtures. Does not belong here: writing the
archive (`archive`), creating or locking partitions (`partitions`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.instants import get_day_start

from ..archive import Archive, ArchiveDamaged, EntryUnreadable, build_recorded_day, compute_day_version, record_days
from ..db.copy_frames import quote_identifier
from ..marts import lifecycle, odds_alerts
from . import book_sizes, current_markets, partitions

PATIENCE_S: Final = 30.0
"""How long to try for a day's exclusive lock. Sessions that use the history go first."""

KICKOFF_DATE_TABLES: Final = (*lifecycle.LIFECYCLE_TABLES, odds_alerts.ODDS_ALERT_TABLE)
"""Tables with a `kickoff_date`."""


class DayStatus(StrEnum):
    """The places where a UTC day of the odds history can be read.

    If both Postgres and the archive have the day, the status tells whether they agree.
    """

    NOTHING = "no answer was observed on it"
    """No row in Postgres, no entry in the archive."""
    ARCHIVED = "it is only in the archive"
    """The archive has the day; Postgres may have an empty partition for it."""
    EXPORTED = "it is the same in Postgres and in the archive"
    MISSING = "it is not exported yet"
    CHANGED = "it has changed since its export"
    DAMAGED = "its files in the archive differ from the exported ones"

    @property
    def needs_export(self) -> bool:
        return self in (DayStatus.MISSING, DayStatus.CHANGED, DayStatus.DAMAGED)


@dataclass(slots=True)
class RetentionResult:
    """The result of one retention run. Days are UTC days of the odds history."""

    dropped: list[date] = field(default_factory=list)
    """Days that were exported before and had rows in Postgres."""
    unused: list[date] = field(default_factory=list)
    """Days dropped without a row in Postgres."""
    kept_days: dict[date, str] = field(default_factory=dict)
    """Days whose time is over but that stay, each with the reason."""
    n_forgotten: int = 0
    """Number of listings removed from the current state.

    No stored answer of that day or later mentions them.
    """


def read_stored_days(conn: psycopg.Connection[Any]) -> list[date]:
    """Return the days with a partition, in order, including days that have only one of the two."""
    return sorted(set(partitions.read_partitions(conn).get_column("day").to_list()))


def read_departed_days(conn: psycopg.Connection[Any], today: date) -> list[date]:
    """Return the days before `today` that core has cycles of and no partition holds, in order.

    They were exported, or had no row of the history.
    """
    query = "select distinct (partition_hour at time zone 'UTC')::date from core.cycles"
    return sorted({day for (day,) in conn.execute(query).fetchall() if day < today}.difference(read_stored_days(conn)))


def read_hours_of_days(conn: psycopg.Connection[Any], days: Sequence[date]) -> list[datetime]:
    """Return the hours of the cycles that have answers on these days, in order."""
    if not days:
        return []
    query = """
        select distinct c.partition_hour from core.captures k join core.cycles c using (cycle_id)
        where k.observed_at >= %s and k.observed_at < %s and (k.observed_at at time zone 'UTC')::date = any(%s)
        order by c.partition_hour
    """
    span = get_day_start(min(days)), get_day_start(max(days) + timedelta(days=1))
    return [hour for (hour,) in conn.execute(query, [*span, list(days)]).fetchall()]


def read_day_status(conn: psycopg.Connection[Any], archive: Archive, day: date) -> DayStatus:
    """Return the status of the day: where it can be read.

    It compares the cycles of the day and its rows in Postgres with the catalogue, and checks the sizes of its files.
    Raises ArchiveError when the archive, or the day's entry in it, cannot be read, MissingPartitionError when only one
    of the day's tables exists.
    """
    entry = archive.read_entry(day)
    if day not in read_stored_days(conn):
        return DayStatus.NOTHING if entry is None else DayStatus.ARCHIVED
    version = compute_day_version(conn, day)
    rows = [_count_rows(conn, table, day) for table in partitions.PARTITIONED_TABLES]
    if entry is None:
        return DayStatus.MISSING if any(rows) else DayStatus.NOTHING
    if not any(rows) and entry.n_captures:
        return DayStatus.ARCHIVED  # an empty partition does not contradict the exported rows
    if entry.version != version or rows != [entry.n_captures, entry.n_rows]:
        return DayStatus.CHANGED
    try:
        archive.check_day(day)
    except ArchiveDamaged:
        return DayStatus.DAMAGED
    return DayStatus.EXPORTED


def drop_exported_days(
    conn: psycopg.Connection[Any], archive: Archive, before: date, patience_s: float = PATIENCE_S
) -> RetentionResult:
    """Drop the days before `before` that the archive has exactly as Postgres, and those without a row.

    `conn` must be outside a transaction; each day is committed on its own. The status of a day is read once without
    a lock, and again when no other session can write to it. Then the day is dropped, together with the current state
    of listings that no answer in Postgres mentions. A day that is in use for `patience_s` stays until the next run.
    Raises ArchiveError when the archive cannot be read.
    """
    result = RetentionResult()
    days = read_stored_days(conn)
    conn.rollback()
    for day in (day for day in days if day < before):
        try:
            _drop_day(conn, archive, day, patience_s, result)
        except partitions.InUse as error:
            result.kept_days[day] = str(error)
            patience_s = 0.0  # the other session takes long: the remaining days are tried without a wait
        except (EntryUnreadable, partitions.MissingPartitionError) as error:
            result.kept_days[day] = str(error)
        except psycopg.errors.UndefinedTable:
            continue  # another session has just dropped it
        finally:
            conn.rollback()
    return result


def delete_lifecycle(conn: psycopg.Connection[Any], before: date) -> int:
    """Delete the lifecycle of fixtures that kicked off before that UTC date; return the number of rows.

    Callers commit.
    """
    statement = sql.SQL("delete from {} where kickoff_date < %s")
    n_deleted = sum(
        conn.execute(statement.format(quote_identifier(table)), [before]).rowcount for table in KICKOFF_DATE_TABLES
    )
    odds_alerts.delete_orphan_acknowledgements(conn, before)
    return n_deleted


def explain_day_status(day: date, status: DayStatus) -> str:
    """Return the reason why a day is still in Postgres that should only be in the archive, and the remedy."""
    return f"{status}: run `palimpsest export {day} {day}`"


def _drop_day(
    conn: psycopg.Connection[Any], archive: Archive, day: date, patience_s: float, result: RetentionResult
) -> None:
    for is_locked in (False, True):
        if is_locked:
            conn.rollback()
            partitions.lock_day_exclusively(conn, day, patience_s)
        status = read_day_status(conn, archive, day)
        if status.needs_export:
            result.kept_days[day] = explain_day_status(day, status)
            return
    listings = _read_listings(conn, day)
    if status is DayStatus.EXPORTED and (entry := archive.read_entry(day)) is not None:
        # If the archive cannot be read later, only this record shows that the day is missing.
        record_days(conn, [build_recorded_day(entry)])
    book_sizes.save_largest_books(conn, day)
    partitions.drop_day(conn, day)
    n_forgotten = current_markets.drop_expired_listings(conn, listings, get_day_start(day + timedelta(days=1)))
    conn.commit()
    (result.dropped if status is DayStatus.EXPORTED else result.unused).append(day)
    result.n_forgotten += n_forgotten


def _count_rows(conn: psycopg.Connection[Any], table: str, day: date) -> int:
    row = conn.execute(sql.SQL("select count(*) from {}").format(_build_partition_identifier(table, day))).fetchone()
    assert row is not None
    return int(row[0])


def _read_listings(conn: psycopg.Connection[Any], day: date) -> list[int]:
    return [
        listing
        for (listing,) in conn.execute(
            sql.SQL("select distinct listing_id from {}").format(_build_partition_identifier("captures", day))
        ).fetchall()
    ]


def _build_partition_identifier(table: str, day: date) -> sql.Identifier:
    return sql.Identifier("core", partitions.build_partition_name(table, day))
