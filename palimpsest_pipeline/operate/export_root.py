"""The root of the export: marking it where it has every day that was exported, and taking another root over on purpose.

Belongs here: comparing the root with the days that the database remembers. Does not: the marker file itself
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
    """The days that an adopted root has, and those that were exported elsewhere and are not there."""

    days: list[date]
    lost_days: list[date]


def mark_complete_root(pipeline: Pipeline) -> None:
    """Mark the root if its days are exactly the days that the database remembers as exported. A marked root stays as it
    is.

    A root that cannot be looked at, or has other days, stays as it is: `palimpsest doctor` says so, and nothing is
    exported to it. So does an empty
    one while no export is remembered but days have left Postgres: the memory may be lost with Dagster's storage, and
    the root not mounted.
    """
    try:
        archive = pipeline.archive
        if archive.is_marked():
            return
        with pipeline.connect() as conn:
            recorded = _list_exported_days(pipeline, conn)
            archive.require_same_database(conn)
            memory_is_lost = not recorded and bool(read_departed_days(conn, pipeline.clock.now().date()))
        if set(archive.list_catalogued_days()) == recorded and not memory_is_lost:
            archive.write_marker()
        else:
            log.info(
                "the export at %s does not have the days that were exported: `palimpsest doctor` says what to do",
                archive.address,
            )
    except (ArchiveError, SettingsError) as error:
        log.info("the export is not marked: %s", error)


def adopt_root(pipeline: Pipeline) -> AdoptedRoot:
    """Mark the root as it is, and remember its days as the exported ones.

    Raises ArchiveError when the root cannot be written, or holds the export of another database.
    """
    archive = pipeline.archive
    with pipeline.connect() as conn:
        archive.require_same_database(conn)
        archive.write_marker()
        entries = archive.read_catalogue()
        lost = sorted(read_recorded_days(conn).keys() - entries.keys())
        delete_recorded_days(conn, lost)
        record_days(conn, map(build_recorded_day, entries.values()))
        conn.commit()
    return AdoptedRoot(list(entries), lost)


def _list_exported_days(pipeline: Pipeline, conn: psycopg.Connection) -> set[date]:
    """Return the days that were exported.

    A database that has no record of them yet takes it from Dagster's log of materializations.
    """
    days = read_recorded_days(conn)
    row = conn.execute("select exists (select from ops.listing_ids)").fetchone()
    assert row is not None
    if not days and row[0]:  # without a listing nothing was ever exported, and Dagster need not be asked
        from .materialized_exports import read_materialized_exports  # noqa: PLC0415 - Dagster takes seconds to import, and hardly any command gets here

        record_days(conn, read_materialized_exports(pipeline.settings))
        conn.commit()
        days = read_recorded_days(conn)
    return set(days)
