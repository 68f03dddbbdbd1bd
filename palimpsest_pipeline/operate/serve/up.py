"""`palimpsest up`: run the children in the foreground until a signal or `palimpsest down` ends them."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import dagster as dg

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.pipeline.context import Pipeline, make_home
from palimpsest_pipeline.runtime.processes import KnownProcess
from palimpsest_pipeline.runtime.signals import DeferredSignals
from palimpsest_pipeline.settings import Settings

from .metrics_writer import MetricsWriter
from .readiness import query_readiness
from .restart_services import DEFINITIONS_MODULE, ChildProcesses, Say, build_commands
from .service_record import (
    BOARD_PORT_VARIABLE,
    STOPPING_LOG_FILE,
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
from .stop_runs_and_services import stop_services

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
