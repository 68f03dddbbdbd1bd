"""What scrapes tell each other of a host that is in trouble. By the pipeline's clock, which a simulated world shifts. Callers commit."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import psycopg

REMEMBERED_S: Final = 120.0
"""For how long after its end a trouble that nobody has seen end is told of: the next scrape asks one thing first."""
LONGEST_S: Final = 3600.0
"""No host is left alone for longer by the word of one answer."""


def troubles(conn: psycopg.Connection, hosts: Sequence[str], now: datetime) -> dict[str, tuple[str, float]]:
    """Of each host in trouble why, and for how many more seconds it is to be left alone: 0 when that is just over."""
    rows = conn.execute(
        "select host, reason, blocked_until from ops.host_state where host = any(%s) and blocked_until > %s",
        [list(hosts), now - timedelta(seconds=REMEMBERED_S)],
    ).fetchall()
    return {host: (reason, max(0.0, (until - now).total_seconds())) for host, reason, until in rows}


def block(conn: psycopg.Connection, host: str, reason: str, now: datetime, for_s: float) -> None:
    """Nobody asks the host for so many seconds from `now`."""
    conn.execute(
        """
        insert into ops.host_state (host, blocked_until, reason, updated_at)
        values (%s, %s, %s, %s)
        on conflict (host) do update set blocked_until = excluded.blocked_until, reason = excluded.reason, updated_at = excluded.updated_at
        """,
        [host, now + timedelta(seconds=min(for_s, LONGEST_S)), reason, now],
    )


def clear(conn: psycopg.Connection, host: str, now: datetime) -> None:
    """The host answers as usual."""
    conn.execute("update ops.host_state set blocked_until = null, reason = '', updated_at = %s where host = %s", [now, host])
