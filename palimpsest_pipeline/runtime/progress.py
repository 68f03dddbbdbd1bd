"""Progress of a scrape: one board that knows how it stands, and two faces of it: bars for a terminal, lines for a log."""

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
from palimpsest_pipeline.scrape.outcomes import skews_ms
from palimpsest_pipeline.scrape.sinks import HostView
from palimpsest_pipeline.scrape.stage_tally import Counts, percentile

from .terminal import PrintableConsole

LOG_EVERY_S: Final = 15.0
WINDOW_S: Final = 5.0
"""Rates are those of so many seconds."""
DRAWN_PER_S: Final = 2
CLOSED: Final = HostView(0, 0, "closed")
STATES: Final = {"open": "left alone", "probing": "asked one thing to see", "shut": "not asked any more"}


class Phase(StrEnum):
    """Parts of a scrape. The discovery of a late platform goes on beside the capture."""

    DISCOVERY = "discovery"
    CAPTURE = "capture"

    @classmethod
    def of_kind(cls, kind: PayloadKind) -> "Phase":
        """Return the part in which such payloads are asked for."""
        return cls.CAPTURE if kind is PayloadKind.DETAIL else cls.DISCOVERY


def _floats() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class Row:
    """One platform in one phase. `now` and `*_at`: seconds of the board's clock."""

    total: int = 0
    """Requests planned so far, retries apart."""
    done: int = 0
    """Those whose asking is over, failed or not."""
    failed: int = 0
    retried: int = 0
    counts: Counts = field(default_factory=Counts)
    arrived_at: "array[float]" = field(default_factory=_floats)
    """When each attempt was over ..."""
    took_s: "array[float]" = field(default_factory=_floats)
    """... and how long it had been under way."""

    @property
    def finished(self) -> bool:
        return self.done >= self.total

    @property
    def p50_ms(self) -> float | None:
        """Of the host's answers so far."""
        p50_s = percentile(self.counts.answered_s, 50)
        return None if p50_s is None else p50_s * 1000

    def per_s(self, now: float) -> float:
        """Attempts that came to their end per second, of the last WINDOW_S; of the whole phase when it is finished."""
        return len(self._recent(now)) / self._window_s(now)

    def in_flight(self, now: float) -> float:
        """How many were under way at a time, on average over the same seconds: a rate times how long each takes."""
        return sum(self._recent(now)) / self._window_s(now)

    def eta_s(self, now: float) -> float | None:
        """Seconds that what is left takes at the present rate; None while nothing comes."""
        per_s = self.per_s(now)
        return (self.total - self.done) / per_s if per_s else None

    def _recent(self, now: float) -> "array[float]":
        return self.took_s if self.finished else self.took_s[bisect_left(self.arrived_at, now - WINDOW_S) :]

    def _window_s(self, now: float) -> float:
        if not self.took_s:
            return WINDOW_S
        began_at, last_at = self.arrived_at[0] - self.took_s[0], self.arrived_at[-1]
        return max(0.1, last_at - began_at if self.finished else min(WINDOW_S, now - began_at))

    @property
    def took_words(self) -> str:
        """How long the phase was, once it is finished."""
        return f"in {duration(self._window_s(0))}" if self.finished and self.took_s else ""


class Board:
    """A Watch that knows how a scrape stands, from its begin to its end. Read it at any time, from any thread.

    A phase's row begins with the first answer of it, or with the first request that is not made.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.rows: dict[tuple[Phase, Platform], Row] = {}
        self.hosts: defaultdict[Platform, HostView] = defaultdict(lambda: CLOSED)
        self._planned: Counter[tuple[Phase, Platform]] = Counter()
        self._outcomes: list[EventOutcome] = []
        self._skew: tuple[int, list[float]] = 0, []

    def planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        phase = Phase.of_kind(kind)
        if row := self.rows.get((phase, platform)):
            row.total += n
        else:
            self._planned[phase, platform] += n

    def answered(self, answer: Answer) -> None:
        request = answer.request
        row = self._row(Phase.of_kind(request.kind), request.platform)
        row.counts.add(answer, len(answer.body or b""))
        row.retried += answer.attempt > 1
        row.arrived_at.append(self.now())
        row.took_s.append(answer.duration_ms / 1000)

    def settled(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            row = self._row(Phase.CAPTURE if outcome.external_id else Phase.DISCOVERY, outcome.platform)
            row.done += 1
            row.failed += outcome.status is not RunStatus.COMPLETED
            if outcome.failure is not None and not outcome.attempts:
                row.counts.failures[outcome.failure] += 1
            if outcome.sr_id is not None and outcome.observed_at is not None:
                self._outcomes.append(outcome)

    def host(self, platform: Platform, view: HostView) -> None:
        self.hosts[platform] = view

    def _row(self, phase: Phase, platform: Platform) -> Row:
        row = self.rows.get((phase, platform))
        if row is None:
            row = self.rows[phase, platform] = Row(total=self._planned.pop((phase, platform), 0))
        return row

    def phase(self, phase: Phase) -> dict[Platform, Row]:
        """The rows of one phase."""
        return {platform: row for (its, platform), row in list(self.rows.items()) if its is phase}

    def skew_ms(self) -> list[float]:
        """How far apart the platforms of each fixture were seen, of those seen on two platforms so far."""
        seen, found = self._skew
        if len(self._outcomes) != seen:
            seen = len(self._outcomes)
            found = skews_ms(self._outcomes[:seen])
            self._skew = seen, found
        return found

    def line(self) -> str:
        """How the phases that go on stand, or else the latest one, in one line."""
        rows = list(self.rows.items())
        if not rows:
            return "nothing has been answered yet"
        phases = dict.fromkeys(phase for (phase, _), row in rows if not row.finished) or [rows[-1][0][0]]
        parts = [f"{phase}: {'; '.join(f'{p} {self._words(p, row)}' for p, row in self.phase(phase).items())}" for phase in phases]
        return "; ".join(filter(None, [*parts, self.skew_words()]))

    def skew_words(self) -> str:
        """Of the fixtures so far; empty before the first one."""
        skew = self.skew_ms()
        return f"skew p50 {percentile(skew, 50):.0f} ms, p95 {percentile(skew, 95):.0f} ms" if skew else ""

    def _words(self, platform: Platform, row: Row) -> str:
        now = self.now()
        eta_s, p50_ms = row.eta_s(now), row.p50_ms
        return ", ".join(
            filter(
                None,
                (
                    f"{row.done}/{row.total}",
                    trouble(row),
                    f"{row.per_s(now):.1f}/s, {row.in_flight(now):.0f} at a time",
                    "" if p50_ms is None else f"p50 {p50_ms:.0f} ms",
                    row.took_words or ("" if eta_s is None else f"{duration(eta_s)} left"),
                    "" if row.finished else state(self.hosts[platform]),
                ),
            )
        )


def trouble(row: Row) -> str:
    """What went wrong, in a few words; empty when nothing did."""
    return ", ".join(f"{n} {word}" for n, word in ((row.failed, "failed"), (row.retried, "retried")) if n)


def state(view: HostView) -> str:
    """How the host is asked, and why; empty when as usual."""
    if view.state == CLOSED.state:
        return ""
    return ": ".join(filter(None, (STATES[view.state], view.reason)))


def duration(seconds: float) -> str:
    """`0:04:20`."""
    return str(timedelta(seconds=round(seconds)))


class LogBoard(Board):
    """The board for a log: a line now and then, at each change of a host, and at the end. Use as `with`.

    Lines are written in a thread of their own, for a log may be a database; one that cannot be written is left out.
    """

    def __init__(self, log: Callable[[str], object], every_s: float = LOG_EVERY_S, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(now)
        self._log = log
        self._every_s = every_s
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.put(self.line())
        self._lines.put(None)
        self._writer.join(timeout=2)  # a log that hangs is not waited for: a scrape that is ended has to end

    def host(self, platform: Platform, view: HostView) -> None:
        super().host(platform, view)
        self._lines.put(f"{platform} is {state(view) or 'asked as usual again'}")

    def _write(self) -> None:
        due_at = time.monotonic() + self._every_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, due_at - time.monotonic()))
            except queue.Empty:
                line = self.line()
                due_at += self._every_s
            if line is None:
                return
            with suppress(Exception):
                self._log(line)


@contextmanager
def terminal() -> Iterator[Console]:
    """A console on what standard error is now, whatever becomes of that: while a step runs, Dagster takes what it writes there into a file."""
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as stream:
        yield PrintableConsole(file=stream)


@contextmanager
def bars(board: Board, console: Console) -> Iterator[None]:
    """The board for a terminal, drawn while the block runs and left standing after it; on what is no terminal nothing is drawn."""
    if not console.is_terminal:
        yield
        return
    with Live(get_renderable=lambda: drawn(board), console=console, refresh_per_second=DRAWN_PER_S):
        yield


def drawn(board: Board) -> RenderableType:
    """A bar per phase and platform as they are now, and the skew under them."""
    now = board.now()
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=justify == "right")  # type: ignore[arg-type]
    for (phase, platform), row in list(board.rows.items()):
        eta_s, p50_ms = row.eta_s(now), row.p50_ms
        table.add_row(
            f"{phase} {platform}",
            ProgressBar(total=row.total, completed=row.done, width=20),
            f"{row.done}/{row.total}",
            Text(f"{row.per_s(now):.1f}/s", style="cyan"),
            "" if p50_ms is None else f"p50 {p50_ms:.0f} ms",
            Text(row.took_words or f"{'-:--:--' if eta_s is None else duration(eta_s)} left", style="cyan"),
            Text.assemble((trouble(row), "yellow"), " ", ("" if row.finished else state(board.hosts[platform]), "bold red")),
        )
    return Group(table, Text(board.skew_words(), style="dim"))
