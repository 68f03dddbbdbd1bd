"""Processes that run spans of hours beside each other. A worker ends with its parent, however that ends.

Belongs here: starting, feeding and ending them. Does not: which spans there are, nor what becomes of their outcome.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.terminal import log_to_terminal
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db.connection import give_up_on_loss

from .hour_spans import HourOutcome, HourSpan, run_span

END_TIMEOUT_S: Final = 15.0
"""A worker that is asked to end may take so long before it is killed: Dagster writes down that its run was ended."""
DIED_MESSAGE: Final = "its worker process died; what it had derived stays"


class Worker:
    """One process and the span that it is at."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a fork would share our connections and the locks of our threads
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=run_worker, args=(theirs, settings), name="backfill", daemon=True
        )
        self.span: HourSpan | None = None
        self.process.start()
        theirs.close()  # else its end would not be the connection's end

    def send_span(self, span: HourSpan) -> None:
        self.span = span
        with suppress(OSError):  # it has died: `take` tells
            self.connection.send(span)

    def receive_outcomes(self) -> list[HourOutcome]:
        """What its span came to. A process that died gives DIED for every hour."""
        span, self.span = self.span, None
        try:
            outcomes: list[HourOutcome] = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(END_TIMEOUT_S)
            return [HourOutcome(hour, DIED_MESSAGE) for hour in (span.hours if span else ())]
        return outcomes

    def stop(self) -> None:
        """The process is gone after this."""
        self.connection.close()
        if self.span is not None:
            self.process.terminate()
        self.process.join(END_TIMEOUT_S)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def run_spans(settings: Settings, spans: Sequence[HourSpan], jobs: int) -> Iterator[HourOutcome]:
    """The outcome of every hour of `spans`, as they come, from `jobs` processes; spans are begun in order.

    A process that dies is replaced.
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
            for ready in wait([worker.connection for worker in workers if worker.span]):
                worker = next(w for w in workers if w.connection is ready)
                yield from worker.receive_outcomes()
    finally:
        for worker in workers:
            worker.stop()


def run_worker(connection: Connection, settings: Settings) -> None:
    """A worker's life: one span after the other until the connection ends."""
    log_to_terminal()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # the way of Ctrl-C: Dagster writes down that the run was ended
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    os.environ.update(settings.to_environment())  # the definitions read their schedules' cadence there
    pipeline = Pipeline(settings)
    with suppress(KeyboardInterrupt, EOFError), give_up_on_loss(), open_instance(settings) as instance:
        while True:
            connection.send(list(run_span(instance, pipeline, connection.recv())))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_TIMEOUT_S)
        os._exit(1)
