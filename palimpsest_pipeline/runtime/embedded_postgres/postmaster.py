"""Find the running server by its pid file and process, and clean up after a crash."""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from .errors import EmbeddedPostgresError
from .privilege import ServerUser
from .server_address import ServerAddress


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A running server process.

    `is_ready` is false while it starts, recovers or stops. `address` is None until its socket exists.
    """

    pid: int
    address: ServerAddress | None
    is_ready: bool

    @property
    def required_address(self) -> ServerAddress:
        """The server's address. Raises EmbeddedPostgresError while it has no socket."""
        if self.address is None:
            raise EmbeddedPostgresError(
                f"the server (pid {self.pid}) is starting and takes no connections yet: try again in a few seconds"
            )
        return self.address


def find_postmaster(cluster: Path) -> Postmaster | None:
    """Return the running server of `cluster`.

    None if its pid file is missing, incomplete, or left by a server that has ended.
    """
    lines = _read_pid_file(cluster)
    if lines is None or not is_server_of(lines[0], cluster):
        return None
    # Postgres writes the socket's directory into the file after creating the socket. Until then the line is empty.
    address = ServerAddress(Path(lines[4]), int(lines[3])) if lines[4] else None
    return Postmaster(int(lines[0]), address, is_ready=lines[-1].strip() == "ready")


def is_server_of(pid_text: str, cluster: Path) -> bool:
    """Return whether the process with this pid is the Postgres server of `cluster`.

    After a crash or a reboot another process may have the pid.
    """
    try:
        process = psutil.Process(abs(int(pid_text)))
        program, *arguments = process.cmdline() or [""]
        return Path(program).name == "postgres" and any(_names_cluster(argument, cluster) for argument in arguments)
    except psutil.AccessDenied:
        return True  # The answer is not known, and it is safer to treat a dead server as running than the reverse.
    except psutil.Error:
        return False


def await_ready(cluster: Path, timeout_s: float) -> Postmaster | None:
    """Wait until the server of `cluster` accepts connections; None if it ends or `timeout_s` passes."""
    deadline_s = time.monotonic() + timeout_s
    while (server := find_postmaster(cluster)) is not None and time.monotonic() < deadline_s:
        if server.is_ready:
            return server
        time.sleep(0.05)
    return None


def clear_remains(cluster: Path, user: ServerUser, patience_s: float = 10.0) -> None:
    """End server processes that are left after a crash, and delete a wrong pid file.

    The pid file is deleted if an unrelated process has its pid. If no process has it, the file stays, because Postgres
    itself checks it better. Raises EmbeddedPostgresError when a process does not end within `patience_s` seconds.
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
    """Return the lines of the pid file: pid, data directory, start time, port, socket directory, and more."""
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
    """Return whether the argument is a path of the cluster, also through symbolic links."""
    try:
        return argument.startswith("/") and cluster.samefile(argument)
    except OSError:
        return False


def _works_in(process: psutil.Process, cluster: Path, user: ServerUser) -> bool:
    """Return whether the process belongs to the cluster's server, by its working directory."""
    try:
        if not process.name().startswith("postgres") or process.uids().effective != user.uid:
            return False
        try:
            directory = process.cwd()
        except psutil.AccessDenied:  # root in a container may not read other users' processes, but the user itself may
            directory = user.run(["readlink", f"/proc/{process.pid}/cwd"], timeout_s=10.0).stdout.strip()
        return Path(directory) == cluster.resolve()
    except (psutil.Error, OSError, subprocess.SubprocessError):
        return False
