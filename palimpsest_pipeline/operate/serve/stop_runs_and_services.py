"""The end of the services: the daemon first, so that no run starts; then the runs; then the servers.

Unfinished runs get some time to finish.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from palimpsest_pipeline.defs.dagster_private import GRPC_INFO_TAG
from palimpsest_pipeline.defs.run_heartbeat import RUNNING_STATUSES
from palimpsest_pipeline.runtime.processes import stop_process_tree
from palimpsest_pipeline.runtime.run_tags import ENDED_WITH_SERVER_TAG, is_resting

from .service_record import BOARD, CODE_SERVER, DAEMON, SENDER, WEB_SERVER, ServiceRecord

MAX_CANCEL_WAIT_S: Final = 30.0
"""Seconds for a run that is asked to end to store the answers that have arrived."""
_POLL_INTERVAL_S: Final = 0.5

_Say = Callable[[str], None]


def stop_services(
    serving: ServiceRecord,
    instance: dg.DagsterInstance | None,
    wait_s: float,
    say: _Say,
    cancel_wait_s: float = MAX_CANCEL_WAIT_S,
) -> None:
    """End every process in `serving` except the supervisor.

    Unfinished runs may finish within `wait_s` seconds. Then they are asked to end, and those that have not ended
    `cancel_wait_s` seconds later are reported. If `instance` is None or its storage cannot be reached, the runs are not
    known; they end with the code server.
    """
    _end_child(serving, DAEMON)
    if instance is not None:
        try:
            _end_runs(instance, serving.socket, wait_s, cancel_wait_s, say)
        except SQLAlchemyError as error:
            say(f"runs under way cannot be listed: {str(error.__cause__ or error).strip().partition(chr(10))[0]}")
    for name in (BOARD, SENDER, WEB_SERVER, CODE_SERVER):
        _end_child(serving, name)


def _end_child(serving: ServiceRecord, name: str) -> None:
    if name in serving.children:
        stop_process_tree(serving.children[name])


def _end_runs(instance: dg.DagsterInstance, socket: str, wait_s: float, cancel_wait_s: float, say: _Say) -> None:
    """End the runs of the code server that listens at `socket`.

    Runs executed elsewhere, and the number of queued ones, are only named.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=list(RUNNING_STATUSES)))
    own_runs = [run for run in runs if _find_socket(run) == socket]
    if n_queued := instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
        say(f"{n_queued} queued run{'' if n_queued == 1 else 's'} will start after the next `palimpsest up`")
    if other_runs := [run for run in runs if run not in own_runs]:
        say(f"not started by this supervisor, therefore not ended: {format_runs(other_runs)}")
    if own_runs and wait_s > 0:
        say(f"waiting up to {wait_s:.0f} s for {format_runs(own_runs)}")
    remaining = _await_end(instance, own_runs, wait_s, lambda resting: _ask_to_end(instance, resting, say))
    if not remaining:
        return
    _ask_to_end(instance, remaining, say)
    remaining = _await_end(instance, remaining, cancel_wait_s)
    if remaining:
        say(f"did not end, and is killed: {format_runs(remaining)}; the next command or sensor closes its cycle")


def _ask_to_end(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], say: _Say) -> None:
    say(f"asking to end: {format_runs(runs)}; answers that have arrived are kept")
    for run in runs:
        instance.add_run_tags(run.run_id, {ENDED_WITH_SERVER_TAG: "true"})
        try:
            instance.run_launcher.terminate(run.run_id)
        except dg.DagsterError as error:
            say(f"{format_runs([run])} cannot be asked: {error}")


def _await_end(
    instance: dg.DagsterInstance,
    runs: Sequence[dg.DagsterRun],
    wait_s: float,
    end_resting: Callable[[list[dg.DagsterRun]], None] | None = None,
) -> list[dg.DagsterRun]:
    """Return the runs that are unfinished after `wait_s` seconds.

    `end_resting` is called once for each run that only waits for its next minute.
    """
    deadline = time.monotonic() + wait_s
    remaining, asked_ids = list(runs), set[str]()
    while remaining:
        remaining = [
            run
            for run in instance.get_runs(dg.RunsFilter(run_ids=[run.run_id for run in remaining]))
            if not run.is_finished
        ]
        if not remaining or time.monotonic() >= deadline:
            break
        if end_resting and (
            resting := [run for run in remaining if run.run_id not in asked_ids and is_resting(run.tags)]
        ):
            end_resting(resting)
            asked_ids |= {run.run_id for run in resting}
            continue
        time.sleep(_POLL_INTERVAL_S)
    return remaining


def format_runs(runs: Sequence[dg.DagsterRun]) -> str:
    """Return the runs as text, with the short ids that the UI shows."""
    return ", ".join(f"run {run.run_id[:8]} ({run.job_name})" for run in runs)


def _find_socket(run: dg.DagsterRun) -> str | None:
    grpc_info = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    return grpc_info.get("socket") if isinstance(grpc_info, dict) else None
