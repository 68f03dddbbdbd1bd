"""The platforms that the database knows: `ops.platforms`. Callers commit.

A platform stays there when its pack is removed, and so does its history.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.enums import Platform

LABELS_SQL: Final = "select enumlabel from pg_enum where enumtypid = 'mart.platform'::regtype"


@dataclass(frozen=True, slots=True)
class KnownPlatform:
    """A row of the table."""

    platform: Platform
    name: str
    trust_rank: int


def write_platforms(conn: psycopg.Connection, rows: Sequence[KnownPlatform]) -> None:
    """Insert the platforms, or correct their names and trust.

    Rows that are already right are only read. To write them would lock them until the transaction ends, also where
    nothing changes, and another cycle could not be opened meanwhile. Columns of the type `mart.platform` accept a new
    platform only after the transaction is committed.
    """
    stored_rows = {KnownPlatform(*row) for row in conn.execute("select platform, name, trust_rank from ops.platforms")}
    rows = [row for row in rows if row not in stored_rows]
    labels = {label for (label,) in conn.execute(LABELS_SQL).fetchall()}
    for row in rows:
        if row.platform not in labels:
            label = sql.Literal(str(row.platform))
            conn.execute(sql.SQL("alter type mart.platform add value if not exists {}").format(label))
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.platforms (platform, name, trust_rank) values (%s, %s, %s)
            on conflict (platform) do update set name = excluded.name, trust_rank = excluded.trust_rank
            """,
            [astuple(row) for row in rows],
        )


def read_last_answers(conn: psycopg.Connection) -> dict[Platform, datetime]:
    """Return the end of each platform's last run with a usable answer about a listing."""
    rows = conn.execute("select platform, max(finished_at) from ops.scrape_runs where fetched > 0 group by platform")
    return {Platform(platform): finished_at for platform, finished_at in rows}
