"""Problems of hosts, which scrapes record for each other. Callers commit.

Instants are by the pipeline's clock, which a simulated world shifts. Each cycle has a separate row for a host: the
record of one cycle never shortens or ends that of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

TROUBLE_MEMORY_S: Final = 120.0
"""How long a problem is reported after its end if no scrape has seen it end.

The next scrape first sends one request.
"""
MAX_BLOCK_S: Final = 3600.0
"""Maximum duration of a block of a host for one answer."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem of a host: the reason, the remaining seconds without requests, and the reporting cycle.

    The seconds are 0 just after the end.
    """

    reason: str
    for_s: float
    cycle_id: int


def read_troubles(conn: psycopg.Connection, hosts: Sequence[str], now: datetime) -> dict[str, Trouble]:
    """Return the problem of each host that has one. The longest time counts."""
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

    Of the cycle's own records the later end counts.
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

    The cycle's own record, and expired records of others, are deleted.
    """
    conn.execute(
        "delete from ops.host_state where host = %s and (cycle_id = %s or blocked_until <= %s)", [host, cycle_id, now]
    )
