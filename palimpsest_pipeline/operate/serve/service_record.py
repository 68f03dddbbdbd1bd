"""What runs, written down in the home, so that another command finds it: `up.json`. Knows no Dagster."""

import json
import os
import shutil
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.files import replace_text
from palimpsest_pipeline.runtime.processes import KnownProcess

RECORD_FILE: Final = "up.json"
STOP_FILE: Final = "stop.json"
"""How those who asked the supervisor to end want it: for how long runs under way are waited for."""
STOPPING_LOG_FILE: Final = "stopping.log"
"""What the supervisor says while it ends, for those who asked it to."""
CODE_SERVER: Final = "code-server"
WEB_SERVER: Final = "webserver"
DAEMON: Final = "daemon"


class ServeError(PalimpsestError):
    """Dagster cannot be started, or does not stay up. The message says what to do."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What was started: the supervisor (a `palimpsest` command), its children by name, where the UI answers, and
    their private folder.
    """

    supervisor: KnownProcess
    children: dict[str, KnownProcess]
    url: str
    folder: str

    @property
    def socket(self) -> str:
        """Where the code server listens."""
        return str(Path(self.folder) / "code.sock")

    @property
    def is_alive(self) -> bool:
        """Whether any process of it still runs."""
        return any(known.find() for known in (self.supervisor, *self.children.values()))

    def with_child(self, name: str, process: KnownProcess) -> Self:
        return replace(self, children={**self.children, name: process})


def write_record(home: Path, serving: ServiceRecord) -> None:
    """Write down what runs: whole, or not at all."""
    replace_text(home / RECORD_FILE, json.dumps(asdict(serving)))


def read_record(home: Path) -> ServiceRecord | None:
    """What `write_record` wrote, when a process of it still runs; None otherwise."""
    found = _parse_record(home)
    return found if found is not None and found.is_alive else None


def _parse_record(home: Path) -> ServiceRecord | None:
    try:
        written = json.loads((home / RECORD_FILE).read_text())
        children = {str(name): KnownProcess(**known) for name, known in written["children"].items()}
        return ServiceRecord(KnownProcess(**written["supervisor"]), children, written["url"], written["folder"])
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, AttributeError):
        return None


def is_record_left(home: Path) -> bool:
    """Whether a supervisor that is gone with all of its processes has left its file behind: it did not come to its
    end.
    """
    return (home / RECORD_FILE).exists() and read_record(home) is None


def remove_left_record(home: Path) -> None:
    """Remove what `is_record_left` finds, and the folder that it names."""
    if is_record_left(home):
        if (gone := _parse_record(home)) is not None:
            remove_record(home, gone)
        (home / RECORD_FILE).unlink(missing_ok=True)


def remove_record(home: Path, serving: ServiceRecord) -> None:
    shutil.rmtree(serving.folder, ignore_errors=True)
    (home / RECORD_FILE).unlink(missing_ok=True)


def request_stop(home: Path, wait_s: float) -> None:
    """Written before the supervisor is sent SIGTERM."""
    (home / STOPPING_LOG_FILE).unlink(missing_ok=True)
    replace_text(home / STOP_FILE, json.dumps({"wait_s": wait_s}))


def is_stop_requested(home: Path) -> bool:
    """Whether somebody has asked, and nobody has read it yet."""
    return (home / STOP_FILE).exists()


def take_requested_wait_s(home: Path, otherwise: float) -> float:
    """For how long runs are to be waited for, by whoever asked; what was asked is then forgotten."""
    try:
        return float(json.loads((home / STOP_FILE).read_text())["wait_s"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return otherwise
    finally:
        (home / STOP_FILE).unlink(missing_ok=True)


def check_port(port: int) -> None:
    """Raises ServeError when something already listens on loopback at `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServeError(
                f"port {port} is in use: stop what listens there, or choose another with --port (PALIMPSEST_UI_PORT)"
            ) from error


def check_not_serving(home: Path) -> None:
    """Raises ServeError when a supervisor serves from `home`: two would write the same files and stop each other's
    server.
    """
    serving = read_record(home)
    if serving is not None and serving.supervisor.pid != os.getpid() and serving.supervisor.find():
        raise ServeError(f"already up at {serving.url}: use that one, or stop it with `palimpsest down` first")
