"""Troubles from when they are first seen until they are over, and what is still to be told of them. Pure.

Belongs here: what occurrences and recoveries make of the alerts that are known. Does not: where troubles are found, kept or told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .words import Severity

STALE_AFTER: Final = timedelta(days=1)
"""A trouble that was over for so long before anybody could be told of it is no news."""


class Kind(StrEnum):
    """What a trouble was found in."""

    RUN = "run"
    CHECK = "check"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A failure that was seen. `partition_key` is that of Dagster, of several the last one; as text they sort by time."""

    kind: Kind
    subject: str
    error_class: str
    severity: Severity
    message: str
    at: datetime
    partition_key: str | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.subject}/{self.error_class}"


@dataclass(frozen=True, slots=True)
class Recovery:
    """A success of what may have failed before, in one partition or in all from `first_partition_key` to `partition_key`.

    Hours follow each other: it ends the troubles of its own hour and of earlier ones. Dates are each derived for themselves: it ends its own alone.
    """

    kind: Kind
    subject: str
    at: datetime
    partition_key: str | None = None
    first_partition_key: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One trouble: the columns of ops.alerts."""

    alert_key: str
    opened_at: datetime
    severity: Severity
    subject: str
    error_class: str
    message: str
    partition_key: str | None
    n_seen: int
    last_seen_at: datetime
    told_by: tuple[str, ...] = ()
    told_at: datetime | None = None
    closed_at: datetime | None = None
    closing_told_by: tuple[str, ...] = ()
    closing_told_at: datetime | None = None

    @property
    def kind(self) -> Kind:
        return Kind(self.alert_key.partition("/")[0])

    @property
    def identity(self) -> tuple[str, datetime]:
        return self.alert_key, self.opened_at

    @classmethod
    def of(cls, seen: Occurrence) -> "Alert":
        """The alert that a first occurrence opens."""
        return cls(seen.key, seen.at, seen.severity, seen.subject, seen.error_class, seen.message, seen.partition_key, 1, seen.at)


@dataclass(frozen=True, slots=True)
class Due:
    """What a channel has still to tell: troubles that began, and such that are over."""

    begun: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.over)


def fold(latest: Iterable[Alert], events: Sequence[Occurrence | Recovery], settle: timedelta) -> list[Alert]:
    """The alerts that `events` open or change, given the latest alert of each key. In any order; events already taken in change nothing.

    What begins again within `settle` of its end, and whose end was not told, goes on as if it had not ended.
    """
    before = {alert.alert_key: alert for alert in latest}
    now, closed = dict(before), []
    for event in sorted(events, key=lambda event: (event.at, isinstance(event, Occurrence))):
        if isinstance(event, Recovery):
            for key, alert in now.items():
                if _ends(event, alert):
                    now[key] = replace(alert, closed_at=event.at)
            continue
        found = now.get(event.key)
        if found is None:
            now[event.key] = Alert.of(event)
        elif event.at <= (found.closed_at or found.last_seen_at):
            continue
        elif found.closed_at is None or (event.at - found.closed_at <= settle and not found.closing_told_by):
            now[event.key] = _again(found, event)
        else:
            closed.append(found)
            now[event.key] = Alert.of(event)
    known = {alert.identity: alert for alert in before.values()}
    return [alert for alert in (*closed, *now.values()) if known.get(alert.identity) != alert]


def _ends(event: Recovery, alert: Alert) -> bool:
    if alert.closed_at is not None or (alert.kind, alert.subject) != (event.kind, event.subject) or event.at <= alert.last_seen_at:
        return False
    if alert.partition_key is None or event.partition_key is None:
        return True
    first = event.first_partition_key or event.partition_key
    return event.partition_key >= alert.partition_key and (is_of_hours(alert.partition_key) or first <= alert.partition_key)


def is_of_hours(partition_key: str) -> bool:
    """Whether it is a key of hours (`2026-06-26-10:00`), else of dates (`2026-06-26`)."""
    return ":" in partition_key


def _again(alert: Alert, seen: Occurrence) -> Alert:
    """The alert with one more occurrence. One that is worse than it was is told anew."""
    partitions = [key for key in (alert.partition_key, seen.partition_key) if key is not None]
    worse = seen.severity is Severity.ERROR and alert.severity is Severity.WARN
    again = replace(
        alert,
        message=seen.message,
        partition_key=max(partitions, default=None),
        n_seen=alert.n_seen + 1,
        last_seen_at=seen.at,
        closed_at=None,
        severity=Severity.ERROR if worse else alert.severity,
    )
    return replace(again, told_by=(), told_at=None) if worse else again


def due(alerts: Iterable[Alert], channel: str, now: datetime, settle: timedelta, least: Severity) -> Due:
    """What `channel` has to tell of `alerts`. An end is told when it has lasted for `settle`; when the begin was not told, then it alone."""
    begun, over = [], []
    for alert in alerts:
        if least is Severity.ERROR and alert.severity is Severity.WARN:
            continue
        untold = alert.told_at is None and channel not in alert.told_by
        if alert.closed_at is None or now - alert.closed_at < settle:
            if untold:
                begun.append(alert)
        elif alert.closing_told_at is None and channel not in alert.closing_told_by and not (untold and now - alert.closed_at > STALE_AFTER):
            over.append(alert)
    return Due(tuple(begun), tuple(over))


def told(alert: Alert, channel: str, every: Sequence[str], now: datetime, *, ended: bool) -> Alert:
    """The alert once `channel` has told its begin, or with `ended` its end. Told for good when all of `every` have."""
    by = tuple(dict.fromkeys((*alert.told_by, channel)))
    after = replace(alert, told_by=by, told_at=alert.told_at or (now if set(every) <= set(by) else None))
    if not ended:
        return after
    by = tuple(dict.fromkeys((*alert.closing_told_by, channel)))
    return replace(after, closing_told_by=by, closing_told_at=now if set(every) <= set(by) else None)
