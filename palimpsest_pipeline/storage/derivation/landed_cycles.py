"""Read and write the table `ops.landed_cycles`: the cycles in the landing. Callers commit."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from palimpsest_pipeline.domain.enums import Platform, Scope

LANDED_COLUMNS: Final = "cycle_id, partition_hour, scope, platforms, digest, is_whole, is_gone, problem"
KNOWN_CYCLES_SQL: Final = """
    select distinct on (cycle_id) cycle_id, partition_hour, scope, coalesce(platforms, '{}')
    from (
        select c.cycle_id, c.partition_hour, c.scope, b.platforms
        from core.cycles c left join ops.scrape_batches b using (cycle_id)
        union all
        select cycle_id, partition_hour, scope, platforms from ops.scrape_batches b
        where status <> 'running' and exists (select from ops.scrape_runs r where r.cycle_id = b.cycle_id
            and r.bytes > 0)
    ) known
    where partition_hour >= %s and partition_hour < %s
    order by cycle_id, platforms
"""


@dataclass(frozen=True, slots=True)
class LandedCycleRecord:
    """A row of `ops.landed_cycles`: a closed cycle that is or was in the landing.

    `digest` identifies its landed content. `is_whole` is true when all its segments exist, otherwise `problem` says
    what is missing or unreadable.
    """

    cycle_id: int
    partition_hour: datetime
    scope: Scope | None
    platforms: tuple[Platform, ...]
    """In the order of their keys, by which `ops.due_products` finds their versions."""
    digest: str | None
    is_whole: bool
    is_gone: bool = False
    problem: str = ""


def read_cycles(conn: psycopg.Connection, first: datetime, end: datetime) -> list[LandedCycleRecord]:
    """Return the rows of the hours from `first` (included) to `end` (excluded), by cycle."""
    query = (
        f"select {LANDED_COLUMNS} from ops.landed_cycles where partition_hour >= %s and partition_hour < %s "
        "order by cycle_id"
    )
    return _build_cycles(conn.execute(query.encode(), [first, end]).fetchall())


def read_landed_cycle(conn: psycopg.Connection, cycle_id: int) -> LandedCycleRecord | None:
    """Return the row of one cycle; None when it has none."""
    rows = conn.execute(
        f"select {LANDED_COLUMNS} from ops.landed_cycles where cycle_id = %s".encode(), [cycle_id]
    ).fetchall()
    return next(iter(_build_cycles(rows)), None)


def write_landed_cycle(conn: psycopg.Connection, cycle: LandedCycleRecord) -> None:
    """Insert or replace the row of one cycle."""
    conn.execute(
        f"""
        insert into ops.landed_cycles ({LANDED_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (cycle_id) do update set partition_hour = excluded.partition_hour, scope = excluded.scope,
            platforms = excluded.platforms, digest = excluded.digest,
            is_whole = excluded.is_whole, is_gone = excluded.is_gone, problem = excluded.problem
        """.encode(),
        _get_values(cycle),
    )


def mark_hour_gone(conn: psycopg.Connection, hour: datetime) -> list[int]:
    """Record that all cycles of an hour are no longer in the landing; return their ids."""
    query = (
        "update ops.landed_cycles set digest = null, is_whole = false, is_gone = true, problem = '' "
        "where partition_hour = %s returning cycle_id"
    )
    return [cycle_id for (cycle_id,) in conn.execute(query, [hour]).fetchall()]


def read_known_cycles(conn: psycopg.Connection, first: datetime, end: datetime) -> list[LandedCycleRecord]:
    """Return the cycles of the hours [first, end) that are in core or in the ledger.

    Cycles of the ledger count when they ended with answers. Every row says that the cycle is gone, because this
    function does not read the landing. Imported cycles are not in the ledger, so their rows have no platforms.
    """
    return [
        LandedCycleRecord(
            cycle_id, hour, Scope(scope), tuple(sorted(map(Platform, platforms))), None, is_whole=False, is_gone=True
        )
        for cycle_id, hour, scope, platforms in conn.execute(KNOWN_CYCLES_SQL, [first, end]).fetchall()
    ]


def replace_cycles(
    conn: psycopg.Connection, old_cycles: Sequence[LandedCycleRecord], new_cycles: Iterable[LandedCycleRecord]
) -> int:
    """Replace rows of `ops.landed_cycles` by `new_cycles`; return the number of rows that differ.

    `old_cycles` are the rows to replace, as they were read. A row that another process has changed since then is not
    overwritten.
    """
    old, new = {cycle.cycle_id: cycle for cycle in old_cycles}, {cycle.cycle_id: cycle for cycle in new_cycles}
    vanished = [cycle for cycle_id, cycle in old.items() if cycle_id not in new]
    changed = [cycle for cycle_id, cycle in new.items() if cycle_id in old and old[cycle_id] != cycle]
    added = [cycle for cycle_id, cycle in new.items() if cycle_id not in old]
    same = "(cycle_id, digest, is_whole, is_gone, problem) is not distinct from (%s, %s, %s, %s, %s)"
    with conn.cursor() as cursor:
        cursor.executemany(
            f"delete from ops.landed_cycles where {same}".encode(), [_get_version(cycle) for cycle in vanished]
        )
        cursor.executemany(
            f"""
            update ops.landed_cycles set (partition_hour, scope, platforms, digest, is_whole, is_gone, problem)
                = (%s, %s, %s, %s, %s, %s, %s) where {same}
            """.encode(),
            [(*_get_values(cycle)[1:], *_get_version(old[cycle.cycle_id])) for cycle in changed],
        )
        cursor.executemany(
            (
                f"insert into ops.landed_cycles ({LANDED_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s, %s) "
                "on conflict do nothing"
            ).encode(),
            [_get_values(cycle) for cycle in added],
        )
    return len(vanished) + len(changed) + len(added)


def _get_values(cycle: LandedCycleRecord) -> tuple[Any, ...]:
    return tuple(list(value) if isinstance(value, tuple) else value for value in astuple(cycle))


def _get_version(cycle: LandedCycleRecord) -> tuple[int, str | None, bool, bool, str]:
    return cycle.cycle_id, cycle.digest, cycle.is_whole, cycle.is_gone, cycle.problem


def _build_cycles(
    rows: Iterable[tuple[Any, ...]],
) -> list[LandedCycleRecord]:
    return [
        LandedCycleRecord(
            cycle_id, hour, None if scope is None else Scope(scope), tuple(map(Platform, platforms)), *rest
        )
        for cycle_id, hour, scope, platforms, *rest in rows
    ]
