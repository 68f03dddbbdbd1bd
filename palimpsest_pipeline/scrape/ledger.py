"""What a cycle came to: outcomes, runs and skew from what was asked and answered. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from ..domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from ..domain.exchange import Answer
from ..domain.observations import Discovery
from ..domain.words import Completeness, FailureClass, Platform, RunStatus
from .discovery import Found
from .tally import Counts, percentile


def outcome_of(answers: Sequence[Answer]) -> EventOutcome:
    """Ledger line of one listing from all attempts at it; the last one is the verdict. Instants and duration span all attempts."""
    first, last = answers[0], answers[-1]
    return EventOutcome(
        platform=last.request.platform,
        external_id=last.request.external_id or "",
        sr_id=last.request.sr_id,
        status=RunStatus.COMPLETED if last.ok else RunStatus.FAILED,
        attempts=sum(answer.attempt > 0 for answer in answers),
        failure=last.failure,
        failure_detail=last.failure_detail,
        http_status=last.status,
        requested_at=first.requested_at,
        received_at=last.received_at,
        bytes=len(last.body or b""),
        duration_ms=(last.received_at - first.requested_at).total_seconds() * 1000,
    )


def discovery_result(cycle: Cycle, found: Found, finished_at: datetime) -> CycleResult:
    """The cycle after discovery: a run per platform, no outcomes yet."""
    runs = [
        _run(
            platform,
            _discovery_status(discovery),
            found.counts[platform],
            started_at=found.started_at,
            finished_at=found.finished_at[platform],
            message=discovery.reason if discovery.listings or discovery.reason else "nothing is listed",
            discovered=len(discovery.listings),
        )
        for platform, discovery in found.discoveries.items()
    ]
    return CycleResult(cycle, cycle_status(run.status for run in runs), finished_at, runs)


def capture_runs(
    outcomes: Iterable[EventOutcome], counts: Mapping[Platform, Counts], started_at: datetime, finished_at: Mapping[Platform, datetime]
) -> list[PlatformRun]:
    """A run per platform that was asked for a listing."""
    by_platform: dict[Platform, list[EventOutcome]] = defaultdict(list)
    for outcome in outcomes:
        by_platform[outcome.platform].append(outcome)
    runs = []
    for platform, mine in by_platform.items():
        fetched = sum(outcome.status is RunStatus.COMPLETED for outcome in mine)
        # A listing that is gone is an answer about it, not a fault of the run; but a platform where all are gone has given nothing.
        faults = Counter(outcome.failure for outcome in mine if outcome.failure not in (None, FailureClass.NOT_FOUND))
        status = RunStatus.FAILED if fetched == 0 else RunStatus.PARTIAL if faults else RunStatus.COMPLETED
        message = "" if status is RunStatus.COMPLETED else _told(mine, fetched)
        runs.append(
            _run(
                platform,
                status,
                counts[platform],
                started_at=started_at,
                finished_at=finished_at[platform],
                message=message,
                targets=len(mine),
                fetched=fetched,
            )
        )
    return runs


def merged(earlier: Sequence[PlatformRun], later: Sequence[PlatformRun]) -> list[PlatformRun]:
    """Runs of the whole cycle from those of its discovery and its capture. Latencies are those of the capture where there was one."""
    both = {run.platform: run for run in earlier}
    for run in later:
        before = both.get(run.platform)
        both[run.platform] = run if before is None else _merge(before, run)
    return list(both.values())


def cycle_status(statuses: Iterable[RunStatus]) -> RunStatus:
    """Completed when all platforms are, failed when all failed, partial in between. A cycle with nothing to ask is completed."""
    seen = set(statuses)
    if seen <= {RunStatus.COMPLETED}:
        return RunStatus.COMPLETED
    return RunStatus.FAILED if seen == {RunStatus.FAILED} else RunStatus.PARTIAL


def skew_ms(observed_at: Mapping[Platform, datetime]) -> float | None:
    """How far apart one fixture's platforms were seen, from the first good answer of each; None on fewer than two."""
    if len(observed_at) < 2:
        return None
    return (max(observed_at.values()) - min(observed_at.values())).total_seconds() * 1000


def _discovery_status(discovery: Discovery) -> RunStatus:
    # A platform that lists nothing at all has never happened but by a fault.
    if discovery.completeness is Completeness.FAILED or not discovery.listings:
        return RunStatus.FAILED
    return RunStatus.COMPLETED if discovery.completeness is Completeness.COMPLETE else RunStatus.PARTIAL


def _run(
    platform: Platform,
    status: RunStatus,
    counts: Counts,
    *,
    started_at: datetime,
    finished_at: datetime,
    message: str,
    discovered: int = 0,
    targets: int = 0,
    fetched: int = 0,
) -> PlatformRun:
    return PlatformRun(
        platform=platform,
        status=status,
        started_at=started_at,
        finished_at=finished_at,
        discovered=discovered,
        targets=targets,
        fetched=fetched,
        requests=counts.requests,
        bytes=counts.bytes,
        errors_by_class={str(failure): n for failure, n in sorted(counts.failures.items())},
        p50_ms=percentile(counts.durations_ms, 50),
        p95_ms=percentile(counts.durations_ms, 95),
        message=message,
    )


def _merge(before: PlatformRun, run: PlatformRun) -> PlatformRun:
    statuses = {before.status, run.status}
    worst = next(s for s in (RunStatus.FAILED, RunStatus.PARTIAL, RunStatus.COMPLETED) if s in statuses)
    errors = Counter(before.errors_by_class)
    errors.update(run.errors_by_class)
    return PlatformRun(
        platform=run.platform,
        status=worst,
        started_at=min(before.started_at, run.started_at),
        finished_at=max(before.finished_at, run.finished_at),
        discovered=before.discovered + run.discovered,
        targets=before.targets + run.targets,
        fetched=before.fetched + run.fetched,
        requests=before.requests + run.requests,
        bytes=before.bytes + run.bytes,
        errors_by_class=dict(sorted(errors.items())),
        p50_ms=run.p50_ms if run.p50_ms is not None else before.p50_ms,
        p95_ms=run.p95_ms if run.p95_ms is not None else before.p95_ms,
        message="; ".join(filter(None, (before.message, run.message))),
    )


def _told(outcomes: Sequence[EventOutcome], fetched: int) -> str:
    failed = Counter(str(outcome.failure) for outcome in outcomes if outcome.failure is not None)
    example = next(outcome.failure_detail for outcome in outcomes if outcome.failure is not None)
    return f"{fetched} of {len(outcomes)} listings fetched; {', '.join(f'{n} {c}' for c, n in failed.most_common())}, e.g. {example}"
