"""Show the progress of a scrape, as bars in a terminal or as lines in a log."""

import os
import queue
import sys
import threading
import time
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.scrape.outcomes import compute_skews_ms
from palimpsest_pipeline.scrape.sinks import HostView
from palimpsest_pipeline.scrape.stage_tally import RequestCounts, compute_percentile

from .terminal import PrintableConsole

LOG_INTERVAL_S: Final = 15.0
RATE_WINDOW_S: Final = 5.0
"""Length in seconds of the period over which rates are computed."""
REDRAWS_PER_S: Final = 2
CLOSED_VIEW: Final = HostView(0, 0, "closed")
STATE_LABELS: Final = {"open": "paused", "probing": "tested with one request", "shut": "not used any more"}


class Phase(StrEnum):
    """The stages of a scrape. The discovery of a late platform continues during the capture."""

    DISCOVERY = "discovery"
    CAPTURE = "capture"

    @classmethod
    def from_kind(cls, kind: PayloadKind) -> "Phase":
        """Return the stage that sends requests of this kind."""
        return cls.CAPTURE if kind is PayloadKind.DETAIL else cls.DISCOVERY


def _make_float_array() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class ProgressRow:
    """The progress of one platform in one stage.

    `now` and `*_at` are seconds of the board's clock.
    """

    n_planned: int = 0
    """Number of requests planned so far, without retries."""
    n_done: int = 0
    """Number of finished requests, including failed ones."""
    n_failed: int = 0
    n_retried: int = 0
    counts: RequestCounts = field(default_factory=RequestCounts)
    arrived_at: "array[float]" = field(default_factory=_make_float_array)
    """When each attempt ended."""
    took_s: "array[float]" = field(default_factory=_make_float_array)
    """How many seconds each attempt took."""

    @property
    def is_finished(self) -> bool:
        return self.n_done >= self.n_planned

    @property
    def p50_ms(self) -> float | None:
        """The median duration of the host's answers so far, in milliseconds."""
        p50_s = compute_percentile(self.counts.answered_durations_s, 50)
        return None if p50_s is None else p50_s * 1000

    def compute_rate_per_s(self, now: float) -> float:
        """Return the number of attempts per second over the last RATE_WINDOW_S seconds.

        For a finished stage it is the average over the whole stage.
        """
        return len(self._list_recent(now)) / self._compute_window_s(now)

    def compute_in_flight(self, now: float) -> float:
        """Return the mean number of concurrent attempts over the same period as the rate.

        It is the rate multiplied by the mean duration.
        """
        return sum(self._list_recent(now)) / self._compute_window_s(now)

    def estimate_left_s(self, now: float) -> float | None:
        """Return the estimated seconds until the end at the present rate; None while no attempt ends."""
        per_s = self.compute_rate_per_s(now)
        return (self.n_planned - self.n_done) / per_s if per_s else None

    def _list_recent(self, now: float) -> "array[float]":
        return self.took_s if self.is_finished else self.took_s[bisect_left(self.arrived_at, now - RATE_WINDOW_S) :]

    def _compute_window_s(self, now: float) -> float:
        if not self.took_s:
            return RATE_WINDOW_S
        began_at, last_at = self.arrived_at[0] - self.took_s[0], self.arrived_at[-1]
        return max(0.1, last_at - began_at if self.is_finished else min(RATE_WINDOW_S, now - began_at))

    @property
    def duration_text(self) -> str:
        """The duration of a finished stage as text; empty before its end."""
        return f"in {format_duration(self._compute_window_s(0))}" if self.is_finished and self.took_s else ""


class Board:
    """The state of a scrape, updated as an observer. It can be read from any thread.

    The row of a platform and stage starts with the first answer, or with the first request that is not sent.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.rows: dict[tuple[Phase, Platform], ProgressRow] = {}
        self.hosts: defaultdict[Platform, HostView] = defaultdict(lambda: CLOSED_VIEW)
        self._planned: Counter[tuple[Phase, Platform]] = Counter()
        self._outcomes: list[EventOutcome] = []
        self._skew: tuple[int, list[float]] = 0, []

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        phase = Phase.from_kind(kind)
        if row := self.rows.get((phase, platform)):
            row.n_planned += n
        else:
            self._planned[phase, platform] += n

    def on_answer(self, answer: Answer) -> None:
        request = answer.request
        row = self._get_row(Phase.from_kind(request.kind), request.platform)
        row.counts.add_attempt(answer, len(answer.body or b""))
        row.n_retried += answer.attempt > 1
        row.arrived_at.append(self.now())
        row.took_s.append(answer.duration_ms / 1000)

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            row = self._get_row(Phase.CAPTURE if outcome.external_id else Phase.DISCOVERY, outcome.platform)
            row.n_done += 1
            row.n_failed += outcome.status is not RunStatus.COMPLETED
            if outcome.failure is not None and not outcome.attempts:
                row.counts.failures[outcome.failure] += 1
            if outcome.sr_id is not None and outcome.observed_at is not None:
                self._outcomes.append(outcome)

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        self.hosts[platform] = view

    def _get_row(self, phase: Phase, platform: Platform) -> ProgressRow:
        row = self.rows.get((phase, platform))
        if row is None:
            row = self.rows[phase, platform] = ProgressRow(n_planned=self._planned.pop((phase, platform), 0))
        return row

    def select_phase(self, phase: Phase) -> dict[Platform, ProgressRow]:
        """Return the rows of one stage by platform."""
        return {platform: row for (row_phase, platform), row in list(self.rows.items()) if row_phase is phase}

    def compute_skew_ms(self) -> list[float]:
        """Return the skew of each fixture in milliseconds: the time between its platforms' observations.

        Only fixtures that at least two platforms have answered are included.
        """
        n_counted, skews = self._skew
        if len(self._outcomes) != n_counted:
            n_counted = len(self._outcomes)
            skews = compute_skews_ms(self._outcomes[:n_counted])
            self._skew = n_counted, skews
        return skews

    def describe(self) -> str:
        """Return one line about the running stages, or about the last stage when none runs."""
        rows = list(self.rows.items())
        if not rows:
            return "no answer yet"
        phases = dict.fromkeys(phase for (phase, _), row in rows if not row.is_finished) or [rows[-1][0][0]]
        parts = [
            f"{phase}: {'; '.join(f'{p} {self._describe_row(p, row)}' for p, row in self.select_phase(phase).items())}"
            for phase in phases
        ]
        return "; ".join(filter(None, [*parts, self.describe_skew()]))

    def describe_skew(self) -> str:
        """Return the skew of the answered fixtures as text; empty when there is none."""
        skew = self.compute_skew_ms()
        return (
            f"skew p50 {compute_percentile(skew, 50):.0f} ms, p95 {compute_percentile(skew, 95):.0f} ms" if skew else ""
        )

    def _describe_row(self, platform: Platform, row: ProgressRow) -> str:
        now = self.now()
        eta_s, p50_ms = row.estimate_left_s(now), row.p50_ms
        return ", ".join(
            filter(
                None,
                (
                    f"{row.n_done}/{row.n_planned}",
                    describe_failures(row),
                    f"{row.compute_rate_per_s(now):.1f}/s, {row.compute_in_flight(now):.0f} at a time",
                    "" if p50_ms is None else f"p50 {p50_ms:.0f} ms",
                    row.duration_text or ("" if eta_s is None else f"{format_duration(eta_s)} left"),
                    "" if row.is_finished else describe_host_state(self.hosts[platform]),
                ),
            )
        )


def describe_failures(row: ProgressRow) -> str:
    """Return the numbers of failures and retries as text; empty when there are none."""
    return ", ".join(f"{n} {word}" for n, word in ((row.n_failed, "failed"), (row.n_retried, "retried")) if n)


def describe_host_state(view: HostView) -> str:
    """Return the breaker's state and reason as text; empty when requests are sent normally."""
    if view.state == CLOSED_VIEW.state:
        return ""
    return ": ".join(filter(None, (STATE_LABELS[view.state], view.reason)))


def format_duration(seconds: float) -> str:
    """Return a duration as text, such as `0:04:20`."""
    return str(timedelta(seconds=round(seconds)))


class LogBoard(Board):
    """A board that writes lines to a log: regularly, when a host's state changes, and at the end.

    Use it as a context manager. The lines are written in a thread, because writing to a log may be slow (it may be a
    database). A line that cannot be written is dropped.
    """

    def __init__(
        self,
        log: Callable[[str], object],
        interval_s: float = LOG_INTERVAL_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(now)
        self._log = log
        self._interval_s = interval_s
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_lines, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
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


@contextmanager
def show_bars(board: Board, console: Console) -> Iterator[None]:
    """Show the board in a terminal during the block. Its last state stays visible.

    Nothing is shown when the console is not a terminal.
    """
    if not console.is_terminal:
        yield
        return
    with Live(get_renderable=lambda: draw_board(board), console=console, refresh_per_second=REDRAWS_PER_S):
        yield


def draw_board(board: Board) -> RenderableType:
    """Return the bars of each stage and platform, and the skew below them."""
    now = board.now()
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=justify == "right")
    for (phase, platform), row in list(board.rows.items()):
        eta_s, p50_ms = row.estimate_left_s(now), row.p50_ms
        table.add_row(
            f"{phase} {platform}",
            ProgressBar(total=row.n_planned, completed=row.n_done, width=20),
            f"{row.n_done}/{row.n_planned}",
            Text(f"{row.compute_rate_per_s(now):.1f}/s", style="cyan"),
            "" if p50_ms is None else f"p50 {p50_ms:.0f} ms",
            Text(row.duration_text or f"{'-:--:--' if eta_s is None else format_duration(eta_s)} left", style="cyan"),
            Text.assemble(
                (describe_failures(row), "yellow"),
                " ",
                ("" if row.is_finished else describe_host_state(board.hosts[platform]), "bold red"),
            ),
        )
    return Group(table, Text(board.describe_skew(), style="dim"))
