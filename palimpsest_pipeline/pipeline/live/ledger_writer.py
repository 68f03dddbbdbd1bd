"""A background writer of a running cycle's ledger, which never blocks the scrape.

Every few seconds it writes a heartbeat, the progress of the platforms, the finished listings, and the state of the
hosts, which other scrapes read.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
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
"""Maximum number of listings' outcomes kept in memory while the database cannot be reached.

Older ones are dropped; they are not lost, because closing the cycle writes all outcomes again.
"""


class LedgerWriter(ScrapeObserver):
    """A scrape observer with its own thread and database connection. Use it as a context manager.

    If the database cannot be reached, it only logs a warning, and no answer is lost. `connect` opens a connection
    (raises DatabaseUnreachable). `heartbeat_interval_s` is the time between two heartbeats. `read_platform_runs`
    returns the progress of the platforms; it is called on the event loop, once between two heartbeats. `hosts` maps
    platforms to the names of their hosts in `ops.host_state`, whose instants are those of `clock`; several platforms
    may share a host. At the end of the block the thread finishes its current write and stops; the caller closes the
    cycle.
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
        self._host_views: dict[Platform, tuple[HostView, float]] = {}
        """The newest state of each platform's host, and its time on the monotonic clock in seconds."""
        self._changed_platforms: set[Platform] = set()
        """Platforms whose newest state is not written yet."""
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
                self._host_views[platform] = view, time.monotonic()
                self._changed_platforms.add(platform)

    def _write_ledger(self, conn: psycopg.Connection) -> str | None:
        """Write the heartbeat and the progress; runs on the thread.

        Return a warning if another process closed the cycle meanwhile, otherwise None.
        """
        with self._lock:
            outcomes, self._finished_outcomes = self._finished_outcomes, []
        runs, self._runs = self._runs or (), None
        try:
            # Two transactions, so that a refused row does not prevent the heartbeat.
            with conn.transaction():
                is_running = cycle_ledger.record_heartbeat(conn, self._cycle.cycle_id, self._cycle.run_id)
            with conn.transaction():
                cycle_ledger.record_progress(conn, self._cycle, runs, outcomes)
        except psycopg.Error:
            with self._lock:
                self._finished_outcomes[:0] = outcomes
                del self._finished_outcomes[:-MAX_WAITING_OUTCOMES]
            raise
        self._write_host_states(conn)
        return (
            None
            if is_running
            else "was closed or taken over by another run, and still runs here; its end counts only if no other run"
            " took it over"
        )

    def _write_host_states(self, conn: psycopg.Connection) -> None:
        """Write the changed states of hosts for other scrapes; runs on the thread."""
        with self._lock:
            changed, self._changed_platforms = self._changed_platforms, set()
            views = dict(self._host_views)
        try:
            with conn.transaction():
                for host in sorted({self._hosts[platform] for platform in changed}):
                    on_host = {platform: views[platform] for platform in views if self._hosts[platform] == host}
                    self._write_host_state(conn, host, on_host, changed)
        except psycopg.Error:
            with self._lock:
                self._changed_platforms |= changed
            raise

    def _write_host_state(
        self,
        conn: psycopg.Connection,
        host: str,
        views: Mapping[Platform, tuple[HostView, float]],
        changed: Collection[Platform],
    ) -> None:
        """Write the state of one host, of which `views` has the state of each of its platforms.

        A good answer for one platform ends the record, but for the time that another platform still has to wait.
        """
        is_answering = any(view.state == "closed" and platform in changed for platform, (view, _) in views.items())
        if is_answering:
            host_state.clear_host(conn, host, self._cycle.cycle_id, self._clock.now())
        for view, since in views.values():
            left_s = max(0.0, view.remaining_s - (time.monotonic() - since))
            if view.state != "closed" and (left_s > 0 or not is_answering):
                host_state.block_host(conn, host, self._cycle.cycle_id, view.reason, self._clock.now(), left_s)
