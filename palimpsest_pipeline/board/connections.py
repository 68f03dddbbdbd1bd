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

MAX_CONNECTIONS: Final = 4
SESSION_SQL: Final = """
select set_config('statement_timeout', '20s', false), set_config('idle_session_timeout', '0', false),
    set_config('default_transaction_read_only', 'on', false)
"""
WRITABLE_SQL: Final = """
select coalesce(bool_or(
        has_table_privilege(c.oid, 'insert, update, delete, truncate')
        and has_schema_privilege(c.relnamespace, 'usage')
    ), false) or (select rolsuper from pg_roles where rolname = current_user)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('ops', 'core', 'mart', 'palimpsest') and c.relkind in ('r', 'p', 'v')
"""


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
        """Raise BoardCanWrite when the role may write to a table or is a superuser."""
        with self.snapshot() as conn:
            if conn.execute(WRITABLE_SQL).fetchone() != (False,):
                raise BoardCanWrite(
                    f"the board's database user {conn.info.user} may write: give the board the user palimpsest_analyst "
                    "(PALIMPSEST_BOARD_DATABASE_URL; `palimpsest db roles` makes it)"
                )

    @contextmanager
    def snapshot(self) -> Iterator[psycopg.Connection]:
        """Yield a session in a read-only transaction that sees the database as of its first query."""
        conn = self._idle.get()
        try:
            if conn is None or conn.closed:
                conn = self.open_session()
            with conn.transaction():
                conn.execute("set transaction isolation level repeatable read, read only")
                yield conn
        except psycopg.OperationalError:
            if conn is not None:
                conn.close()
            raise
        finally:
            self._idle.put(None if conn is None or conn.closed else conn)

    def open_session(self) -> psycopg.Connection:
        """Open a session in autocommit mode, which the caller closes. Raises DatabaseUnreachable."""
        conn = self._database.connect(autocommit=True)
        conn.execute(SESSION_SQL)
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
