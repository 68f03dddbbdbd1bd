"""Keeps a running cycle's ledger: every few seconds a sign of life, the platforms as they stand, the listings that are
over; and what others shall know of a host. Never in the way."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import psycopg

from palimpsest_pipeline.domain.cycles import Cycle, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.runtime.heartbeat import PeriodicWriter
from palimpsest_pipeline.scrape.sinks import HostView, ScrapeObserver
from palimpsest_pipeline.storage.ledger import cycle_ledger, host_state

MAX_WAITING_OUTCOMES: Final = 20_000
"""Lines that wait for a database that is away.

Older ones are let go: whoever closes the cycle writes all of them anyway.
"""


class LedgerWriter(ScrapeObserver):
    """A Watch with a thread and a connection of its own, as a context manager. A database that is away costs a warning,
    and nothing that was fetched.

    `connect` opens a connection (raises DatabaseUnreachable), `beat_s` is the time from one sign of life to the next,
    `so_far` says how the platforms stand; it is asked on the event loop, once between two beats. `hosts` are the
    platforms' names in `host_state`, whose instants are of `clock`. After the block at most what is under way on the
    thread is still written; closing the batch is the caller's.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        cycle: Cycle,
        heartbeat_interval_s: float,
        read_platform_runs: Callable[[], Sequence[PlatformRun]] = tuple,
        hosts: Mapping[Platform, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._cycle = cycle
        self._read_platform_runs = read_platform_runs
        self._runs: Sequence[PlatformRun] | None = None
        self._lock = threading.Lock()
        self._finished_outcomes: list[EventOutcome] = []
        self._hosts = hosts or {}
        self._clock = clock or Clock()
        self._host_changes: dict[str, tuple[HostView, float]] = {}
        """Of hosts: how each stands, and since when by the monotonic clock."""
        self._periodic_writer = PeriodicWriter(
            f"cycle {cycle.cycle_id}",
            connect,
            heartbeat_interval_s,
            self._write_ledger,
            write_at_end=self._write_host_states,
        )

    def __enter__(self) -> Self:
        self._periodic_writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._periodic_writer.__exit__(kind, error, trace)

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        if self._runs is None:
            self._runs = self._read_platform_runs()
        with self._lock:
            self._finished_outcomes += [outcome for outcome in outcomes if outcome.external_id]
            del self._finished_outcomes[:-MAX_WAITING_OUTCOMES]

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        if platform in self._hosts and view.state != "probing":
            with self._lock:
                self._host_changes[self._hosts[platform]] = view, time.monotonic()

    def _write_ledger(self, conn: psycopg.Connection) -> str | None:
        """On the thread."""
        with self._lock:
            over, self._finished_outcomes = self._finished_outcomes, []
        runs, self._runs = self._runs or (), None
        try:
            # Two transactions: a line that is refused must not keep the cycle from being alive.
            with conn.transaction():
                alive = cycle_ledger.record_heartbeat(conn, self._cycle.cycle_id, self._cycle.run_id)
            with conn.transaction():
                cycle_ledger.record_progress(conn, self._cycle, runs, over)
        except psycopg.Error:
            with self._lock:
                self._finished_outcomes[:0] = over
                del self._finished_outcomes[:-MAX_WAITING_OUTCOMES]
            raise
        self._write_host_states(conn)
        return (
            None
            if alive
            else "was closed or taken up by another run, and still runs here; its end counts only if no other run took it up"
        )

    def _write_host_states(self, conn: psycopg.Connection) -> None:
        """On the thread. What others shall know of hosts, as far as it is not written yet."""
        with self._lock:
            news, self._host_changes = self._host_changes, {}
        try:
            with conn.transaction():
                for host, (view, since) in news.items():
                    if view.state == "closed":
                        host_state.clear_host(conn, host, self._cycle.cycle_id, self._clock.now())
                    else:
                        left_s = max(0.0, view.remaining_s - (time.monotonic() - since))
                        host_state.block_host(conn, host, self._cycle.cycle_id, view.reason, self._clock.now(), left_s)
        except psycopg.Error:
            with self._lock:
                self._host_changes = news | self._host_changes
            raise
