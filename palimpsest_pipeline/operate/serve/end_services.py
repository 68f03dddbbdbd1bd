"""The end of what was served: first the daemon, so that nothing new begins; then the runs under way, which get their
time; last the servers.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from palimpsest_pipeline.defs.dagster_private import GRPC_INFO_TAG
from palimpsest_pipeline.defs.run_heartbeat import RUNNING_STATUSES
from palimpsest_pipeline.runtime.processes import stop_process_tree
from palimpsest_pipeline.runtime.run_tags import ENDED_WITH_SERVER_TAG, is_resting

from .service_record import CODE_SERVER, DAEMON, WEB_SERVER, ServiceRecord

MAX_CANCEL_WAIT_S: Final = 30.0
"""A run that is asked to end writes what had arrived: for how long it is waited for."""
POLL_INTERVAL_S: Final = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class UnfinishedRuns:
    """Runs that are not over: those that our code server executes, those that are executed elsewhere, and how many
    wait in the queue.
    """

    own_runs: list[dg.DagsterRun]
    other_runs: list[dg.DagsterRun]
    n_queued: int


def find_unfinished_runs(instance: dg.DagsterInstance, socket: str) -> UnfinishedRuns:
    """The runs under way. `socket`: where the code server listens."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(RUNNING_STATUSES)))
    ours = [run for run in runs if _find_socket(run) == socket]
    queued = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    return UnfinishedRuns(ours, [run for run in runs if run not in ours], queued)


def stop_services(
    serving: ServiceRecord,
    instance: dg.DagsterInstance | None,
    wait_s: float,
    say: Say,
    cancel_wait_s: float = MAX_CANCEL_WAIT_S,
) -> None:
    """End everything that `serving` names but its supervisor. Runs under way are waited for up to `wait_s`, then asked
    to end, then named.

    `instance` None, or one whose storage cannot be reached: the runs are not known, and end with their server.
    """
    _end_child(serving, DAEMON)
    if instance is not None:
        try:
            _end_runs(instance, serving.socket, wait_s, cancel_wait_s, say)
        except SQLAlchemyError as error:
            say(f"runs under way cannot be looked at: {str(error.__cause__ or error).strip().partition(chr(10))[0]}")
    for name in (WEB_SERVER, CODE_SERVER):
        _end_child(serving, name)


def _end_child(serving: ServiceRecord, name: str) -> None:
    if name in serving.children:
        stop_process_tree(serving.children[name])


def _end_runs(instance: dg.DagsterInstance, socket: str, wait_s: float, cancel_wait_s: float, say: Say) -> None:
    found = find_unfinished_runs(instance, socket)
    if found.n_queued:
        say(f"{_format_count(found.n_queued, 'queued run')} will begin after the next `palimpsest up`")
    if found.other_runs:
        say(f"not of this supervisor, and so left alone: {format_runs(found.other_runs)}")
    if found.own_runs and wait_s > 0:
        say(f"waiting up to {wait_s:.0f} s for {format_runs(found.own_runs)}")
    left = _await_end(instance, found.own_runs, wait_s, lambda resting: _ask_to_end(instance, resting, say))
    if not left:
        return
    _ask_to_end(instance, left, say)
    left = _await_end(instance, left, cancel_wait_s)
    if left:
        say(
            f"did not end, and is killed: {format_runs(left)}; its cycle is closed by the next command or sensor that finds it"
        )


def _ask_to_end(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], say: Say) -> None:
    say(f"asking to end: {format_runs(runs)}; what had arrived is kept")
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
    """Return the runs that are not over after `wait_s`.

    `end_resting` is called once with each run that only waits for its next minute.
    """
    deadline = time.monotonic() + wait_s
    left, asked = list(runs), set[str]()
    while left:
        left = [
            run for run in instance.get_runs(dg.RunsFilter(run_ids=[run.run_id for run in left])) if not run.is_finished
        ]
        if not left or time.monotonic() >= deadline:
            break
        if end_resting and (resting := [run for run in left if run.run_id not in asked and is_resting(run.tags)]):
            end_resting(resting)
            asked |= {run.run_id for run in resting}
            continue
        time.sleep(POLL_INTERVAL_S)
    return left


def format_runs(runs: Sequence[dg.DagsterRun]) -> str:
    """Runs as people find them in the UI."""
    return ", ".join(f"run {run.run_id[:8]} ({run.job_name})" for run in runs)


def _format_count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _find_socket(run: dg.DagsterRun) -> str | None:
    found = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    return found.get("socket") if isinstance(found, dict) else None
