"""Let concurrent commands share one embedded server; the last command may stop it.

Independent of Dagster.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from palimpsest_pipeline.settings import SettingsError

LOCK_FILE: Final = "in_use.lock"
"""The lock file: every command holds a shared lock on it while it runs.

The operating system releases the lock of a killed command. The file contains STOP_MARK when the last command must stop
the server; otherwise it is empty.
"""
STOP_MARK: Final = b"stop"


@contextmanager
def mark_in_use(home: Path) -> Iterator["ServerShare"]:
    """Register this command as a user of the server in `home` during the block.

    Waits while another command stops the server.
    """
    descriptor = _open_lock_file(home)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield ServerShare(descriptor)
    finally:
        os.close(descriptor)


def is_in_use(home: Path) -> bool:
    """Return whether any command uses the server in `home` now."""
    if not (home / LOCK_FILE).exists():
        return False
    descriptor = _open_lock_file(home)
    try:
        return not _try_lock_alone(descriptor)
    finally:
        os.close(descriptor)


def is_server_left(home: Path) -> bool:
    """Return whether a server still runs that the last command should have stopped."""
    return (home / LOCK_FILE).exists() and not is_in_use(home) and (home / LOCK_FILE).read_bytes().startswith(STOP_MARK)


def list_commands(home: Path) -> list[str]:
    """Return the command lines and pids of other processes that use the embedded server in `home`.

    Empty when no process can be read.
    """
    lock, descriptions = (home / LOCK_FILE).resolve(), list[str]()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # the process belongs to another user, or has ended meanwhile
            if process.pid != os.getpid() and any(Path(file.path) == lock for file in process.open_files()):
                command_line = [Path(process.cmdline()[0]).name, *process.cmdline()[1:]]
                descriptions.append(f"{' '.join(command_line)} (pid {process.pid})")
    return descriptions


class ServerShare:
    """One command's use of the server; `mark_in_use` yields it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def set_stop_when_last(self, stop: bool) -> None:
        """Set whether the last command stops the server."""
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, STOP_MARK if stop else b"", 0)

    def must_stop_server(self) -> bool:
        """Return whether this command must stop the server.

        It must when it is the last command and `set_stop_when_last` was called with True. No other command can start
        until the block of `mark_in_use` ends.
        """
        return _try_lock_alone(self._descriptor) and os.pread(self._descriptor, len(STOP_MARK), 0) == STOP_MARK


def _open_lock_file(home: Path) -> int:
    try:
        return os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(
            f"cannot write to the folder {home}: {error.strerror}; choose one that you can write (PALIMPSEST_HOME_DIR)"
        ) from error


def _try_lock_alone(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
