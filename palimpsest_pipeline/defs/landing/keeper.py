"""Keeps a running cycle's ledger: every few seconds a sign of life, the platforms as they stand, the listings that are over. Never in the way."""

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import psycopg

from ...domain.cycles import EventOutcome, PlatformRun
from ...scrape.sinks import Watch
from ...storage import ledger
from ...storage.database import DatabaseUnreachable

MOST_KEPT: Final = 20_000
"""Lines that wait for a database that is away. Older ones are let go: whoever closes the cycle writes all of them anyway."""
JOIN_S: Final = 2.0
log = logging.getLogger(__name__)


class Keeper(Watch):
    """A Watch with a thread and a connection of its own, as a context manager. A database that is away costs a warning, and nothing that was fetched.

    `connect` opens a connection (raises DatabaseUnreachable), `beat_s` is the time from one sign of life to the next, `so_far` says how the
    platforms stand; it is asked on the event loop, once between two beats. After the block at most what is under way on the thread is still
    written; closing the batch is the caller's.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection], cycle_id: int, beat_s: float, so_far: Callable[[], Sequence[PlatformRun]] = tuple
    ) -> None:
        self._connect = connect
        self._cycle_id = cycle_id
        self._beat_s = beat_s
        self._so_far = so_far
        self._runs: Sequence[PlatformRun] | None = None
        self._lock = threading.Lock()
        self._over: list[EventOutcome] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._conn: psycopg.Connection | None = None
        self._warned = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join(JOIN_S)

    def settled(self, outcomes: Sequence[EventOutcome]) -> None:
        if self._runs is None:
            self._runs = self._so_far()
        with self._lock:
            self._over += [outcome for outcome in outcomes if outcome.external_id]
            del self._over[:-MOST_KEPT]

    # --- on the thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._done.wait(self._beat_s):
            self._beat()
        if self._conn is not None:
            self._conn.close()

    def _beat(self) -> None:
        with self._lock:
            over, self._over = self._over, []
        runs, self._runs = self._runs or (), None
        try:
            if self._conn is None:
                self._conn = self._connect()
            # Two transactions: a line that is refused must not keep the cycle from being alive.
            with self._conn.transaction():
                alive = ledger.heartbeat(self._conn, self._cycle_id)
            with self._conn.transaction():
                ledger.record(self._conn, self._cycle_id, runs, over)
        except (DatabaseUnreachable, psycopg.Error) as error:
            with self._lock:
                self._over[:0] = over
                del self._over[:-MOST_KEPT]
            self._part()
            self._warn(f"not written down for now: {error}")
        except Exception:  # a keeper that dies makes its cycle look dead
            log.exception("cycle %d: the ledger could not be kept", self._cycle_id)
        else:
            self._warned = False
            if not alive:
                self._warn("was taken for dead and closed, and still runs; its own end will be written over that")

    def _part(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def _warn(self, words: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("cycle %d: %s", self._cycle_id, words)
