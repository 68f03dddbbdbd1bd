"""Run a periodic write to the database in a thread, independent of the process's other work.

The module knows neither Dagster nor the content that is written.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import psycopg

from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable

_JOIN_TIMEOUT_S: Final = 2.0
log = logging.getLogger(__name__)


class PeriodicWriter:
    """Calls `write` every `interval_s` seconds in a thread with its own connection, during the block.

    `connect` opens the connection and may raise DatabaseUnreachable. If `write` returns a text or fails, a warning is
    logged; the same problem is logged only once. With `write_at_start`, `write` is also called at the start.
    `write_at_end` is called at the end of the block. A call that has started before the end may complete after it.
    """

    def __init__(
        self,
        subject: str,
        connect: Callable[[], psycopg.Connection],
        interval_s: float,
        write: Callable[[psycopg.Connection], str | None],
        *,
        write_at_start: bool = False,
        write_at_end: Callable[[psycopg.Connection], None] | None = None,
    ) -> None:
        self._subject = subject
        self._connect = connect
        self._interval_s = interval_s
        self._write = write
        self._write_at_start = write_at_start
        self._write_at_end = write_at_end
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beating", daemon=True)
        self._conn: psycopg.Connection | None = None
        self._has_warned = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_event.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    # --- Methods that run in the thread ---

    def _run(self) -> None:
        if self._write_at_start:
            self._call_write(self._write)
        while not self._stop_event.wait(self._interval_s):
            self._call_write(self._write)
        if self._write_at_end is not None:
            self._call_write(self._write_at_end)
        self._disconnect()

    def _call_write(self, write: Callable[[psycopg.Connection], str | None]) -> None:
        try:
            if self._conn is None:
                self._conn = self._connect()
            warning = write(self._conn)
        except (DatabaseUnreachable, psycopg.Error) as error:
            self._disconnect()
            self._warn(f"cannot be written now: {error}")
        except Exception:  # if this thread died, its run would count as dead
            log.exception("%s: could not be written", self._subject)
        else:
            self._has_warned = self._has_warned and warning is not None
            if warning is not None:
                self._warn(warning)

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def _warn(self, warning: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning("%s: %s", self._subject, warning)
