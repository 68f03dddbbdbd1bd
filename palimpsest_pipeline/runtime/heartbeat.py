"""Something that is written down every few seconds while other work goes on, and is never in its way.

Knows neither Dagster nor what is written.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import psycopg

from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable

JOIN_TIMEOUT_S: Final = 2.0
log = logging.getLogger(__name__)


class PeriodicWriter:
    """A thread with a connection of its own that calls `write` every `every_s` seconds inside the block.

    `connect` opens a connection (raises DatabaseUnreachable). What `write` returns is a warning, and one that fails
    costs a warning too; a trouble that lasts is told once. With `at_once` it is called at the begin as well, and `last`
    when the block is left. After the block at most what is under way on the thread is still written.
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
        self._thread.join(JOIN_TIMEOUT_S)

    # --- on the thread -----------------------------------------------------------------------------------------------------------

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
            words = write(self._conn)
        except (DatabaseUnreachable, psycopg.Error) as error:
            self._disconnect()
            self._warn(f"not written down for now: {error}")
        except Exception:  # a thread that dies makes what it speaks for look dead
            log.exception("%s: could not be written down", self._subject)
        else:
            self._has_warned = self._has_warned and words is not None
            if words is not None:
                self._warn(words)

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def _warn(self, words: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning("%s: %s", self._subject, words)
