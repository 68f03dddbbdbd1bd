"""Write price leads into `mart.price_lead`. Callers commit.

Belongs here: writing the differences, removing the rows of deleted fixtures, counts. Does not belong here: the rules of
a pair (`metrics`), the choice of due fixtures and their locks (`odds_alerts`, with which the rows are derived).
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import psycopg

from ..db.row_differences import WriteCounts, write_differences

PRICE_LEAD_TABLE: Final = "mart.price_lead"


def write_leads(conn: psycopg.Connection[Any], sr_ids: Sequence[int], leads: pl.DataFrame) -> WriteCounts:
    """Make the rows of these fixtures equal to `leads`, writing only the rows that differ.

    `leads` has the columns of PRICE_LEAD_TABLE. Call it in an open snapshot, under the locks of the fixtures
    (`odds_alerts.FIXTURE_LOCKS`). Raises the errors of `write_differences`.
    """
    return write_differences(conn, PRICE_LEAD_TABLE, leads, sr_ids)


def remove_orphans(conn: psycopg.Connection[Any]) -> None:
    """Delete the rows of deleted fixtures. Call it under all of `odds_alerts.FIXTURE_LOCKS`."""
    conn.execute("delete from mart.price_lead l where not exists (select from core.fixtures f where f.sr_id = l.sr_id)")


def count_leads(conn: psycopg.Connection[Any]) -> dict[str, int]:
    """Return the number of rows of each lead_type that has rows."""
    return dict(conn.execute("select lead_type, count(*) from mart.price_lead group by lead_type").fetchall())
