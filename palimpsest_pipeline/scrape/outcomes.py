"""Compute the result of a cycle from answers: ledger lines, platform results and skews. No I/O.

A ledger line is the EventOutcome of one listing. A run is the result of one platform (PlatformRun).
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.exchange import INCOMPLETE_BOOK_PREFIX, Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from .host_budget import HostBudget
from .shortest_duration import compute_floors_s
from .stage_tally import RequestCounts, StageTally, compute_percentile

LATE_MESSAGE: Final = "late: its discovery continues during the capture"
_WORST_FIRST: Final = (
    RunStatus.RUNNING,
    RunStatus.INTERRUPTED,
    RunStatus.CANCELLED,
    RunStatus.FAILED,
    RunStatus.PARTIAL,
    RunStatus.COMPLETED,
)


def build_outcome(last_answer: Answer, first_at: datetime) -> EventOutcome:
    """Return the ledger line of a listing from its last answer.

    `first_at` is the start of the first attempt. The line has no body.
    """
    return EventOutcome(
        platform=last_answer.request.platform,
        external_id=last_answer.request.external_id or "",
        sr_id=last_answer.request.sr_id,
        status=RunStatus.COMPLETED if last_answer.ok else RunStatus.FAILED,
        attempts=last_answer.attempt,
        failure=last_answer.failure,
        failure_detail=last_answer.failure_detail,
        http_status=last_answer.status,
        requested_at=first_at,
        received_at=last_answer.received_at,
        bytes=len(last_answer.body or b""),
        duration_ms=_measure_ms(first_at, last_answer.received_at),
        observed_at=last_answer.observed_at if last_answer.ok else None,
    )


def combine_outcomes(outcomes: Sequence[EventOutcome], failure: tuple[FailureClass, str] | None = None) -> EventOutcome:
    """Return the ledger line of a listing from the lines of its requests.

    One failed request fails the listing; of several the last one decides. `failure` is the class and description of a
    failure that none of the requests shows. A good line is observed at its earliest answer.
    """
    last = max(outcomes, key=lambda outcome: (outcome.failure is not None, outcome.received_at))
    if failure is not None:
        last = replace(last, status=RunStatus.FAILED, failure=failure[0], failure_detail=failure[1])
    if len(outcomes) == 1 and failure is None:
        return last
    requested_at = min(outcome.requested_at for outcome in outcomes)
    received_at = max(outcome.received_at for outcome in outcomes)
    instants = [outcome.observed_at for outcome in outcomes if outcome.observed_at is not None]
    return replace(
        last,
        attempts=sum(outcome.attempts for outcome in outcomes),
        requested_at=requested_at,
        received_at=received_at,
        bytes=sum(outcome.bytes for outcome in outcomes),
        duration_ms=_measure_ms(requested_at, received_at),
        observed_at=min(instants) if instants and last.failure is None else None,
    )


def build_unasked_answer(request: Request, failure: FailureClass, reason: str, now: datetime) -> Answer:
    """Return the answer of a request that was never sent, with attempt 0 and the reason."""
    return Answer(request, 0, now, now, now, None, {}, None, failure, reason)


def build_cancelled_outcome(
    request: Request, attempts: int, latest_outcome: EventOutcome | None, now: datetime
) -> EventOutcome:
    """Return the ledger line of a listing whose requests were cancelled.

    `attempts` is the number of attempts started. `latest_outcome` is the outcome of the last answered attempt; if it is
    good, it stays.
    """
    if latest_outcome is None:
        latest_outcome = build_outcome(build_unasked_answer(request, FailureClass.TRANSIENT, "", now), now)
        return replace(
            latest_outcome,
            status=RunStatus.CANCELLED,
            attempts=attempts,
            failure=None,
            failure_detail="ended before an answer came",
        )
    if latest_outcome.status is RunStatus.COMPLETED:
        return latest_outcome
    detail = f"ended before another try; last {latest_outcome.failure}: {latest_outcome.failure_detail}"
    return replace(latest_outcome, status=RunStatus.CANCELLED, attempts=attempts, failure_detail=detail)


def build_discovery_result(
    cycle: Cycle,
    discoveries: Mapping[Platform, Discovery],
    tally: StageTally,
    finished_at: datetime,
    late_platforms: Collection[Platform] = (),
) -> CycleResult:
    """Return the result of a cycle after its discovery: one run per platform, no ledger lines yet.

    The runs of `late_platforms` have the status running.
    """
    runs = [
        _build_run(
            platform,
            tally.counts_by_platform[platform],
            finished_at,
            status=RunStatus.RUNNING if platform in late_platforms else _map_discovery_status(discovery),
            message=LATE_MESSAGE
            if platform in late_platforms
            else discovery.reason
            if discovery.listings or discovery.reason
            else "nothing is listed",
            discovered=len(discovery.listings),
        )
        for platform, discovery in discoveries.items()
    ]
    return CycleResult(cycle, combine_statuses(run.status for run in runs), finished_at, runs)


def build_capture_result(
    cycle: Cycle,
    tally: StageTally,
    budgets: Mapping[Platform, HostBudget],
    finished_at: datetime,
    earlier_result: CycleResult | None = None,
) -> CycleResult:
    """Return the result of a cycle after its capture.

    `earlier_result` is the result of its discovery; the returned runs cover both stages.
    """
    runs = merge_runs(earlier_result.runs if earlier_result else (), _build_capture_runs(tally, budgets, finished_at))
    return CycleResult(cycle, combine_statuses(run.status for run in runs), finished_at, runs, tuple(tally.outcomes))


def build_running_runs(
    tally: StageTally, now: datetime, earlier_result: CycleResult | None = None
) -> list[PlatformRun]:
    """Return one run per platform that has had requests, while the stage is running.

    A run's number of targets counts the listings whose requests are finished.
    """
    runs = []
    for platform, counts in tally.counts_by_platform.items():
        platform_outcomes = [outcome for outcome in tally.outcomes if outcome.platform == platform]
        runs.append(
            _build_run(
                platform,
                counts,
                now,
                status=RunStatus.RUNNING,
                targets=len(platform_outcomes),
                fetched=_count_fetched(platform_outcomes),
            )
        )
    return [
        replace(run, status=RunStatus.RUNNING)
        for run in merge_runs(earlier_result.runs if earlier_result else (), runs)
    ]


def build_unfinished_result(
    cycle: Cycle,
    status: RunStatus,
    message: str,
    finished_at: datetime,
    *,
    tally: StageTally,
    unfinished_outcomes: Sequence[EventOutcome] = (),
    budgets: Mapping[Platform, HostBudget],
    earlier_result: CycleResult | None = None,
) -> CycleResult:
    """Return the result of a cycle whose stage did not finish, with a ledger line per listing.

    Every platform that was not finished gets `status` and `message`. A platform was finished when it had listings to
    request and none of them is in `unfinished_outcomes`. `tally` and `unfinished_outcomes` are those of the stage.
    """
    finished_listings = {(outcome.platform, outcome.external_id) for outcome in tally.outcomes}
    unfinished_outcomes = [
        outcome for outcome in unfinished_outcomes if (outcome.platform, outcome.external_id) not in finished_listings
    ]
    n_unfinished = Counter(outcome.platform for outcome in unfinished_outcomes)
    runs = {run.platform: run for run in _build_capture_runs(tally, budgets, finished_at)}
    discovered_platforms = [run.platform for run in earlier_result.runs if run.discovered] if earlier_result else []
    for platform in [*n_unfinished, *tally.counts_by_platform, *discovered_platforms]:
        if platform not in runs:
            runs[platform] = _build_run(platform, tally.counts_by_platform[platform], finished_at, status=status)
    for platform, run in runs.items():
        if n_unfinished[platform] or not run.targets:
            runs[platform] = replace(
                run,
                status=status,
                targets=run.targets + n_unfinished[platform],
                message=_join_messages(run.message, message),
            )
    outcomes = (*tally.outcomes, *unfinished_outcomes)
    merged_runs = merge_runs(earlier_result.runs if earlier_result else (), list(runs.values()))
    return CycleResult(cycle, status, finished_at, merged_runs, outcomes)


def rebuild_outcomes(
    landed_answers: pl.DataFrame,
    *,
    status: RunStatus = RunStatus.INTERRUPTED,
    message: str = "",
    n_discovered: Mapping[Platform, int] | None = None,
) -> tuple[list[EventOutcome], list[PlatformRun]]:
    """Compute ledger lines and runs of a cycle whose process died, from its landed answers.

    Columns: platform, kind, path, params, external_id, sr_id, attempt, status (HTTP), failure, failure_detail,
    requested_at, received_at, observed_at, n_bytes (of the body, unpacked). Answers of every kind are used; bodies are
    not needed.
    Every run gets `status` and `message`. `n_discovered` is the number of listings that each platform's discovery
    found, if it is known. The result does not depend on the order of the rows.
    """
    discovery, capture = rebuild_tallies(landed_answers)
    discovered_counts, runs = n_discovered or {}, []
    for platform in sorted(discovery.counts_by_platform.keys() | capture.counts_by_platform.keys()):
        platform_outcomes = [outcome for outcome in capture.outcomes if outcome.platform == platform]
        stage_runs = [
            _build_run(platform, tally.counts_by_platform[platform], landed_answers["received_at"].max(), status=status)  # type: ignore[arg-type]
            for tally in (discovery, capture)
            if platform in tally.counts_by_platform
        ]
        (run,) = merge_runs(stage_runs[:1], stage_runs[1:])
        runs.append(
            replace(
                run,
                targets=len(platform_outcomes),
                fetched=_count_fetched(platform_outcomes),
                discovered=discovered_counts.get(platform, 0),
                message=message,
            )
        )
    return capture.outcomes, runs


def rebuild_tallies(landed_answers: pl.DataFrame) -> tuple[StageTally, StageTally]:
    """Return the tallies of a cycle's discovery and capture, computed from its landed answers.

    The columns are those of `rebuild_outcomes`.
    """
    outcomes_by_listing: dict[tuple[Platform, str], dict[tuple[str, str], EventOutcome]] = defaultdict(dict)
    discovery, capture = StageTally(counts_details=False), StageTally(counts_discovery=False)
    for row in landed_answers.sort("requested_at", "attempt", "received_at").iter_rows(named=True):
        answer = _rebuild_answer(row)
        platform, external_id = answer.request.platform, answer.request.external_id
        if answer.request.kind is not PayloadKind.DETAIL or external_id is None:
            discovery.counts_by_platform[platform].add_attempt(answer, row["n_bytes"])
            continue
        is_good_part = answer.failure_detail.startswith(INCOMPLETE_BOOK_PREFIX)
        counted_answer = replace(answer, failure=None) if is_good_part else answer
        capture.counts_by_platform[platform].add_attempt(counted_answer, row["n_bytes"])
        outcomes, request = outcomes_by_listing[platform, external_id], (row["path"], row["params"])
        outcomes[request] = _add_answer(outcomes.get(request), answer, row["n_bytes"])
    for outcomes in outcomes_by_listing.values():
        # A book lands good answers only when it is complete, so one good answer proves all of them.
        good_outcomes = [outcome for outcome in outcomes.values() if outcome.failure is None]
        capture.outcomes.append(combine_outcomes(good_outcomes or list(outcomes.values())))
    return discovery, capture


def _rebuild_answer(row: Mapping[str, Any]) -> Answer:
    """Convert a row to an answer without its body. An answer without a failure had a body."""
    request = Request(
        Platform(row["platform"]), PayloadKind(row["kind"]), "", external_id=row["external_id"], sr_id=row["sr_id"]
    )
    failure = None if row["failure"] is None else FailureClass(row["failure"])
    instants = row["requested_at"], row["received_at"], row["observed_at"]
    return Answer(
        request,
        row["attempt"],
        *instants,
        row["status"],
        {},
        b"" if failure is None else None,
        failure,
        row["failure_detail"],
    )


def _add_answer(outcome: EventOutcome | None, answer: Answer, n_bytes: int) -> EventOutcome:
    """Return the ledger line after one more answer.

    Attempts of several processes that executed the cycle are added. A good answer is never replaced.
    """
    if outcome is not None and outcome.status is RunStatus.COMPLETED:
        return outcome
    attempts = (outcome.attempts if outcome else 0) + (answer.attempt > 0)
    first_at = outcome.requested_at if outcome else answer.requested_at
    return replace(build_outcome(answer, first_at), attempts=attempts, bytes=n_bytes)


def _build_capture_runs(
    tally: StageTally, budgets: Mapping[Platform, HostBudget], finished_at: datetime
) -> list[PlatformRun]:
    """Return one run per platform that has a listing in the tally."""
    by_platform: dict[Platform, list[EventOutcome]] = defaultdict(list)
    for outcome in tally.outcomes:
        by_platform[outcome.platform].append(outcome)
    floors = compute_floors_s(
        {platform: tally.counts_by_platform[platform].durations_s for platform in by_platform}, budgets
    )
    runs = []
    for platform, platform_outcomes in by_platform.items():
        fetched = _count_fetched(platform_outcomes)
        # A listing that no longer exists is not a failure of the platform. A platform without any fetched listing has
        # failed.
        has_faults = any(outcome.failure not in (None, FailureClass.NOT_FOUND) for outcome in platform_outcomes)
        status = RunStatus.FAILED if fetched == 0 else RunStatus.PARTIAL if has_faults else RunStatus.COMPLETED
        run = _build_run(
            platform,
            tally.counts_by_platform[platform],
            finished_at,
            status=status,
            message="" if status is RunStatus.COMPLETED else _describe_failures(platform_outcomes, fetched),
            targets=len(platform_outcomes),
            fetched=fetched,
        )
        runs.append(replace(run, capture_s=tally.counts_by_platform[platform].wall_s, floor_s=floors[platform]))
    return runs


def merge_runs(earlier: Sequence[PlatformRun], later: Sequence[PlatformRun]) -> list[PlatformRun]:
    """Combine the runs of discovery and capture into one run per platform.

    Latencies are those of the capture, if the platform has one.
    """
    run_by_platform = {run.platform: run for run in earlier}
    for run in later:
        earlier_run = run_by_platform.get(run.platform)
        run_by_platform[run.platform] = run if earlier_run is None else _merge_run(earlier_run, run)
    return list(run_by_platform.values())


def combine_statuses(statuses: Iterable[RunStatus]) -> RunStatus:
    """Combine the statuses of platforms: completed if all are, failed if all are, otherwise partial.

    Without any status the result is completed.
    """
    distinct_statuses = set(statuses)
    if distinct_statuses <= {RunStatus.COMPLETED}:
        return RunStatus.COMPLETED
    return RunStatus.FAILED if distinct_statuses == {RunStatus.FAILED} else RunStatus.PARTIAL


def _measure_ms(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() * 1000


def _join_messages(*messages: str) -> str:
    return "; ".join(filter(None, messages))


def _count_fetched(outcomes: Sequence[EventOutcome]) -> int:
    return sum(outcome.status is RunStatus.COMPLETED for outcome in outcomes)


def _map_discovery_status(discovery: Discovery) -> RunStatus:
    # A platform without any listing has always been the result of an error so far.
    if discovery.completeness is Completeness.FAILED or not discovery.listings:
        return RunStatus.FAILED
    return RunStatus.COMPLETED if discovery.completeness is Completeness.COMPLETE else RunStatus.PARTIAL


def _build_run(
    platform: Platform,
    counts: RequestCounts,
    finished_at: datetime,
    *,
    status: RunStatus,
    message: str = "",
    discovered: int = 0,
    targets: int = 0,
    fetched: int = 0,
) -> PlatformRun:
    """Return the run of a platform. Without requests, both of its instants are `finished_at`."""
    p50_s, p95_s = (
        compute_percentile(counts.answered_durations_s, 50),
        compute_percentile(counts.answered_durations_s, 95),
    )
    return PlatformRun(
        platform=platform,
        status=status,
        started_at=counts.first_at or finished_at,
        finished_at=counts.last_at or finished_at,
        discovered=discovered,
        targets=targets,
        fetched=fetched,
        requests=counts.requests,
        bytes=counts.bytes,
        errors_by_class={str(failure): n for failure, n in sorted(counts.failures.items())},
        p50_ms=None if p50_s is None else p50_s * 1000,
        p95_ms=None if p95_s is None else p95_s * 1000,
        message=message,
        clock_offset_s=statistics.median(counts.clock_offsets_s) if counts.clock_offsets_s else None,
    )


def _merge_run(earlier_run: PlatformRun, run: PlatformRun) -> PlatformRun:
    errors = Counter(earlier_run.errors_by_class)
    errors.update(run.errors_by_class)
    return replace(
        run,
        status=next(status for status in _WORST_FIRST if status in (earlier_run.status, run.status)),
        started_at=min(earlier_run.started_at, run.started_at),
        finished_at=max(earlier_run.finished_at, run.finished_at),
        discovered=earlier_run.discovered + run.discovered,
        targets=earlier_run.targets + run.targets,
        fetched=earlier_run.fetched + run.fetched,
        requests=earlier_run.requests + run.requests,
        bytes=earlier_run.bytes + run.bytes,
        errors_by_class=dict(sorted(errors.items())),
        p50_ms=run.p50_ms if run.p50_ms is not None else earlier_run.p50_ms,
        p95_ms=run.p95_ms if run.p95_ms is not None else earlier_run.p95_ms,
        message=_join_messages(earlier_run.message, run.message),
        clock_offset_s=run.clock_offset_s if run.clock_offset_s is not None else earlier_run.clock_offset_s,
        capture_s=run.capture_s if run.capture_s is not None else earlier_run.capture_s,
        floor_s=run.floor_s if run.floor_s is not None else earlier_run.floor_s,
    )


def _describe_failures(outcomes: Sequence[EventOutcome], fetched: int) -> str:
    count_by_failure = Counter(str(outcome.failure) for outcome in outcomes if outcome.failure is not None)
    example = next(outcome.failure_detail for outcome in outcomes if outcome.failure is not None)
    counts = ", ".join(f"{n} {failure}" for failure, n in count_by_failure.most_common())
    return f"{fetched} of {len(outcomes)} listings fetched; {counts}, e.g. {example}"
