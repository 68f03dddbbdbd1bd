"""Write and read heartbeats of Dagster runs: the table `ops.run_heartbeats`. Callers commit.

All times are by the database server's clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

SILENT_SINCE_SQL: Final = "greatest(heartbeat_at, pg_postmaster_start_time())"
"""SQL for a row with `heartbeat_at`: the start of the silence.

Silence counts from the server's start at the earliest, because no process can write a heartbeat while the server is
down.
"""
IS_SILENT_SQL: Final = f"{SILENT_SINCE_SQL} < clock_timestamp() - make_interval(secs => %(silent_s)s)"
"""SQL condition: the last heartbeat is more than `silent_s` seconds ago."""


@dataclass(frozen=True, slots=True)
class RunProcess:
    """A Dagster run and the process that executes it.

    `machine` identifies the machine on which `pid` is valid; None when it is not known.
    """

    run_id: str
    job: str
    host: str
    pid: int
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class HeartbeatRecord:
    """A run, the time of its last heartbeat, and whether its process has reported the end."""

    run: RunProcess
    last_sign_at: datetime
    has_finished: bool


def write_heartbeat(conn: psycopg.Connection, run: RunProcess) -> None:
    """Record that the run is alive.

    The first heartbeat sets the start of the run. A process that takes over the run updates the same row.
    """
    conn.execute(
        """
        insert into ops.run_heartbeats (run_id, job, host, pid, machine, started_at, heartbeat_at)
        values (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())
        on conflict (run_id) do update
        set host = excluded.host, pid = excluded.pid, machine = excluded.machine,
            heartbeat_at = excluded.heartbeat_at, finished_at = null
        """,
        [run.run_id, run.job, run.host, run.pid, run.machine],
    )


def finish_heartbeat(conn: psycopg.Connection, run_id: str) -> None:
    """Record that the process has reported the end of the run, successful or not."""
    conn.execute(
        "update ops.run_heartbeats set heartbeat_at = clock_timestamp(), finished_at = clock_timestamp() "
        "where run_id = %s",
        [run_id],
    )


def read_silent_runs(
    conn: psycopg.Connection, silent_after_s: float, run_ids: Sequence[str] | None = None
) -> list[HeartbeatRecord]:
    """Return the runs without a heartbeat for `silent_after_s` seconds, longest silence first.

    With `run_ids` these runs are searched, even if they have ended; otherwise all runs that have not ended. A run that
    never wrote a heartbeat is not returned.
    """
    return _read_heartbeats(
        conn,
        f"""
        {IS_SILENT_SQL}
            and case when %(run_ids)s::text[] is null then finished_at is null
                else run_id = any(%(run_ids)s::text[]) end
        """,
        {"silent_s": silent_after_s, "run_ids": None if run_ids is None else list(run_ids)},
    )


def read_last_heartbeats(conn: psycopg.Connection, run_ids: Sequence[str]) -> list[HeartbeatRecord]:
    """Return the last heartbeats of these runs, oldest first; runs without a heartbeat are left out."""
    return _read_heartbeats(conn, "run_id = any(%(run_ids)s::text[])", {"run_ids": list(run_ids)})


def _read_heartbeats(conn: psycopg.Connection, condition: str, params: Mapping[str, Any]) -> list[HeartbeatRecord]:
    columns = "run_id, job, host, pid, machine, heartbeat_at, finished_at is not null"
    rows = conn.execute(
        f"select {columns} from ops.run_heartbeats where {condition} order by heartbeat_at".encode(), params
    ).fetchall()
    return [
        HeartbeatRecord(RunProcess(run_id, job, host, pid, machine), at, finished)
        for run_id, job, host, pid, machine, at, finished in rows
    ]


def find_known_runs(conn: psycopg.Connection, run_ids: Sequence[str]) -> set[str]:
    """Return those of the given runs that have written at least one heartbeat."""
    rows = conn.execute(
        "select run_id from ops.run_heartbeats where run_id = any(%s::text[])", [list(run_ids)]
    ).fetchall()
    return {run_id for (run_id,) in rows}


def server_started_at(conn: psycopg.Connection) -> datetime:
    """Return the start time of the database server. No run could write a heartbeat just before it."""
    row = conn.execute("select pg_postmaster_start_time()").fetchone()
    assert row is not None
    started_at: datetime = row[0]
    return started_at


def delete_old_heartbeats(conn: psycopg.Connection, age: timedelta) -> int:
    """Delete the rows of runs without a heartbeat for `age`; return their number."""
    return conn.execute("delete from ops.run_heartbeats where heartbeat_at < clock_timestamp() - %s", [age]).rowcount
