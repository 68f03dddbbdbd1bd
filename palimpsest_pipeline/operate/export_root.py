"""The root of the export: mark a root that has every exported day, or adopt another root on purpose.

Belongs here: comparing the root with the days that the database records. Does not belong here: the marker file itself
(`storage.archive`).
"""

import logging
from dataclasses import dataclass
from datetime import date

import psycopg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.settings import SettingsError
from palimpsest_pipeline.storage.archive import (
    ArchiveError,
    build_recorded_day,
    delete_recorded_days,
    read_recorded_days,
    record_days,
)
from palimpsest_pipeline.storage.odds.retention import read_departed_days

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AdoptedRoot:
    """The days that an adopted root has, and the exported days that it lacks."""

    days: list[date]
    lost_days: list[date]


def mark_complete_root(pipeline: Pipeline) -> None:
    """Mark the root if its days are exactly the days that the database records as exported.

    A root that cannot be read, or has other days, stays unmarked: nothing is exported to it, and `palimpsest doctor`
    explains it. The same holds for an empty root when no export is recorded but days have left Postgres: the record may
    be lost with Dagster's storage, and the root may not be mounted. A marked root stays as it is.
    """
    try:
        archive = pipeline.archive
        if archive.is_marked():
            return
        with pipeline.connect() as conn:
            recorded = _list_exported_days(pipeline, conn)
            archive.require_same_database(conn)
            is_record_lost = not recorded and bool(read_departed_days(conn, pipeline.clock.now().date()))
        if set(archive.list_catalogued_days()) == recorded and not is_record_lost:
            archive.write_marker()
        else:
            log.info(
                "the export at %s lacks days that were exported: `palimpsest doctor` says what to do",
                archive.address,
            )
    except (ArchiveError, SettingsError) as error:
        log.info("the export is not marked: %s", error)


def adopt_root(pipeline: Pipeline) -> AdoptedRoot:
    """Mark the root as it is, and record its days as the exported ones.

    Raises ArchiveError when the root cannot be written, or holds the export of another database.
    """
    archive = pipeline.archive
    with pipeline.connect() as conn:
        archive.require_same_database(conn)
        archive.write_marker()
        entries = archive.read_catalogue()
        lost_days = sorted(read_recorded_days(conn).keys() - entries.keys())
        delete_recorded_days(conn, lost_days)
        record_days(conn, map(build_recorded_day, entries.values()))
        conn.commit()
    return AdoptedRoot(list(entries), lost_days)


def _list_exported_days(pipeline: Pipeline, conn: psycopg.Connection) -> set[date]:
    """Return the days that were exported.

    A database without a record of them takes it from Dagster's log of materializations.
    """
    days = read_recorded_days(conn)
    row = conn.execute("select exists (select from ops.listing_ids)").fetchone()
    assert row is not None
    if not days and row[0]:  # without a listing there was no export
        # Imported here: Dagster takes seconds to import, and hardly any command needs it at this place.
        from .materialized_exports import read_materialized_exports  # noqa: PLC0415

        record_days(conn, read_materialized_exports(pipeline.settings))
        conn.commit()
        days = read_recorded_days(conn)
    return set(days)
