"""The running server as the operating system sees it: its pid file, whether that is still true, and what a crash
left behind.
"""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from .connection import ServerAddress
from .errors import EmbeddedPostgresError
from .privilege import ServerUser


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A live server process.

    `ready` is false while it starts, recovers or stops. `address` is None until its socket exists.
    """

    pid: int
    address: ServerAddress | None
    is_ready: bool

    @property
    def required_address(self) -> ServerAddress:
        """Where the server listens. Raises EmbeddedPostgresError while it has only begun to start."""
        if self.address is None:
            raise EmbeddedPostgresError(
                f"the server (pid {self.pid}) is starting and takes no connections yet: try again in a few seconds"
            )
        return self.address


def find_postmaster(cluster: Path) -> Postmaster | None:
    """The live server of `cluster`, None if its pid file is missing, unfinished, or left by a server that is gone."""
    lines = _read_pid_file(cluster)
    if lines is None or not is_server_of(lines[0], cluster):
        return None
    # Postgres writes the socket's folder when it has made the socket. Until then the line is empty.
    address = ServerAddress(Path(lines[4]), int(lines[3])) if lines[4] else None
    return Postmaster(int(lines[0]), address, is_ready=lines[-1].strip() == "ready")


def is_server_of(pid_text: str, cluster: Path) -> bool:
    """Whether the process is the Postgres of `cluster` and not one that got the same number after a crash or a
    reboot.
    """
    try:
        process = psutil.Process(abs(int(pid_text)))
        program, *arguments = process.cmdline() or [""]
        return Path(program).name == "postgres" and any(_names_cluster(argument, cluster) for argument in arguments)
    except psutil.AccessDenied:
        return True  # cannot tell, and taking a live server for a dead one would be the worse mistake
    except psutil.Error:
        return False


def await_ready(cluster: Path, timeout_s: float) -> Postmaster | None:
    """The server of `cluster` once it takes connections; None when it ended, or did not get there in time."""
    until_s = time.monotonic() + timeout_s
    while (found := find_postmaster(cluster)) is not None and time.monotonic() < until_s:
        if found.is_ready:
            return found
        time.sleep(0.05)
    return None


def clear_remains(cluster: Path, user: ServerUser, patience_s: float = 10.0) -> None:
    """After a crash: end the server processes that lost their parent, and drop the pid file if an unrelated process now
    has its number.

    A pid file whose process is gone is left for Postgres, which checks more than we can. Raises EmbeddedPostgresError
    when a process of the crashed server does not end.
    """
    orphans = [process for process in psutil.process_iter() if _works_in(process, cluster, user)]
    for process in orphans:
        process.send_signal(signal.SIGQUIT)
    _, alive = psutil.wait_procs(orphans, timeout=patience_s)
    if alive:
        pids = " ".join(str(process.pid) for process in alive)
        raise EmbeddedPostgresError(
            f"processes {pids} of a crashed server still use {cluster}: end them (kill -9 {pids}) and start again"
        )
    lines = _read_pid_file(cluster)
    if lines is not None and not is_server_of(lines[0], cluster) and psutil.pid_exists(abs(int(lines[0]))):
        (cluster / "postmaster.pid").unlink(missing_ok=True)


def _read_pid_file(cluster: Path) -> list[str] | None:
    """Lines of the pid file: pid, data directory, start, port, socket directory, ..."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"{cluster} belongs to another user: run as its owner, or choose another data folder"
        ) from error
    return lines if len(lines) > 4 and lines[0].lstrip("-").isdigit() else None


def _names_cluster(argument: str, cluster: Path) -> bool:
    """Whether the argument names the cluster, by whatever path."""
    try:
        return argument.startswith("/") and cluster.samefile(argument)
    except OSError:
        return False


def _works_in(process: psutil.Process, cluster: Path, user: ServerUser) -> bool:
    """Every server process has the cluster as its working directory."""
    try:
        if not process.name().startswith("postgres") or process.uids().effective != user.uid:
            return False
        try:
            directory = process.cwd()
        except psutil.AccessDenied:  # root in a container may not look into other users' processes; the user itself may
            directory = user.run(["readlink", f"/proc/{process.pid}/cwd"], timeout_s=10.0).stdout.strip()
        return Path(directory) == cluster.resolve()
    except (psutil.Error, OSError, subprocess.SubprocessError):
        return False
