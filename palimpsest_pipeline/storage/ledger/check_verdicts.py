"""Read and write the results of checks on cycles: the table `ops.cycle_checks`. Callers commit.

A verdict is the result of one check on one cycle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.enums import Severity

from ..derivation.derived_products import ProductSchema

UNJUDGED_CYCLES_SQL: Final = """
    select c.cycle_id from unnest(%(cycles)s::bigint[]) as c (cycle_id)
    left join ops.cycle_checks v on v.check_name = %(check)s and v.cycle_id = c.cycle_id
    where v.cycle_id is null or v.violations > 0 or exists (
        select from {} m
        where m.cycle_id = c.cycle_id and (m.product = %(product)s or starts_with(m.product, %(product)s || '/'))
            and m.computed_at > v.judged_at
    )
    order by c.cycle_id
"""
WRITE_VERDICTS_SQL: Final = """
    insert into ops.cycle_checks (check_name, cycle_id, severity, violations, description, judged_at)
    values (%s, %s, %s, %s, %s, clock_timestamp())
    on conflict (check_name, cycle_id) do update
    set severity = excluded.severity, violations = excluded.violations, description = excluded.description,
        judged_at = excluded.judged_at
"""
BAD_VERDICTS_SQL: Final = """
    select v.cycle_id, v.severity, v.violations, v.description
    from ops.landed_cycles c join ops.cycle_checks v on v.cycle_id = c.cycle_id and v.check_name = %s
        and v.violations > 0
    where c.partition_hour >= %s and c.partition_hour < %s order by v.cycle_id
"""
BAD_VERDICTS_BY_CHECK_SQL: Final = """
    select check_name, judged_at, cycle_id, severity, violations, description from ops.cycle_checks
    where violations > 0 and check_name = any(%s) order by check_name, cycle_id
"""
NEWEST_VERDICTS_SQL: Final = """
    select v.check_name, v.judged_at, v.cycle_id, v.severity, v.violations, v.description
    from unnest(%s::text[]) as c (check_name) cross join lateral (
        select * from ops.cycle_checks v where v.check_name = c.check_name
        order by v.judged_at desc, v.cycle_id desc limit 1
    ) v
    order by v.check_name
"""


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """The result of a check on a cycle. The check has passed when `violations` is 0.

    `description` names the problem and a remedy.
    """

    cycle_id: int
    severity: Severity
    violations: int = 0
    description: str = ""

    @property
    def has_passed(self) -> bool:
        return self.violations == 0


def list_unjudged_cycles(
    conn: psycopg.Connection, check: str, cycle_ids: Sequence[int], schema: ProductSchema, product: str
) -> list[int]:
    """Return the cycles for which the check must run again, ascending.

    The check must run when its last verdict on the cycle has violations, or when it has no verdict since `product` was
    last derived.
    """
    query = sql.SQL(UNJUDGED_CYCLES_SQL).format(sql.Identifier(schema, "cycle_products"))
    return [
        cycle_id
        for (cycle_id,) in conn.execute(
            query, {"cycles": list(cycle_ids), "check": check, "product": product}
        ).fetchall()
    ]


def write_verdicts(conn: psycopg.Connection, check: str, verdicts: Iterable[CheckVerdict]) -> None:
    """Write verdicts of a check. A verdict replaces the earlier one on the same cycle."""
    rows = [
        (check, verdict.cycle_id, verdict.severity.value, verdict.violations, verdict.description)
        for verdict in verdicts
    ]
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(WRITE_VERDICTS_SQL, rows)


def read_bad_verdicts(conn: psycopg.Connection, check: str, first: datetime, end: datetime) -> list[CheckVerdict]:
    """Return verdicts with violations on cycles of the hours [first, end), sorted by cycle."""
    rows = conn.execute(BAD_VERDICTS_SQL, [check, first, end]).fetchall()
    return [
        CheckVerdict(cycle_id, Severity(severity), violations, description)
        for cycle_id, severity, violations, description in rows
    ]


def read_bad_verdicts_by_check(
    conn: psycopg.Connection, checks: Sequence[str]
) -> list[tuple[str, datetime, CheckVerdict]]:
    """Return the verdicts with violations of these checks, sorted by check and cycle.

    Each tuple has the check's name, the time of the verdict, and the verdict.
    """
    return _read_verdicts_by_check(conn, BAD_VERDICTS_BY_CHECK_SQL, checks)


def read_newest_verdicts(conn: psycopg.Connection, checks: Sequence[str]) -> list[tuple[str, datetime, CheckVerdict]]:
    """Return the newest verdict of each check as tuples (check, time of the verdict, verdict)."""
    return _read_verdicts_by_check(conn, NEWEST_VERDICTS_SQL, checks)


def _read_verdicts_by_check(
    conn: psycopg.Connection, query: str, checks: Sequence[str]
) -> list[tuple[str, datetime, CheckVerdict]]:
    rows = conn.execute(query.encode(), [list(checks)]).fetchall()
    return [
        (check, at, CheckVerdict(cycle_id, Severity(severity), *details))
        for check, at, cycle_id, severity, *details in rows
    ]


def delete_verdicts(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> None:
    """Delete all verdicts on these cycles."""
    conn.execute("delete from ops.cycle_checks where cycle_id = any(%s)", [list(cycle_ids)])
