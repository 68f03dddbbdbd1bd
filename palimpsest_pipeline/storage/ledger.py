"""The ledger of cycles: opening, keeping alive and closing a batch, and asking how recent ones fared. Callers commit.

Belongs here: reading and writing `ops.scrape_batches`, `scrape_runs`, `event_scrape_status`. Does not: deciding what to do about a dead batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg.types.json import Jsonb

from ..domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from ..domain.words import Platform, RunStatus, Scope, Trigger
from .frames import INSTANT, copy_rows

OUTCOME_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "cycle_id": pl.Int64,
    "platform": pl.String,
    "external_id": pl.String,
    "sr_id": pl.Int64,
    "status": pl.String,
    "attempts": pl.Int32,
    "error_class": pl.String,
    "error_detail": pl.String,
    "http_status": pl.Int32,
    "requested_at": INSTANT,
    "received_at": INSTANT,
    "bytes": pl.Int64,
    "duration_ms": pl.Float64,
}
BATCH_COLUMNS: Final = (
    "cycle_id, trigger, scope, home_platform, partition_hour, started_at, run_id, coalesce(sr_ids, '{}'), status, heartbeat_at, finished_at"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """One row of the ledger: the cycle and how it stands."""

    cycle: Cycle
    status: RunStatus
    heartbeat_at: datetime
    finished_at: datetime | None


def open_batch(conn: psycopg.Connection, cycle: Cycle) -> None:
    """Write the batch as running. Opening it again (a run that is resumed) makes it running again."""
    conn.execute(
        """
        insert into ops.scrape_batches
            (cycle_id, trigger, scope, sr_ids, home_platform, partition_hour, run_id, status, started_at, heartbeat_at)
        values (%s, %s, %s, %s, %s, %s, %s, 'running', %s, clock_timestamp())
        on conflict (cycle_id) do update
        set run_id = excluded.run_id, status = 'running', heartbeat_at = excluded.heartbeat_at, finished_at = null
        """,
        [
            cycle.cycle_id,
            cycle.trigger,
            cycle.scope,
            list(cycle.sr_ids) or None,
            cycle.home_platform,
            cycle.partition_hour,
            cycle.run_id,
            cycle.started_at,
        ],
    )


def heartbeat(conn: psycopg.Connection, cycle_id: int) -> None:
    """Say that the cycle is alive, by the server's clock, which is also what judges it."""
    conn.execute("update ops.scrape_batches set heartbeat_at = clock_timestamp() where cycle_id = %s", [cycle_id])


def close_batch(conn: psycopg.Connection, result: CycleResult) -> None:
    """Write how the cycle ended, per platform and per listing. Closing it again replaces what was written.

    Raises ValueError when the batch was never opened.
    """
    cycle_id = result.cycle.cycle_id
    closed = conn.execute(
        "update ops.scrape_batches set status = %s, finished_at = %s, heartbeat_at = clock_timestamp() where cycle_id = %s",
        [result.status, result.finished_at, cycle_id],
    )
    if closed.rowcount == 0:
        raise ValueError(f"cycle {cycle_id} cannot be closed: it was never opened in the ledger")
    conn.execute("delete from ops.scrape_runs where cycle_id = %s", [cycle_id])
    conn.execute("delete from ops.event_scrape_status where cycle_id = %s", [cycle_id])
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.scrape_runs
                (cycle_id, platform, status, started_at, finished_at, discovered, targets, fetched, requests, bytes,
                 errors_by_class, p50_ms, p95_ms, message)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [_run_row(cycle_id, run) for run in result.runs],
        )
    copy_rows(conn, "ops.event_scrape_status", outcome_frame(cycle_id, result.outcomes))


def abandon(conn: psycopg.Connection, cycle_id: int, status: RunStatus = RunStatus.FAILED) -> None:
    """Close a batch whose process is gone, at its last sign of life. A batch that has ended stays as it is."""
    conn.execute(
        "update ops.scrape_batches set status = %s, finished_at = greatest(heartbeat_at, started_at) where cycle_id = %s and status = 'running'",
        [status, cycle_id],
    )


def batch(conn: psycopg.Connection, cycle_id: int) -> Batch | None:
    """The batch of a cycle, or None."""
    return _one(_batches(conn, "where cycle_id = %s", [cycle_id]))


def batch_of_run(conn: psycopg.Connection, run_id: str) -> Batch | None:
    """The newest batch that a Dagster run has opened, or None."""
    return _one(_batches(conn, "where run_id = %s order by cycle_id desc limit 1", [run_id]))


def last_batches(conn: psycopg.Connection, limit: int = 20) -> list[Batch]:
    """The newest batches, newest first."""
    return _batches(conn, "order by cycle_id desc limit %s", [limit])


def running_batches(conn: psycopg.Connection, alive_within_s: float) -> list[Batch]:
    """Batches that run and have given a sign of life within so many seconds, oldest first."""
    return _batches(
        conn, "where status = 'running' and heartbeat_at >= clock_timestamp() - make_interval(secs => %s) order by cycle_id", [alive_within_s]
    )


def silent_batches(conn: psycopg.Connection, silent_for_s: float) -> list[Batch]:
    """Batches that should run and have given no sign of life for so many seconds, oldest first. How long they have run says nothing."""
    return _batches(
        conn, "where status = 'running' and heartbeat_at < clock_timestamp() - make_interval(secs => %s) order by cycle_id", [silent_for_s]
    )


def outcome_frame(cycle_id: int, outcomes: Sequence[EventOutcome]) -> pl.DataFrame:
    """Outcomes as rows of `ops.event_scrape_status`."""
    rows = [
        (
            cycle_id,
            str(o.platform),
            o.external_id,
            o.sr_id,
            str(o.status),
            o.attempts,
            None if o.failure is None else str(o.failure),
            o.failure_detail,
            o.http_status,
            o.requested_at,
            o.received_at,
            o.bytes,
            o.duration_ms,
        )
        for o in outcomes
    ]
    return pl.DataFrame(rows, schema=OUTCOME_SCHEMA, orient="row")


def _run_row(cycle_id: int, run: PlatformRun) -> list[Any]:
    return [
        cycle_id,
        run.platform,
        run.status,
        run.started_at,
        run.finished_at,
        run.discovered,
        run.targets,
        run.fetched,
        run.requests,
        run.bytes,
        Jsonb(dict(run.errors_by_class)),
        run.p50_ms,
        run.p95_ms,
        run.message,
    ]


def _batches(conn: psycopg.Connection, tail: str, params: Sequence[Any]) -> list[Batch]:
    rows = conn.execute(f"select {BATCH_COLUMNS} from ops.scrape_batches {tail}".encode(), params).fetchall()
    return [
        Batch(
            cycle=Cycle(
                cycle_id=cycle_id,
                trigger=Trigger(trigger),
                scope=Scope(scope),
                home_platform=Platform(home),
                partition_hour=hour,
                started_at=started_at,
                run_id=run_id,
                sr_ids=tuple(sr_ids),
            ),
            status=RunStatus(status),
            heartbeat_at=heartbeat_at,
            finished_at=finished_at,
        )
        for cycle_id, trigger, scope, home, hour, started_at, run_id, sr_ids, status, heartbeat_at, finished_at in rows
    ]


def _one(batches: list[Batch]) -> Batch | None:
    return batches[0] if batches else None
