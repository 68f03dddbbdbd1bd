"""`palimpsest up`: the children in the foreground until somebody ends it."""

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
from palimpsest_pipeline.pipeline.context import make_home
from palimpsest_pipeline.runtime.processes import KnownProcess
from palimpsest_pipeline.runtime.signals import DeferredSignals
from palimpsest_pipeline.settings import Settings

from .children import DEFINITIONS_MODULE, ChildProcesses, Say, build_commands
from .end_services import stop_services
from .readiness import query_readiness
from .service_record import (
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

START_TIMEOUT_S: Final = 180.0
DEFAULT_WAIT_S: Final = 30.0
"""For how long runs under way are waited for when nobody says otherwise."""
CHECK_INTERVAL_S: Final = 0.5
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Supervisor:
    """What `run_services` yields: where the UI answers, how long it took, and the wait for the end."""

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
        """Until Ctrl-C or SIGTERM (KeyboardInterrupt); children that die are started again.

        Raises ServeError when one does not stay up.
        """
        while True:
            self.restart_children()
            time.sleep(CHECK_INTERVAL_S)

    def restart_children(self) -> None:
        """Start again what has died."""
        for name, known in self._children.start_due().items():
            self._record = self._record.with_child(name, known)
            write_record(self._home, self._record)

    def wait_until_up(self, timeout_s: float) -> None:
        """Until the definitions are loaded and the daemon is alive. Raises ServeError that says what is wrong."""
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
    timeout_s: float = START_TIMEOUT_S,
) -> Iterator[Supervisor]:
    """Dagster, up inside the block and gone with all its processes after it. The children run in the folder `cwd`:
    Dagster and the settings read a `.env` there. Their databases must be up. The block is to be left by
    KeyboardInterrupt, which goes no further."""
    home = make_home(settings)
    check_not_serving(home)
    check_port(settings.ui_port)
    began = time.time()
    with open_instance(settings, pooled=False) as instance, _handle_signals():
        stop_left_services(home, instance, say)
        folder = Path(
            tempfile.mkdtemp(prefix="palimpsest-")
        )  # a socket's path must be short, which a home's need not be
        children = ChildProcesses(
            home, folder, build_commands(folder, settings.ui_port, definitions), environment, cwd, say
        )
        record = ServiceRecord(
            KnownProcess.from_pid(os.getpid()), {}, f"http://127.0.0.1:{settings.ui_port}", str(folder)
        )
        supervisor = Supervisor(home, children, record, began)
        take_requested_wait_s(home, 0)  # what was asked of an earlier one
        try:
            supervisor.restart_children()  # starts all
            supervisor.wait_until_up(timeout_s)
            with suppress(KeyboardInterrupt):
                yield supervisor
        finally:
            _stop_on_request(home, supervisor.record, instance, say)


def stop_left_services(
    home: Path, instance: dg.DagsterInstance | None, say: Say, wait_s: float = DEFAULT_WAIT_S
) -> None:
    """End what a supervisor left that was killed."""
    remains = read_record(home)
    if remains is not None:
        say("ending what an earlier `palimpsest up` left, which was killed")
        stop_services(remains, instance, wait_s, say)
        remove_record(home, remains)
    remove_left_record(home)


def _stop_on_request(home: Path, record: ServiceRecord, instance: dg.DagsterInstance, say: Say) -> None:
    """End it as those who asked want it; asked once more, at once; asked again, runs get no more time. Nothing breaks
    off the last of these.

    What it says stays for `palimpsest down` when that one asked, else goes with it.
    """
    log, asked = home / STOPPING_LOG_FILE, is_stop_requested(home)

    def tell(line: str) -> None:
        say(line)
        with log.open("a") as told:
            told.write(f"{line}\n")

    log.unlink(missing_ok=True)
    try:
        try:
            stop_services(record, instance, take_requested_wait_s(home, DEFAULT_WAIT_S), tell)
        except KeyboardInterrupt:
            tell("asked once more: ending at once")
            stop_services(record, instance, 0, tell)
    except KeyboardInterrupt:
        with DeferredSignals():
            tell("asked again: killing what is left")
            stop_services(record, instance, 0, tell, cancel_wait_s=0)
    finally:
        with DeferredSignals():
            remove_record(home, record)
            if not asked and not is_stop_requested(home):
                log.unlink(missing_ok=True)


@contextmanager
def _handle_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end it, also when a shell started it with SIGINT ignored; a closed terminal too, unless
    `nohup` says otherwise.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [*ENDING_SIGNALS, *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else [])]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # None: not set from Python
                signal.signal(number, handler)
