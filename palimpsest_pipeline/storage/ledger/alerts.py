"""Where alerts are kept between two looks. Few rows; callers commit."""

from collections.abc import Iterable
from dataclasses import astuple, fields
from datetime import datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.alerts import Alert
from palimpsest_pipeline.domain.enums import Severity

from ..db.locks import AdvisoryLock

KEPT: Final = timedelta(days=90)
"""How long alerts are kept that are over."""
COLUMNS: Final = tuple(field.name for field in fields(Alert))
IDENTITY: Final = ("alert_key", "opened_at")
LATEST_SQL: Final = f"select distinct on (alert_key) {', '.join(COLUMNS)} from ops.alerts order by alert_key, opened_at desc"
UNTOLD_SQL: Final = f"select {', '.join(COLUMNS)} from ops.alerts where told_at is null or closing_told_at is null order by opened_at, alert_key"
RECENT_SQL: Final = f"""
    select {", ".join(COLUMNS)} from ops.alerts where closed_at is null or closed_at >= %s
    order by closed_at desc nulls first, opened_at desc, alert_key
"""
TOLD: Final = ("told_by", "told_at", "closing_told_by", "closing_told_at")
WRITE_TOLD_SQL: Final = f"""
    update ops.alerts set {", ".join(f"{name} = %({name})s" for name in TOLD)}
    where {" and ".join(f"{name} = %({name})s" for name in (*IDENTITY, "severity"))}
        and (%(closing_told_by)s::text[] = '{{}}' or closed_at = %(closed_at)s)
"""
WRITE_SQL: Final = f"""
    insert into ops.alerts ({", ".join(COLUMNS)}) values ({", ".join(["%s"] * len(COLUMNS))})
    on conflict ({", ".join(IDENTITY)}) do update set {", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in IDENTITY)}
"""


def lock(conn: psycopg.Connection) -> None:
    """Keep others from looking until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.ALERTS])


def latest(conn: psycopg.Connection) -> list[Alert]:
    """The newest alert of each key, over or not."""
    return _alerts(conn, LATEST_SQL)


def untold(conn: psycopg.Connection) -> list[Alert]:
    """Alerts of whose begin or end some channel may not have told, oldest first."""
    return _alerts(conn, UNTOLD_SQL)


def recent(conn: psycopg.Connection, since: datetime) -> list[Alert]:
    """Alerts that last, newest first; then those that were over at `since` or later."""
    return _alerts(conn, RECENT_SQL, since)


def write(conn: psycopg.Connection, alerts: Iterable[Alert]) -> None:
    """Write these alerts, new or changed. Those that are over are written first, since one of a key may be open."""
    rows = [[_storable(value) for value in astuple(alert)] for alert in sorted(alerts, key=lambda alert: alert.closed_at is None)]
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(WRITE_SQL, rows)


def write_told(conn: psycopg.Connection, alerts: Iterable[Alert]) -> None:
    """Write which channels have told of these alerts, and nothing else of them: another look may have changed the rest meanwhile.

    An alert that is worse by now, or whose told end was none, stays untold.
    """
    rows = [{name: _storable(getattr(alert, name)) for name in COLUMNS} for alert in alerts]
    if rows:
        with conn.cursor() as cursor:
            cursor.executemany(WRITE_TOLD_SQL, rows)


def _storable(value: object) -> object:
    """Return `value` as Postgres takes it. Its text holds neither NUL nor lone surrogates: an error's message that has them shows them as escapes."""
    if isinstance(value, str):
        return value.replace("\0", "\\x00").encode(errors="backslashreplace").decode()
    return list(value) if isinstance(value, tuple) else value


def forget(conn: psycopg.Connection, now: datetime) -> int:
    """Delete what has been over for `KEPT`; returns how many."""
    return conn.execute("delete from ops.alerts where closed_at < %s", [now - KEPT]).rowcount


def _alerts(conn: psycopg.Connection, query: str, *params: object) -> list[Alert]:
    found = []
    for row in conn.execute(query.encode(), params or None).fetchall():
        values = dict(zip(COLUMNS, row, strict=True))
        values |= {"severity": Severity(values["severity"]), "told_by": tuple(values["told_by"]), "closing_told_by": tuple(values["closing_told_by"])}
        found.append(Alert(**values))
    return found
