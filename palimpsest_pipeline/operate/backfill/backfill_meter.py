"""The progress display of a backfill: a bar on a terminal, otherwise lines.

The derived products are counted in the database, so the numbers include the work of every process.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Self

import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.pipeline.replay_plan import PlannedHour
from palimpsest_pipeline.runtime.progress import LOG_INTERVAL_S, format_duration
from palimpsest_pipeline.storage.derivation.due_products import DueProduct

POLL_INTERVAL_S: Final = 1.0


class BackfillProgress:
    """A progress display for the due products of `hours`, updated by its own thread.

    It lasts as long as the `with` block.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        hours: Iterable[PlannedHour],
        console: Console,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline = pipeline
        self._console = console
        self._now = now
        self._began = now()
        self._due_products = {_identify(product): hour.begins_at for hour in hours for product in hour.due}
        self._n_products = len(self._due_products)
        self._n_hours = len(set(self._due_products.values()))
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[hours]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            disable=not (console.is_terminal and self._n_products),
        )
        self._task: TaskID = self._bar.add_task("backfill", total=self._n_products, hours=self._describe_hours())

    def __enter__(self) -> Self:
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_event.set()
        self._thread.join(timeout=10)
        with suppress(psycopg.Error, OSError):
            self._update_bar()
        self._bar.stop()

    def describe(self) -> str:
        """Return a text such as `12 of 48 hours derived, core of 48, 36 left, 0:02:10 to go`."""
        n_derived = self._n_products - len(self._due_products)
        took_s = self._now() - self._began
        to_go = (
            f", {format_duration(took_s / n_derived * len(self._due_products))} to go"
            if n_derived and self._due_products
            else ""
        )
        return f"{self._describe_hours()}{to_go}"

    def _describe_hours(self) -> str:
        n_left = len(set(self._due_products.values()))
        n_core_derived = self._n_hours - len(
            {at for (schema, *_), at in self._due_products.items() if schema == "core"}
        )
        return f"{self._n_hours - n_left} of {self._n_hours} hours derived, core of {n_core_derived}, {n_left} left"

    def _watch(self) -> None:
        next_line_s = self._now() + LOG_INTERVAL_S
        while not self._stop_event.wait(POLL_INTERVAL_S):
            with suppress(psycopg.Error, OSError):
                self._update_bar()
            if self._n_products and not self._console.is_terminal and self._now() >= next_line_s:
                next_line_s += LOG_INTERVAL_S
                self.say(self.describe())

    def _update_bar(self) -> None:
        with self._pipeline.connect() as conn:
            due = list_due_products(self._pipeline, conn, cycle_ids={cycle_id for _, cycle_id, _ in self._due_products})
        still_due = set(map(_identify, due))
        self._due_products = {product: hour for product, hour in self._due_products.items() if product in still_due}
        self._bar.update(self._task, completed=self._n_products - len(self._due_products), hours=self._describe_hours())

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


def _identify(product: DueProduct) -> tuple[str, int, str]:
    return product.schema, product.cycle_id, product.product
