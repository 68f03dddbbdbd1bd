"""Drop days from Postgres when they are old enough and stored in the archive.

The current state of listings without a stored answer and the lifecycle of old fixtures go too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.instants import get_day_start

from ..archive import Archive, ArchiveDamaged, EntryUnreadable, compute_day_version, record_days
from ..db.copy_frames import quote_identifier
from ..marts import lifecycle_rows, odds_alert_rows
from ..marts.odds_alert_rows import PRICE_LEAD_TABLE
from ..push import outbox
from . import book_sizes, current_markets, partitions

PATIENCE_S: Final = 30.0
"""Seconds to try for a day's exclusive lock. Sessions that use the history have priority."""

KICKOFF_DATE_TABLES: Final = (*lifecycle_rows.LIFECYCLE_TABLES, odds_alert_rows.ODDS_ALERT_TABLE, PRICE_LEAD_TABLE)
"""Tables with a column `kickoff_date`."""


class DayStatus(StrEnum):
    """Where a UTC day of the odds history is stored.

    If both Postgres and the archive have the day, the status also tells whether they agree.
    """

    NOTHING = "no answer was observed on it"
    """No row in Postgres and no entry in the archive."""
    ARCHIVED = "it is only in the archive"
    """The archive has the day. Postgres may have an empty partition for it."""
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
    """Dropped days that had rows in Postgres. They were exported before."""
    unused: list[date] = field(default_factory=list)
    """Dropped days that had no row in Postgres."""
    kept_days: dict[date, str] = field(default_factory=dict)
    """Days that are old enough but were not dropped, each with the reason."""
    n_forgotten: int = 0
    """Number of listings whose current state was deleted, because no stored answer is left for them."""


def read_stored_days(conn: psycopg.Connection[Any]) -> list[date]:
    """Return the days for which at least one of the two tables has a partition, in order."""
    return sorted(set(partitions.read_partitions(conn).get_column("day").to_list()))


def read_departed_days(conn: psycopg.Connection[Any], today: date) -> list[date]:
    """Return the days before `today` with cycles in core but without a partition, in order.

    Such a day was exported and dropped, or had no row of the history.
    """
    query = "select distinct (partition_hour at time zone 'UTC')::date from core.cycles"
    return sorted({day for (day,) in conn.execute(query).fetchall() if day < today}.difference(read_stored_days(conn)))


def read_hours_of_days(conn: psycopg.Connection[Any], days: Sequence[date]) -> list[datetime]:
    """Return the hours (UTC) of the cycles that have answers on these days, in order."""
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
    """Return where the day is stored, and whether Postgres and the archive agree.

    The cycles and the number of rows in Postgres are compared with the catalogue, and the sizes of the day's files are
    checked. Raises ArchiveError when the archive or the day's entry cannot be read, and MissingPartitionError when only
    one of the day's tables exists.
    """
    entry = archive.read_entry(day)
    if day not in read_stored_days(conn):
        return DayStatus.NOTHING if entry is None else DayStatus.ARCHIVED
    version = compute_day_version(conn, day)
    rows = [_count_rows(conn, table, day) for table in partitions.PARTITIONED_TABLES]
    if entry is None:
        return DayStatus.MISSING if any(rows) else DayStatus.NOTHING
    if not any(rows) and entry.n_captures:
        return DayStatus.ARCHIVED  # an empty partition is consistent with an exported day
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
    """Drop the days before `before` that are equal in the archive, and the days without rows.

    `conn` must be outside a transaction; each day is committed separately. The status of a day is read first without a
    lock, and again when no other session can write to the day. Then the day is dropped, together with the current state
    of listings without another stored answer. A day that stays in use for `patience_s` seconds is kept until the next
    run. Raises ArchiveError when the archive cannot be read.
    """
    result = RetentionResult()
    days = read_stored_days(conn)
    conn.rollback()
    for day in (day for day in days if day < before):
        try:
            _drop_day(conn, archive, day, patience_s, result)
        except partitions.InUse as error:
            result.kept_days[day] = str(error)
            # another session uses the history for long, so the remaining days are tried without a wait
            patience_s = 0.0
        except (EntryUnreadable, partitions.MissingPartitionError) as error:
            result.kept_days[day] = str(error)
        except psycopg.errors.UndefinedTable:
            continue  # another session has just dropped it
        finally:
            conn.rollback()
    return result


def delete_lifecycle(conn: psycopg.Connection[Any], before: date) -> int:
    """Delete the lifecycle rows of fixtures that kicked off before the UTC date; return their number.

    Also delete acknowledgements without an episode, and messages to traders, from before that date. Callers commit.
    """
    statement = sql.SQL("delete from {} where kickoff_date < %s")
    n_deleted = sum(
        conn.execute(statement.format(quote_identifier(table)), [before]).rowcount for table in KICKOFF_DATE_TABLES
    )
    odds_alert_rows.delete_orphan_acknowledgements(conn, before)
    outbox.delete_old_messages(conn, before)
    return n_deleted


def explain_day_status(day: date, status: DayStatus) -> str:
    """Return why a day is still in Postgres although it should only be in the archive, and the remedy."""
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
        # If the archive cannot be read later, only this row shows that the day is missing there.
        record_days(conn, [entry])
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
