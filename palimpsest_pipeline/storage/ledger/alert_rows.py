"""Read and write alerts about the pipeline. Callers commit."""

from collections.abc import Iterable
from dataclasses import astuple, fields
from datetime import datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.alerts import PipelineAlert
from palimpsest_pipeline.domain.enums import Severity

from ..db.locks import AdvisoryLock

CLOSED_ALERT_RETENTION: Final = timedelta(days=90)
"""Time after which closed alerts are deleted."""
ALERT_COLUMNS: Final = tuple(field.name for field in fields(PipelineAlert))
KEY_COLUMNS: Final = ("alert_key", "opened_at")
LATEST_ALERTS_SQL: Final = (
    f"select distinct on (alert_key) {', '.join(ALERT_COLUMNS)} from ops.alerts order by alert_key, opened_at desc"
)
UNNOTIFIED_ALERTS_SQL: Final = (
    f"select {', '.join(ALERT_COLUMNS)} from ops.alerts where told_at is null or closing_told_at is null "
    "order by opened_at, alert_key"
)
RECENT_ALERTS_SQL: Final = f"""
    select {", ".join(ALERT_COLUMNS)} from ops.alerts where closed_at is null or closed_at >= %s
    order by closed_at desc nulls first, opened_at desc, alert_key
"""
NOTIFICATION_COLUMNS: Final = ("told_by", "told_at", "closing_told_by", "closing_told_at")
WRITE_NOTIFICATIONS_SQL: Final = f"""
    update ops.alerts set {", ".join(f"{name} = %({name})s" for name in NOTIFICATION_COLUMNS)}
    where {" and ".join(f"{name} = %({name})s" for name in (*KEY_COLUMNS, "severity"))}
        and (%(closing_told_by)s::text[] = '{{}}' or closed_at = %(closed_at)s)
"""
WRITE_ALERTS_SQL: Final = f"""
    insert into ops.alerts ({", ".join(ALERT_COLUMNS)}) values ({", ".join(["%s"] * len(ALERT_COLUMNS))})
    on conflict ({", ".join(KEY_COLUMNS)}) do update
    set {", ".join(f"{name} = excluded.{name}" for name in ALERT_COLUMNS if name not in KEY_COLUMNS)}
"""


def lock_alerts(conn: psycopg.Connection) -> None:
    """Block other evaluations of alerts until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.ALERTS])


def read_latest_alerts(conn: psycopg.Connection) -> list[PipelineAlert]:
    """Return the newest alert of each key, open or closed."""
    return _read_alerts(conn, LATEST_ALERTS_SQL)


def read_unnotified_alerts(conn: psycopg.Connection) -> list[PipelineAlert]:
    """Return alerts whose opening or closing was not sent by every channel, oldest first."""
    return _read_alerts(conn, UNNOTIFIED_ALERTS_SQL)


def read_recent_alerts(conn: psycopg.Connection, since: datetime) -> list[PipelineAlert]:
    """Return the open alerts, newest first, then the alerts that were closed at `since` or later."""
    return _read_alerts(conn, RECENT_ALERTS_SQL, since)


def write_alerts(conn: psycopg.Connection, alerts: Iterable[PipelineAlert]) -> None:
    """Insert or update these alerts.

    Closed alerts are written first, because only one alert per key may be open.
    """
    rows = [
        [_to_storable(value) for value in astuple(alert)]
        for alert in sorted(alerts, key=lambda alert: alert.closed_at is None)
    ]
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(WRITE_ALERTS_SQL, rows)


def write_notifications(conn: psycopg.Connection, alerts: Iterable[PipelineAlert]) -> None:
    """Write which channels have sent these alerts. Other columns stay unchanged.

    Another evaluation may have changed the other columns meanwhile. If the severity has increased since it was sent, or
    the alert was sent as closed and is open again, it still counts as not sent.
    """
    rows = [{name: _to_storable(getattr(alert, name)) for name in ALERT_COLUMNS} for alert in alerts]
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(WRITE_NOTIFICATIONS_SQL, rows)


def _to_storable(value: object) -> object:
    """Return `value` in a form that Postgres accepts.

    NUL characters and lone surrogates in a text are replaced by escape sequences.
    """
    if isinstance(value, str):
        return value.replace("\0", "\\x00").encode(errors="backslashreplace").decode()
    return list(value) if isinstance(value, tuple) else value


def delete_old_alerts(conn: psycopg.Connection, now: datetime) -> int:
    """Delete the alerts that were closed at least CLOSED_ALERT_RETENTION ago; return their number."""
    return conn.execute("delete from ops.alerts where closed_at < %s", [now - CLOSED_ALERT_RETENTION]).rowcount


def _read_alerts(conn: psycopg.Connection, query: str, *params: object) -> list[PipelineAlert]:
    alerts = []
    for row in conn.execute(query.encode(), params or None).fetchall():
        values = dict(zip(ALERT_COLUMNS, row, strict=True))
        values |= {
            "severity": Severity(values["severity"]),
            "told_by": tuple(values["told_by"]),
            "closing_told_by": tuple(values["closing_told_by"]),
        }
        alerts.append(PipelineAlert(**values))
    return alerts
