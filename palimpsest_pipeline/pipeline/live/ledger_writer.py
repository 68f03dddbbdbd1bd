"""Keeps a running cycle's ledger: every few seconds a sign of life, the platforms as they stand, the listings that are over;
and what others shall know of a host. Never in the way."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import psycopg

from palimpsest_pipeline.domain.cycles import Cycle, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.runtime.heartbeat import Beating
from palimpsest_pipeline.scrape.sinks import HostView, Watch
from palimpsest_pipeline.storage.ledger import cycle_ledger, host_state

MOST_KEPT: Final = 20_000
"""Lines that wait for a database that is away. Older ones are let go: whoever closes the cycle writes all of them anyway."""


class Keeper(Watch):
    """A Watch with a thread and a connection of its own, as a context manager. A database that is away costs a warning, and nothing that was fetched.

    `connect` opens a connection (raises DatabaseUnreachable), `beat_s` is the time from one sign of life to the next, `so_far` says how the
    platforms stand; it is asked on the event loop, once between two beats. `hosts` are the platforms' names in `host_state`, whose instants are of
    `clock`. After the block at most what is under way on the thread is still written; closing the batch is the caller's.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        cycle: Cycle,
        beat_s: float,
        so_far: Callable[[], Sequence[PlatformRun]] = tuple,
        hosts: Mapping[Platform, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._cycle = cycle
        self._so_far = so_far
        self._runs: Sequence[PlatformRun] | None = None
        self._lock = threading.Lock()
        self._over: list[EventOutcome] = []
        self._hosts = hosts or {}
        self._clock = clock or Clock()
        self._news: dict[str, tuple[HostView, float]] = {}
        """Of hosts: how each stands, and since when by the monotonic clock."""
        self._beating = Beating(f"cycle {cycle.cycle_id}", connect, beat_s, self._write, last=self._tell_of_hosts)

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

    def host(self, platform: Platform, view: HostView) -> None:
        if platform in self._hosts and view.state != "probing":
            with self._lock:
                self._news[self._hosts[platform]] = view, time.monotonic()

    def _write(self, conn: psycopg.Connection) -> str | None:
        """On the thread."""
        with self._lock:
            over, self._over = self._over, []
        runs, self._runs = self._runs or (), None
        try:
            # Two transactions: a line that is refused must not keep the cycle from being alive.
            with conn.transaction():
                alive = cycle_ledger.heartbeat(conn, self._cycle.cycle_id, self._cycle.run_id)
            with conn.transaction():
                cycle_ledger.record(conn, self._cycle, runs, over)
        except psycopg.Error:
            with self._lock:
                self._over[:0] = over
                del self._over[:-MOST_KEPT]
            raise
        self._tell_of_hosts(conn)
        return None if alive else "was closed or taken up by another run, and still runs here; its end counts only if no other run took it up"

    def _tell_of_hosts(self, conn: psycopg.Connection) -> None:
        """On the thread. What others shall know of hosts, as far as it is not written yet."""
        with self._lock:
            news, self._news = self._news, {}
        try:
            with conn.transaction():
                for host, (view, since) in news.items():
                    if view.state == "closed":
                        host_state.clear(conn, host, self._cycle.cycle_id, self._clock.now())
                    else:
                        left_s = max(0.0, view.rest_s - (time.monotonic() - since))
                        host_state.block(conn, host, self._cycle.cycle_id, view.reason, self._clock.now(), left_s)
        except psycopg.Error:
            with self._lock:
                self._news = news | self._news
            raise
