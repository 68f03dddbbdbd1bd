"""The sensor that sends alerts: one notice when a problem begins, and one when it is over."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.alerts import (
    AlertKind,
    Occurrence,
    PendingNotices,
    PipelineAlert,
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
from palimpsest_pipeline.storage.ledger import alert_rows

from ..check_results import name_check
from ..cycle_checks import JUDGES_CYCLES, JUDGES_KEY
from .run_events import ASSETS_JOB, list_check_events, list_run_events

_EVALUATION_INTERVAL_S: Final = 60
FIRST_LOOK_BACK: Final = timedelta(hours=1)
"""Age of the events that a sensor tick without a cursor still reads."""
LOOK_OVERLAP: Final = timedelta(minutes=2)
"""How long before the previous tick's end a tick begins to read.

The end of a run may be written after later ends of other runs. An event that is read twice has no further effect.
"""
DATABASE_SUBJECT: Final = "database"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sensor's cursor: the state that one tick stores for the next one."""

    looked_until: datetime
    outage: PipelineAlert | None = None
    """The open alert that the program's own database cannot be reached; it cannot be stored there."""

    def to_json(self) -> str:
        """Return the cursor as JSON text for `from_json`."""
        outage = self.outage and [self.outage.opened_at.isoformat(), self.outage.message, self.outage.told_by]
        return json.dumps({"looked_until": self.looked_until.isoformat(), "outage": outage})

    @classmethod
    def from_json(cls, text: str | None, now: datetime) -> "Cursor":
        """Return the cursor in `text`, or a new one without a text."""
        if not text:
            return cls(now - FIRST_LOOK_BACK)
        state = json.loads(text)
        outage = None
        if state["outage"] is not None:
            opened_at, message, told_by = state["outage"]
            outage = replace(_build_outage_alert(message, datetime.fromisoformat(opened_at)), told_by=tuple(told_by))
        return cls(min(datetime.fromisoformat(state["looked_until"]), now), outage)


def _build_outage_alert(message: str, at: datetime) -> PipelineAlert:
    return PipelineAlert.from_occurrence(
        Occurrence(AlertKind.PIPELINE, DATABASE_SUBJECT, DatabaseUnreachable.__name__, Severity.ERROR, message, at)
    )


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=_EVALUATION_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports failed runs and checks once when they begin and once when they are over: in its log, and to"
    " the webhook of PALIMPSEST_ALERT_WEBHOOK_URL. On by default: it sends no requests to platforms.",
)
def alert_sensor(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
    """Search new problems and recoveries, and send at most one message to each channel."""
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
    """The jobs and checks that exist now.

    Alerts of removed jobs and checks are closed, because they can never recover.
    """

    jobs: frozenset[str]
    checks: tuple[dg.AssetCheckKey, ...]
    """Checks whose results are in Dagster's storage, with partitions by date or without partitions."""
    cycle_checks: Mapping[str, bool] = field(default_factory=dict)
    """Names of the checks that judge cycles, each with whether the check blocks."""

    @classmethod
    def from_repository(cls, graph: dg.RepositoryDefinition) -> "AlertSubjects":
        """Return the jobs and checks of a code location."""
        nodes = [graph.asset_graph.get(key) for key in graph.asset_graph.asset_check_keys]
        cycle_checks = {
            name_check(node.key): node.blocking for node in nodes if node.metadata.get(JUDGES_KEY) == JUDGES_CYCLES
        }
        return cls(
            frozenset(graph.job_names),
            tuple(node.key for node in nodes if name_check(node.key) not in cycle_checks),
            cycle_checks,
        )

    def list_removed_recoveries(self, latest_alerts: Iterable[PipelineAlert], now: datetime) -> list[Recovery]:
        """Return a recovery for each open alert of a job or check that does not exist any more."""
        existing = {
            AlertKind.RUN: {*self.jobs, ASSETS_JOB},
            AlertKind.CHECK: {*map(name_check, self.checks), *self.cycle_checks},
        }
        return [
            Recovery(alert.kind, alert.subject, now)
            for alert in latest_alerts
            for name in [alert.subject.partition(":")[0] if alert.kind is AlertKind.RUN else alert.subject]
            if alert.closed_at is None and alert.kind in existing and name not in existing[alert.kind]
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
    """Store the events since `cursor` and send the pending notices.

    Return a sentence about this tick and the next cursor. A notice that a channel could not send stays pending and is
    sent again at the next tick. While the program's database cannot be reached, only this outage is reported.
    """
    now = now or datetime.now(UTC)
    before = Cursor.from_json(cursor, now)
    try:
        with pipeline.connect() as conn:
            until = _store_events(conn, pipeline, instance, subjects, before, now, log)
            conn.commit()  # committed before sending, so that events stay stored when sending fails
            n_sent, n_pending = _notify_channels(conn, pipeline, receivers, now, log)
    except (DatabaseUnreachable, psycopg.OperationalError) as error:
        outage = before.outage or _build_outage_alert(
            redact(str(error).partition("\n")[0], *pipeline.settings.list_secrets()), now
        )
        for channel in receivers:
            if channel.name not in outage.told_by and _send_message(
                channel, PendingNotices(openings=(outage,)), pipeline, log
            ):
                outage = mark_notified(outage, channel.name, [c.name for c in receivers], now, is_closing=False)
        return f"our database cannot be reached: {outage.message}", replace(before, outage=outage).to_json()
    sentence = f"sent {n_sent} notices" if n_sent else "nothing new"
    return sentence + (f"; {n_pending} could not be sent and wait" if n_pending else ""), Cursor(until).to_json()


def _store_events(
    conn: psycopg.Connection,
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    subjects: AlertSubjects,
    before: Cursor,
    now: datetime,
    log: logging.Logger,
) -> datetime:
    """Write new problems and recoveries; return the instant up to which events are stored."""
    alert_rows.lock_alerts(conn)
    latest_alerts = alert_rows.read_latest_alerts(conn)
    events, stopped_at = list_run_events(instance, before.looked_until - LOOK_OVERLAP, subjects.cycle_checks, log)
    events += [
        *list_check_events(instance, subjects.checks, latest_alerts, now, log),
        *subjects.list_removed_recoveries(latest_alerts, now),
    ]
    events += list_cycle_events(conn, pipeline, subjects.cycle_checks, latest_alerts, now)
    hide = build_redactor(pipeline.settings.list_secrets())  # an error's message may contain its arguments
    events = [
        replace(event, message=hide(event.message)) if isinstance(event, Occurrence) else event for event in events
    ]
    settle_time = timedelta(minutes=pipeline.settings.alert_settle_minutes)
    alert_rows.write_alerts(conn, apply_events(latest_alerts, events, settle_time))
    if before.outage is not None:  # the database can be reached again: store the outage, and close it
        alert_rows.write_alerts(conn, [replace(before.outage, closed_at=now)])
    alert_rows.delete_old_alerts(conn, now)
    # After an interruption, the next tick continues where this one stopped, without reading the overlap again.
    return now if stopped_at is None else stopped_at + LOOK_OVERLAP


def _notify_channels(
    conn: psycopg.Connection, pipeline: Pipeline, channels: Sequence[Channel], now: datetime, log: logging.Logger
) -> tuple[int, int]:
    """Send one message to each channel that has pending notices, and commit after each channel.

    Return the numbers of sent and of still pending notices.
    """
    names = [channel.name for channel in channels]
    settle_time = timedelta(minutes=pipeline.settings.alert_settle_minutes)
    n_sent = n_pending = 0
    for channel in channels:
        unnotified = alert_rows.read_unnotified_alerts(conn)
        notices = select_notices(unnotified, channel.name, now, settle_time, pipeline.settings.alert_least_severity)
        if not notices:
            continue
        if not _send_message(channel, notices, pipeline, log):
            n_pending += len(notices.openings) + len(notices.closings)
            continue
        n_sent += len(notices.openings) + len(notices.closings)
        for alerts, is_closing in ((notices.openings, False), (notices.closings, True)):
            alert_rows.write_notifications(
                conn, [mark_notified(alert, channel.name, names, now, is_closing=is_closing) for alert in alerts]
            )
        conn.commit()
    return n_sent, n_pending


def _send_message(channel: Channel, notices: PendingNotices, pipeline: Pipeline, log: logging.Logger) -> bool:
    try:
        channel.send(compose_message(notices))
    except Exception as error:  # noqa: BLE001 - third-party code: a broken channel must not silence the others
        reason = redact(str(error), *pipeline.settings.list_secrets())  # the error may contain a secret of the settings
        log.warning(
            "channel %s could not send %d alerts; the next tick tries again: %s",
            channel.name,
            len(notices.openings) + len(notices.closings),
            reason,
        )
        return False
    return True
