"""Share problems of hosts between concurrent cycles: the table `ops.host_state`. Callers commit.

Instants are by the pipeline's clock, which a simulation shifts. Each cycle has its own row per host, so no cycle
shortens or ends the record of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

TROUBLE_MEMORY_S: Final = 120.0
"""Seconds for which a problem is still reported after its end, unless a cycle has seen it end.

A cycle that reads such a problem first sends one request to test the host.
"""
MAX_BLOCK_S: Final = 3600.0
"""Maximum seconds without requests to a host after one answer."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem of a host that a cycle has recorded.

    `for_s` is the number of seconds until requests may be sent again, 0 when the time has just passed.
    """

    reason: str
    for_s: float
    cycle_id: int


def read_troubles(conn: psycopg.Connection, hosts: Sequence[str], now: datetime) -> dict[str, Trouble]:
    """Return the problem of each host that has one; of several, the one that lasts longest."""
    rows = conn.execute(
        """
        select distinct on (host) host, reason, blocked_until, cycle_id from ops.host_state
        where host = any(%s) and blocked_until > %s
        order by host, blocked_until desc, cycle_id
        """,
        [list(hosts), now - timedelta(seconds=TROUBLE_MEMORY_S)],
    ).fetchall()
    return {
        host: Trouble(reason, max(0.0, (until - now).total_seconds()), cycle_id)
        for host, reason, until, cycle_id in rows
    }


def block_host(
    conn: psycopg.Connection, host: str, cycle_id: int, reason: str, now: datetime, duration_s: float
) -> None:
    """Record that this cycle sends no request to the host for `duration_s` seconds from `now`.

    If the cycle already has a record for the host, the later end is kept.
    """
    conn.execute(
        """
        insert into ops.host_state (host, cycle_id, blocked_until, reason, updated_at)
        values (%s, %s, %s, %s, %s)
        on conflict (host, cycle_id) do update
            set blocked_until = excluded.blocked_until, reason = excluded.reason, updated_at = excluded.updated_at
            where excluded.blocked_until >= host_state.blocked_until
        """,
        [host, cycle_id, now + timedelta(seconds=min(duration_s, MAX_BLOCK_S)), reason, now],
    )
    conn.execute("delete from ops.host_state where blocked_until <= %s", [now - timedelta(seconds=TROUBLE_MEMORY_S)])


def clear_host(conn: psycopg.Connection, host: str, cycle_id: int, now: datetime) -> None:
    """Record that the host answers this cycle normally.

    The cycle's record and the expired records of other cycles are deleted.
    """
    conn.execute(
        "delete from ops.host_state where host = %s and (cycle_id = %s or blocked_until <= %s)", [host, cycle_id, now]
    )
