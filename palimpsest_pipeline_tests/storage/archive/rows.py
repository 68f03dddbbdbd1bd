"""What Postgres holds, row for row, and other ways in which a day may have been derived."""

from datetime import UTC, date, datetime
from typing import Any

import psycopg

from palimpsest_pipeline.storage.archive import Archive, ExportedDay

from ..history_worlds import DAYS, RESULT, Said, offered, take_in

EXPORTED_AT = datetime(2026, 3, 9, 1, 10, tzinfo=UTC)
DAY = DAYS[0]
LATE = datetime(2026, 3, 1, 0, 0, 0, 1, tzinfo=UTC)
"""Before every answer of the day."""


def export(archive: Archive, conn: psycopg.Connection[Any], day: date = DAY, *, force: bool = False) -> ExportedDay:
    conn.commit()
    return archive.export(conn, day, exported_at=EXPORTED_AT, force=force)


def read_stored_rows(conn: psycopg.Connection[Any], table: str, day: date | None = None) -> list[tuple[Any, ...]]:
    """Every row of a table of the history, of a day or of all, in a fixed order."""
    order = {"captures": "listing_id, observed_at", "market_changes": "listing_id, line_id, observed_at"}[table]
    query = f"select * from core.{table} where %(day)s::date is null or (observed_at at time zone 'UTC')::date = %(day)s order by {order}"
    return conn.execute(query, {"day": day}).fetchall()


def answer_late(conn: psycopg.Connection[Any], listing_id: int = 1) -> None:
    """An answer of the day comes that is earlier than all that are there."""
    take_in(conn, [Said(listing_id, LATE, {RESULT: offered(2222, 3333, 4444)})], cycle_id=20260301000000000)
    conn.commit()
