"""What a replay has to know before it begins: which cycles the database has heard of, and from what each of their products was derived.

Belongs here: reading both. Does not: judging what is due, nor knowing what the landing holds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from .frames import INSTANT, read_frame

CYCLES: Final[dict[str, Any]] = {"cycle_id": pl.Int64, "partition_hour": INSTANT}
MARKS: Final[dict[str, Any]] = {
    "stage": pl.String,
    "cycle_id": pl.Int64,
    "product": pl.String,
    "landing_digest": pl.String,
    "parser_version": pl.String,
    "mapping_version": pl.String,
}

CYCLES_SQL: Final = """
    select cycle_id, partition_hour from core.cycles where partition_hour >= %(first)s and partition_hour < %(end)s
    union
    select cycle_id, partition_hour from ops.scrape_batches b
    where partition_hour >= %(first)s and partition_hour < %(end)s and status <> 'running'
        and exists (select from ops.scrape_runs r where r.cycle_id = b.cycle_id and r.bytes > 0)
    order by cycle_id
"""
MARKS_SQL: Final = """
    select 'core' as stage, cycle_id, product, landing_digest, parser_version, mapping_version
    from core.cycle_products where cycle_id = any(%(cycle_ids)s::bigint[])
    union all
    select 'mart', cycle_id, product, landing_digest, parser_version, mapping_version
    from mart.cycle_products where cycle_id = any(%(cycle_ids)s::bigint[])
"""


def known_cycles(conn: psycopg.Connection, first: datetime, end: datetime) -> pl.DataFrame:
    """Cycles of the hours in [first, end) that core holds, or that are over and got answers (`CYCLES`), by id. Whether anything of them is still
    landed is not asked."""
    return read_frame(conn, CYCLES_SQL, {"first": first, "end": end}, CYCLES)


def standing(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> pl.DataFrame:
    """The marks of these cycles in core and mart (`MARKS`; `stage` is the schema), in no order."""
    return read_frame(conn, MARKS_SQL, {"cycle_ids": list(cycle_ids)}, MARKS)
