"""Troubles from when they are first seen until they are over, and what is still to be told of them. Pure.

Belongs here: what occurrences and recoveries make of the alerts that are known. Does not: where troubles are found,
kept or told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .enums import Severity

CHECK_ERROR_CLASS: Final = "CheckFailed"
"""Class of a check that failed, in the place of the class of an error."""
KEY_SEPARATOR: Final = ", "
MAX_NAMED_PARTITIONS: Final = 5
STALE_AFTER: Final = timedelta(days=1)
"""A trouble that was over for so long before anybody could be told of it is no news."""


class AlertKind(StrEnum):
    """What a trouble was found in."""

    RUN = "run"
    CYCLE = "cycle"
    """A product that could not be derived from cycles.

    The subject is the asset of the product, the partitions are the cycles.
    """
    CHECK = "check"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A failure that was seen.

    `partition_key`: a partition key of Dagster (a day or a date) or the id of a cycle; several are separated by commas.
    `lasts`: True when only a success of the same partition ends the trouble; False when the next success of the subject
    does. `n_seen`: number of failures that it counts for.
    """

    kind: AlertKind
    subject: str
    error_class: str
    severity: Severity
    message: str
    at: datetime
    partition_key: str | None = None
    is_per_partition: bool = False
    n_seen: int = 1

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.subject}/{self.error_class}"

    @property
    def partition_keys(self) -> list[str]:
        return _split_keys(self.partition_key)


@dataclass(frozen=True, slots=True)
class Recovery:
    """A success that may end a trouble.

    `partition_key`: the partitions that succeeded, separated by commas; None: the success ends the subject's troubles
    of all partitions.
    """

    kind: AlertKind
    subject: str
    at: datetime
    partition_key: str | None = None

    @property
    def partition_keys(self) -> list[str]:
        return _split_keys(self.partition_key)


Events = list[Occurrence | Recovery]


@dataclass(frozen=True, slots=True)
class Alert:
    """One trouble: the columns of ops.alerts.

    `partition_key`: when each partition needs its own success, all partitions that still have the trouble, separated by
    commas; otherwise the latest partition that had it.
    """

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
    def kind(self) -> AlertKind:
        return AlertKind(self.alert_key.partition("/")[0])

    @property
    def partition_keys(self) -> list[str]:
        return _split_keys(self.partition_key)

    @property
    def partition_label(self) -> str:
        """Return the partitions in words: `2026-06-27`, `cycle 7`, `cycles 7, 9`; of many the first few and how many
        more. Empty without any.
        """
        keys = self.partition_keys
        more = f" and {len(keys) - MAX_NAMED_PARTITIONS} more" if len(keys) > MAX_NAMED_PARTITIONS else ""
        noun = ("cycles " if len(keys) > 1 else "cycle ") if keys and all(key.isdecimal() for key in keys) else ""
        return f"{noun}{KEY_SEPARATOR.join(keys[:MAX_NAMED_PARTITIONS])}{more}"

    @property
    def identity(self) -> tuple[str, datetime]:
        return self.alert_key, self.opened_at

    @classmethod
    def from_occurrence(cls, occurrence: Occurrence) -> "Alert":
        """The alert that a first occurrence opens."""
        return cls(
            occurrence.key,
            occurrence.at,
            occurrence.severity,
            occurrence.subject,
            occurrence.error_class,
            occurrence.message,
            occurrence.partition_key,
            occurrence.n_seen,
            occurrence.at,
        )


@dataclass(frozen=True, slots=True)
class PendingNotices:
    """What a channel has still to tell: troubles that began, and such that are over."""

    openings: tuple[Alert, ...] = ()
    closings: tuple[Alert, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.openings or self.closings)


def apply_events(
    latest_alerts: Iterable[Alert], events: Sequence[Occurrence | Recovery], settle_period: timedelta
) -> list[Alert]:
    """The alerts that `events` open or change, given the latest alert of each key. In any order; events already taken
    in change nothing.

    What begins again within `settle` of its end, and whose end was not told, goes on as if it had not ended.
    """
    before = {alert.alert_key: alert for alert in latest_alerts}
    now, closed = dict(before), []
    for event in sorted(events, key=lambda event: (event.at, isinstance(event, Occurrence))):
        if isinstance(event, Recovery):
            for key, alert in now.items():
                if _ends_alert(event, alert):
                    now[key] = _remove_partitions(alert, event)
            continue
        found = now.get(event.key)
        if found is None:
            now[event.key] = Alert.from_occurrence(event)
        elif event.at <= (found.closed_at or found.last_seen_at):
            continue
        elif found.closed_at is None or (event.at - found.closed_at <= settle_period and not found.closing_told_by):
            now[event.key] = _add_occurrence(found, event)
        else:
            closed.append(found)
            now[event.key] = Alert.from_occurrence(event)
    known = {alert.identity: alert for alert in before.values()}
    return [alert for alert in (*closed, *now.values()) if known.get(alert.identity) != alert]


def _ends_alert(event: Recovery, alert: Alert) -> bool:
    return (
        alert.closed_at is None
        and (alert.kind, alert.subject) == (event.kind, event.subject)
        and event.at > alert.last_seen_at
    )


def _remove_partitions(alert: Alert, event: Recovery) -> Alert:
    """The alert without the partitions that succeeded; over when none is left."""
    left = [key for key in alert.partition_keys if event.partition_key is not None and key not in event.partition_keys]
    return replace(alert, partition_key=KEY_SEPARATOR.join(left)) if left else replace(alert, closed_at=event.at)


def _split_keys(partition_key: str | None) -> list[str]:
    return [] if partition_key is None else partition_key.split(KEY_SEPARATOR)


def join_keys(keys: Iterable[str]) -> str | None:
    """Return partitions as one text, each once: dates by time, cycles by id. None without any."""
    return KEY_SEPARATOR.join(sorted(set(keys), key=lambda key: (len(key), key))) or None


def _add_occurrence(alert: Alert, occurrence: Occurrence) -> Alert:
    """The alert with one more occurrence. One that is worse than it was is told anew."""
    lasting = alert.partition_keys if alert.closed_at is None else []
    worse = occurrence.severity is Severity.ERROR and alert.severity is Severity.WARN
    again = replace(
        alert,
        message=occurrence.message,
        partition_key=join_keys([*lasting, *occurrence.partition_keys])
        if occurrence.is_per_partition
        else occurrence.partition_key or join_keys(lasting),
        n_seen=alert.n_seen + occurrence.n_seen,
        last_seen_at=occurrence.at,
        closed_at=None,
        severity=Severity.ERROR if worse else alert.severity,
    )
    return replace(again, told_by=(), told_at=None) if worse else again


def select_notices(
    alerts: Iterable[Alert], channel: str, now: datetime, settle_period: timedelta, min_severity: Severity
) -> PendingNotices:
    """What `channel` has to tell of `alerts`.

    An end is told when it has lasted for `settle`; when the begin was not told, then it alone.
    """
    begun, over = [], []
    for alert in alerts:
        if min_severity is Severity.ERROR and alert.severity is Severity.WARN:
            continue
        untold = alert.told_at is None and channel not in alert.told_by
        if alert.closed_at is None or now - alert.closed_at < settle_period:
            if untold:
                begun.append(alert)
        elif (
            alert.closing_told_at is None
            and channel not in alert.closing_told_by
            and not (untold and now - alert.closed_at > STALE_AFTER)
        ):
            over.append(alert)
    return PendingNotices(tuple(begun), tuple(over))


def mark_notified(alert: Alert, channel: str, channels: Sequence[str], now: datetime, *, is_closing: bool) -> Alert:
    """The alert once `channel` has told its begin, or with `ended` its end. Told for good when all of `every` have."""
    by = tuple(dict.fromkeys((*alert.told_by, channel)))
    after = replace(alert, told_by=by, told_at=alert.told_at or (now if set(channels) <= set(by) else None))
    if not is_closing:
        return after
    by = tuple(dict.fromkeys((*alert.closing_told_by, channel)))
    return replace(after, closing_told_by=by, closing_told_at=now if set(channels) <= set(by) else None)
