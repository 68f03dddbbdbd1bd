"""The board's database connections: read-only, few, and shared by all requests.

A session belongs to a role that cannot write. Its transactions are read-only too.
"""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.write_rights import find_write_rights

MAX_CONNECTIONS: Final = 4
_SESSION_SQL: Final = """
select set_config('statement_timeout', '20s', false), set_config('idle_session_timeout', '0', false),
    set_config('default_transaction_read_only', 'on', false)
"""
BEGIN_SQL: Final = "begin isolation level repeatable read, read only"


class BoardCanWrite(PalimpsestError):
    """The error when the board's database user may write. The board does not start then."""


class ReadOnlyConnections:
    """A pool of sessions of one read-only role. Threads may use it at the same time."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._idle: queue.LifoQueue[psycopg.Connection | None] = queue.LifoQueue()
        for _ in range(MAX_CONNECTIONS):
            self._idle.put(None)

    def check_role(self) -> None:
        """Raise BoardCanWrite when the role may write into the database or has rights over the server."""
        with self.snapshot() as conn:
            if rights := find_write_rights(conn):
                raise BoardCanWrite(
                    f"the board's database user {conn.info.user} may write ({rights[0]}): give the board the user "
                    "palimpsest_analyst (PALIMPSEST_BOARD_DATABASE_URL; `palimpsest db roles` makes it)"
                )

    @contextmanager
    def snapshot(self) -> Iterator[psycopg.Connection]:
        """Yield a session in a read-only transaction that sees the database as of its first query."""
        conn = self._idle.get()
        try:
            conn = self._begin(conn)
            yield conn
        except psycopg.OperationalError:
            if conn is not None:
                conn.close()
            raise
        finally:
            self._idle.put(_end(conn))

    def _begin(self, idle: psycopg.Connection | None) -> psycopg.Connection:
        """Return a session in a transaction: the idle one, or a new one."""
        if idle is not None:
            try:
                idle.execute(BEGIN_SQL)
            except psycopg.OperationalError:
                idle.close()  # Postgres was restarted since the last use, so all idle sessions are dead.
            else:
                return idle
        conn = self.open_session()
        conn.execute(BEGIN_SQL)
        return conn

    def open_session(self) -> psycopg.Connection:
        """Open a session in autocommit mode, which the caller closes. Raises DatabaseUnreachable."""
        conn = self._database.connect(autocommit=True)
        try:
            conn.execute(_SESSION_SQL)
        except BaseException:
            conn.close()
            raise
        return conn

    def close(self) -> None:
        """Close the idle sessions."""
        for _ in range(MAX_CONNECTIONS):
            try:
                conn = self._idle.get_nowait()
            except queue.Empty:
                return
            if conn is not None:
                conn.close()
            self._idle.put(None)


def _end(conn: psycopg.Connection | None) -> psycopg.Connection | None:
    """End the transaction of a session, and return the session; None when it is closed or broken."""
    if conn is None or conn.closed:
        return None
    try:
        conn.execute("rollback")  # There is nothing to commit.
    except psycopg.Error:
        conn.close()
        return None
    return conn
