"""Processes that were written down to be stopped later. Knows no Dagster.

A pid alone names nothing: after its process has ended, the system may give it to another one. So the instant of creation goes with it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

import psutil

CLOCK_STEP_S: Final = 2.0
"""The system counts a process's age from boot; a corrected clock moves the instant that this comes to."""


@dataclass(frozen=True, slots=True)
class Known:
    """A process as it can be written to a file and found again."""

    pid: int
    created_at: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this pid now. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, if it still runs; another one with its pid is none."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created_at) <= CLOCK_STEP_S
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def stop_tree(known: Known, timeout_s: float = 20) -> None:
    """End a process and all it started: SIGTERM, then SIGKILL for what is left. One that is gone is fine."""
    parent = known.find()
    if parent is None:
        return
    family = [*_children([parent]), parent]
    _quietly(parent.terminate)
    _, left = psutil.wait_procs([parent], timeout=timeout_s)
    family += [p for p in _children(left) if p not in family]
    for process in family:
        _quietly(process.terminate)
    _, left = psutil.wait_procs(family, timeout=5)
    for process in left:
        _quietly(process.kill)
    psutil.wait_procs(left, timeout=5)


def _children(processes: list[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found += process.children(recursive=True)
    return found


def _quietly(act: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        act()
