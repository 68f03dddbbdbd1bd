"""Processes that derive spans of hours at the same time. A worker ends when its parent ends."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.processes import end_with_parent
from palimpsest_pipeline.runtime.terminal import log_to_terminal
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db.connection import give_up_on_loss

from .hour_spans import HourOutcome, HourSpan, run_span

_END_TIMEOUT_S: Final = 15.0
"""Seconds until a worker that must end is killed: Dagster first records that its run was cancelled."""
DIED_MESSAGE: Final = "its worker process died; the rows that it had derived are kept"


class Worker:
    """One worker process and the span that it is deriving."""

    def __init__(self, settings: Settings) -> None:
        # Not forked: a fork would share our connections and the locks of our threads.
        context = multiprocessing.get_context("spawn")
        self.connection, worker_connection = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=run_backfill_worker,
            args=(worker_connection, settings, os.getpid()),
            name="backfill",
            daemon=True,
        )
        self.span: HourSpan | None = None
        self.process.start()
        worker_connection.close()  # otherwise the connection stays open after the worker's end

    def send_span(self, span: HourSpan) -> None:
        self.span = span
        with suppress(OSError):  # the process has died, which `receive_outcomes` reports
            self.connection.send(span)

    def receive_outcomes(self) -> list[HourOutcome]:
        """Return the outcomes of the worker's span; if its process died, DIED_MESSAGE for every hour."""
        span, self.span = self.span, None
        try:
            outcomes: list[HourOutcome] = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(_END_TIMEOUT_S)
            return [(hour, DIED_MESSAGE) for hour in (span.hours if span else ())]
        return outcomes

    def stop(self) -> None:
        """End the process, and return when it does not exist any more."""
        self.connection.close()
        if self.span is not None:
            self.process.terminate()
        self.process.join(_END_TIMEOUT_S)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def run_spans(settings: Settings, spans: Sequence[HourSpan], jobs: int) -> Iterator[HourOutcome]:
    """Yield the outcome of every hour of `spans` as it arrives, from `jobs` processes.

    Spans are started in order. A process that dies is replaced.
    """
    to_do = deque(spans)
    workers: list[Worker] = []
    try:
        while to_do or any(worker.span for worker in workers):
            workers = [w for w in workers if w.process.is_alive() or w.span]
            while len(workers) < min(jobs, len(to_do) + len(workers)):
                workers.append(Worker(settings))
            for worker in workers:
                if worker.span is None and to_do:
                    worker.send_span(to_do.popleft())
            for connection in wait([worker.connection for worker in workers if worker.span]):
                worker = next(w for w in workers if w.connection is connection)
                yield from worker.receive_outcomes()
    finally:
        for worker in workers:
            worker.stop()


def run_backfill_worker(connection: Connection, settings: Settings, parent_pid: int) -> None:
    """Run one span after another until the connection closes: the main function of a worker process.

    It ends with the process `parent_pid`, even if that died while this one started.
    """
    log_to_terminal()
    # SIGTERM acts as Ctrl-C, so that Dagster records that the run was cancelled.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=end_with_parent, args=(parent_pid, _END_TIMEOUT_S), name="parent", daemon=True).start()
    os.environ.update(settings.to_environment())  # the definitions read the cron expressions from the environment
    pipeline = Pipeline(settings)
    with suppress(KeyboardInterrupt, EOFError), give_up_on_loss(), open_instance(settings) as instance:
        while True:
            connection.send(list(run_span(instance, pipeline, connection.recv())))
