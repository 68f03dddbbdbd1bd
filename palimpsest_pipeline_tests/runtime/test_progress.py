"""The progress of a scrape as bars and as log lines: of one that runs, hangs, fails, ends."""

import os
import pty
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.pipeline.live.stage_figures import build_stage_figures
from palimpsest_pipeline.runtime.progress import LogBoard, Phase, ScrapeProgress, compute_rate_per_s
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.outcomes import build_capture_result, build_outcome, build_unasked_answer
from palimpsest_pipeline.scrape.sinks import HostView, ObserverGroup, ScrapeObserver
from palimpsest_pipeline.scrape.stage_tally import StageTally
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

AT = datetime(2026, 6, 26, 19, tzinfo=UTC)
CYCLE = Cycle(1, Trigger.ON_DEMAND, Scope.EVENTS, BETPAWA, AT, AT, sr_ids=(7, 8, 9))


class Scrape:
    """Tells a watch of a scrape, at times of a clock that only moves when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def answer(
        self, platform: Platform, sr_id: int | None = None, *, took_s: float = 0.5, attempt: int = 1, **failed: Any
    ) -> Answer:
        kind = PayloadKind.LISTING if sr_id is None else PayloadKind.DETAIL
        request = Request(
            platform, kind, "/", external_id=None if sr_id is None else f"{platform}-{sr_id}", sr_id=sr_id
        )
        received = AT + timedelta(seconds=self.now_s)
        status, body = (503, None) if failed else (200, b"{}")
        return Answer(
            request,
            attempt,
            received - timedelta(seconds=took_s),
            received,
            received,
            status,
            {},
            body,
            failed.get("failure"),
            "it says no",
        )

    def over(self, watch: ScrapeObserver, answer: Answer) -> None:
        if answer.attempt:
            watch.on_answer(answer)
        watch.on_outcomes([build_outcome(answer, answer.requested_at)])


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def test_discovery_and_capture_of_a_platform_are_rows_of_their_own(scrape: Scrape):
    board = ScrapeProgress(now=scrape.now)
    board.on_planned(BET9JA, 1, PayloadKind.TREE)
    scrape.over(board, scrape.answer(BET9JA))
    board.on_planned(BET9JA, 3, PayloadKind.LISTING)
    scrape.over(board, scrape.answer(BET9JA))
    board.on_planned(BET9JA, 5, PayloadKind.DETAIL)
    scrape.over(board, scrape.answer(BET9JA, 7))
    rows = {phase: board.select_phase(phase)[BET9JA] for phase in Phase}
    counts = {phase: (row.task.completed, row.task.total) for phase, row in rows.items()}
    assert counts == {Phase.DISCOVERY: (2, 4), Phase.CAPTURE: (1, 5)}


def test_a_discovery_that_goes_on_beside_the_capture_has_its_own_row_and_words(scrape: Scrape):
    board = ScrapeProgress(now=scrape.now)
    board.on_planned(BET9JA, 2, PayloadKind.LISTING)
    scrape.over(board, scrape.answer(BET9JA))
    assert board.describe().startswith("discovery: bet9ja 1/2")
    board.on_planned(BET9JA, 1, PayloadKind.DETAIL)
    board.on_planned(BETPAWA, 2, PayloadKind.DETAIL)
    scrape.over(board, scrape.answer(BETPAWA, 7))
    assert board.describe().startswith("discovery: bet9ja 1/2")
    assert "; capture: bet9ja 0/1, 0.0/s; betpawa 1/2" in board.describe()
    board.on_planned(BET9JA, -1, PayloadKind.LISTING)
    assert board.describe().startswith("capture: bet9ja 0/1")
    scrape.over(board, scrape.answer(BET9JA, 7))
    assert "bet9ja 1/1" in board.describe()


def test_rate_and_time_left_are_those_of_the_last_seconds(scrape: Scrape):
    board = ScrapeProgress(now=scrape.now)
    board.on_planned(BETPAWA, 100, PayloadKind.DETAIL)
    for n in range(60):
        scrape.now_s = 0.1 * n
        scrape.over(board, scrape.answer(BETPAWA, n))
    assert board.describe().startswith("capture: betpawa 60/100, 10.0/s, 0:00:04 left")
    scrape.now_s += 60  # it hangs
    assert board.describe() == "capture: betpawa 60/100, 0.0/s"
    for n in range(60, 100):
        scrape.over(board, scrape.answer(BETPAWA, n))
    assert board.describe() == "capture: betpawa 100/100, 1.5/s, in 0:01:06"
    task = board.select_phase(Phase.CAPTURE)[BETPAWA].task
    assert compute_rate_per_s(task) == pytest.approx(100 / 65.9)


def test_what_failed_was_retried_or_never_asked_is_told_apart(scrape: Scrape):
    board = ScrapeProgress(now=scrape.now)
    board.on_planned(SPORTYBET, 3, PayloadKind.DETAIL)
    board.on_answer(scrape.answer(SPORTYBET, 7, failure=FailureClass.TRANSIENT))
    scrape.over(board, scrape.answer(SPORTYBET, 7, attempt=2))
    scrape.over(board, scrape.answer(SPORTYBET, 8, failure=FailureClass.BLOCKED))
    scrape.over(
        board,
        build_unasked_answer(scrape.answer(SPORTYBET, 9).request, FailureClass.BLOCKED, "not asked: blocked", AT),
    )
    row = board.select_phase(Phase.CAPTURE)[SPORTYBET]
    assert (row.task.completed, row.n_failed, row.n_retried, row.counts.requests) == (3, 2, 1, 3)
    assert row.counts.failures == {FailureClass.TRANSIENT: 1, FailureClass.BLOCKED: 2}
    assert "2 failed, 1 retried" in board.describe()


def shown(board: ScrapeProgress) -> str:
    """The bars as a terminal gets them, colours included."""
    text = StringIO()
    Console(file=text, width=120, force_terminal=True, color_system="standard").print(board.get_renderable())
    return text.getvalue()


def test_a_host_that_is_not_asked_is_red_with_its_reason_until_it_is_asked_again(scrape: Scrape):
    board = ScrapeProgress(now=scrape.now)
    board.on_planned(BET9JA, 2, PayloadKind.DETAIL)
    scrape.over(board, scrape.answer(BET9JA, 7))
    board.on_host_change(BET9JA, HostView(0, 1, "open", "asked to wait 2 s"))
    assert "\x1b[1;31mpaused: asked to wait 2 s\x1b[0m" in shown(board)
    board.on_host_change(BET9JA, HostView(0, 1, "closed"))
    assert "asked to wait" not in shown(board)
    assert "1/2" in shown(board)


def test_nothing_is_drawn_where_there_is_no_terminal():
    text = StringIO()
    with ScrapeProgress(Console(file=text, force_terminal=False)) as board:
        board.on_planned(BETPAWA, 1, PayloadKind.DETAIL)
    assert text.getvalue() == ""


BARS_WHILE_STDERR_IS_TAKEN = """
import os
from palimpsest_pipeline.runtime.progress import ScrapeProgress, open_terminal
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET
from palimpsest_pipeline_tests.runtime.test_progress import Scrape

scrape = Scrape()
with open_terminal() as console, ScrapeProgress(console) as board:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    scrape.over(board, scrape.answer(BETPAWA, 7))
"""


def test_bars_reach_the_terminal_though_standard_error_is_taken_meanwhile():
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", BARS_WHILE_STDERR_IS_TAKEN], stderr=theirs, env=environment, timeout=120, check=False
        )
        drawn_at_the_end = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, drawn_at_the_end
    assert "capture betpawa" in drawn_at_the_end


class Log:
    """Keeps lines; `until` waits for one that has all these words."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._more:
            self.lines.append(line)
            self._more.notify_all()

    def until(self, *words: str) -> bool:
        with self._more:
            return self._more.wait_for(lambda: any(all(w in line for w in words) for line in self.lines), timeout=30)


def test_the_log_has_a_line_though_nothing_is_answered():
    log = Log()
    with LogBoard(log, interval_s=0.001):
        assert log.until("no answer yet")


def test_the_log_has_a_line_at_each_change_of_a_host_and_at_the_end(scrape: Scrape):
    log = Log()
    with LogBoard(log, interval_s=3600, now=scrape.now) as board:
        board.on_planned(BETPAWA, 1, PayloadKind.DETAIL)
        board.on_host_change(BETPAWA, HostView(0, 1, "open", "no answer for 10 s"))
        board.on_host_change(BETPAWA, HostView(0, 1, "closed"))
        scrape.over(board, scrape.answer(BETPAWA, 7))
    assert log.lines[:2] == ["betpawa is paused: no answer for 10 s", "betpawa is used as usual again"]
    assert log.lines[2].startswith("capture: betpawa 1/1")
    assert len(log.lines) == 3


def test_a_log_that_cannot_be_written_ends_no_scrape(scrape: Scrape):
    def broken(line: str) -> None:
        raise OSError("no database")

    with LogBoard(broken, interval_s=3600, now=scrape.now) as board:
        board.on_host_change(BETPAWA, HostView(0, 1, "open"))
        scrape.over(board, scrape.answer(BETPAWA, 7))
    assert board.select_phase(Phase.CAPTURE)[BETPAWA].task.completed == 1


def test_metadata_are_numbers_under_the_same_names_whatever_happened(scrape: Scrape):
    tally, board = StageTally(), ScrapeProgress(now=scrape.now)
    both = ObserverGroup([tally, board])
    budgets = {platform: HostBudget(max_in_flight=1) for platform in (BETPAWA, BET9JA)}
    for sr_id in (7, 8):
        scrape.now_s += 1
        scrape.over(both, scrape.answer(BETPAWA, sr_id))
        scrape.now_s += 0.25
        scrape.over(both, scrape.answer(BET9JA, sr_id))
    both.on_answer(scrape.answer(BET9JA, 8, failure=FailureClass.RATE_LIMITED))
    result = build_capture_result(CYCLE, tally, budgets, AT)
    found = build_stage_figures(result, board.select_phase(Phase.CAPTURE), budgets, [200, 300])
    numbers = {f"errors_{failure}": 0 for failure in FailureClass} | {
        "errors_rate_limited": 1,
        "requests": 5,
        "requests_per_s": 2.5,
        "duration_s": 2.0,
        "floor_s": 1.5,
    }
    assert {name: found[name] for name in numbers} == numbers
    assert found["ratio_to_floor"] == pytest.approx(2 / 1.5, abs=0.001)
    assert [found[f"skew_ms_p{p}"] for p in (50, 95, 99)] == [250, 295, 299]
    assert found["unknown_sr_ids"] == "9"
    assert found["betpawa_status"] == RunStatus.COMPLETED
    assert set(build_stage_figures(result, {}, budgets)) >= {f"errors_{failure}" for failure in FailureClass} | {
        "requests",
        "duration_s",
        "floor_s",
    }
