"""A cycle, its targets, and what it came to."""

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
    """Fixtures asked for when the scope is `kickoff` or `events`."""
    slot_at: datetime | None = None
    """Slot of the kickoff cadence that it was begun for; None in other scopes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One fixture to capture: every platform's own listing ids.

    A listing without SportRadar id is a target of its own (`sr_id` None).
    """

    sr_id: int | None
    kickoff_at: datetime
    listings: Mapping[Platform, tuple[str, ...]]
    answered_cycle_id: int = 0
    """Newest cycle in which, or in an older one, each of its platforms answered; 0: nobody has looked, or one has
    not.
    """


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """Ledger line: how asking for one listing went."""

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
    """From the first request to the verdict, waits between tries included."""
    observed_at: datetime | None = None
    """What instant the good answer shows; None when there is none."""


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
    """How far the host's clock is ahead of ours, the median of its answers; None when none of them told."""
    capture_s: float | None = None
    """From the first request of the capture to its last answer on this platform; None without a capture."""
    floor_s: float | None = None
    """The least time in which this platform's budget allows requests of the durations measured; None without a
    capture.
    """


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What a cycle came to: per platform, per listing, and how far apart one fixture's answers were (`skew_ms`, one
    per fixture on 2+ platforms).
    """

    cycle: Cycle
    status: RunStatus
    finished_at: datetime
    runs: Sequence[PlatformRun]
    outcomes: Sequence[EventOutcome] = field(default_factory=tuple)
    skew_ms: Sequence[float] = field(default_factory=tuple)
