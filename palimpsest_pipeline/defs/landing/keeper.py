"""Keeps a running cycle's ledger: every few seconds a sign of life, the platforms as they stand, the listings that are over. Never in the way."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import psycopg

from ...domain.cycles import EventOutcome, PlatformRun
from ...scrape.sinks import Watch
from ...storage import ledger
from ..beating import Beating

MOST_KEPT: Final = 20_000
"""Lines that wait for a database that is away. Older ones are let go: whoever closes the cycle writes all of them anyway."""


class Keeper(Watch):
    """A Watch with a thread and a connection of its own, as a context manager. A database that is away costs a warning, and nothing that was fetched.

    `connect` opens a connection (raises DatabaseUnreachable), `beat_s` is the time from one sign of life to the next, `so_far` says how the
    platforms stand; it is asked on the event loop, once between two beats. After the block at most what is under way on the thread is still
    written; closing the batch is the caller's.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection], cycle_id: int, beat_s: float, so_far: Callable[[], Sequence[PlatformRun]] = tuple
    ) -> None:
        self._cycle_id = cycle_id
        self._so_far = so_far
        self._runs: Sequence[PlatformRun] | None = None
        self._lock = threading.Lock()
        self._over: list[EventOutcome] = []
        self._beating = Beating(f"cycle {cycle_id}", connect, beat_s, self._write)

    def __enter__(self) -> Self:
        self._beating.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._beating.__exit__(kind, error, trace)

    def settled(self, outcomes: Sequence[EventOutcome]) -> None:
        if self._runs is None:
            self._runs = self._so_far()
        with self._lock:
            self._over += [outcome for outcome in outcomes if outcome.external_id]
            del self._over[:-MOST_KEPT]

    def _write(self, conn: psycopg.Connection) -> str | None:
        """On the thread."""
        with self._lock:
            over, self._over = self._over, []
        runs, self._runs = self._runs or (), None
        try:
            # Two transactions: a line that is refused must not keep the cycle from being alive.
            with conn.transaction():
                alive = ledger.heartbeat(conn, self._cycle_id)
            with conn.transaction():
                ledger.record(conn, self._cycle_id, runs, over)
        except psycopg.Error:
            with self._lock:
                self._over[:0] = over
                del self._over[:-MOST_KEPT]
            raise
        return None if alive else "was taken for dead and closed, and still runs; its own end will be written over that"
