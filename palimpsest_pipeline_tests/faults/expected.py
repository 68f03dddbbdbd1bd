"""What must hold when a platform fails, as data: the runs, and the ledger line that the table of failures demands
for what the simulator did.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, Platform, RunStatus
from palimpsest_pipeline.scrape.host_budget import BreakerRule, HostBudget
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, PLATFORMS, SPORTYBET

TRANSIENT, BLOCKED, BROKEN = FailureClass.TRANSIENT, FailureClass.BLOCKED, FailureClass.CONTRACT_BROKEN
COMPLETED, PARTIAL, FAILED = RunStatus.COMPLETED, RunStatus.PARTIAL, RunStatus.FAILED

FAILURES: Final[Mapping[str, FailureClass]] = {
    **dict.fromkeys(("error", "down", "outage", "reset", "hang", "truncate", "cut_json"), TRANSIENT),
    **dict.fromkeys(("block", "html", "empty202", "challenge503"), BLOCKED),
    **dict.fromkeys(("redirect", "bomb", "huge"), BROKEN),
    "ratelimit": FailureClass.RATE_LIMITED,
}
"""What a failure of the simulator is to us. The others leave an answer usable."""

Listing = tuple[Platform, str]


@dataclass(frozen=True)
class Line:
    """A ledger line, as far as it follows from what was asked and answered."""

    attempts: int
    status: RunStatus
    failure: FailureClass | None


ONCE: Final = Line(1, COMPLETED, None)


def failure_of(asked: RequestLine) -> FailureClass | None:
    """What one answer is to us; None for a good one."""
    return next((FAILURES[mode] for mode in asked.faults if mode in FAILURES), None)


def ledger(log: Iterable[RequestLine], listings: Iterable[Listing], spared: FailureClass | None) -> dict[Listing, Line]:
    """The line of every listing that was to be asked for: its last answer is the verdict; `spared` is why some were
    never asked.
    """
    asked: dict[Listing, list[RequestLine]] = defaultdict(list)
    for line in log:
        if line.external_id:
            asked[Platform(line.platform), line.external_id].append(line)
    lines = {}
    for listing in listings:
        mine = asked[listing]
        failure = failure_of(mine[-1]) if mine else spared
        lines[listing] = Line(len(mine), FAILED if failure else COMPLETED, failure)
    return lines


def beyond_the_table(log: Iterable[RequestLine], max_attempts: int) -> list[RequestLine]:
    """Requests that the table does not allow: after an answer that is not tried again, or more than so many of one
    listing.
    """
    seen: dict[tuple[str, str], list[RequestLine]] = defaultdict(list)
    wrong = []
    for line in log:
        if line.external_id:
            before = seen[line.platform, line.external_id]
            failures = [failure_of(earlier) for earlier in before]
            if len(before) >= max_attempts or any(
                failure is None or not FAILURE_RULES[failure].is_retryable for failure in failures
            ):
                wrong.append(line)
            before.append(line)
    return wrong


def budget(**breaker: float) -> HostBudget:
    """Small waits; `breaker` as in BreakerRule."""
    rule = BreakerRule(**{"pause_s": 0.1, "pause_max_s": 0.2, **breaker})  # type: ignore[arg-type]
    return HostBudget(max_in_flight=5, backoff_initial_s=0.02, backoff_max_s=0.1, breaker=rule)


QUICK: Final = budget()
IN_FLIGHT: Final = QUICK.max_in_flight
ELSEWHERE: Final = "elsewhere"
"""Stands for the address of another host, which the test knows."""


@dataclass(frozen=True)
class FaultRun:
    """One cycle with failures switched on, and what must come of it. Times in seconds."""

    name: str
    faults: tuple[tuple[str, Mapping[str, Any]], ...]
    """Modes and their settings, all on at once."""
    run: RunStatus
    """Of each platform that they befall; the others are completed, whatever happens."""
    on: tuple[Platform, ...] = (SPORTYBET,)
    discovery: Completeness = Completeness.COMPLETE
    tried_again: bool = False
    """Some listing was asked for more than once; else none was."""
    spared: FailureClass | None = None
    """Why listings were not asked for; None: none was spared."""
    befallen_at_most: int | None = None
    """Requests of a platform that met a failure; None: however many."""
    says: str = ""
    """Of the message of its run."""
    clock_offset_s: float = 0.0
    budget: HostBudget = QUICK
    total_timeout_s: float = 20.0
    max_body_bytes: int = 32_000_000


def detail(mode: str, **settings: Any) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """One failure, of details only: discovery goes well."""
    return ((mode, {"endpoint": "detail", **settings}),)


def blocking(mode: str) -> tuple[FaultRun, ...]:
    """The capture is refused: three in a row, what is under way meanwhile and one probe at most.

    And the discovery: its first questions, no more.
    """
    at_most = 3 + IN_FLIGHT - 1 + 1
    refused = FaultRun(
        f"{mode}, from the capture on", detail(mode), FAILED, spared=BLOCKED, befallen_at_most=at_most, says="blocked"
    )
    nothing = FaultRun(
        f"{mode}, from the discovery on",
        ((mode, {}),),
        FAILED,
        discovery=Completeness.FAILED,
        befallen_at_most=2,
        says="blocked",
    )
    return refused, nothing


def shared(mode: str, share: float = 0.1) -> FaultRun:
    """Some answers of every kind are lost: all are had in the end."""
    return FaultRun(f"{mode} now and then", ((mode, {"share": share}),), COMPLETED, on=(BET9JA,), tried_again=True)


def outage(for_s: float, rule: HostBudget) -> FaultRun:
    """All platforms at once, in the middle of the capture: nothing is lost."""
    return FaultRun(
        f"total outage of {for_s:g} s",
        detail("outage", from_request=15, for_s=for_s),
        COMPLETED,
        on=tuple(PLATFORMS),
        tried_again=True,
        budget=rule,
    )


def rate_limit(for_s: float, told_s: int) -> FaultRun:
    """Those under way when it begins, and one probe a round."""
    rounds = int(for_s / told_s) + 1
    return FaultRun(
        f"Retry-After {told_s} s for {for_s:g} s",
        detail("ratelimit", retry_after_s=told_s, from_request=8, for_s=for_s),
        COMPLETED,
        tried_again=True,
        befallen_at_most=IN_FLIGHT + rounds,
    )


RUNS: Final = (
    shared("error"),
    shared("reset"),
    shared("truncate"),
    shared("cut_json"),
    rate_limit(for_s=1.5, told_s=1),
    *blocking("block"),
    *blocking("html"),
    *blocking("empty202"),
    *blocking("challenge503"),
    FaultRun(
        "hang",
        detail("hang"),
        FAILED,
        spared=TRANSIENT,
        befallen_at_most=IN_FLIGHT + 3,
        says="no answer for",
        budget=budget(stall_s=0.3, give_up_s=0.5),
        total_timeout_s=1.5,
    ),
    outage(for_s=1.0, rule=QUICK),
    FaultRun("gzip bomb", detail("bomb", share=0.2), PARTIAL, says="over", max_body_bytes=4_000_000),
    FaultRun("100 MB", detail("huge", share=0.2), PARTIAL, says="over", max_body_bytes=4_000_000),
    FaultRun("redirect to another host", detail("redirect", to=ELSEWHERE), FAILED, says="redirect"),
    FaultRun(
        "a clock that is an hour ahead, and Retry-After by it",
        (("clock", {"offset_s": 3600}), *detail("ratelimit", retry_after_s=1, as_date=True, from_request=8, for_s=0.5)),
        COMPLETED,
        tried_again=True,
        clock_offset_s=3600,
    ),
    FaultRun("kickoffs that are an hour off", (("kickoffs", {"offset_s": 3600}),), COMPLETED),
)

REAL_SIZED: Final = (outage(for_s=30, rule=HostBudget(max_in_flight=16)), rate_limit(for_s=20, told_s=2))
"""With the waits of production."""


def incomplete(mode: str, platform: Platform, says: str, **settings: Any) -> FaultRun:
    """A list that falls short: nothing that it lacks is absent for that, and what it shows is captured as ever."""
    return FaultRun(
        f"{mode} on {platform}", ((mode, settings),), PARTIAL, on=(platform,), discovery=Completeness.PARTIAL, says=says
    )


GONE: Final = tuple(incomplete("tournament_gone", platform, "contradicts itself") for platform in PLATFORMS)
PAGE_MISSING: Final = tuple(
    incomplete("page_missing", platform, "tournaments incomplete", page=2) for platform in PLATFORMS
)
