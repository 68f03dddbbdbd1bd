"""The sensor that tells of troubles: once when they begin, once when they are over."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.alerts import (
    Alert,
    AlertKind,
    Occurrence,
    PendingNotices,
    Recovery,
    apply_events,
    mark_notified,
    select_notices,
)
from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.domain.secrets import build_redactor, redact
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.monitoring.alert_channels import Channel, make_channels
from palimpsest_pipeline.pipeline.monitoring.alert_message import compose_message
from palimpsest_pipeline.pipeline.monitoring.cycle_events import list_cycle_events
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import alerts as stored

from ..check_results import name_check
from ..cycle_checks import JUDGES_CYCLES, JUDGES_KEY
from .run_events import ASSETS_JOB, list_check_events, list_run_events

EVALUATION_INTERVAL_S: Final = 60
CURSOR_VERSION: Final = 1
FIRST_LOOK_BACK: Final = timedelta(hours=1)
"""How far back the first look goes, and one whose cursor cannot be read."""
LOOK_OVERLAP: Final = timedelta(minutes=2)
"""How far two looks overlap: the end of a run may be written after later ones.

What was taken in once changes nothing again.
"""
DATABASE_SUBJECT: Final = "database"


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a look leaves to the next one.

    `away` is the trouble that our own database cannot be reached, which it cannot keep itself.
    """

    looked_until: datetime
    outage: Alert | None = None

    def to_json(self) -> str:
        away = None
        if self.outage is not None:
            away = {
                "since": self.outage.opened_at.isoformat(),
                "message": self.outage.message,
                "told_by": self.outage.told_by,
            }
        return json.dumps({"version": CURSOR_VERSION, "looked_until": self.looked_until.isoformat(), "away": away})

    @classmethod
    def from_json(cls, text: str | None, now: datetime) -> "Cursor":
        """The cursor; what cannot be read, or is not of this version, is as good as none."""
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            found = json.loads(text or "")
            if found["version"] == CURSOR_VERSION:
                away = found["away"]
                until = min(_parse_instant(found["looked_until"]), now)
                return cls(
                    until,
                    away
                    and replace(
                        _build_outage_alert(away["message"], _parse_instant(away["since"])),
                        told_by=tuple(away["told_by"]),
                    ),
                )
        return cls(now - FIRST_LOOK_BACK)


def _parse_instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} says no time zone")
    return instant


def _build_outage_alert(message: str, at: datetime) -> Alert:
    return Alert.from_occurrence(
        Occurrence(AlertKind.PIPELINE, DATABASE_SUBJECT, DatabaseUnreachable.__name__, Severity.ERROR, message, at)
    )


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=EVALUATION_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of failed runs and checks, once when it begins and once when it is over: in its log, and to the webhook of "
    "PALIMPSEST_ALERT_WEBHOOK_URL. On unless switched off: it asks no platform.",
)
def alerts(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
    """One look, and one message to each channel that has something to tell."""
    graph = context.repository_def
    assert graph is not None
    sentence, cursor = process_alerts(
        pipeline,
        context.instance,
        AlertSubjects.from_repository(graph),
        make_channels(pipeline.settings, context.log),
        context.cursor,
        context.log,
    )
    return dg.SensorResult(skip_reason=dg.SkipReason(sentence), cursor=cursor)


@dataclass(frozen=True, slots=True)
class AlertSubjects:
    """What there is that may fail. What is no more cannot recover: its alerts end."""

    jobs: frozenset[str]
    checks: tuple[dg.AssetCheckKey, ...]
    """Checks by date, or without partitions."""
    cycle_checks: Mapping[str, bool] = field(default_factory=dict)
    """Checks that judge cycles, by subject: whether they block."""

    @classmethod
    def from_repository(cls, graph: dg.RepositoryDefinition) -> "AlertSubjects":
        """Return what may fail in a code location."""
        nodes = [graph.asset_graph.get(key) for key in graph.asset_graph.asset_check_keys]
        of_cycles = {
            name_check(node.key): node.blocking for node in nodes if node.metadata.get(JUDGES_KEY) == JUDGES_CYCLES
        }
        return cls(
            frozenset(graph.job_names),
            tuple(node.key for node in nodes if name_check(node.key) not in of_cycles),
            of_cycles,
        )

    def list_removed_recoveries(self, known: Iterable[Alert], now: datetime) -> list[Recovery]:
        there = {
            AlertKind.RUN: {*self.jobs, ASSETS_JOB},
            AlertKind.CHECK: {*map(name_check, self.checks), *self.cycle_checks},
        }
        subjects = {
            AlertKind.RUN: lambda alert: alert.subject.partition(":")[0],
            AlertKind.CHECK: lambda alert: alert.subject,
        }
        return [
            Recovery(alert.kind, alert.subject, now)
            for alert in known
            if alert.closed_at is None and alert.kind in there and subjects[alert.kind](alert) not in there[alert.kind]
        ]


def process_alerts(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    subjects: AlertSubjects,
    receivers: Sequence[Channel],
    cursor: str | None,
    log: logging.Logger,
    now: datetime | None = None,
) -> tuple[str, str]:
    """Take in what happened since `cursor`, tell what is untold. Returns what was done, in a sentence, and the next
    cursor.

    What a channel could not tell stays untold and is tried again at the next look. Without our database only its own
    absence is told.
    """
    now = now or datetime.now(UTC)
    before = Cursor.from_json(cursor, now)
    try:
        with pipeline.connect() as conn:
            until = _store_events(conn, pipeline, instance, subjects, before, now, log)
            conn.commit()  # what was seen is kept, whatever becomes of telling it
            n_told, n_left = _notify_channels(conn, pipeline, receivers, now, log)
    except (DatabaseUnreachable, psycopg.OperationalError) as error:
        away = before.outage or _build_outage_alert(
            redact(str(error).partition("\n")[0], *pipeline.settings.list_secrets()), now
        )
        for channel in receivers:
            if channel.name not in away.told_by and _send_message(
                channel, PendingNotices(openings=(away,)), pipeline, log
            ):
                away = mark_notified(away, channel.name, [c.name for c in receivers], now, is_closing=False)
        return f"our database cannot be reached: {away.message}", replace(before, outage=away).to_json()
    sentence = f"told {n_told} beginnings and ends" if n_told else "nothing new"
    return sentence + (f"; {n_left} could not be told and wait" if n_left else ""), Cursor(until).to_json()


def _store_events(
    conn: psycopg.Connection,
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    subjects: AlertSubjects,
    before: Cursor,
    now: datetime,
    log: logging.Logger,
) -> datetime:
    """Write what is new of troubles and recoveries; returns until when it was looked."""
    stored.lock_alerts(conn)
    known = stored.read_latest_alerts(conn)
    events, stopped_at = list_run_events(instance, before.looked_until - LOOK_OVERLAP, subjects.cycle_checks, log)
    events += [
        *list_check_events(instance, subjects.checks, known, now, log),
        *subjects.list_removed_recoveries(known, now),
    ]
    events += list_cycle_events(conn, pipeline, subjects.cycle_checks, known, now)
    hide = build_redactor(pipeline.settings.list_secrets())  # whatever failed may repeat what it was given
    events = [
        replace(event, message=hide(event.message)) if isinstance(event, Occurrence) else event for event in events
    ]
    settle = _read_settle_time(pipeline)
    stored.write_alerts(conn, apply_events(known, events, settle))
    if before.outage is not None:  # now it can be kept, and is over
        stored.write_alerts(conn, [replace(before.outage, closed_at=now)])
    stored.delete_old_alerts(conn, now)
    return (
        now if stopped_at is None else stopped_at + LOOK_OVERLAP
    )  # what was taken in is not taken in again before the rest


def _read_settle_time(pipeline: Pipeline) -> timedelta:
    return timedelta(minutes=pipeline.settings.alert_settle_minutes)


def _notify_channels(
    conn: psycopg.Connection, pipeline: Pipeline, to: Sequence[Channel], now: datetime, log: logging.Logger
) -> tuple[int, int]:
    """One message to each channel that has something to tell; what was told is committed channel by channel.

    Returns told, and left to tell.
    """
    names = [channel.name for channel in to]
    n_told = n_left = 0
    for channel in to:
        wanted = select_notices(
            stored.read_unnotified_alerts(conn),
            channel.name,
            now,
            _read_settle_time(pipeline),
            pipeline.settings.alert_least_severity,
        )
        if not wanted:
            continue
        if not _send_message(channel, wanted, pipeline, log):
            n_left += len(wanted.openings) + len(wanted.closings)
            continue
        n_told += len(wanted.openings) + len(wanted.closings)
        stored.write_notifications(
            conn, [mark_notified(alert, channel.name, names, now, is_closing=False) for alert in wanted.openings]
        )
        stored.write_notifications(
            conn, [mark_notified(alert, channel.name, names, now, is_closing=True) for alert in wanted.closings]
        )
        conn.commit()
    return n_told, n_left


def _send_message(channel: Channel, wanted: PendingNotices, pipeline: Pipeline, log: logging.Logger) -> bool:
    try:
        channel.send(compose_message(wanted))
    except Exception as error:  # noqa: BLE001 - a channel may be a stranger's: one that breaks silences no other
        why = redact(str(error), *pipeline.settings.list_secrets())  # whoever wrote the channel was given the settings
        log.warning(
            "channel %s could not tell %d alerts, tried again at the next tick: %s",
            channel.name,
            len(wanted.openings) + len(wanted.closings),
            why,
        )
        return False
    return True
