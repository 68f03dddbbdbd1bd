"""The progress of a backfill is printed only while there are hours to derive."""

import threading
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from palimpsest_pipeline.operate.backfill import backfill_meter
from palimpsest_pipeline.operate.backfill.backfill_meter import BackfillProgress


class LookCounter:
    """A pipeline whose database is away, and which counts how often somebody wanted it."""

    def __init__(self, n_looks: int) -> None:
        self._n_left = n_looks
        self.has_enough = threading.Event()

    def connect(self) -> Any:
        self._n_left -= 1
        if self._n_left <= 0:
            self.has_enough.set()
        raise OSError


def test_a_backfill_without_due_hours_prints_no_progress(monkeypatch: pytest.MonkeyPatch):
    """It still derives dates and fixtures, which takes longer than the time between two lines."""
    monkeypatch.setattr(backfill_meter, "POLL_INTERVAL_S", 0.001)
    monkeypatch.setattr(backfill_meter, "LOG_INTERVAL_S", 0.0)
    pipeline, printed = LookCounter(3), StringIO()
    with BackfillProgress(pipeline, [], Console(file=printed)) as meter:  # type: ignore[arg-type]
        assert pipeline.has_enough.wait(10)
        meter.say("fixtures that kick off 2026-06-26: derived")
    assert printed.getvalue() == "fixtures that kick off 2026-06-26: derived\n"
