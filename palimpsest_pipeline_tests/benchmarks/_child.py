"""A measured run in a process of its own: told by JSON on stdin, it tells by JSON on stdout what it used."""

import resource
import subprocess
import sys
from pathlib import Path
from time import time
from typing import TypeVar

import msgspec
import psutil

from palimpsest_pipeline.domain.cycles import Target
from palimpsest_pipeline.domain.enums import Platform

Told = TypeVar("Told")


class Order(msgspec.Struct):
    """What to do, by its name in the child's module."""

    do: str


Given = TypeVar("Given", bound=Order)


class Task(Order):
    """A scrape to be done. Times in seconds."""

    base_urls: dict[Platform, str]
    slots: dict[Platform, int]
    gaps_s: dict[Platform, float]
    folder: str
    """Where the landing goes."""
    targets: list[Target] = []


class Usage(msgspec.Struct):
    """What a stretch of a process cost. Times in seconds, instants in Unix seconds."""

    began_at: float
    ended_at: float
    cpu_s: float
    """All threads, and children that have ended."""
    idle_share: float
    """Of the box, over its cores."""


class Meter:
    """Begins when it is made; `read` is what was used since."""

    def __init__(self) -> None:
        self._began_at, self._cpu_s, self._box = time(), _cpu_s(), psutil.cpu_times()

    def read(self) -> Usage:
        box = psutil.cpu_times()
        total = sum(box) - sum(self._box)
        idle = (box.idle - self._box.idle) / total if total else 0.0
        return Usage(self._began_at, time(), _cpu_s() - self._cpu_s, idle)


def _cpu_s() -> float:
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def peak_rss_mb() -> float:
    """Of this process so far.

    On Linux since it became this program: `ru_maxrss` there is also that of the parent it was forked from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (kilobytes,) = (int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return kilobytes / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(module: str, task: Order, told: type[Told]) -> Told:
    """Runs `module` as a program on the task. Raises RuntimeError with its error output when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module], input=msgspec.json.encode(task), capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} {task.do} ended with {done.returncode}:\n{done.stderr.decode()}")
    return msgspec.json.decode(done.stdout, type=told)


def the_task(kind: type[Given]) -> Given:
    """In the child: what to do."""
    return msgspec.json.decode(sys.stdin.buffer.read(), type=kind)


def tell(found: object) -> None:
    """In the child: what was found."""
    sys.stdout.buffer.write(msgspec.json.encode(found))
