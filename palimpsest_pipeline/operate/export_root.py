"""The marker file in the export's folder: written if the folder is complete, or when a user asks.

The marker says that the folder belongs to this database.
"""

import logging
from datetime import date

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.archive import (
    ArchiveError,
    delete_recorded_days,
    read_recorded_days,
    record_days,
)
from palimpsest_pipeline.storage.odds.retention import read_departed_days

log = logging.getLogger(__name__)


def mark_complete_root(pipeline: Pipeline) -> None:
    """Mark the export's folder if its days are exactly those that the database records as exported.

    A folder that cannot be read, or that has other days, is not marked: nothing is exported to it, and `palimpsest
    doctor` explains why. An empty folder is not marked either if days have left Postgres while no export is recorded,
    because the folder may not be mounted. A marked folder is not changed.
    """
    try:
        archive = pipeline.archive
        if archive.is_marked():
            return
        with pipeline.connect() as conn:
            recorded = set(read_recorded_days(conn))
            archive.require_same_database(conn)
            is_record_lost = not recorded and bool(read_departed_days(conn, pipeline.clock.now().date()))
        if set(archive.list_catalogued_days()) == recorded and not is_record_lost:
            archive.write_marker()
        else:
            log.info(
                "the export at %s lacks days that were exported: `palimpsest doctor` says what to do",
                archive.address,
            )
    except ArchiveError as error:
        log.info("the export is not marked: %s", error)


def adopt_root(pipeline: Pipeline) -> tuple[list[date], list[date]]:
    """Mark the export's folder as it is, and record its days as the only exported ones.

    Return these days, and the days that counted as exported and that the folder lacks.
    Raises ArchiveError when the folder cannot be written, or has the export of another database.
    """
    archive = pipeline.archive
    with pipeline.connect() as conn:
        archive.require_same_database(conn)
        archive.write_marker()
        entries = archive.read_catalogue()
        lost_days = sorted(read_recorded_days(conn).keys() - entries.keys())
        delete_recorded_days(conn, lost_days)
        record_days(conn, entries.values())
        conn.commit()
    return list(entries), lost_days
