"""The text of alerts: one message for all notices that are pending at the same time. Pure functions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from palimpsest_pipeline.domain.alerts import AlertKind, PendingNotices, PipelineAlert

MAX_LINES: Final = 20
MAX_LINE_CHARACTERS: Final = 400
"""Maximum length of a line, because chat services refuse messages that are too long."""
MAX_LISTED_ALERTS: Final = 100
"""Maximum number of new alerts, and of closed ones, that the fields of a message contain.

The counts in the message include all alerts.
"""
KIND_NOUNS: Final = {
    AlertKind.RUN: "job",
    AlertKind.CYCLE: "product",
    AlertKind.CHECK: "check",
    AlertKind.PIPELINE: "part",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a channel: `text` for people, and the same content as `fields` for JSON."""

    text: str
    fields: dict[str, Any]


def compose_message(due: PendingNotices) -> Message:
    """Return one message for all pending notices: by severity, then by error class; recoveries come last."""
    lines = [line for alerts in _group_alike(due.openings) for line in _describe_begun(alerts)]
    lines += [_describe_recovery(alert) for alert in sorted(due.closings, key=lambda a: (a.subject, a.error_class))]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES - 1 :] = [f"... and {len(lines) - MAX_LINES + 1} lines more: see `palimpsest alerts`"]
    fields = {
        "n_begun": len(due.openings),
        "n_over": len(due.closings),
        "begun": [to_fields(alert) for alert in due.openings[:MAX_LISTED_ALERTS]],
        "over": [to_fields(alert) for alert in due.closings[:MAX_LISTED_ALERTS]],
    }
    return Message("\n".join(_shorten_line(line) for line in lines), fields)


def to_fields(alert: PipelineAlert) -> dict[str, Any]:
    """Return an alert as a JSON object: instants in ISO 8601, `lasted_s` None while the alert is open."""
    return {
        "key": alert.alert_key,
        "severity": alert.severity.value,
        "subject": alert.subject,
        "error_class": alert.error_class,
        "message": alert.message,
        "partition": alert.partition_key,
        "n_seen": alert.n_seen,
        "opened_at": alert.opened_at.isoformat(),
        "last_seen_at": alert.last_seen_at.isoformat(),
        "closed_at": None if alert.closed_at is None else alert.closed_at.isoformat(),
        "lasted_s": None if alert.closed_at is None else round((alert.closed_at - alert.opened_at).total_seconds(), 3),
    }


def describe_duration(alert: PipelineAlert, now: datetime | None = None) -> str:
    """Return the duration of an alert in words: `40 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    return _format_duration((alert.closed_at or now or alert.last_seen_at) - alert.opened_at)


def _format_duration(time: timedelta) -> str:
    seconds = max(int(time.total_seconds()), 0)
    for size, unit, small_size, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 60, "")):
        if seconds >= size:
            n_small = seconds % size // small_size
            return (
                f"{seconds // size} {unit} {n_small} {small_unit}"
                if n_small and small_unit
                else f"{seconds // size} {unit}"
            )
    return f"{seconds} s"


def _group_alike(begun: Iterable[PipelineAlert]) -> list[list[PipelineAlert]]:
    groups: defaultdict[tuple[str, AlertKind, str], list[PipelineAlert]] = defaultdict(list)
    for alert in begun:
        groups[alert.severity.value, alert.kind, alert.error_class].append(alert)  # "error" sorts before "warn"
    return [sorted(groups[key], key=lambda alert: alert.subject) for key in sorted(groups)]


def _describe_begun(alerts: Sequence[PipelineAlert]) -> Iterable[str]:
    first = alerts[0]
    noun = KIND_NOUNS[first.kind] + ("" if len(alerts) == 1 else "s")
    cause = "" if first.kind is AlertKind.CHECK else f" of {first.error_class}"
    subjects = ", ".join(alert.subject for alert in alerts)
    yield f"{first.severity.upper()}: {len(alerts)} {noun} failed{cause}: {subjects}"
    for alert in alerts:
        times = "" if alert.n_seen == 1 else f", {alert.n_seen} times"
        where = f" {alert.partition_label}" if alert.partition_label else ""
        yield f"  {alert.subject}{where}{times}: {alert.message}"


def _describe_recovery(alert: PipelineAlert) -> str:
    cause = "" if alert.kind is AlertKind.CHECK else f" ({alert.error_class})"
    return f"recovered after {describe_duration(alert)}: {alert.subject}{cause}"


def _shorten_line(line: str) -> str:
    line = " ".join([line[: len(line) - len(line.lstrip())] + line.strip().replace("\n", " ")])
    return line if len(line) <= MAX_LINE_CHARACTERS else f"{line[: MAX_LINE_CHARACTERS - 3]}..."
