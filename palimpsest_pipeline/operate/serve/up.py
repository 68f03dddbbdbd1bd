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
from palimpsest_pipeline.runtime.processes import Known
from palimpsest_pipeline.runtime.signals import Deferred
from palimpsest_pipeline.settings import Settings

from .children import DEFINITIONS, Children, Say, commands
from .end_services import end_serving
from .readiness import ask
from .service_record import STOPPING_LOG, ServeError, Serving, asked_wait_s, check_not_serving, check_port, forget, recall, remember, sweep, was_asked

START_TIMEOUT_S: Final = 180.0
WAIT_S: Final = 30.0
"""For how long runs under way are waited for when nobody says otherwise."""
CHECK_S: Final = 0.5
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Supervisor:
    """What `serving` yields: where the UI answers, how long it took, and the wait for the end."""

    def __init__(self, home: Path, children: Children, record: Serving, began: float) -> None:
        self._home, self._children, self._record, self._began = home, children, record, began
        self.took_s = 0.0

    @property
    def url(self) -> str:
        return self._record.url

    @property
    def record(self) -> Serving:
        return self._record

    def wait(self) -> None:
        """Until Ctrl-C or SIGTERM (KeyboardInterrupt); children that die are started again. Raises ServeError when one does not stay up."""
        while True:
            self.check()
            time.sleep(CHECK_S)

    def check(self) -> None:
        """Start again what has died."""
        for name, known in self._children.check().items():
            self._record = self._record.with_child(name, known)
            remember(self._home, self._record)

    def wait_until_up(self, timeout_s: float) -> None:
        """Until the definitions are loaded and the daemon is alive. Raises ServeError that says what is wrong."""
        began = time.time()
        while time.time() < began + timeout_s:
            self.check()
            answer = ask(self.url)
            if answer is not None and answer.error is not None:
                raise ServeError(f"the definitions cannot be loaded: {answer.error}")
            if answer is not None and answer.loaded and answer.daemon_alive_since(self._began):
                self.took_s = time.time() - self._began
                return
            time.sleep(CHECK_S / 2)
        raise ServeError(f"Dagster is not up after {timeout_s:.0f} s: {self._children.why()}")


@contextmanager
def serving(
    settings: Settings, environment: dict[str, str], cwd: Path, say: Say, *, definitions: str = DEFINITIONS, timeout_s: float = START_TIMEOUT_S
) -> Iterator[Supervisor]:
    """Dagster, up inside the block and gone with all its processes after it. The children run in the folder `cwd`: Dagster and the settings read a
    `.env` there. Their databases must be up. The block is to be left by KeyboardInterrupt, which goes no further."""
    home = make_home(settings)
    check_not_serving(home)
    check_port(settings.ui_port)
    began = time.time()
    with open_instance(settings, pooled=False) as instance, _signals():
        end_remains(home, instance, say)
        folder = Path(tempfile.mkdtemp(prefix="palimpsest-"))  # a socket's path must be short, which a home's need not be
        children = Children(home, folder, commands(folder, settings.ui_port, definitions), environment, cwd, say)
        record = Serving(Known.of(os.getpid()), {}, f"http://127.0.0.1:{settings.ui_port}", str(folder))
        supervisor = Supervisor(home, children, record, began)
        asked_wait_s(home, 0)  # what was asked of an earlier one
        try:
            supervisor.check()  # starts all
            supervisor.wait_until_up(timeout_s)
            with suppress(KeyboardInterrupt):
                yield supervisor
        finally:
            _end(home, supervisor.record, instance, say)


def end_remains(home: Path, instance: dg.DagsterInstance | None, say: Say, wait_s: float = WAIT_S) -> None:
    """End what a supervisor left that was killed."""
    remains = recall(home)
    if remains is not None:
        say("ending what an earlier `palimpsest up` left, which was killed")
        end_serving(remains, instance, wait_s, say)
        forget(home, remains)
    sweep(home)


def _end(home: Path, record: Serving, instance: dg.DagsterInstance, say: Say) -> None:
    """End it as those who asked want it; asked once more, at once; asked again, runs get no more time. Nothing breaks off the last of these.

    What it says stays for `palimpsest down` when that one asked, else goes with it.
    """
    log, asked = home / STOPPING_LOG, was_asked(home)

    def tell(line: str) -> None:
        say(line)
        with log.open("a") as told:
            told.write(f"{line}\n")

    log.unlink(missing_ok=True)
    try:
        try:
            end_serving(record, instance, asked_wait_s(home, WAIT_S), tell)
        except KeyboardInterrupt:
            tell("asked once more: ending at once")
            end_serving(record, instance, 0, tell)
    except KeyboardInterrupt:
        with Deferred():
            tell("asked again: killing what is left")
            end_serving(record, instance, 0, tell, cancel_wait_s=0)
    finally:
        with Deferred():
            forget(home, record)
            if not asked and not was_asked(home):
                log.unlink(missing_ok=True)


@contextmanager
def _signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end it, also when a shell started it with SIGINT ignored; a closed terminal too, unless `nohup` says otherwise."""

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
