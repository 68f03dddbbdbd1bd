"""Dagster's UI and daemon under one supervisor, and how they are stopped again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ..settings import Settings
from .instance import WORKSPACE
from .pipeline import embedded_server, make_home
from .processes import Known, stop_tree

PID_FILE: Final = "up.json"
START_TIMEOUT_S: Final = 120


class ServeError(Exception):
    """The UI cannot be started. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A running UI: its supervisor (a `palimpsest` command), `dagster dev`, and where it answers."""

    supervisor: Known
    ui: Known
    url: str


def check_port(port: int) -> None:
    """Raises ServeError when something already listens on loopback at `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServeError(f"port {port} is in use: stop what listens there, or choose another with --port (PALIMPSEST_UI_PORT)") from error


def check_not_serving(home: Path) -> None:
    """Raises ServeError when a UI already serves from `home`: two would write the same files and stop each other's server."""
    serving = recall(home)
    if serving is not None:
        raise ServeError(f"already up at {serving.url}: use that one, or stop it with `palimpsest down` first")


def start_ui(settings: Settings, environment: dict[str, str], log_file: Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start `dagster dev` on loopback in a session of its own, in the folder `cwd`: Dagster and the settings read a `.env` there.

    Dagster copies the SIGINT handler to SIGTERM: a child born with SIGINT ignored (any background job of a shell) could not be terminated. So the
    child starts with SIGINT at its default.
    """
    check_port(settings.ui_port)
    workspace = str(settings.dagster_home / WORKSPACE)
    command = [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(settings.ui_port)]
    with log_file.open("ab") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - single-threaded at this point
        )


def wait_until_up(process: subprocess.Popen[bytes], port: int, timeout_s: float, log_file: Path) -> None:
    """Wait for the UI to answer. Raises ServeError when it ends or does not answer in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServeError(f"Dagster's UI ended with code {process.returncode}; the reason is in {log_file}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.3)
    raise ServeError(f"Dagster's UI did not answer within {timeout_s:.0f} s; see {log_file}")


@contextmanager
def serving(settings: Settings, environment: dict[str, str], cwd: Path) -> Iterator[str]:
    """The UI, up inside the block and gone with all its processes after it. Yields its URL."""
    log_file = make_home(settings) / "dagster.log"
    check_not_serving(settings.home)
    process = start_ui(settings, environment, log_file, cwd)
    ui = Known.of(process.pid)
    url = f"http://127.0.0.1:{settings.ui_port}"
    remember(settings.home, Serving(Known.of(os.getpid()), ui, url))
    try:
        wait_until_up(process, settings.ui_port, START_TIMEOUT_S, log_file)
        yield url
    finally:
        stop_tree(ui)
        forget(settings.home)


def wait(settings: Settings) -> None:
    """Block until Ctrl-C, SIGTERM (what `palimpsest down` sends) or the end of the UI's own process."""
    serving = recall(settings.home)
    ui = serving.ui.find() if serving is not None else None
    if ui is None:
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        ui.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_home(settings: Settings, home: Path) -> list[str]:
    """Stop what serves from `home`, then its embedded server. Returns a line for each thing stopped."""
    lines: list[str] = []
    serving = recall(home)
    if serving is not None:
        stop_tree(serving.supervisor, timeout_s=60)
        stop_tree(serving.ui)
        forget(home)
        lines.append(f"stopped the UI at {serving.url}")
    server = embedded_server(settings.model_copy(update={"home_dir": home}))
    if server.status().running:
        server.stop()
        lines.append(f"stopped the embedded Postgres of {home}")
    return lines


def remember(home: Path, serving: Serving) -> None:
    """Write down what runs, for `palimpsest down`."""
    (home / PID_FILE).write_text(json.dumps(asdict(serving)))


def recall(home: Path) -> Serving | None:
    """What `remember` wrote, when a process of it still runs; None otherwise."""
    try:
        written = json.loads((home / PID_FILE).read_text())
        found = Serving(Known(**written["supervisor"]), Known(**written["ui"]), written["url"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return found if found.supervisor.find() or found.ui.find() else None


def forget(home: Path) -> None:
    (home / PID_FILE).unlink(missing_ok=True)
