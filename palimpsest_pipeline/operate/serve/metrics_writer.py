"""Write the page of metrics into the home folder while `palimpsest up` runs.

The supervisor reads the figures, because it may read all schemas and has Dagster's instance. The board serves the file,
and needs no right but to read it.
"""

import logging
import threading
from types import TracebackType
from typing import Final, Self

import dagster as dg

from palimpsest_pipeline.board.metrics_route import METRICS_FILE
from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.pipeline.context import Pipeline

from .metrics import MetricReader

WRITE_INTERVAL_S: Final = 15.0
"""Seconds between two readings. Prometheus commonly asks every 15 to 60 seconds."""
_JOIN_TIMEOUT_S: Final = 3.0
log = logging.getLogger(__name__)


class MetricsWriter:
    """Writes the page in a thread, at once and then every `interval_s` seconds, during the block.

    The file is removed after the block. A page that cannot be written is logged, and the next one is tried.
    """

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance, interval_s: float = WRITE_INTERVAL_S) -> None:
        self._path = pipeline.settings.home / METRICS_FILE
        self._reader, self._interval_s = MetricReader(pipeline, instance), interval_s
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_event.set()
        self._thread.join(_JOIN_TIMEOUT_S)
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stop_event.is_set():
            try:
                page = self._reader.read_page().decode()
                if not self._stop_event.is_set():
                    replace_text(self._path, page)
            except Exception as error:  # noqa: BLE001 - the next page may succeed, for example after a full disk
                log.warning("%s cannot be written: %s", self._path, type(error).__name__)
            self._stop_event.wait(self._interval_s)
