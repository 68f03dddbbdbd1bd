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

from palimpsest_pipeline.domain.alerts import Alert, Due, Kind, Occurrence, Recovery, due, fold, told
from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.domain.secrets import redact, redactor
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.monitoring.alert_channels import Channel, channels
from palimpsest_pipeline.pipeline.monitoring.alert_message import compose
from palimpsest_pipeline.pipeline.monitoring.cycle_events import cycle_events
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import alerts as stored

from ..check_results import name_check
from ..cycle_checks import CYCLES, JUDGES
from .run_events import ASSETS_JOB, check_events, run_events

EVERY_S: Final = 60
CURSOR_VERSION: Final = 1
FIRST_LOOK: Final = timedelta(hours=1)
"""How far back the first look goes, and one whose cursor cannot be read."""
OVERLAP: Final = timedelta(minutes=2)
"""How far two looks overlap: the end of a run may be written after later ones. What was taken in once changes nothing again."""
DATABASE: Final = "database"


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a look leaves to the next one. `away` is the trouble that our own database cannot be reached, which it cannot keep itself."""

    looked_until: datetime
    away: Alert | None = None

    def dumps(self) -> str:
        away = None
        if self.away is not None:
            away = {"since": self.away.opened_at.isoformat(), "message": self.away.message, "told_by": self.away.told_by}
        return json.dumps({"version": CURSOR_VERSION, "looked_until": self.looked_until.isoformat(), "away": away})

    @classmethod
    def loads(cls, text: str | None, now: datetime) -> "Cursor":
        """The cursor; what cannot be read, or is not of this version, is as good as none."""
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            found = json.loads(text or "")
            if found["version"] == CURSOR_VERSION:
                away = found["away"]
                until = min(_instant(found["looked_until"]), now)
                return cls(until, away and replace(_away(away["message"], _instant(away["since"])), told_by=tuple(away["told_by"])))
        return cls(now - FIRST_LOOK)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} says no time zone")
    return instant


def _away(message: str, at: datetime) -> Alert:
    return Alert.of(Occurrence(Kind.PIPELINE, DATABASE, DatabaseUnreachable.__name__, Severity.ERROR, message, at))


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of failed runs and checks, once when it begins and once when it is over: in its log, and to the webhook of "
    "PALIMPSEST_ALERT_WEBHOOK_URL. On unless switched off: it asks no platform.",
)
def alerts(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
    """One look, and one message to each channel that has something to tell."""
    graph = context.repository_def
    assert graph is not None
    sentence, cursor = look(
        pipeline,
        context.instance,
        Subjects.of(graph),
        channels(pipeline.settings, context.log),
        context.cursor,
        context.log,
    )
    return dg.SensorResult(skip_reason=dg.SkipReason(sentence), cursor=cursor)


@dataclass(frozen=True, slots=True)
class Subjects:
    """What there is that may fail. What is no more cannot recover: its alerts end."""

    jobs: frozenset[str]
    checks: tuple[dg.AssetCheckKey, ...]
    """Checks by date, or without partitions."""
    cycle_checks: Mapping[str, bool] = field(default_factory=dict)
    """Checks that judge cycles, by subject: whether they block."""

    @classmethod
    def of(cls, graph: dg.RepositoryDefinition) -> "Subjects":
        """Return what may fail in a code location."""
        nodes = [graph.asset_graph.get(key) for key in graph.asset_graph.asset_check_keys]
        of_cycles = {name_check(node.key): node.blocking for node in nodes if node.metadata.get(JUDGES) == CYCLES}
        return cls(frozenset(graph.job_names), tuple(node.key for node in nodes if name_check(node.key) not in of_cycles), of_cycles)

    def gone(self, known: Iterable[Alert], now: datetime) -> list[Recovery]:
        there = {Kind.RUN: {*self.jobs, ASSETS_JOB}, Kind.CHECK: {*map(name_check, self.checks), *self.cycle_checks}}
        subjects = {Kind.RUN: lambda alert: alert.subject.partition(":")[0], Kind.CHECK: lambda alert: alert.subject}
        return [
            Recovery(alert.kind, alert.subject, now)
            for alert in known
            if alert.closed_at is None and alert.kind in there and subjects[alert.kind](alert) not in there[alert.kind]
        ]


def look(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    subjects: Subjects,
    to: Sequence[Channel],
    cursor: str | None,
    log: logging.Logger,
    now: datetime | None = None,
) -> tuple[str, str]:
    """Take in what happened since `cursor`, tell what is untold. Returns what was done, in a sentence, and the next cursor.

    What a channel could not tell stays untold and is tried again at the next look. Without our database only its own absence is told.
    """
    now = now or datetime.now(UTC)
    before = Cursor.loads(cursor, now)
    try:
        with pipeline.connect() as conn:
            until = _take_in(conn, pipeline, instance, subjects, before, now, log)
            conn.commit()  # what was seen is kept, whatever becomes of telling it
            n_told, n_left = _tell(conn, pipeline, to, now, log)
    except (DatabaseUnreachable, psycopg.OperationalError) as error:
        away = before.away or _away(redact(str(error).partition("\n")[0], *pipeline.settings.secrets()), now)
        for channel in to:
            if channel.name not in away.told_by and _sent(channel, Due(begun=(away,)), pipeline, log):
                away = told(away, channel.name, [c.name for c in to], now, ended=False)
        return f"our database cannot be reached: {away.message}", replace(before, away=away).dumps()
    sentence = f"told {n_told} beginnings and ends" if n_told else "nothing new"
    return sentence + (f"; {n_left} could not be told and wait" if n_left else ""), Cursor(until).dumps()


def _take_in(
    conn: psycopg.Connection,
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    subjects: Subjects,
    before: Cursor,
    now: datetime,
    log: logging.Logger,
) -> datetime:
    """Write what is new of troubles and recoveries; returns until when it was looked."""
    stored.lock(conn)
    known = stored.latest(conn)
    events, stopped_at = run_events(instance, before.looked_until - OVERLAP, subjects.cycle_checks, log)
    events += [*check_events(instance, subjects.checks, known, now, log), *subjects.gone(known, now)]
    events += cycle_events(conn, pipeline, subjects.cycle_checks, known, now)
    hide = redactor(pipeline.settings.secrets())  # whatever failed may repeat what it was given
    events = [replace(event, message=hide(event.message)) if isinstance(event, Occurrence) else event for event in events]
    settle = _settle(pipeline)
    stored.write(conn, fold(known, events, settle))
    if before.away is not None:  # now it can be kept, and is over
        stored.write(conn, [replace(before.away, closed_at=now)])
    stored.forget(conn, now)
    return now if stopped_at is None else stopped_at + OVERLAP  # what was taken in is not taken in again before the rest


def _settle(pipeline: Pipeline) -> timedelta:
    return timedelta(minutes=pipeline.settings.alert_settle_minutes)


def _tell(conn: psycopg.Connection, pipeline: Pipeline, to: Sequence[Channel], now: datetime, log: logging.Logger) -> tuple[int, int]:
    """One message to each channel that has something to tell; what was told is committed channel by channel. Returns told, and left to tell."""
    names = [channel.name for channel in to]
    n_told = n_left = 0
    for channel in to:
        wanted = due(stored.untold(conn), channel.name, now, _settle(pipeline), pipeline.settings.alert_least_severity)
        if not wanted:
            continue
        if not _sent(channel, wanted, pipeline, log):
            n_left += len(wanted.begun) + len(wanted.over)
            continue
        n_told += len(wanted.begun) + len(wanted.over)
        stored.write_told(conn, [told(alert, channel.name, names, now, ended=False) for alert in wanted.begun])
        stored.write_told(conn, [told(alert, channel.name, names, now, ended=True) for alert in wanted.over])
        conn.commit()
    return n_told, n_left


def _sent(channel: Channel, wanted: Due, pipeline: Pipeline, log: logging.Logger) -> bool:
    try:
        channel.send(compose(wanted))
    except Exception as error:  # noqa: BLE001 - a channel may be a stranger's: one that breaks silences no other
        why = redact(str(error), *pipeline.settings.secrets())  # whoever wrote the channel was given the settings
        log.warning("channel %s could not tell %d alerts, tried again at the next tick: %s", channel.name, len(wanted.begun) + len(wanted.over), why)
        return False
    return True
