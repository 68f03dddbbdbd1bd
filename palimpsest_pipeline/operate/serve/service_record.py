"""The record of the running services: the file `up.json` in the home folder. Imports no Dagster."""

import json
import os
import shutil
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.runtime.processes import KnownProcess

RECORD_FILE: Final = "up.json"
STOP_FILE: Final = "stop.json"
"""File that asks the supervisor to end; it contains the seconds to wait for unfinished runs."""
STOPPING_LOG_FILE: Final = "stopping.log"
"""File with the supervisor's messages while it ends, for the command that asked it to end."""
CODE_SERVER: Final = "code-server"
WEB_SERVER: Final = "webserver"
DAEMON: Final = "daemon"
SENDER: Final = "push-sender"
"""The process that sends messages to traders. It runs only when there are rules."""
BOARD: Final = "board"
UI_PORT_VARIABLE: Final = "PALIMPSEST_UI_PORT"
BOARD_PORT_VARIABLE: Final = "PALIMPSEST_BOARD_PORT"


class ServeError(PalimpsestError):
    """Dagster cannot be started, or keeps ending. The message gives the remedy."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """The started processes: the supervisor (a `palimpsest` command) and its children by name.

    `url` is the address of the UI. `folder` is a folder that only these processes use.
    """

    supervisor: KnownProcess
    children: dict[str, KnownProcess]
    url: str
    folder: str

    @property
    def socket(self) -> str:
        """Path at which the code server listens."""
        return str(Path(self.folder) / "code.sock")

    @property
    def is_alive(self) -> bool:
        """Whether any of the processes still runs."""
        return any(process.find() for process in (self.supervisor, *self.children.values()))

    def with_child(self, name: str, process: KnownProcess) -> Self:
        return replace(self, children={**self.children, name: process})


def write_record(home: Path, serving: ServiceRecord) -> None:
    """Write the record atomically."""
    replace_text(home / RECORD_FILE, json.dumps(asdict(serving)))


def read_record(home: Path) -> ServiceRecord | None:
    """Return the record if any of its processes still runs; None otherwise."""
    record = _load_record(home)
    return record if record is not None and record.is_alive else None


def _load_record(home: Path) -> ServiceRecord | None:
    try:
        fields = json.loads((home / RECORD_FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    children = {name: KnownProcess(**process) for name, process in fields["children"].items()}
    return ServiceRecord(KnownProcess(**fields["supervisor"]), children, fields["url"], fields["folder"])


def is_record_left(home: Path) -> bool:
    """Return whether a record exists whose processes have all ended, so its supervisor ended abnormally."""
    record = _load_record(home)
    return record is not None and not record.is_alive


def remove_left_record(home: Path) -> None:
    """Remove such a record (`is_record_left`), and the folder that it names."""
    if (record := _load_record(home)) is not None and not record.is_alive:
        remove_record(home, record)


def remove_record(home: Path, serving: ServiceRecord) -> None:
    shutil.rmtree(serving.folder, ignore_errors=True)
    (home / RECORD_FILE).unlink(missing_ok=True)


def request_stop(home: Path, wait_s: float) -> None:
    """Write the file that asks the supervisor to end. Call it before sending SIGTERM to the supervisor."""
    (home / STOPPING_LOG_FILE).unlink(missing_ok=True)
    replace_text(home / STOP_FILE, str(wait_s))


def is_stop_requested(home: Path) -> bool:
    """Return whether the file that asks the supervisor to end exists and was not read yet."""
    return (home / STOP_FILE).exists()


def take_requested_wait_s(home: Path, otherwise: float) -> float:
    """Return the requested seconds to wait for runs, or `otherwise`, and remove the request."""
    try:
        return float((home / STOP_FILE).read_text())
    except FileNotFoundError:
        return otherwise
    finally:
        (home / STOP_FILE).unlink(missing_ok=True)


def check_port(port: int, variable: str = UI_PORT_VARIABLE) -> None:
    """Raise ServeError when another program already listens on loopback at `port`, which `variable` sets."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            choice = f"--port ({variable})" if variable == UI_PORT_VARIABLE else variable
            raise ServeError(
                f"port {port} is in use: stop the program that uses it, or choose another port with {choice}"
            ) from error


def check_not_serving(home: Path) -> None:
    """Raise ServeError when a supervisor runs in `home`.

    Two supervisors would write the same files and stop each other's server.
    """
    serving = read_record(home)
    if serving is not None and serving.supervisor.pid != os.getpid() and serving.supervisor.find():
        raise ServeError(f"already up at {serving.url}: use that one, or stop it with `palimpsest down` first")
