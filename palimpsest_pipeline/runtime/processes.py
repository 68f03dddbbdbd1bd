"""Processes that were written down to be stopped later. Knows no Dagster.

A pid alone names nothing: after its process has ended, the system may give it to another one. So the instant of
creation goes with it.
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
"""The system counts a process's age from boot; a corrected clock moves the instant that this comes to."""


@dataclass(frozen=True, slots=True)
class KnownProcess:
    """A process as it can be written to a file and found again."""

    pid: int
    created_at: float

    @classmethod
    def from_pid(cls, pid: int) -> Self:
        """The process that has this pid now. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, if it still runs; another one with its pid is none."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created_at) <= CLOCK_TOLERANCE_S
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@cache
def identify_machine() -> str | None:
    """Return a name for the machine, its boot and its pid namespace: within these a pid names one process. None when
    they are not known.

    A host name would not do: containers of one machine may share it, and then have other processes under the same pids.
    """
    if not sys.platform.startswith("linux"):
        return socket.gethostname()  # no pid namespaces there
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def is_gone(machine: str | None, pid: int) -> bool:
    """Return whether the process is known to have ended: it was of this machine, and no process has its pid now.

    False when in doubt.
    """
    if machine is None or machine != identify_machine():
        return False
    try:
        os.kill(pid, 0)  # asks the kernel: /proc may hide the processes of other users
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return False


def stop_process_tree(root: KnownProcess, timeout_s: float = 20) -> None:
    """End a process and all it started: SIGTERM, then SIGKILL for what is left. One that is gone is fine."""
    parent = root.find()
    if parent is None:
        return
    family = [*_list_children([parent]), parent]
    _ignore_missing_process(parent.terminate)
    _, left = psutil.wait_procs([parent], timeout=timeout_s)
    family += [p for p in _list_children(left) if p not in family]
    for process in family:
        _ignore_missing_process(process.terminate)
    _, left = psutil.wait_procs(family, timeout=5)
    for process in left:
        _ignore_missing_process(process.kill)
    psutil.wait_procs(left, timeout=5)


def _list_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found += process.children(recursive=True)
    return found


def _ignore_missing_process(act: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        act()
