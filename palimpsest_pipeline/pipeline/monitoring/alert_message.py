"""Alerts in words: one message for all that is to be told at a time. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from palimpsest_pipeline.domain.alerts import Alert, AlertKind, PendingNotices

MAX_LINES: Final = 20
MAX_LINE_CHARACTERS: Final = 400
"""Of a line: a chat service refuses messages that are too long."""
MAX_LISTED_ALERTS: Final = 100
"""Alerts in the fields of a message, begun or over; all are counted."""
KIND_NOUNS: Final = {
    AlertKind.RUN: "job",
    AlertKind.CYCLE: "product",
    AlertKind.CHECK: "check",
    AlertKind.PIPELINE: "part",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel sends: `text` for people, and the same as `fields` that JSON takes."""

    text: str
    fields: dict[str, Any]


def compose_message(due: PendingNotices) -> Message:
    """Everything that is due, what is worst first, then by class of the error; what is over comes last."""
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


def to_fields(alert: Alert) -> dict[str, Any]:
    """An alert as JSON has it: instants in ISO 8601, `lasted_s` None while it lasts."""
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


def describe_duration(alert: Alert, now: datetime | None = None) -> str:
    """How long, in words: `40 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    return _format_duration((alert.closed_at or now or alert.last_seen_at) - alert.opened_at)


def _format_duration(time: timedelta) -> str:
    seconds = max(int(time.total_seconds()), 0)
    for size, unit, rest, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 60, "")):
        if seconds >= size:
            more = seconds % size // rest
            return f"{seconds // size} {unit} {more} {small}" if more and small else f"{seconds // size} {unit}"
    return f"{seconds} s"


def _group_alike(begun: Iterable[Alert]) -> list[list[Alert]]:
    groups: defaultdict[tuple[str, AlertKind, str], list[Alert]] = defaultdict(list)
    for alert in begun:
        groups[alert.severity.value, alert.kind, alert.error_class].append(alert)  # "error" sorts before "warn"
    return [sorted(groups[key], key=lambda alert: alert.subject) for key in sorted(groups)]


def _describe_begun(alerts: Sequence[Alert]) -> Iterable[str]:
    one = alerts[0]
    noun = KIND_NOUNS[one.kind] + ("" if len(alerts) == 1 else "s")
    of = "" if one.kind is AlertKind.CHECK else f" of {one.error_class}"
    yield f"{one.severity.upper()}: {len(alerts)} {noun} failed{of}: {', '.join(alert.subject for alert in alerts)}"
    for alert in alerts:
        times = "" if alert.n_seen == 1 else f", {alert.n_seen} times"
        where = f" {alert.partition_label}" if alert.partition_label else ""
        yield f"  {alert.subject}{where}{times}: {alert.message}"


def _describe_recovery(alert: Alert) -> str:
    of = "" if alert.kind is AlertKind.CHECK else f" ({alert.error_class})"
    return f"recovered after {describe_duration(alert)}: {alert.subject}{of}"


def _shorten_line(line: str) -> str:
    line = " ".join([line[: len(line) - len(line.lstrip())] + line.strip().replace("\n", " ")])
    return line if len(line) <= MAX_LINE_CHARACTERS else f"{line[: MAX_LINE_CHARACTERS - 3]}..."
