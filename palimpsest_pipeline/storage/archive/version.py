"""Compute the version of a day of the odds history: a digest of its inputs."""

from datetime import date
from typing import Any, Final

import psycopg

from ..odds import partitions

VERSION_SQL: Final = """
select md5(coalesce(string_agg(concat_ws(' ', c.cycle_id, p.product, p.landing_digest, p.parser_version,
    p.mapping_version), e'\\n'
    order by c.cycle_id, p.product collate "C"), ''))
from (
    select distinct cycle_id from core.captures
    where observed_at >= %(begins_at)s::timestamptz and observed_at < %(begins_at)s::timestamptz + interval '24 hours'
) c
left join core.cycle_products p on p.cycle_id = c.cycle_id and starts_with(p.product, 'odds_snapshots/')
"""


def compute_day_version(conn: psycopg.Connection[Any], day: date) -> str:
    """Return a digest of the inputs of all cycles that have captures on the UTC day.

    The inputs of a cycle are the digest of its landed answers and the versions of parser and mapping, as recorded in
    core.cycle_products. The version changes when a cycle is added, removed, or derived from other inputs. A day without
    captures also has a version. Raises MissingPartitionError when Postgres does not have the day.
    """
    partitions.require_partitions(conn, [day])
    row = conn.execute(VERSION_SQL, {"begins_at": f"{day.isoformat()} 00:00:00+00"}).fetchone()
    assert row is not None
    return str(row[0])
