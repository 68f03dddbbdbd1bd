"""Alerts in words: one message for all that is to be told at a time. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from palimpsest_pipeline.domain.alerts import Alert, Due, Kind

MOST_LINES: Final = 20
MOST_CHARACTERS: Final = 400
"""Of a line: a chat service refuses messages that are too long."""
MOST_LISTED: Final = 100
"""Alerts in the fields of a message, begun or over; all are counted."""
NOUNS: Final = {Kind.RUN: "job", Kind.CYCLE: "product", Kind.CHECK: "check", Kind.PIPELINE: "part"}


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel sends: `text` for people, and the same as `fields` that JSON takes."""

    text: str
    fields: dict[str, Any]


def compose(due: Due) -> Message:
    """Everything that is due, what is worst first, then by class of the error; what is over comes last."""
    lines = [line for alerts in _alike(due.begun) for line in _begun(alerts)]
    lines += [_over(alert) for alert in sorted(due.over, key=lambda a: (a.subject, a.error_class))]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = [f"... and {len(lines) - MOST_LINES + 1} lines more: see `palimpsest alerts`"]
    fields = {
        "n_begun": len(due.begun),
        "n_over": len(due.over),
        "begun": [as_fields(alert) for alert in due.begun[:MOST_LISTED]],
        "over": [as_fields(alert) for alert in due.over[:MOST_LISTED]],
    }
    return Message("\n".join(_cut(line) for line in lines), fields)


def as_fields(alert: Alert) -> dict[str, Any]:
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


def lasted(alert: Alert, now: datetime | None = None) -> str:
    """How long, in words: `40 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    return _words((alert.closed_at or now or alert.last_seen_at) - alert.opened_at)


def _words(time: timedelta) -> str:
    seconds = max(int(time.total_seconds()), 0)
    for size, unit, rest, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 60, "")):
        if seconds >= size:
            more = seconds % size // rest
            return f"{seconds // size} {unit} {more} {small}" if more and small else f"{seconds // size} {unit}"
    return f"{seconds} s"


def _alike(begun: Iterable[Alert]) -> list[list[Alert]]:
    groups: defaultdict[tuple[str, Kind, str], list[Alert]] = defaultdict(list)
    for alert in begun:
        groups[alert.severity.value, alert.kind, alert.error_class].append(alert)  # "error" sorts before "warn"
    return [sorted(groups[key], key=lambda alert: alert.subject) for key in sorted(groups)]


def _begun(alerts: Sequence[Alert]) -> Iterable[str]:
    one = alerts[0]
    noun = NOUNS[one.kind] + ("" if len(alerts) == 1 else "s")
    of = "" if one.kind is Kind.CHECK else f" of {one.error_class}"
    yield f"{one.severity.upper()}: {len(alerts)} {noun} failed{of}: {', '.join(alert.subject for alert in alerts)}"
    for alert in alerts:
        times = "" if alert.n_seen == 1 else f", {alert.n_seen} times"
        where = f" {alert.place}" if alert.place else ""
        yield f"  {alert.subject}{where}{times}: {alert.message}"


def _over(alert: Alert) -> str:
    of = "" if alert.kind is Kind.CHECK else f" ({alert.error_class})"
    return f"recovered after {lasted(alert)}: {alert.subject}{of}"


def _cut(line: str) -> str:
    line = " ".join([line[: len(line) - len(line.lstrip())] + line.strip().replace("\n", " ")])
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 3]}..."
