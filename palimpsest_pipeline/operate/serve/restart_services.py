"""The supervisor's child processes: starting them, and restarting those that die.

Imports no Dagster; only the names of its commands are used.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from palimpsest_pipeline.defs.repository_origin import LOCATION_NAME
from palimpsest_pipeline.runtime.processes import KnownProcess

from .service_record import BOARD, CODE_SERVER, DAEMON, SENDER, WEB_SERVER, ServeError

DEFINITIONS_MODULE: Final = "palimpsest_pipeline.definitions"
WORKSPACE_TEMPLATE: Final = """\
load_from:
  - grpc_server:
      socket: "{socket}"
      location_name: {location}
"""
_MAX_LOG_BYTES: Final = 10_000_000
"""Size in bytes above which a log is renamed when its process starts; one older log is kept."""
FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 30.0
MAX_DEATHS: Final = 5
DEATHS_WINDOW_S: Final = 300.0
TAIL_BYTES: Final = 8192
TAIL_LINES: Final = 3

OPTIONAL_CHILDREN: Final = frozenset({BOARD, SENDER})
"""Children without which the pipeline works.

One that dies again and again is restarted with the longest pause.
"""

Say = Callable[[str], None]


def build_commands(
    folder: Path,
    port: int,
    definitions: str = DEFINITIONS_MODULE,
    *,
    has_sender: bool = False,
    with_board: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Return the command line of each process that `palimpsest up` starts, by the name of its service.

    The sender of messages is one of them with `has_sender`, the traders' board with `with_board`.

    Also write the workspace file, which contains the path of the code server's socket.
    """
    socket_path = folder / "code.sock"
    workspace = folder / "workspace.yaml"
    workspace.write_text(WORKSPACE_TEMPLATE.format(socket=socket_path, location=LOCATION_NAME))
    code_arguments = (
        "--module-name",
        definitions,
        "--location-name",
        LOCATION_NAME,
        "--lazy-load-user-code",
        "--inject-env-vars-from-instance",
    )
    return {
        CODE_SERVER: ("dagster", "api", "grpc", "--socket", str(socket_path), *code_arguments),
        WEB_SERVER: ("dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)),
        DAEMON: ("dagster-daemon", "run", "-w", str(workspace)),
        **({SENDER: ("palimpsest", "odds-alerts", "send")} if has_sender else {}),
        **({BOARD: ("palimpsest", "board")} if with_board else {}),
    }


def compute_pause_s(deaths: Sequence[float], now: float) -> float | None:
    """Return the seconds to wait before a dead child is restarted, or None if it must not be restarted.

    `deaths` are the times of its deaths in seconds, including the last one.
    """
    recent = sum(died > now - DEATHS_WINDOW_S for died in deaths)
    return None if recent >= MAX_DEATHS else min(FIRST_PAUSE_S * 2 ** (recent - 1), MAX_PAUSE_S)


@dataclass
class Child:
    """One child process: the process, if it runs, and the times of its earlier deaths."""

    name: str
    command: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    due_at_s: float = 0.0
    log_start: int = 0


class ChildProcesses:
    """All child processes. `start_due` starts and restarts them and must be called regularly."""

    def __init__(
        self,
        home: Path,
        folder: Path,
        commands: Mapping[str, tuple[str, ...]],
        environment: Mapping[str, str],
        cwd: Path,
        say: Say,
    ) -> None:
        self._home, self._folder, self._cwd, self._say = home, folder, cwd, say
        self._environment = {**os.environ, **environment}
        self._children = [Child(name, command, home / f"{name}.log") for name, command in commands.items()]

    def start_due(self) -> dict[str, KnownProcess]:
        """Start the children that have not started or have died, once their pause is over.

        Return the new processes by name. Raises ServeError when a child dies again and again, unless it is optional.
        """
        now, started = time.monotonic(), {}
        for child in self._children:
            if child.process is not None and (code := child.process.poll()) is not None:
                child.process = None
                child.deaths.append(now)
                pause = compute_pause_s(child.deaths, now)
                if pause is None and child.name in OPTIONAL_CHILDREN:
                    pause = MAX_PAUSE_S
                if pause is None:
                    raise ServeError(
                        f"the {child.name} died {MAX_DEATHS} times in {DEATHS_WINDOW_S / 60:.0f} minutes: "
                        f"{self._quote_log(child)}"
                    )
                child.due_at_s = now + pause
                self._say(
                    f"the {child.name} {_describe_exit(code)}, and restarts in {pause:.0f} s: {self._quote_log(child)}"
                )
            if child.process is None and now >= child.due_at_s:
                started[child.name] = self._start_child(child)
        return started

    def describe_logs(self) -> str:
        """Return the last log lines of each child, for the error message of a failed start."""
        return "; ".join(f"the {child.name} says: {self._quote_log(child)}" for child in self._children)

    def _start_child(self, child: Child) -> KnownProcess:
        _rotate_log(child.log)
        with child.log.open("ab") as log:
            child.log_start = log.tell()
            child_arguments = (str(os.getpid()), str(self._home), str(self._folder / "code.sock"))
            child.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "palimpsest_pipeline.operate.serve.service_main",
                    *child_arguments,
                    *child.command,
                ],
                env=self._environment,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # only the supervisor handles Ctrl-C
            )
        return KnownProcess.from_pid(child.process.pid)

    def _quote_log(self, child: Child) -> str:
        return f"{read_log_tail(child.log, child.log_start) or 'nothing'} (all of it in {child.log})"


def read_log_tail(log: Path, start: int = 0) -> str:
    """Return the last lines written to a log since it was `start` bytes long."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(min(start, size), size - TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-TAIL_LINES:])


def _describe_exit(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _rotate_log(log: Path) -> None:
    if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
