"""Commands at the same time share one embedded server: whoever leaves last stops it, unless it was to stay.

Knows no Dagster.
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
"""Every command holds a share of it while it works, and the system frees the share of one that is killed.

What it says is STOP or nothing.
"""
STOP_MARK: Final = b"stop"


@contextmanager
def mark_in_use(home: Path) -> Iterator["ServerShare"]:
    """Marks `home` as in use inside the block; waits while another command stops its server."""
    descriptor = _open_lock_file(home)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield ServerShare(descriptor)
    finally:
        os.close(descriptor)


def is_in_use(home: Path) -> bool:
    """Whether any command works in `home` now."""
    if not (home / LOCK_FILE).exists():
        return False
    descriptor = _open_lock_file(home)
    try:
        return not _try_lock_alone(descriptor)
    finally:
        os.close(descriptor)


def is_server_left(home: Path) -> bool:
    """Whether nobody works in `home`, and who left last was to stop its server."""
    return (home / LOCK_FILE).exists() and not is_in_use(home) and (home / LOCK_FILE).read_bytes().startswith(STOP_MARK)


def list_commands(home: Path) -> list[str]:
    """Return the other processes that work in `home`: their command lines, each with its pid.

    Empty when none can be named.
    """
    lock, told = (home / LOCK_FILE).resolve(), list[str]()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # of another user, or ended meanwhile
            if process.pid != os.getpid() and any(Path(file.path) == lock for file in process.open_files()):
                words = [Path(process.cmdline()[0]).name, *process.cmdline()[1:]]
                told.append(f"{' '.join(words)} (pid {process.pid})")
    return told


class ServerShare:
    """One command's share in the home's server."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def set_stop_when_last(self, stop: bool) -> None:
        """Write down whether the last one out is to stop the server."""
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, STOP_MARK if stop else b"", 0)

    def must_stop_server(self) -> bool:
        """Whether it is for this command to stop the server: nobody else is left, and it was not to stay.

        Nobody enters until the block ends.
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
