"""A cycle, its targets and its results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .enums import FailureClass, Platform, RunStatus, Scope, Trigger


@dataclass(frozen=True, slots=True)
class Cycle:
    """One scrape. `partition_hour` is the UTC hour to which it belongs."""

    cycle_id: int
    trigger: Trigger
    scope: Scope
    home_platform: Platform
    partition_hour: datetime
    started_at: datetime
    run_id: str | None = None
    sr_ids: tuple[int, ...] = ()
    """The fixtures to request when the scope is `kickoff` or `events`."""
    slot_at: datetime | None = None
    """Start of the slot of the kickoff cadence for which the cycle runs; None in other scopes."""
    platforms: tuple[Platform, ...] = ()
    """The platforms that the cycle covers. Empty for cycles of older versions, which had three platforms."""


@dataclass(frozen=True, slots=True)
class Target:
    """A fixture to capture, with the listing ids on every platform.

    A listing without a SportRadar id is a target of its own (`sr_id` is None).
    """

    sr_id: int | None
    kickoff_at: datetime
    listings: Mapping[Platform, tuple[str, ...]]
    answered_cycle_id: int = 0
    """The smallest id among the last cycles in which each platform answered about this fixture.

    0 when a platform has not answered recently, and when it was not looked up.
    """


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """One ledger line: the result of the requests for one listing."""

    platform: Platform
    external_id: str
    sr_id: int | None
    status: RunStatus
    attempts: int
    failure: FailureClass | None
    failure_detail: str
    http_status: int | None
    requested_at: datetime
    received_at: datetime
    bytes: int
    duration_ms: float
    """Milliseconds from the first request to the final answer, including waits between attempts."""
    observed_at: datetime | None = None
    """The instant that the good answer shows; None without a good answer."""


@dataclass(frozen=True, slots=True)
class PlatformRun:
    """The result of one platform in a cycle.

    `discovered`, `targets` and `fetched` count listings: found by the discovery, requested, answered.
    """

    platform: Platform
    status: RunStatus
    started_at: datetime
    finished_at: datetime
    discovered: int
    targets: int
    fetched: int
    requests: int
    bytes: int
    errors_by_class: Mapping[str, int]
    p50_ms: float | None
    p95_ms: float | None
    message: str = ""
    clock_offset_s: float | None = None
    """Median offset in seconds by which the host's clock is ahead of the pipeline's clock.

    None when no answer shows the host's clock.
    """
    capture_s: float | None = None
    """Seconds from the first request of the capture to the last answer of the platform.

    None without a capture.
    """
    floor_s: float | None = None
    """Minimum seconds that the platform's budget needs for these requests; None without a capture.

    It is computed from the measured durations of the requests.
    """


@dataclass(frozen=True, slots=True)
class CycleResult:
    """The result of a cycle, per platform and per listing."""

    cycle: Cycle
    status: RunStatus
    finished_at: datetime
    runs: Sequence[PlatformRun]
    outcomes: Sequence[EventOutcome] = field(default_factory=tuple)
