"""Ledger lines, runs and skews: from answers as they come, and from answers as they were landed."""

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.cycles import EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.scrape import StageTally, build_unfinished_result, rebuild_outcomes
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.outcomes import (
    build_cancelled_outcome,
    build_capture_result,
    build_outcome,
    build_unasked_answer,
)
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .world import NOW, cycle

P, S, B = BETPAWA, SPORTYBET, BET9JA
BUDGETS = {platform: HostBudget(max_in_flight=2, min_gap_s=0.1) for platform in PLATFORMS}


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def answer(
    platform: Platform = P,
    external_id: str | None = "1",
    *,
    kind: PayloadKind = PayloadKind.DETAIL,
    sr_id: int | None = 7,
    attempt: int = 1,
    start_s: float = 0,
    took_s: float = 1,
    failure: FailureClass | None = None,
    status: int | None = 200,
    body: bytes | None = b"{}",
    date: str | None = None,
) -> Answer:
    request = Request(platform, kind, "/path", external_id=external_id, sr_id=sr_id)
    received_at = at(start_s + took_s)
    headers = {} if date is None else {"date": date}
    told = "" if failure is None else f"HTTP {status}"
    kept = None if failure is not None else body
    return Answer(request, attempt, at(start_s), received_at, received_at, status, headers, kept, failure, told)


def tally_of(*answers: Answer, settled: Sequence[EventOutcome] = ()) -> StageTally:
    """As the engine tells it: each attempt, and at the end each listing by its last one."""
    tally, last = StageTally(), {}
    first: dict[tuple[Platform, str], datetime] = {}
    for one in answers:
        if one.attempt:
            tally.on_answer(one)
        key = one.request.platform, one.request.external_id or ""
        first.setdefault(key, one.requested_at)
        last[key] = build_outcome(one, first[key])
    tally.on_outcomes([*last.values(), *settled])
    return tally


def run_of(runs: Sequence[PlatformRun], platform: Platform) -> PlatformRun:
    (run,) = [run for run in runs if run.platform == platform]
    return run


def landed(*answers: Answer) -> pl.DataFrame:
    schema = {
        "platform": pl.String,
        "kind": pl.String,
        "path": pl.String,
        "params": pl.String,
        "external_id": pl.String,
        "sr_id": pl.Int64,
        "attempt": pl.Int16,
        "status": pl.Int16,
        "failure": pl.String,
        "failure_detail": pl.String,
        "requested_at": pl.Datetime("us", "UTC"),
        "received_at": pl.Datetime("us", "UTC"),
        "observed_at": pl.Datetime("us", "UTC"),
        "n_bytes": pl.Int64,
    }
    rows: list[tuple[Any, ...]] = [
        (
            str(a.request.platform),
            str(a.request.kind),
            a.request.path,
            json.dumps(dict(a.request.params)),
            a.request.external_id,
            a.request.sr_id,
            a.attempt,
            a.status,
            None if a.failure is None else str(a.failure),
            a.failure_detail,
            a.requested_at,
            a.received_at,
            a.observed_at,
            len(a.body or b""),
        )
        for a in answers
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


FLAKY = [
    answer(start_s=0, took_s=1, failure=FailureClass.TRANSIENT, status=503),
    answer(start_s=3, took_s=2, attempt=2, body=b"[1,2,3]"),
]


def test_instants_of_a_line_span_from_the_first_request_to_the_verdict() -> None:
    (line,) = tally_of(*FLAKY).outcomes
    assert (line.status, line.attempts, line.failure, line.http_status, line.bytes) == (
        RunStatus.COMPLETED,
        2,
        None,
        200,
        7,
    )
    assert (line.requested_at, line.received_at, line.observed_at, line.duration_ms) == (at(0), at(5), at(5), 5000)


def test_only_a_good_answer_has_an_instant_that_it_shows() -> None:
    (line,) = tally_of(FLAKY[0]).outcomes
    assert (line.status, line.failure, line.observed_at) == (RunStatus.FAILED, FailureClass.TRANSIENT, None)


def test_the_floor_of_a_platform_is_that_of_the_attempts_measured_within_its_budget() -> None:
    busy = tally_of(*(answer(external_id=str(n), start_s=n, took_s=2) for n in range(6)))
    paced = tally_of(*(answer(S, external_id=str(n), start_s=n, took_s=0.001) for n in range(6)))
    busy_run, paced_run = (build_capture_result(cycle(), tally, BUDGETS, at(60)).runs[0] for tally in (busy, paced))
    assert (busy_run.floor_s, busy_run.capture_s) == (pytest.approx(6 * 2 / 2), pytest.approx(7))
    assert (paced_run.floor_s, paced_run.capture_s) == (pytest.approx(5 * 0.1), pytest.approx(5.001))


def test_attempts_that_no_host_answered_count_for_the_floor_and_not_for_the_latencies() -> None:
    tally = tally_of(
        answer(took_s=10, failure=FailureClass.TRANSIENT, status=None), answer(attempt=2, start_s=10, took_s=1)
    )
    run = run_of(build_capture_result(cycle(), tally, BUDGETS, at(60)).runs, P)
    assert (run.requests, run.p50_ms, run.floor_s) == (2, 1000, pytest.approx(11 / 2))


def test_a_clock_that_is_off_is_the_median_of_what_the_answers_tell() -> None:
    ahead = (at(3600)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    tally = tally_of(
        *(answer(external_id=str(n), took_s=0, date=ahead) for n in range(3)), answer(external_id="undated")
    )
    run = run_of(build_capture_result(cycle(), tally, BUDGETS, at(60)).runs, P)
    assert run.clock_offset_s == pytest.approx(3600, abs=1)
    assert run_of(build_capture_result(cycle(), tally_of(*FLAKY), BUDGETS, at(60)).runs, P).clock_offset_s is None


def test_what_kicked_off_unasked_is_no_fault_of_the_run() -> None:
    request = Request(P, PayloadKind.DETAIL, "/path", external_id="2", sr_id=8)
    over = build_outcome(
        build_unasked_answer(request, FailureClass.NOT_FOUND, "not asked: it has kicked off", at(9)), at(9)
    )
    result = build_capture_result(cycle(), tally_of(answer(), settled=[over]), BUDGETS, at(60))
    assert (over.status, over.attempts, over.duration_ms) == (RunStatus.FAILED, 0, 0)
    assert (result.status, result.runs[0].targets, result.runs[0].fetched) == (RunStatus.COMPLETED, 2, 1)


def test_a_cycle_broken_off_has_a_line_for_every_listing_and_only_platforms_that_were_not_through_say_so() -> None:
    tally = tally_of(answer(P, "1"), answer(S, "1", start_s=1))
    waiting = Request(S, PayloadKind.DETAIL, "/path", external_id="2", sr_id=8)
    unfinished = [build_cancelled_outcome(waiting, 0, None, at(9))]
    result = build_unfinished_result(
        cycle(),
        RunStatus.CANCELLED,
        "capture was ended",
        at(9),
        tally=tally,
        unfinished_outcomes=unfinished,
        budgets=BUDGETS,
    )
    assert {run.platform: (run.status, run.targets, run.fetched, run.message) for run in result.runs} == {
        P: (RunStatus.COMPLETED, 1, 1, ""),
        S: (RunStatus.CANCELLED, 2, 1, "capture was ended"),
    }
    assert {(o.platform, o.external_id): o.status for o in result.outcomes} == {
        (P, "1"): RunStatus.COMPLETED,
        (S, "1"): RunStatus.COMPLETED,
        (S, "2"): RunStatus.CANCELLED,
    }
    assert result.status is RunStatus.CANCELLED


def test_a_listing_told_of_as_over_and_as_unfinished_is_over() -> None:
    tally = tally_of(answer(P, "1"))
    again = build_cancelled_outcome(Request(P, PayloadKind.DETAIL, "/path", external_id="1", sr_id=7), 1, None, at(9))
    result = build_unfinished_result(
        cycle(), RunStatus.CANCELLED, "ended", at(9), tally=tally, unfinished_outcomes=[again], budgets=BUDGETS
    )
    assert [outcome.status for outcome in result.outcomes] == [RunStatus.COMPLETED]
    assert result.runs[0].status is RunStatus.COMPLETED


def test_a_discovery_broken_off_ends_every_platform_that_was_asked() -> None:
    tally = tally_of(
        answer(P, None, kind=PayloadKind.TREE),
        answer(S, None, kind=PayloadKind.TREE, failure=FailureClass.BLOCKED, status=403),
    )
    result = build_unfinished_result(
        cycle(), RunStatus.FAILED, "discovery broken off: no space left", at(9), tally=tally, budgets=BUDGETS
    )
    assert {(run.platform, run.status, run.requests, run.message) for run in result.runs} == {
        (platform, RunStatus.FAILED, 1, "discovery broken off: no space left") for platform in (P, S)
    }
    assert result.outcomes == ()


def test_a_good_answer_stays_good_when_the_cycle_is_ended_before_anyone_was_told() -> None:
    good = build_outcome(FLAKY[1], at(0))
    assert build_cancelled_outcome(FLAKY[1].request, 2, good, at(9)) == good


def test_a_listing_ended_between_two_tries_says_what_the_last_one_came_to() -> None:
    line = build_cancelled_outcome(FLAKY[0].request, 1, build_outcome(FLAKY[0], at(0)), at(9))
    assert (line.status, line.attempts, line.failure) == (RunStatus.CANCELLED, 1, FailureClass.TRANSIENT)
    assert line.failure_detail == "ended before another try; last transient: HTTP 503"


DEAD = [
    answer(P, None, kind=PayloadKind.TREE, start_s=-9, body=b"1234"),
    answer(P, None, kind=PayloadKind.LISTING, start_s=-8, failure=FailureClass.RATE_LIMITED, status=429),
    answer(P, None, kind=PayloadKind.LISTING, start_s=-7, attempt=2),
    *FLAKY,
    answer(P, "gone", start_s=1, failure=FailureClass.NOT_FOUND, status=404),
    answer(S, "1", start_s=2, failure=FailureClass.TRANSIENT, status=None),
    answer(S, "2", start_s=4, attempt=0, took_s=0, failure=FailureClass.TRANSIENT, status=None),
]


def test_the_ledger_of_a_dead_cycle_is_what_its_landed_answers_prove() -> None:
    lines, runs = rebuild_outcomes(landed(*DEAD), message="its process died", n_discovered={P: 3})
    live = tally_of(*(a for a in DEAD if a.request.kind is PayloadKind.DETAIL)).outcomes
    assert sorted(lines, key=repr) == sorted(live, key=repr)
    betpawa, sportybet = run_of(runs, P), run_of(runs, S)
    assert (betpawa.status, betpawa.discovered, betpawa.targets, betpawa.fetched) == (RunStatus.INTERRUPTED, 3, 2, 1)
    assert (betpawa.requests, betpawa.bytes, betpawa.started_at, betpawa.finished_at) == (6, 13, at(-9), at(5))
    assert betpawa.errors_by_class == {"not_found": 1, "rate_limited": 1, "transient": 1}
    assert (sportybet.targets, sportybet.fetched, sportybet.requests, sportybet.errors_by_class) == (
        2,
        0,
        1,
        {"transient": 2},
    )
    assert {run.message for run in runs} == {"its process died"}


def test_attempts_of_two_processes_at_one_cycle_add_up_and_none_undoes_a_good_answer() -> None:
    again = [
        answer(P, "x", start_s=0, failure=FailureClass.TRANSIENT, status=503),
        answer(P, "x", start_s=100),
        answer(P, "y", start_s=0),
        answer(P, "y", start_s=100, failure=FailureClass.NOT_FOUND, status=404),
    ]
    lines, _ = rebuild_outcomes(landed(*again))
    assert {line.external_id: (line.status, line.attempts, line.received_at) for line in lines} == {
        "x": (RunStatus.COMPLETED, 2, at(101)),
        "y": (RunStatus.COMPLETED, 1, at(1)),
    }


def test_a_cycle_that_landed_nothing_has_no_lines() -> None:
    assert rebuild_outcomes(landed()) == ([], [])


@settings(deadline=None)  # a busy machine is no failure
@given(st.randoms(use_true_random=False))
def test_the_order_of_landed_rows_changes_nothing(chance: random.Random) -> None:
    shuffled = list(DEAD)
    chance.shuffle(shuffled)
    lines, runs = rebuild_outcomes(landed(*DEAD))
    other_lines, other_runs = rebuild_outcomes(landed(*shuffled))
    assert (sorted(other_lines, key=repr), other_runs) == (sorted(lines, key=repr), runs)
