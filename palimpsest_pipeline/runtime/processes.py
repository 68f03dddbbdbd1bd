"""Processes that are recorded in order to stop them later. Knows no Dagster.

A pid alone does not identify a process: after its end the system may reuse the pid. The instant of creation is
therefore recorded too.
"""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Self

import psutil

CLOCK_TOLERANCE_S: Final = 2.0
"""Tolerance for the instant of creation, seconds.

The system counts a process's age from boot, so a corrected clock moves this instant.
"""


@dataclass(frozen=True, slots=True)
class KnownProcess:
    """A process in a form that can be written to a file and found again."""

    pid: int
    created_at: float

    @classmethod
    def from_pid(cls, pid: int) -> Self:
        """Return the process that has this pid now. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs; None when it has ended, also if its pid was reused."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.created_at) <= CLOCK_TOLERANCE_S
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@cache
def identify_machine() -> str | None:
    """Return a name for the machine, its boot and its pid namespace; None when they are not known.

    Within these a pid identifies one process. A host name would not suffice: containers of one machine may share it,
    and have other processes under the same pids.
    """
    if not sys.platform.startswith("linux"):
        return socket.gethostname()  # this system has no pid namespaces
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def is_gone(machine: str | None, pid: int) -> bool:
    """Return whether the process has certainly ended: it ran on this machine, and no process has its pid.

    False when in doubt.
    """
    if machine is None or machine != identify_machine():
        return False
    try:
        os.kill(pid, 0)  # the kernel knows all processes; /proc may hide those of other users
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return False


def stop_process_tree(root: KnownProcess, timeout_s: float = 20) -> None:
    """End a process and all processes it started: SIGTERM first, then SIGKILL.

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
