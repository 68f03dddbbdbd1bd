"""Signs of life of the runs that our code executes, `ops.run_heartbeats`. Callers commit.

Belongs here: writing them, and saying which runs are silent, all by the server's clock. Does not: what becomes of a run whose process died.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg


@dataclass(frozen=True, slots=True)
class Executed:
    """A run and the process that executes it."""

    run_id: str
    job: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Silent:
    """A run of which nothing is heard, and what its process last said: that it is at work, or with `finished` that it was done."""

    run: Executed
    last_sign_at: datetime
    finished: bool


def beat(conn: psycopg.Connection, run: Executed) -> None:
    """Say that the run is alive. The first time is its begin; a process that takes it up goes on in the same row."""
    conn.execute(
        """
        insert into ops.run_heartbeats (run_id, job, host, pid, started_at, heartbeat_at)
        values (%s, %s, %s, %s, clock_timestamp(), clock_timestamp())
        on conflict (run_id) do update
        set host = excluded.host, pid = excluded.pid, heartbeat_at = excluded.heartbeat_at, finished_at = null
        """,
        [run.run_id, run.job, run.host, run.pid],
    )


def end(conn: psycopg.Connection, run_id: str) -> None:
    """Say that the process is done with the run, well or not."""
    conn.execute("update ops.run_heartbeats set heartbeat_at = clock_timestamp(), finished_at = clock_timestamp() where run_id = %s", [run_id])


def silent(conn: psycopg.Connection, silent_after_s: float, run_ids: Sequence[str] | None = None) -> list[Silent]:
    """Runs without a sign of life for so many seconds, longest first: of `run_ids`, whatever they said last; without them those that have not ended.

    While the server is down nobody can give a sign of life: silence counts from its start at the earliest. A run that never gave one is not here.
    """
    rows = conn.execute(
        """
        select run_id, job, host, pid, heartbeat_at, finished_at is not null
        from ops.run_heartbeats
        where greatest(heartbeat_at, pg_postmaster_start_time()) < clock_timestamp() - make_interval(secs => %(silent_s)s)
            and case when %(run_ids)s::text[] is null then finished_at is null else run_id = any(%(run_ids)s::text[]) end
        order by heartbeat_at
        """,
        {"silent_s": silent_after_s, "run_ids": None if run_ids is None else list(run_ids)},
    ).fetchall()
    return [Silent(Executed(run_id, job, host, pid), at, finished) for run_id, job, host, pid, at, finished in rows]


def known(conn: psycopg.Connection, run_ids: Sequence[str]) -> set[str]:
    """Those of the runs that ever gave a sign of life."""
    rows = conn.execute("select run_id from ops.run_heartbeats where run_id = any(%s::text[])", [list(run_ids)]).fetchall()
    return {run_id for (run_id,) in rows}


def delete_older(conn: psycopg.Connection, age: timedelta) -> int:
    """Delete the rows of runs without a sign of life for so long. Returns how many."""
    return conn.execute("delete from ops.run_heartbeats where heartbeat_at < clock_timestamp() - %s", [age]).rowcount
