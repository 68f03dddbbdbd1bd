"""The ledger of cycles: opening, heartbeats and closing of a batch, and reading recent ones.

Callers commit.

Belongs here: reading and writing `ops.scrape_batches`, `scrape_runs`, `event_scrape_status`. Does not belong here: the
decision that a batch is dead.
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
from ..db.upserts import build_upsert
from .run_heartbeats import IS_SILENT_SQL, SILENT_SINCE_SQL

CYCLE_COLUMNS: Final = (
    "cycle_id, trigger, scope, home_platform, partition_hour, started_at, run_id, coalesce(sr_ids, '{}'), slot_at, "
    f"platforms, status, heartbeat_at, finished_at, {SILENT_SINCE_SQL}, "
    f"extract(epoch from clock_timestamp() - {SILENT_SINCE_SQL})::float8"
)


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One row of the ledger: the cycle and its status."""

    cycle: Cycle
    status: RunStatus
    heartbeat_at: datetime
    finished_at: datetime | None
    silent_since: datetime
    """Time of its last heartbeat, or of the server's start if that is later.

    While the server is down, no process can write a heartbeat.
    """
    silent_s: float = field(compare=False)
    """Seconds since `silent_since`, by the server's clock, at the time of reading."""


def open_cycle(conn: psycopg.Connection, cycle: Cycle) -> None:
    """Write the batch as running.

    Opening it again (for its next stage, by a run that is resumed) sets it and its platforms' parts to running
    again.
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
    """Record a heartbeat of the cycle that `run_id` executes, by the server's clock.

    The same clock measures silence. A batch that was closed as interrupted while its run was alive is reopened. Returns
    False when the batch has ended in another way, or when another run executes it now.
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
    """Write the current state of platforms and listings, replacing earlier records of them.

    Call it every few seconds, so that readers see rows during the cycle. Returns False, and writes nothing, for a
    batch that is not running (any more) or that another run has taken over. Raises ValueError when it was never
    opened.
    """
    cycle_id = cycle.cycle_id
    # Without the lock the batch could be closed during a late record, which would leave a platform running in it.
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
    """Write the end of the cycle, per platform and per listing, replacing earlier records of them.

    Platforms and listings that `result` does not contain stay. Closing it again with the same result changes
    nothing. Returns False, and writes nothing, for a batch that another run has taken over. Raises ValueError when
    the batch was never opened.
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
    # A platform that the result does not contain has not completed, even if the others have.
    _end_runs(conn, cycle_id, RunStatus.CANCELLED if result.status is RunStatus.CANCELLED else RunStatus.FAILED)
    return True


MIN_READ_SHARE: Final = 0.05
"""Minimum share of a platform's answers that core must be able to read.

With fewer, the platform's part of the cycle has failed.
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
    """Write how many answers of a platform core refused, and update the status of run and batch.

    A run that came to its end is `partial` when more than `max_refused_share` of its answers were refused, and
    `failed` when almost none could be read. `example` is the reason of one refusal. A later call with other numbers,
    for example by a replay with a better parser, takes back the effect of the earlier one. Does nothing for a cycle
    that is not in the ledger.
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
        # Platforms are derived in parallel: only a statement that begins under the lock sees the rows of the others.
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
    """Return the Dagster runs whose batches are running, whether alive or dead."""
    return [
        run_id
        for (run_id,) in conn.execute(
            "select distinct run_id from ops.scrape_batches where status = 'running' and run_id is not null"
        )
    ]


def interrupt_cycle(conn: psycopg.Connection, cycle_id: int, result: CycleResult) -> bool:
    """Close a running batch whose process is dead, at the time of its last heartbeat.

    `result` holds the outcomes that the landing proves. Listings recorded with requests that the landing does not know
    are `interrupted`: their answers were lost with the process. Returns False, and writes nothing, for a batch that is
    not running.
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
    """Return the batch of a cycle, or None."""
    return _take_first(_read_cycles(conn, "where cycle_id = %s", [cycle_id]))


def read_cycle_of_run(conn: psycopg.Connection, run_id: str) -> CycleRecord | None:
    """Return the newest batch that a Dagster run has opened, or None."""
    return _take_first(_read_cycles(conn, "where run_id = %s order by cycle_id desc limit 1", [run_id]))


def read_cycles_of_runs(conn: psycopg.Connection, run_ids: Sequence[str]) -> list[int]:
    """Return the ids of the cycles that these Dagster runs have executed, in order.

    A cycle that another run has taken over belongs only to that run.
    """
    rows = conn.execute(
        "select cycle_id from ops.scrape_batches where run_id = any(%s) order by cycle_id", [list(run_ids)]
    ).fetchall()
    return [cycle_id for (cycle_id,) in rows]


def has_cycles(conn: psycopg.Connection) -> bool:
    """Return whether any platform ever got a request. Imported payloads do not count."""
    row = conn.execute("select exists (select from ops.scrape_batches where trigger <> 'import')").fetchone()
    assert row is not None
    return bool(row[0])


def read_running_cycles(conn: psycopg.Connection, alive_within_s: float | None = None) -> list[CycleRecord]:
    """Return the running batches with a heartbeat in the last `alive_within_s` seconds, oldest first.

    With None all running batches are returned, including those of a dead process.
    """
    return _read_cycles(
        conn,
        f"where status = 'running' and (%(silent_s)s::float8 is null or not {IS_SILENT_SQL}) order by cycle_id",
        {"silent_s": alive_within_s},
    )


def read_silent_cycles(conn: psycopg.Connection, silent_after_s: float) -> list[CycleRecord]:
    """Return the running batches without a heartbeat for `silent_after_s` seconds, oldest first.

    The duration of their run does not matter.
    """
    return _read_cycles(
        conn, f"where status = 'running' and {IS_SILENT_SQL} order by cycle_id", {"silent_s": silent_after_s}
    )


def find_overlapping_cycle(
    conn: psycopg.Connection, scope: Scope, sr_ids: Sequence[int], silent_after_s: float
) -> CycleRecord | None:
    """Return the oldest live running cycle that requests some of the same fixtures, or None.

    Its scope is `scope`, and it shares a fixture with `sr_ids`; no `sr_ids` means all fixtures.
    """
    return next(iter(_read_overlapping_cycles(conn, scope, sr_ids, silent_after_s)), None)


def lock_opening(conn: psycopg.Connection) -> None:
    """Block other sessions from opening a cycle until the transaction ends, for the choice of a free id."""
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.CYCLE_OPENING])


def open_unless_overlapping(conn: psycopg.Connection, cycle: Cycle, silent_after_s: float) -> CycleRecord | None:
    """Open the cycle with `open_cycle`, unless another cycle overlaps it.

    In that case nothing is written, and the other cycle is returned. Of two cycles that are opened at the same time,
    one waits until the other has committed.
    """
    lock_opening(conn)
    overlapping = [
        record
        for record in _read_overlapping_cycles(conn, cycle.scope, cycle.sr_ids, silent_after_s)
        if record.cycle.cycle_id != cycle.cycle_id
    ]
    if overlapping:
        return overlapping[0]
    open_cycle(conn, cycle)
    return None


def claim_dead_cycles(
    conn: psycopg.Connection, silent_after_s: float, run_ids: Sequence[str] = ()
) -> list[CycleRecord]:
    """Return the silent batches and the running ones of `run_ids`, oldest first, locked for the caller.

    The caller knows that the runs of `run_ids` have ended. The batches are locked until the transaction ends:
    another session that asks meanwhile does not get them.
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
    """Write rows (column to value, all with the same columns) in one statement.

    Of two rows with one key the later counts; an unchanged row is not written.
    """
    last = {tuple(row[name] for name in key): row for row in rows}
    if not last:
        return
    # The end of a cycle writes every listing again, and nearly all of them were written while it ran.
    source = sql.SQL("json_populate_recordset(null::{}, %s::json)").format(quote_identifier(table))
    conn.execute(build_upsert(table, list(rows[0]), key, source), [msgspec.json.encode(list(last.values())).decode()])


def _end_runs(conn: psycopg.Connection, cycle_id: int, status: RunStatus) -> None:
    """End the parts of platforms that still run in a batch that has ended."""
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
    """Replace NUL characters: Postgres refuses them, and the description of a bad answer may quote one."""
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
