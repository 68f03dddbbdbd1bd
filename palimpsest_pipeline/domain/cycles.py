"""A cycle, its targets and its results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .enums import FailureClass, Platform, RunStatus, Scope, Trigger


@dataclass(frozen=True, slots=True)
class Cycle:
    """One scrape. `partition_hour` is the UTC hour it belongs to."""

    cycle_id: int
    trigger: Trigger
    scope: Scope
    home_platform: Platform
    partition_hour: datetime
    started_at: datetime
    run_id: str | None = None
    sr_ids: tuple[int, ...] = ()
    """Fixtures requested when the scope is `kickoff` or `events`."""
    slot_at: datetime | None = None
    """Slot of the kickoff cadence that started the cycle; None in other scopes."""
    platforms: tuple[Platform, ...] = ()
    """The platforms that it covers; empty in cycles of versions that knew three."""


@dataclass(frozen=True, slots=True)
class Target:
    """One fixture to capture, with the listing ids of every platform.

    A listing without a SportRadar id is a target of its own (`sr_id` is None).
    """

    sr_id: int | None
    kickoff_at: datetime
    listings: Mapping[Platform, tuple[str, ...]]
    answered_cycle_id: int = 0
    """Newest cycle by which each of the target's platforms has answered, in that cycle or an older one.

    0 when a platform has never answered or was never asked.
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
    """From the first request to the final answer, waits between attempts included."""
    observed_at: datetime | None = None
    """The instant that the good answer describes; None without a good answer."""


@dataclass(frozen=True, slots=True)
class PlatformRun:
    """One platform's part in a cycle."""

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
    """Seconds by which the host's clock is ahead of ours; None when no answer shows it.

    It is the median over the answers.
    """
    capture_s: float | None = None
    """From the first request of the capture to the last answer on this platform; None without a capture."""
    floor_s: float | None = None
    """Minimum time in which this platform's budget allows these requests; None without a capture.

    It uses the measured durations.
    """


@dataclass(frozen=True, slots=True)
class CycleResult:
    """The result of a cycle: per platform and per listing.

    `skew_ms` has one value per fixture that two or more platforms answered: the time between its answers.
    """

    cycle: Cycle
    status: RunStatus
    finished_at: datetime
    runs: Sequence[PlatformRun]
    outcomes: Sequence[EventOutcome] = field(default_factory=tuple)
    skew_ms: Sequence[float] = field(default_factory=tuple)
