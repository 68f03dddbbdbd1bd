"""Show the progress of a scrape, as bars in a terminal or as lines in a log."""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.scrape.sinks import HostView, ScrapeObserver
from palimpsest_pipeline.scrape.stage_tally import RequestCounts

from .terminal import PrintableConsole

LOG_INTERVAL_S: Final = 15.0
RATE_WINDOW_S: Final = 5.0
"""Length in seconds of the period over which rates are computed."""
REDRAWS_PER_S: Final = 2
STATE_LABELS: Final = {"open": "paused", "probing": "tested with one request", "shut": "not used any more"}


class Phase(StrEnum):
    """The stages of a scrape. The discovery of a late platform continues during the capture."""

    DISCOVERY = "discovery"
    CAPTURE = "capture"

    @classmethod
    def from_kind(cls, kind: PayloadKind) -> "Phase":
        """Return the stage that sends requests of this kind."""
        return cls.CAPTURE if kind is PayloadKind.DETAIL else cls.DISCOVERY


@dataclass(slots=True)
class ProgressRow:
    """The progress of one platform in one stage.

    `task` counts planned and finished requests, without retries.
    """

    task: Task
    n_failed: int = 0
    n_retried: int = 0
    counts: RequestCounts = field(default_factory=RequestCounts)

    @property
    def is_finished(self) -> bool:
        return self.task.completed >= (self.task.total or 0)

    def describe_failures(self) -> str:
        """Return the numbers of failures and retries as text; empty when there are none."""
        return ", ".join(f"{n} {word}" for n, word in ((self.n_failed, "failed"), (self.n_retried, "retried")) if n)

    def describe(self) -> str:
        """Return the row as text, such as `12/40, 1 failed, 2.6/s, 0:00:11 left, paused: no answer for 10 s`."""
        task = self.task
        left_s = None if self.is_finished else task.time_remaining
        parts = (
            f"{task.completed:.0f}/{task.total:.0f}",
            self.describe_failures(),
            f"{compute_rate_per_s(task):.1f}/s",
            "" if task.finished_time is None else f"in {format_duration(task.finished_time)}",
            "" if left_s is None else f"{format_duration(left_s)} left",
            task.fields["host_state"],
        )
        return ", ".join(filter(None, parts))


class RateColumn(TextColumn):
    """The number of finished requests per second."""

    def __init__(self) -> None:
        super().__init__("", style="cyan", justify="right")

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]
        return f"{compute_rate_per_s(task):.1f}/s"


class ScrapeProgress(Progress, ScrapeObserver):
    """The progress of a scrape, updated as an observer. It can be read from any thread.

    As a context manager, it shows a bar for each platform and stage when the console is a terminal; their last state
    stays visible.
    """

    def __init__(self, console: Console | None = None, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[failures]}", style="yellow", markup=False),
            TextColumn("{task.fields[host_state]}", style="bold red", markup=False),
            console=console,
            disable=console is None or not console.is_terminal,
            refresh_per_second=REDRAWS_PER_S,
            speed_estimate_period=RATE_WINDOW_S,
            get_time=now,
        )
        self.rows: dict[tuple[Phase, Platform], ProgressRow] = {}

    def get_renderables(self) -> Iterator[RenderableType]:
        self._drop_old_samples()
        yield from super().get_renderables()

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        row = self._get_row(Phase.from_kind(kind), platform)
        # `update(total=...)` would forget the samples of the rate.
        row.task.total = (row.task.total or 0) + n
        row.task.finished_time = None
        self.update(row.task.id)

    def on_answer(self, answer: Answer) -> None:
        row = self._get_row(Phase.from_kind(answer.request.kind), answer.request.platform)
        row.counts.add_attempt(answer, len(answer.body or b""))
        row.n_retried += answer.attempt > 1

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            row = self._get_row(Phase.CAPTURE if outcome.external_id else Phase.DISCOVERY, outcome.platform)
            row.n_failed += outcome.status is not RunStatus.COMPLETED
            if outcome.failure is not None and not outcome.attempts:
                row.counts.failures[outcome.failure] += 1
            self.update(row.task.id, advance=1, failures=row.describe_failures())

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        for (_, row_platform), row in list(self.rows.items()):
            if row_platform == platform:
                self.update(row.task.id, host_state="" if row.is_finished else describe_host_state(view))

    def _get_row(self, phase: Phase, platform: Platform) -> ProgressRow:
        row = self.rows.get((phase, platform))
        if row is None:
            task_id = self.add_task(f"{phase} {platform}", total=0, failures="", host_state="")
            row = self.rows[phase, platform] = ProgressRow(self.tasks[task_id])
        return row

    def _drop_old_samples(self) -> None:
        """Make the rate of a platform that does not answer any more 0."""
        for task_id in self.task_ids:
            self.update(task_id)

    def select_phase(self, phase: Phase) -> dict[Platform, ProgressRow]:
        """Return the rows of one stage by platform."""
        return {platform: row for (row_phase, platform), row in list(self.rows.items()) if row_phase is phase}

    def describe(self) -> str:
        """Return one line about the running stages, or about the last stage when none runs."""
        self._drop_old_samples()
        rows = list(self.rows.items())
        if not rows:
            return "no answer yet"
        phases = dict.fromkeys(phase for (phase, _), row in rows if not row.is_finished) or [rows[-1][0][0]]
        return "; ".join(
            f"{phase}: {'; '.join(f'{p} {row.describe()}' for p, row in self.select_phase(phase).items())}"
            for phase in phases
        )


def compute_rate_per_s(task: Task) -> float:
    """Return the number of finished requests per second, over the last RATE_WINDOW_S seconds.

    For a finished task it is the average over its whole time.
    """
    if task.finished_time:
        return task.completed / task.finished_time
    return task.speed or 0.0


def describe_host_state(view: HostView) -> str:
    """Return the state of the host's circuit breaker as text; empty when requests are sent normally."""
    return ": ".join(filter(None, (STATE_LABELS[view.state], view.reason))) if view.state in STATE_LABELS else ""


def format_duration(seconds: float) -> str:
    """Return a duration as text, such as `0:04:20`."""
    return str(timedelta(seconds=round(seconds)))


class LogBoard(ScrapeProgress):
    """The progress of a scrape as lines in a log: regularly, when a host's state changes, and at the end.

    Use it as a context manager. The lines are written in a thread, because writing to a log may be slow (it may be a
    database). A line that cannot be written is dropped.
    """

    def __init__(
        self,
        log: Callable[[str], object],
        interval_s: float = LOG_INTERVAL_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(now=now)
        self._log = log
        self._interval_s = interval_s
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_lines, name="progress", daemon=True)

    def start(self) -> None:
        self._writer.start()

    def stop(self) -> None:
        self._lines.put(self.describe())
        self._lines.put(None)
        self._writer.join(timeout=2)  # a slow log must not delay the end of a scrape

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        super().on_host_change(platform, view)
        self._lines.put(f"{platform} is {describe_host_state(view) or 'used as usual again'}")

    def _write_lines(self) -> None:
        next_line_s = time.monotonic() + self._interval_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, next_line_s - time.monotonic()))
            except queue.Empty:
                line = self.describe()
                next_line_s += self._interval_s
            if line is None:
                return
            with suppress(Exception):
                self._log(line)


@contextmanager
def open_terminal() -> Iterator[Console]:
    """Open a console on the standard error of this moment.

    It stays usable when Dagster redirects standard error to a file during a step.
    """
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as stream:
        yield PrintableConsole(file=stream)
