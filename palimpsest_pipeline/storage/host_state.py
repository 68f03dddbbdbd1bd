"""What scrapes tell each other of a host that is in trouble. By the database's clock, for they may run on several machines. Callers commit."""

from collections.abc import Sequence
from typing import Final

import psycopg

REMEMBERED_S: Final = 120.0
"""For how long after its end a trouble that nobody has seen end is told of: the next scrape asks one thing first."""
LONGEST_S: Final = 3600.0
"""No host is left alone for longer by the word of one answer."""


def troubles(conn: psycopg.Connection, hosts: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Of each host in trouble why, and for how many more seconds it is to be left alone: 0 when that is just over."""
    rows = conn.execute(
        """
        select host, reason, greatest(0, extract(epoch from blocked_until - clock_timestamp()))::float8
        from ops.host_state
        where host = any(%s) and blocked_until > clock_timestamp() - make_interval(secs => %s)
        """,
        [list(hosts), REMEMBERED_S],
    ).fetchall()
    return {host: (reason, left_s) for host, reason, left_s in rows}


def block(conn: psycopg.Connection, host: str, reason: str, for_s: float) -> None:
    """Nobody asks the host for so many seconds from now."""
    conn.execute(
        """
        insert into ops.host_state (host, blocked_until, reason, updated_at)
        values (%s, clock_timestamp() + make_interval(secs => %s), %s, clock_timestamp())
        on conflict (host) do update set blocked_until = excluded.blocked_until, reason = excluded.reason, updated_at = excluded.updated_at
        """,
        [host, min(for_s, LONGEST_S), reason],
    )


def clear(conn: psycopg.Connection, host: str) -> None:
    """The host answers as usual."""
    conn.execute("update ops.host_state set blocked_until = null, reason = '', updated_at = clock_timestamp() where host = %s", [host])
