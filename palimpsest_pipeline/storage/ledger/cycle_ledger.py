"""Write and read the ledger of cycles: opening, heartbeats, progress and closing. Callers commit.

The tables are `ops.scrape_batches` (one row per cycle), `scrape_runs` (per platform) and `event_scrape_status` (per
listing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import Platform, RunStatus, Scope, Trigger

from ..db.copy_frames import quote_identifier
from ..db.locks import AdvisoryLock
from ..db.row_differences import build_upsert
from .run_heartbeats import IS_SILENT_SQL, SILENT_SINCE_SQL

CYCLE_COLUMNS: Final = (
    "cycle_id, trigger, scope, home_platform, partition_hour, started_at, run_id, coalesce(sr_ids, '{}'), slot_at, "
    f"platforms, status, heartbeat_at, finished_at, {SILENT_SINCE_SQL}, "
    f"extract(epoch from clock_timestamp() - {SILENT_SINCE_SQL})::float8"
)


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """A row of ops.scrape_batches: a cycle and its status."""

    cycle: Cycle
    status: RunStatus
    heartbeat_at: datetime
    finished_at: datetime | None
    silent_since: datetime
    """Time of the cycle's last heartbeat, or of the database server's start if that is later.

    While the server is down, no process can write a heartbeat.
    """
    silent_s: float = field(compare=False)
    """Seconds since `silent_since`, by the database server's clock, at the time of reading."""


def write_running_cycle(conn: psycopg.Connection, cycle: Cycle) -> None:
    """Write the cycle as running.

    If the cycle exists (for its next stage, or when a run is resumed), the cycle and its platforms get the status
    running again.
    """
    conn.execute(
        """
        insert into ops.scrape_batches
            (cycle_id, trigger, scope, sr_ids, slot_at, home_platform, platforms, partition_hour, run_id, status,
                started_at, heartbeat_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'running', %s, clock_timestamp())
        on conflict (cycle_id) do update
        set run_id = excluded.run_id, status = 'running', heartbeat_at = excluded.heartbeat_at, finished_at = null
        """,
        [
            cycle.cycle_id,
            cycle.trigger,
            cycle.scope,
            list(cycle.sr_ids) or None,
            cycle.slot_at,
            cycle.home_platform,
            list(cycle.platforms),
            cycle.partition_hour,
            cycle.run_id,
            cycle.started_at,
        ],
    )
    conn.execute("update ops.scrape_runs set status = 'running' where cycle_id = %s", [cycle.cycle_id])


def record_heartbeat(conn: psycopg.Connection, cycle_id: int, run_id: str | None) -> bool:
    """Record a heartbeat of the cycle that the Dagster run `run_id` executes.

    The time is that of the database server's clock, which also measures the silence. A cycle that was closed as
    interrupted while its run was alive is opened again. Returns False when the cycle has ended in another way, or when
    another run executes it now.
    """
    row = conn.execute(
        """
        with before as (
            select cycle_id, status from ops.scrape_batches
            where cycle_id = %s and run_id is not distinct from %s and status in ('running', 'interrupted') for update
        )
        update ops.scrape_batches as batch set heartbeat_at = clock_timestamp(), status = 'running', finished_at = null
        from before where batch.cycle_id = before.cycle_id returning before.status
        """,
        [cycle_id, run_id],
    ).fetchone()
    if row is not None and row[0] == RunStatus.INTERRUPTED:
        conn.execute(
            "update ops.scrape_runs set status = 'running', message = '' "
            "where cycle_id = %s and status = 'interrupted'",
            [cycle_id],
        )
    return row is not None


def record_progress(
    conn: psycopg.Connection, cycle: Cycle, runs: Sequence[PlatformRun], outcomes: Sequence[EventOutcome]
) -> bool:
    """Write the current state of platforms and listings, replacing earlier states.

    Call it every few seconds, so readers see rows during the cycle. Returns False, and writes nothing, when the cycle
    is not running or another run has taken it over. Raises ValueError when the cycle was never opened.
    """
    cycle_id = cycle.cycle_id
    # Without the lock, the cycle could be closed during this call, which would leave a running platform in a closed
    # cycle.
    row = conn.execute(
        "select status, run_id from ops.scrape_batches where cycle_id = %s for share", [cycle_id]
    ).fetchone()
    if row is None:
        raise ValueError(f"cycle {cycle_id} cannot be recorded: it was never opened in the ledger")
    if row != (RunStatus.RUNNING, cycle.run_id):
        return False
    _write_progress(conn, cycle_id, runs, outcomes)
    return True


def close_cycle(conn: psycopg.Connection, result: CycleResult) -> bool:
    """Write the end of the cycle, per platform and per listing, replacing earlier states.

    Platforms and listings that are not in `result` stay unchanged. A repeated call with the same result changes
    nothing. Returns False, and writes nothing, when another run has taken over the cycle. Raises ValueError when the
    cycle was never opened.
    """
    cycle_id = result.cycle.cycle_id
    closed = conn.execute(
        """
        update ops.scrape_batches set status = %s, finished_at = %s, heartbeat_at = clock_timestamp()
        where cycle_id = %s and run_id is not distinct from %s
        """,
        [result.status, result.finished_at, cycle_id, result.cycle.run_id],
    )
    if closed.rowcount == 0:
        if read_cycle(conn, cycle_id) is None:
            raise ValueError(f"cycle {cycle_id} cannot be closed: it was never opened in the ledger")
        return False
    _write_progress(conn, cycle_id, result.runs, result.outcomes)
    # A platform without a result has not completed, even if the others have.
    _end_runs(conn, cycle_id, RunStatus.CANCELLED if result.status is RunStatus.CANCELLED else RunStatus.FAILED)
    return True


MIN_READ_SHARE: Final = 0.05
"""Minimum share of a platform's answers that core must be able to parse.

Below it, the platform's part of the cycle counts as failed.
"""


def record_refusals(
    conn: psycopg.Connection,
    cycle_id: int,
    platform: Platform,
    *,
    n_read: int,
    n_refused: int,
    example: str,
    max_refused_share: float,
) -> None:
    """Record how many answers of a platform were rejected, and update the status of platform and cycle.

    A platform that came to its end is `partial` when more than `max_refused_share` of its answers were rejected, and
    `failed` when fewer than MIN_READ_SHARE could be parsed. `example` is the reason of one rejection. A later call with
    other numbers, for example after a replay with a better parser, replaces the effect of the earlier call. Does
    nothing for a cycle that is not in the ledger.
    """
    row = conn.execute(
        "select status, message, refused, refusal from ops.scrape_runs "
        "where cycle_id = %s and platform = %s for update",
        [cycle_id, platform],
    ).fetchone()
    if row is None:
        return
    before = status, message, _, refusal = row
    if refusal and message.endswith(refusal):
        message = message.removesuffix(refusal).removesuffix("; ")
        status = RunStatus.PARTIAL if message else RunStatus.COMPLETED
    refusal = ""
    n_answers = n_read + n_refused
    if status in (RunStatus.COMPLETED, RunStatus.PARTIAL) and n_refused > max_refused_share * n_answers:
        refusal = _replace_nul(f"{n_refused} of {n_answers} answers were refused, e.g. {example}")
        message = f"{message}; {refusal}" if message else refusal
        status = RunStatus.FAILED if n_read < MIN_READ_SHARE * n_answers else RunStatus.PARTIAL
    after = (str(status), message, n_refused, refusal)
    if after == before:
        return
    conn.execute(
        "update ops.scrape_runs set status = %s, message = %s, refused = %s, refusal = %s "
        "where cycle_id = %s and platform = %s",
        [*after, cycle_id, platform],
    )
    if after[0] != before[0]:
        # Platforms are derived in parallel. Only a statement that starts after the lock was taken sees the rows of the
        # others.
        conn.execute("select from ops.scrape_batches where cycle_id = %s for update", [cycle_id])
        conn.execute(
            """
            update ops.scrape_batches set status = (
                select case when bool_and(status = 'completed')
                    then 'completed' when bool_and(status = 'failed') then 'failed' else 'partial' end
                from ops.scrape_runs where cycle_id = %(cycle_id)s
            )
            where cycle_id = %(cycle_id)s and status in ('completed', 'partial', 'failed')
            """,
            {"cycle_id": cycle_id},
        )


def read_running_run_ids(conn: psycopg.Connection) -> list[str]:
    """Return the ids of Dagster runs with a cycle of status running, even if their process is dead."""
    return [
        run_id
        for (run_id,) in conn.execute(
            "select distinct run_id from ops.scrape_batches where status = 'running' and run_id is not null"
        )
    ]


def interrupt_cycle(conn: psycopg.Connection, cycle_id: int, result: CycleResult) -> bool:
    """Close a running cycle whose process is dead, at the time of its last heartbeat.

    `result` is computed from the landing. Listings whose recorded request is not in the landing get the status
    `interrupted`, because their answers were lost with the process. Returns False, and writes nothing, when the cycle
    is not running.
    """
    ended = conn.execute(
        """
        update ops.scrape_batches set status = 'interrupted', finished_at = greatest(heartbeat_at, started_at, %s)
        where cycle_id = %s and status = 'running'
        """,
        [max((run.finished_at for run in result.runs), default=None), cycle_id],
    )
    if ended.rowcount == 0:
        return False
    _write_progress(conn, cycle_id, result.runs, result.outcomes)
    conn.execute(
        """
        update ops.event_scrape_status set status = 'interrupted', observed_at = null,
            error_detail = 'the process died before the answer was landed'
        where cycle_id = %s and attempts > 0
            and (platform, external_id) not in (select platform, external_id
                from unnest(%s::text[], %s::text[]) as landed (platform, external_id))
        """,
        [
            cycle_id,
            [str(outcome.platform) for outcome in result.outcomes],
            [outcome.external_id for outcome in result.outcomes],
        ],
    )
    _end_runs(conn, cycle_id, RunStatus.INTERRUPTED)
    return True


def read_cycle(conn: psycopg.Connection, cycle_id: int) -> CycleRecord | None:
    """Return the ledger's row of a cycle, or None."""
    return _take_first(_read_cycles(conn, "where cycle_id = %s", [cycle_id]))


def read_cycle_of_run(conn: psycopg.Connection, run_id: str) -> CycleRecord | None:
    """Return the newest cycle that a Dagster run has opened, or None."""
    return _take_first(_read_cycles(conn, "where run_id = %s order by cycle_id desc limit 1", [run_id]))


def read_cycles_of_runs(conn: psycopg.Connection, run_ids: Sequence[str]) -> list[int]:
    """Return the ids of the cycles that these Dagster runs execute or have executed, in order.

    A cycle that another run has taken over belongs only to that run.
    """
    rows = conn.execute(
        "select cycle_id from ops.scrape_batches where run_id = any(%s) order by cycle_id", [list(run_ids)]
    ).fetchall()
    return [cycle_id for (cycle_id,) in rows]


def has_cycles(conn: psycopg.Connection) -> bool:
    """Return whether any request was ever sent to a platform. Recorded answers do not count."""
    row = conn.execute("select exists (select from ops.scrape_batches where trigger <> 'import')").fetchone()
    assert row is not None
    return bool(row[0])


def read_running_cycles(conn: psycopg.Connection, alive_within_s: float | None = None) -> list[CycleRecord]:
    """Return the running cycles with a heartbeat in the last `alive_within_s` seconds, oldest first.

    With None all running cycles are returned, including those of dead processes.
    """
    return _read_cycles(
        conn,
        f"where status = 'running' and (%(silent_s)s::float8 is null or not {IS_SILENT_SQL}) order by cycle_id",
        {"silent_s": alive_within_s},
    )


def read_silent_cycles(conn: psycopg.Connection, silent_after_s: float) -> list[CycleRecord]:
    """Return the running cycles without a heartbeat for `silent_after_s` seconds, oldest first.

    How long their run has lasted does not matter.
    """
    return _read_cycles(
        conn, f"where status = 'running' and {IS_SILENT_SQL} order by cycle_id", {"silent_s": silent_after_s}
    )


def find_overlapping_cycle(
    conn: psycopg.Connection, scope: Scope, sr_ids: Sequence[int], silent_after_s: float
) -> CycleRecord | None:
    """Return the oldest running cycle of the same scope that requests some of the same fixtures, or None.

    An empty `sr_ids` means all fixtures. A cycle without a heartbeat for `silent_after_s` seconds does not count.
    """
    return next(iter(_read_overlapping_cycles(conn, scope, sr_ids, silent_after_s)), None)


def lock_opening(conn: psycopg.Connection) -> None:
    """Block other sessions from opening a cycle until the transaction ends.

    It keeps a cycle id that the caller has found free.
    """
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.CYCLE_OPENING])


def open_unless_overlapping(conn: psycopg.Connection, cycle: Cycle, silent_after_s: float) -> CycleRecord | None:
    """Open a cycle (`write_running_cycle`) unless a running one overlaps it.

    Returns the overlapping cycle, or None when the cycle was opened. Two sessions that open cycles at the same time
    wait for each other.
    """
    lock_opening(conn)
    overlapping = [
        record
        for record in _read_overlapping_cycles(conn, cycle.scope, cycle.sr_ids, silent_after_s)
        if record.cycle.cycle_id != cycle.cycle_id
    ]
    if overlapping:
        return overlapping[0]
    write_running_cycle(conn, cycle)
    return None


def claim_dead_cycles(
    conn: psycopg.Connection, silent_after_s: float, run_ids: Sequence[str] = ()
) -> list[CycleRecord]:
    """Lock and return the running cycles whose process is dead, oldest first.

    These are the cycles without a heartbeat for `silent_after_s` seconds, and the cycles of the Dagster runs `run_ids`.
    The caller knows that these runs have ended. Another session that calls this before the transaction ends does not
    get the same cycles.
    """
    return _read_cycles(
        conn,
        f"""
        where status = 'running' and ({IS_SILENT_SQL} or run_id = any(%(run_ids)s::text[]))
        order by cycle_id for update skip locked
        """,
        {"silent_s": silent_after_s, "run_ids": list(run_ids)},
    )


def _read_overlapping_cycles(
    conn: psycopg.Connection, scope: Scope, sr_ids: Sequence[int], silent_after_s: float
) -> list[CycleRecord]:
    return _read_cycles(
        conn,
        f"""
        where status = 'running' and scope = %(scope)s and not {IS_SILENT_SQL}
            and (sr_ids is null or %(sr_ids)s::bigint[] = '{{}}' or sr_ids && %(sr_ids)s::bigint[])
        order by cycle_id
        """,
        {"scope": scope, "silent_s": silent_after_s, "sr_ids": list(sr_ids)},
    )


def _write_progress(
    conn: psycopg.Connection, cycle_id: int, runs: Sequence[PlatformRun], outcomes: Sequence[EventOutcome]
) -> None:
    _upsert_rows(conn, "ops.scrape_runs", ("cycle_id", "platform"), [_build_run_row(cycle_id, run) for run in runs])
    _upsert_rows(
        conn,
        "ops.event_scrape_status",
        ("cycle_id", "platform", "external_id"),
        [_build_outcome_row(cycle_id, outcome) for outcome in outcomes],
    )


def _upsert_rows(conn: psycopg.Connection, table: str, key: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Insert or update rows (dicts with the same columns) in one statement.

    If two rows have the same key, the later one is used. Unchanged rows are not written.
    """
    last = {tuple(row[name] for name in key): row for row in rows}
    if not last:
        return
    # The end of a cycle writes every listing again, and nearly all of them were already written while the cycle ran.
    source = sql.SQL("json_populate_recordset(null::{}, %s::json)").format(quote_identifier(table))
    conn.execute(build_upsert(table, list(rows[0]), key, source), [msgspec.json.encode(list(last.values())).decode()])


def _end_runs(conn: psycopg.Connection, cycle_id: int, status: RunStatus) -> None:
    """Set the status of all running platforms in a cycle that has ended."""
    conn.execute(
        """
        update ops.scrape_runs set status = %s,
            message = coalesce(nullif(message, ''), 'the cycle ended before this platform''s part had')
        where cycle_id = %s and status = 'running'
        """,
        [status, cycle_id],
    )


def _build_run_row(cycle_id: int, run: PlatformRun) -> dict[str, Any]:
    return {
        "cycle_id": cycle_id,
        "platform": run.platform,
        "status": run.status,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "discovered": run.discovered,
        "targets": run.targets,
        "fetched": run.fetched,
        "requests": run.requests,
        "bytes": run.bytes,
        "errors_by_class": dict(run.errors_by_class),
        "p50_ms": run.p50_ms,
        "p95_ms": run.p95_ms,
        "message": _replace_nul(run.message),
        "clock_offset_s": run.clock_offset_s,
        "capture_s": run.capture_s,
        "floor_s": run.floor_s,
    }


def _build_outcome_row(cycle_id: int, outcome: EventOutcome) -> dict[str, Any]:
    return {
        "cycle_id": cycle_id,
        "platform": outcome.platform,
        "external_id": outcome.external_id,
        "sr_id": outcome.sr_id,
        "status": outcome.status,
        "attempts": outcome.attempts,
        "error_class": outcome.failure,
        "error_detail": _replace_nul(outcome.failure_detail),
        "http_status": outcome.http_status,
        "requested_at": outcome.requested_at,
        "received_at": outcome.received_at,
        "bytes": outcome.bytes,
        "duration_ms": outcome.duration_ms,
        "observed_at": outcome.observed_at,
    }


def _replace_nul(text: str) -> str:
    """Replace NUL characters, which Postgres refuses; a message may quote a broken answer."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _read_cycles(conn: psycopg.Connection, tail: str, params: Sequence[Any] | Mapping[str, Any]) -> list[CycleRecord]:
    rows = conn.execute(f"select {CYCLE_COLUMNS} from ops.scrape_batches {tail}".encode(), params).fetchall()
    return [
        CycleRecord(
            cycle=Cycle(
                cycle_id=cycle_id,
                trigger=Trigger(trigger),
                scope=Scope(scope),
                home_platform=Platform(home),
                partition_hour=hour,
                started_at=started_at,
                run_id=run_id,
                sr_ids=tuple(sr_ids),
                slot_at=slot_at,
                platforms=tuple(map(Platform, platforms)),
            ),
            status=RunStatus(status),
            heartbeat_at=heartbeat_at,
            finished_at=finished_at,
            silent_since=silent_since,
            silent_s=silent_s,
        )
        for (
            (cycle_id, trigger, scope, home, hour, started_at, run_id, sr_ids, slot_at, platforms),
            (status, heartbeat_at, finished_at, silent_since, silent_s),
        ) in ((row[:10], row[10:]) for row in rows)
    ]


def _take_first(batches: list[CycleRecord]) -> CycleRecord | None:
    return batches[0] if batches else None
