"""The life of an alert: how failures open it, how successes close it, and what to send. No I/O.

These alerts are about the pipeline itself; alerts to traders are in `metrics.alerts`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .enums import Severity

CHECK_ERROR_CLASS: Final = "CheckFailed"
"""The error class in the alert of a failed check, which raises no exception."""
KEY_SEPARATOR: Final = ", "
MAX_NAMED_PARTITIONS: Final = 5
STALE_AFTER: Final = timedelta(days=1)
"""Maximum age of a closing that is sent although the opening was never sent.

An older closing is not sent either.
"""


class AlertKind(StrEnum):
    """The kind of object that has failed."""

    RUN = "run"
    CYCLE = "cycle"
    """A product that could not be derived for some cycles.

    The alert's subject is the asset of the product; its partitions are the cycle ids.
    """
    CHECK = "check"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One failure that was seen.

    `partition_key` is a partition key of Dagster (a UTC day or a kickoff date) or the id of a cycle; several are
    separated by commas. If `is_per_partition` is true, only a success of the same partition closes the alert; otherwise
    the next success of the subject does. `n_seen` is the number of failures that this object stands for.
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
    """One success that may close an alert.

    `partition_key` has the partitions that succeeded, separated by commas. None closes the subject's alerts of all
    partitions.
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
class PipelineAlert:
    """One alert: a row of `ops.alerts`.

    `partition_key` has all partitions that still fail, separated by commas, if each partition needs its own success;
    otherwise it is the latest partition that failed. `told_by` names the channels that have sent the opening, `told_at`
    is the instant at which all of them had; `closing_told_by` and `closing_told_at` are the same for the closing.
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
        """Return the partitions as text: `2026-06-27`, `cycle 7`, `cycles 7, 9`.

        If there are more than `MAX_NAMED_PARTITIONS`, the first ones are named and the others counted. Empty when there
        is no partition.
        """
        keys = self.partition_keys
        remainder = f" and {len(keys) - MAX_NAMED_PARTITIONS} more" if len(keys) > MAX_NAMED_PARTITIONS else ""
        noun = ("cycles " if len(keys) > 1 else "cycle ") if keys and all(key.isdecimal() for key in keys) else ""
        return f"{noun}{KEY_SEPARATOR.join(keys[:MAX_NAMED_PARTITIONS])}{remainder}"

    @property
    def identity(self) -> tuple[str, datetime]:
        return self.alert_key, self.opened_at

    @classmethod
    def from_occurrence(cls, occurrence: Occurrence) -> "PipelineAlert":
        """Return the new alert that a first failure opens."""
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
    """What a channel has not sent yet: alerts that opened and alerts that closed."""

    openings: tuple[PipelineAlert, ...] = ()
    closings: tuple[PipelineAlert, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.openings or self.closings)


def apply_events(
    latest_alerts: Iterable[PipelineAlert], events: Sequence[Occurrence | Recovery], settle_period: timedelta
) -> list[PipelineAlert]:
    """Return the alerts that `events` open or change.

    `latest_alerts` has the latest alert of each key. Events may come in any order, and an event that was applied before
    changes nothing. If a failure occurs within `settle_period` after the closing, the alert is reopened, unless a
    channel has already sent the closing.
    """
    alerts_before = {alert.alert_key: alert for alert in latest_alerts}
    alerts_now, closed = dict(alerts_before), []
    for event in sorted(events, key=lambda event: (event.at, isinstance(event, Occurrence))):
        if isinstance(event, Recovery):
            for key, alert in alerts_now.items():
                is_about_event = (alert.kind, alert.subject) == (event.kind, event.subject)
                if is_about_event and alert.closed_at is None and event.at > alert.last_seen_at:
                    alerts_now[key] = _remove_partitions(alert, event)
            continue
        current = alerts_now.get(event.key)
        if current is None:
            alerts_now[event.key] = PipelineAlert.from_occurrence(event)
        elif event.at <= (current.closed_at or current.last_seen_at):
            continue
        elif current.closed_at is None or (
            event.at - current.closed_at <= settle_period and not current.closing_told_by
        ):
            alerts_now[event.key] = _add_occurrence(current, event)
        else:
            closed.append(current)
            alerts_now[event.key] = PipelineAlert.from_occurrence(event)
    previous = {alert.identity: alert for alert in alerts_before.values()}
    return [alert for alert in (*closed, *alerts_now.values()) if previous.get(alert.identity) != alert]


def _remove_partitions(alert: PipelineAlert, event: Recovery) -> PipelineAlert:
    """Remove the partitions that succeeded; close the alert when no partition remains."""
    remaining = [
        key for key in alert.partition_keys if event.partition_key is not None and key not in event.partition_keys
    ]
    return (
        replace(alert, partition_key=KEY_SEPARATOR.join(remaining)) if remaining else replace(alert, closed_at=event.at)
    )


def _split_keys(partition_key: str | None) -> list[str]:
    return [] if partition_key is None else partition_key.split(KEY_SEPARATOR)


def join_keys(keys: Iterable[str]) -> str | None:
    """Join distinct partition keys into one text: dates sorted by time, cycles by id. None without keys."""
    return KEY_SEPARATOR.join(sorted(set(keys), key=lambda key: (len(key), key))) or None


def _add_occurrence(alert: PipelineAlert, occurrence: Occurrence) -> PipelineAlert:
    """Add one failure to the alert. When the severity rises, the opening is sent again."""
    open_keys = alert.partition_keys if alert.closed_at is None else []
    is_worse = occurrence.severity is Severity.ERROR and alert.severity is Severity.WARN
    updated = replace(
        alert,
        message=occurrence.message,
        partition_key=join_keys([*open_keys, *occurrence.partition_keys])
        if occurrence.is_per_partition
        else occurrence.partition_key or join_keys(open_keys),
        n_seen=alert.n_seen + occurrence.n_seen,
        last_seen_at=occurrence.at,
        closed_at=None,
        severity=Severity.ERROR if is_worse else alert.severity,
    )
    return replace(updated, told_by=(), told_at=None) if is_worse else updated


def select_notices(
    alerts: Iterable[PipelineAlert], channel: str, now: datetime, settle_period: timedelta, min_severity: Severity
) -> PendingNotices:
    """Return which openings and closings `channel` still has to send.

    A closing is sent when the alert has been closed for `settle_period`. If the opening was never sent, only the
    closing is sent.
    """
    openings, closings = [], []
    for alert in alerts:
        if min_severity is Severity.ERROR and alert.severity is Severity.WARN:
            continue
        is_opening_due = alert.told_at is None and channel not in alert.told_by
        if alert.closed_at is None or now - alert.closed_at < settle_period:
            if is_opening_due:
                openings.append(alert)
        elif (
            alert.closing_told_at is None
            and channel not in alert.closing_told_by
            and not (is_opening_due and now - alert.closed_at > STALE_AFTER)
        ):
            closings.append(alert)
    return PendingNotices(tuple(openings), tuple(closings))


def mark_notified(
    alert: PipelineAlert, channel: str, channels: Sequence[str], now: datetime, *, is_closing: bool
) -> PipelineAlert:
    """Return the alert after `channel` has sent its opening or, with `is_closing`, its closing.

    The opening or closing counts as sent when all `channels` have sent it.
    """
    senders = tuple(dict.fromkeys((*alert.told_by, channel)))
    notified = replace(
        alert, told_by=senders, told_at=alert.told_at or (now if set(channels) <= set(senders) else None)
    )
    if not is_closing:
        return notified
    senders = tuple(dict.fromkeys((*alert.closing_told_by, channel)))
    return replace(notified, closing_told_by=senders, closing_told_at=now if set(channels) <= set(senders) else None)
