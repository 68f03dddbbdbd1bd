"""The heartbeats of Dagster runs, and the runs whose heartbeats have stopped.

The cycle of a dead run is closed by `pipeline/live/recovery`.
"""

import logging
import os
import socket
from contextlib import AbstractContextManager
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.heartbeat import PeriodicWriter
from palimpsest_pipeline.runtime.processes import identify_machine, is_gone
from palimpsest_pipeline.storage.ledger import run_heartbeats

from .step_failures import raise_if_storage_failed

log = logging.getLogger(__name__)
RUNNING_STATUSES: Final = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
POSSIBLY_DEAD_STATUSES: Final = (dg.DagsterRunStatus.NOT_STARTED, *RUNNING_STATUSES)
"""The statuses of runs whose process may have died.

A command writes a heartbeat, creates its run, and then starts it. If it is killed in between, the run is not started.
"""
UNFINISHED_STATUSES: Final = [dg.DagsterRunStatus.QUEUED, *POSSIBLY_DEAD_STATUSES]
"""The statuses of runs that have not ended."""


def start_run_heartbeat(pipeline: Pipeline, run_id: str, job: str) -> AbstractContextManager[PeriodicWriter]:
    """Return a context manager that writes a heartbeat of the run every PALIMPSEST_HEARTBEAT_S seconds.

    If a heartbeat cannot be written, a warning is logged and the run continues.
    """
    run = run_heartbeats.RunProcess(run_id, job, socket.gethostname(), os.getpid(), identify_machine())

    def write(conn: psycopg.Connection) -> None:
        with conn.transaction():
            run_heartbeats.write_heartbeat(conn, run)

    def end(conn: psycopg.Connection) -> None:
        with conn.transaction():
            run_heartbeats.finish_heartbeat(conn, run_id)

    return PeriodicWriter(
        f"run {run_id}", pipeline.connect, pipeline.settings.heartbeat_s, write, write_at_start=True, write_at_end=end
    )


def list_silent_runs(instance: dg.DagsterInstance, pipeline: Pipeline) -> list[run_heartbeats.HeartbeatRecord]:
    """Return unfinished runs without a heartbeat for PALIMPSEST_SILENT_AFTER_S, or whose process is gone.

    The process can be checked only if it ran on this machine. A run that never wrote a heartbeat is not returned:
    Dagster's own run monitoring checks whether runs start in time. Raises DatabaseUnreachable.
    """
    ids = [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=list(POSSIBLY_DEAD_STATUSES)))]
    if not ids:
        return []
    with pipeline.connect() as conn:
        silent_runs = {
            sign.run.run_id for sign in run_heartbeats.read_silent_runs(conn, pipeline.settings.silent_after_s, ids)
        }
        return [
            sign
            for sign in run_heartbeats.read_last_heartbeats(conn, ids)
            if sign.run.run_id in silent_runs or is_gone(sign.run.machine, sign.run.pid)
        ]


def report_dead_runs(instance: dg.DagsterInstance, pipeline: Pipeline) -> list[run_heartbeats.HeartbeatRecord]:
    """Mark the silent runs as failed, or as canceled if they were being canceled; return the marked runs.

    If a run turns out to be alive, it continues and later overwrites this status with its own. A run that cannot be
    marked is logged and does not stop the others. Raises DatabaseUnreachable.
    """
    reported = []
    for dead in list_silent_runs(instance, pipeline):
        try:
            run = instance.get_run_by_id(dead.run.run_id)  # read again, because it may have ended in the meantime
            if run is None or run.status not in POSSIBLY_DEAD_STATUSES:
                continue
            report = (
                instance.report_run_canceled
                if run.status is dg.DagsterRunStatus.CANCELING
                else instance.report_run_failed
            )
            report(run, describe_dead_run(dead))
        except Exception as error:
            raise_if_storage_failed(error)
            log.exception("the process of run %s died, and the run cannot be marked as ended", dead.run.run_id)
            continue
        reported.append(dead)
    return reported


def describe_dead_run(dead: run_heartbeats.HeartbeatRecord) -> str:
    """Return the message to the user about a run whose process died."""
    when = "after its work was done" if dead.has_finished else "at its work"
    return (
        f"The process of this run died {when}: {dead.run.host}, pid {dead.run.pid}, last heartbeat"
        f" {dead.last_sign_at:%Y-%m-%d %H:%M:%S} UTC. The rows that it had written stay; run it again, or only its"
        " unfinished steps (re-execute from failure)."
    )
