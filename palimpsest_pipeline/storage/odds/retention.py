"""Retention: what leaves Postgres when its time is over, and only then, and only when it can be read elsewhere.

Belongs here: how a day of the odds history stands between Postgres and the archive, dropping days, forgetting what no
stored answer speaks of, deleting the life of fixtures of long ago. Does not: writing the archive (`archive`), making or
locking partitions (`partitions`).
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
"""How long a day is tried to be had alone; whoever reads or writes the history goes first."""

KICKOFF_DATE_TABLES: Final = (*lifecycle.LIFECYCLE_TABLES, odds_alerts.ODDS_ALERT_TABLE)
"""Tables by kickoff_date."""


class DayStatus(StrEnum):
    """Where a UTC day of the odds history can be read.

    Where both have it, what matters is whether they say the same.
    """

    NOTHING = "nothing was observed on it"
    """No row in Postgres, no entry in the archive."""
    ARCHIVED = "it is in the archive only"
    """... though Postgres may have an empty place for it."""
    EXPORTED = "the archive has it as Postgres has it"
    MISSING = "it was not exported"
    CHANGED = "it has changed since it was exported"
    DAMAGED = "its files in the archive are not as they were written"

    @property
    def needs_export(self) -> bool:
        return self in (DayStatus.MISSING, DayStatus.CHANGED, DayStatus.DAMAGED)


@dataclass(slots=True)
class RetentionResult:
    """What retention did. Days are UTC days of the odds history."""

    dropped: list[date] = field(default_factory=list)
    """Exported before, with rows."""
    unused: list[date] = field(default_factory=list)
    """Dropped without a row in Postgres."""
    kept: dict[date, str] = field(default_factory=dict)
    """Their time is over, and why they stay."""
    n_forgotten: int = 0
    """Listings that no answer of that day or later speaks of any more: the present state knows them no more."""


def read_stored_days(conn: psycopg.Connection[Any]) -> list[date]:
    """Days with a partition, in order; also those that have only one of the two."""
    return sorted(set(partitions.read_partitions(conn).get_column("day").to_list()))


def read_departed_days(conn: psycopg.Connection[Any], today: date) -> list[date]:
    """Days before `today` that core has cycles of and no partition holds, in order: they were exported, or had no
    row of the history.
    """
    query = "select distinct (partition_hour at time zone 'UTC')::date from core.cycles"
    return sorted({day for (day,) in conn.execute(query).fetchall() if day < today}.difference(read_stored_days(conn)))


def read_hours_of_days(conn: psycopg.Connection[Any], days: Sequence[date]) -> list[datetime]:
    """Hours of the cycles that have answers on these days, in order."""
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
    """Where the day can be read: by the cycles it rests on and the rows of it that Postgres has, the catalogue, and the
    sizes of its files.

    Raises ArchiveError when the archive, or the day's entry in it, cannot be looked at, MissingPartitionError when only
    one of the day's tables is there.
    """
    entry = archive.read_entry(day)
    if day not in read_stored_days(conn):
        return DayStatus.NOTHING if entry is None else DayStatus.ARCHIVED
    version = compute_day_version(conn, day)
    rows = [_count_rows(conn, table, day) for table in partitions.PARTITIONED_TABLES]
    if entry is None:
        return DayStatus.MISSING if any(rows) else DayStatus.NOTHING
    if not any(rows) and entry.n_captures:
        return DayStatus.ARCHIVED  # an empty place for it says nothing against what was exported
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
    """Drop the days older than `before` that the archive has as Postgres has them, and those without a row; commits day
    by day.

    `conn` must be outside a transaction. A day is looked at once as it is, and again when nobody else can write to it:
    then it goes, together with the present state of listings that no answer in Postgres speaks of. One that is in use
    for `patience_s` stays until the next time. Raises ArchiveError when the archive cannot be looked at.
    """
    done = RetentionResult()
    days = read_stored_days(conn)
    conn.rollback()
    for day in (day for day in days if day < before):
        try:
            _drop_day(conn, archive, day, patience_s, done)
        except partitions.InUse as error:
            done.kept[day] = str(error)
            patience_s = 0.0  # whoever it is needs long: not to wait as long for every day again
        except (EntryUnreadable, partitions.MissingPartitionError) as error:
            done.kept[day] = str(error)
        except psycopg.errors.UndefinedTable:
            continue  # somebody else has just dropped it
        finally:
            conn.rollback()
    return done


def delete_lifecycle(conn: psycopg.Connection[Any], before: date) -> int:
    """Delete the life of fixtures that kicked off before that UTC date; returns the rows. Callers commit."""
    statement = sql.SQL("delete from {} where kickoff_date < %s")
    n_deleted = sum(
        conn.execute(statement.format(quote_identifier(table)), [before]).rowcount for table in KICKOFF_DATE_TABLES
    )
    odds_alerts.delete_orphan_acknowledgements(conn, before)
    return n_deleted


def explain_day_status(day: date, status: DayStatus) -> str:
    """Why a day that should be in the archive only is not, and what to do."""
    return f"{status}: run `palimpsest export {day} {day}`"


def _drop_day(
    conn: psycopg.Connection[Any], archive: Archive, day: date, patience_s: float, done: RetentionResult
) -> None:
    for alone in (False, True):
        if alone:
            conn.rollback()
            partitions.lock_day_exclusively(conn, day, patience_s)
        found = read_day_status(conn, archive, day)
        if found.needs_export:
            done.kept[day] = explain_day_status(day, found)
            return
    listings = _read_listings(conn, day)
    if found is DayStatus.EXPORTED and (entry := archive.read_entry(day)) is not None:
        record_days(
            conn, [build_recorded_day(entry)]
        )  # from here on only this tells that the day is missing where the archive cannot be seen
    book_sizes.save_largest_books(conn, day)
    partitions.drop_day(conn, day)
    n_forgotten = current_markets.drop_expired_listings(conn, listings, get_day_start(day + timedelta(days=1)))
    conn.commit()
    (done.dropped if found is DayStatus.EXPORTED else done.unused).append(day)
    done.n_forgotten += n_forgotten


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
