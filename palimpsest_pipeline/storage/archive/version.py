"""What a day of the odds history rests on, in one word."""

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
    """Digest over the marks of the odds of all cycles that have captures on that UTC day.

    It changes when one of them is derived anew from other content or with other versions, joins or leaves. A day
    without captures has one too.
    Raises MissingPartitionError when Postgres does not hold the day: then nothing can be said of it.
    """
    partitions.require_partitions(conn, [day])
    row = conn.execute(VERSION_SQL, {"begins_at": f"{day.isoformat()} 00:00:00+00"}).fetchone()
    assert row is not None
    return str(row[0])
