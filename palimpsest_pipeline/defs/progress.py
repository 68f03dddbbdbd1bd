"""Progress of a scrape, for a log and for a terminal. Both are a `scrape.sinks.Watch`."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..domain.cycles import EventOutcome
from ..domain.exchange import Answer
from ..domain.words import Platform, RunStatus
from ..scrape.sinks import HostView

LOG_EVERY_S: Final = 15.0


class LogProgress:
    """A line now and then: a line per listing would be a database row per listing in Dagster's log."""

    def __init__(self, log: Callable[[str], object], every_s: float = LOG_EVERY_S) -> None:
        self._log = log
        self._every_s = every_s
        self._total: Counter[Platform] = Counter()
        self._done: Counter[Platform] = Counter()
        self._failed: Counter[Platform] = Counter()
        self._last = time.monotonic()

    def planned(self, platform: Platform, n: int) -> None:
        self._total[platform] += n

    def answered(self, answer: Answer) -> None:
        pass

    def host(self, platform: Platform, view: HostView) -> None:
        self._log(f"{platform} is {view.state}: {view.reason}" if view.reason else f"{platform} is {view.state}")

    def settled(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            self._done[outcome.platform] += 1
            self._failed[outcome.platform] += outcome.status is not RunStatus.COMPLETED
        now = time.monotonic()
        if now - self._last >= self._every_s or sum(self._done.values()) == sum(self._total.values()):
            self._last = now
            self._log(", ".join(f"{p} {self._done[p]}/{n}" + (f" ({f} failed)" if (f := self._failed[p]) else "") for p, n in self._total.items()))


class BarProgress:
    """A bar per platform. A context manager; on what is no terminal nothing is drawn."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._tasks: dict[Platform, TaskID] = {}
        self._failed: Counter[Platform] = Counter()

    def __enter__(self) -> "BarProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def planned(self, platform: Platform, n: int) -> None:
        task = self._tasks.get(platform)
        if task is None:
            self._tasks[platform] = self._bars.add_task(platform, total=n, failed="")
        else:
            self._bars.update(task, total=(self._bars.tasks[task].total or 0) + n)

    def answered(self, answer: Answer) -> None:
        pass

    def settled(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            self._failed[outcome.platform] += outcome.status is not RunStatus.COMPLETED
            failed = f"{self._failed[outcome.platform]} failed" if self._failed[outcome.platform] else ""
            self._bars.update(self._tasks[outcome.platform], advance=1, failed=failed)

    def host(self, platform: Platform, view: HostView) -> None:
        pass
