"""One at a time: who derives the same rows as another waits for him, or leaves them to him. Knows no table.

What is done in one transaction and what after it is the caller's: marks that others set meanwhile are taken away outside a snapshot, in which they
could not be seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


class Busy(RuntimeError):
    """Somebody else has the lock, and the caller would not wait for it."""


@contextmanager
def alone(conn: psycopg.Connection, lock: int, *, wait: bool = True) -> Iterator[None]:
    """Nobody else who takes the advisory lock is inside the block. Raises Busy when somebody is and the caller does not `wait`."""
    if not conn.autocommit:
        raise ValueError("the lock is taken before a transaction begins: give a connection in autocommit")
    if wait:
        conn.execute("select pg_advisory_lock(%s)", [lock])
    elif conn.execute("select from (select pg_try_advisory_lock(%s) as had) l where had", [lock]).rowcount == 0:
        raise Busy(f"somebody else has the lock {lock}")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s)", [lock])


@contextmanager
def snapshot(conn: psycopg.Connection) -> Iterator[None]:
    """One transaction, which sees the database as it is at its first question. A row that somebody else changes after that can only be read."""
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read")
        yield
