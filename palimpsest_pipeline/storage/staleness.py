"""What a replay has to know before it begins: which cycles the database has heard of, and from what each of their products was derived.

Belongs here: reading both. Does not: judging what is due, nor knowing what the landing holds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from ..domain.words import Scope
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

BEHIND_SQL: Final = """
    with done as (
        select p.cycle_id, c.partition_hour, c.scope, min(p.landing_digest) as landing_digest
        from core.cycles c join core.cycle_products p using (cycle_id)
        where c.partition_hour >= %(first)s and p.product = any(%(core)s::text[])
            and p.parser_version = %(parser)s and p.mapping_version = %(mapping)s
        group by p.cycle_id, c.partition_hour, c.scope
        having count(*) = cardinality(%(core)s::text[]) and min(p.landing_digest) = max(p.landing_digest)
    )
    select d.partition_hour from done d
    where d.scope = any(%(scopes)s::text[]) and not exists (
        select from mart.cycle_products m
        where m.cycle_id = d.cycle_id and m.product = %(mart)s and m.landing_digest = d.landing_digest
            and m.parser_version = %(parser)s and m.mapping_version = %(mapping)s
    )
    group by d.partition_hour order by d.partition_hour
"""
UNFINISHED_SQL: Final = """
    select b.partition_hour
    from ops.scrape_batches b
    where b.finished_at < %(before)s and b.status <> 'running' and b.scope <> 'recorded'
        and exists (select from ops.scrape_runs r where r.cycle_id = b.cycle_id and r.bytes > 0)
        and (
            (select count(*) from core.cycle_products p where p.cycle_id = b.cycle_id and p.product = any(%(core)s::text[])
                and p.parser_version = %(parser)s and p.mapping_version = %(mapping)s) < cardinality(%(core)s::text[])
            or (select count(*) from mart.cycle_products p where p.cycle_id = b.cycle_id and p.product = any(%(mart)s::text[])
                and p.parser_version = %(parser)s and p.mapping_version = %(mapping)s) < cardinality(%(mart)s::text[])
                - case when b.scope = 'full' then 0 else cardinality(%(full_only)s::text[]) end
        )
    group by b.partition_hour order by b.partition_hour
"""


def known_cycles(conn: psycopg.Connection, first: datetime, end: datetime) -> pl.DataFrame:
    """Cycles of the hours in [first, end) that core holds, or that are over and got answers (`CYCLES`), by id. Whether anything of them is still
    landed is not asked."""
    return read_frame(conn, CYCLES_SQL, {"first": first, "end": end}, CYCLES)


def standing(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> pl.DataFrame:
    """The marks of these cycles in core and mart (`MARKS`; `stage` is the schema), in no order."""
    return read_frame(conn, MARKS_SQL, {"cycle_ids": list(cycle_ids)}, MARKS)


def behind(
    conn: psycopg.Connection, first: datetime, mart: str, scopes: Sequence[Scope], core: Sequence[str], *, parser_version: str, mapping_version: str
) -> list[datetime]:
    """Hours from `first` on with a cycle of which all `core` products stand, in these versions, and the `mart` product does not, or stands on other
    landed content; in order. Whether core itself is due is not asked."""
    params = {"first": first, "mart": mart, "scopes": [str(scope) for scope in scopes], "core": list(core)}
    versions = {"parser": parser_version, "mapping": mapping_version}
    return [hour for (hour,) in conn.execute(BEHIND_SQL, {**params, **versions}).fetchall()]


def unfinished(
    conn: psycopg.Connection,
    before: datetime,
    core: Sequence[str],
    mart: Sequence[str],
    full_only: Sequence[str],
    *,
    parser_version: str,
    mapping_version: str,
) -> list[datetime]:
    """Hours with a cycle that ended before `before`, got answers, and lacks a product in these versions; in order. Those of `mart` that are in
    `full_only` too are made of full cycles alone. What is landed is not looked at."""
    params = {"before": before, "core": list(core), "mart": list(mart), "full_only": list(full_only)}
    versions = {"parser": parser_version, "mapping": mapping_version}
    return [hour for (hour,) in conn.execute(UNFINISHED_SQL, {**params, **versions}).fetchall()]
