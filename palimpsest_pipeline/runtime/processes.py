"""Identify processes so that they can be stopped later. Independent of Dagster.

A pid alone does not identify a process, because the operating system uses pids again. So the time of creation is stored
too.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Self

import psutil

PARENT_POLL_INTERVAL_S: Final = 0.5
_CLOCK_TOLERANCE_S: Final = 2.0
"""Tolerance for the time of creation, in seconds.

The operating system measures a process's age from boot, so correcting the clock changes this time.
"""


@dataclass(frozen=True, slots=True)
class KnownProcess:
    """A process that can be stored in a file and found again."""

    pid: int
    created_at: float

    @classmethod
    def from_pid(cls, pid: int) -> Self:
        """Return the process that has this pid now. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it is still running; None when it has ended, even if its pid is used again."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.created_at) <= _CLOCK_TOLERANCE_S
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@cache
def identify_machine() -> str | None:
    """Return a name for the machine, its boot and its pid namespace; None when they are not known.

    A pid is unique for this name. A host name would not be enough, because containers on one machine may share it and
    have different processes with the same pids.
    """
    if not sys.platform.startswith("linux"):
        return socket.gethostname()  # this operating system has no pid namespaces
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def is_gone(machine: str | None, pid: int) -> bool:
    """Return True if the process has certainly ended: it ran on this machine, and its pid is free.

    False when this is not known.
    """
    if machine is None or machine != identify_machine():
        return False
    try:
        os.kill(pid, 0)  # the kernel knows all processes, but /proc may hide those of other users
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return False


def stop_process_tree(root: KnownProcess, timeout_s: float = 20) -> None:
    """End a process and all its descendants: SIGTERM first, then SIGKILL after `timeout_s` seconds.

    A process that has already ended is not an error.
    """
    parent = root.find()
    if parent is None:
        return
    family = [*_list_children([parent]), parent]
    _ignore_missing_process(parent.terminate)
    _, remaining = psutil.wait_procs([parent], timeout=timeout_s)
    family += [p for p in _list_children(remaining) if p not in family]
    for process in family:
        _ignore_missing_process(process.terminate)
    _, remaining = psutil.wait_procs(family, timeout=5)
    for process in remaining:
        _ignore_missing_process(process.kill)
    psutil.wait_procs(remaining, timeout=5)


def _list_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    children: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            children += process.children(recursive=True)
    return children


def _ignore_missing_process(action: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        action()


def end_with_parent(parent_pid: int, timeout_s: float | None) -> None:
    """Wait until the process `parent_pid`, the parent, has ended, then send SIGTERM to this process.

    Call it in a thread of its own. The process is ended at once `timeout_s` seconds later; with None it may take as
    long as it needs.
    """
    while os.getppid() == parent_pid:
        time.sleep(PARENT_POLL_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    if timeout_s is not None:
        time.sleep(timeout_s)
        os._exit(1)
