"""`palimpsest up`: run the children in the foreground until a signal or `palimpsest down` ends them.

At the end the daemon stops first, so that no run starts; then the runs, which get some time to finish; then the others.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from palimpsest_pipeline.defs.dagster_private import GRPC_INFO_TAG
from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.defs.run_heartbeat import RUNNING_STATUSES
from palimpsest_pipeline.pipeline.context import Pipeline, make_home
from palimpsest_pipeline.runtime.processes import KnownProcess, stop_process_tree
from palimpsest_pipeline.runtime.run_tags import ENDED_WITH_SERVER_TAG, is_resting
from palimpsest_pipeline.runtime.signals import DeferredSignals
from palimpsest_pipeline.settings import Settings

from .metrics import MetricsWriter
from .readiness import query_readiness
from .restart_services import DEFINITIONS_MODULE, ChildProcesses, Say, build_commands
from .service_record import (
    BOARD,
    BOARD_PORT_VARIABLE,
    CODE_SERVER,
    DAEMON,
    SENDER,
    STOPPING_LOG_FILE,
    WEB_SERVER,
    ServeError,
    ServiceRecord,
    check_not_serving,
    check_port,
    is_stop_requested,
    read_record,
    remove_left_record,
    remove_record,
    take_requested_wait_s,
    write_record,
)

_START_TIMEOUT_S: Final = 180.0
DEFAULT_WAIT_S: Final = 30.0
"""Seconds for unfinished runs to finish when no other time is requested."""
CHECK_INTERVAL_S: Final = 0.5
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Supervisor:
    """The supervisor of the child processes, with the UI's address and the start-up time."""

    def __init__(self, home: Path, children: ChildProcesses, record: ServiceRecord, began: float) -> None:
        self._home, self._children, self._record, self._began = home, children, record, began
        self.startup_s = 0.0

    @property
    def url(self) -> str:
        return self._record.url

    @property
    def record(self) -> ServiceRecord:
        return self._record

    def wait(self) -> None:
        """Block until Ctrl-C or SIGTERM (KeyboardInterrupt), and restart children that die.

        Raises ServeError when a child does not stay up.
        """
        while True:
            self.restart_children()
            time.sleep(CHECK_INTERVAL_S)

    def restart_children(self) -> None:
        """Start the children that have not been started or have died."""
        for name, process in self._children.start_due().items():
            self._record = self._record.with_child(name, process)
            write_record(self._home, self._record)

    def wait_until_up(self, timeout_s: float) -> None:
        """Block until the definitions are loaded and the daemon is alive. Raises ServeError with the reason."""
        began = time.time()
        while time.time() < began + timeout_s:
            self.restart_children()
            answer = query_readiness(self.url)
            if answer is not None and answer.error is not None:
                raise ServeError(f"the definitions cannot be loaded: {answer.error}")
            if answer is not None and answer.is_loaded and answer.is_daemon_alive_since(self._began):
                self.startup_s = time.time() - self._began
                return
            time.sleep(CHECK_INTERVAL_S / 2)
        raise ServeError(f"Dagster is not up after {timeout_s:.0f} s: {self._children.describe_logs()}")


@contextmanager
def run_services(
    settings: Settings,
    environment: dict[str, str],
    cwd: Path,
    say: Say,
    *,
    definitions: str = DEFINITIONS_MODULE,
    has_sender: bool = False,
    timeout_s: float = _START_TIMEOUT_S,
) -> Iterator[Supervisor]:
    """Run Dagster inside the block; all its processes have ended after the block.

    With `has_sender`, messages to traders are sent too. The children run in the folder `cwd`, where Dagster and the
    settings read a `.env`. Their databases must be running. A KeyboardInterrupt ends the block and is not raised
    further.
    """
    home = make_home(settings)
    check_not_serving(home)
    check_port(settings.ui_port)
    if settings.board_port:
        check_port(settings.board_port, BOARD_PORT_VARIABLE)
    began = time.time()
    with open_instance(settings, pooled=False) as instance, _handle_signals():
        stop_left_services(home, instance, say)
        # The path of a socket must be short, and the home folder may have a long path.
        folder = Path(tempfile.mkdtemp(prefix="palimpsest-"))
        commands = build_commands(
            folder, settings.ui_port, definitions, has_sender=has_sender, with_board=settings.board_port > 0
        )
        children = ChildProcesses(home, folder, commands, environment, cwd, say)
        record = ServiceRecord(
            KnownProcess.from_pid(os.getpid()), {}, f"http://127.0.0.1:{settings.ui_port}", str(folder)
        )
        supervisor = Supervisor(home, children, record, began)
        take_requested_wait_s(home, 0)  # removes an old request for an earlier supervisor
        try:
            supervisor.restart_children()  # the first call starts all of them
            supervisor.wait_until_up(timeout_s)
            with suppress(KeyboardInterrupt), MetricsWriter(Pipeline(settings), instance):
                yield supervisor
        finally:
            _stop_on_request(home, supervisor.record, instance, say)


def stop_left_services(
    home: Path, instance: dg.DagsterInstance | None, say: Say, wait_s: float = DEFAULT_WAIT_S
) -> None:
    """End the processes that remain after their supervisor was killed."""
    remains = read_record(home)
    if remains is not None:
        say("ending the processes of an earlier `palimpsest up` that was killed")
        stop_services(remains, instance, wait_s, say)
        remove_record(home, remains)
    remove_left_record(home)


def _stop_on_request(home: Path, record: ServiceRecord, instance: dg.DagsterInstance, say: Say) -> None:
    """End the services, with the requested wait for runs.

    A second request ends them at once. After a third one, runs get no more time to store their answers, and signals are
    ignored. The messages stay in a file if `palimpsest down` made the request; otherwise the file is removed.
    """
    log, is_requested = home / STOPPING_LOG_FILE, is_stop_requested(home)

    def report(line: str) -> None:
        say(line)
        with log.open("a") as stream:
            stream.write(f"{line}\n")

    log.unlink(missing_ok=True)
    try:
        try:
            stop_services(record, instance, take_requested_wait_s(home, DEFAULT_WAIT_S), report)
        except KeyboardInterrupt:
            report("asked again: ending at once")
            stop_services(record, instance, 0, report)
    except KeyboardInterrupt:
        with DeferredSignals():
            report("asked a third time: killing the remaining processes")
            stop_services(record, instance, 0, report, cancel_wait_s=0)
    finally:
        with DeferredSignals():
            remove_record(home, record)
            if not is_requested and not is_stop_requested(home):
                log.unlink(missing_ok=True)


@contextmanager
def _handle_signals() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM raise KeyboardInterrupt, even if a shell has set SIGINT to be ignored.

    A closed terminal (SIGHUP) does the same, unless `nohup` ignores it.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal_numbers = [
        *ENDING_SIGNALS,
        *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []),
    ]
    previous_handlers = {signal_number: signal.signal(signal_number, interrupt) for signal_number in signal_numbers}
    try:
        yield
    finally:
        for signal_number, handler in previous_handlers.items():
            with suppress(TypeError):  # None: a handler that was not set from Python
                signal.signal(signal_number, handler)


MAX_CANCEL_WAIT_S: Final = 30.0
"""Seconds for a run that is asked to end to store the answers that have arrived."""
_POLL_INTERVAL_S: Final = 0.5


def stop_services(
    serving: ServiceRecord,
    instance: dg.DagsterInstance | None,
    wait_s: float,
    say: Say,
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


def _end_runs(instance: dg.DagsterInstance, socket: str, wait_s: float, cancel_wait_s: float, say: Say) -> None:
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


def _ask_to_end(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], say: Say) -> None:
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
