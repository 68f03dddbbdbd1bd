"""From the bytes of detail answers to canonical prices: what that costs next to `orjson.loads` of the same bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Annotated, Any, Final

import orjson
import typer
from rich.table import Table

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters
from palimpsest_pipeline_tests.fixtures.samples import unpack
from palimpsest_pipeline_tests.recorded.import_answers import ANSWERS

CAPTURED: Final = {
    BETPAWA: (
        "detail_football_113_markets_v3_2026-06-26.json",
        "detail_football_59_markets_v4_2026-08-21.json",
    ),
    SPORTYBET: (
        "event_prematch_football_norway_france_974_markets.json",
        "event_prematch_football_360_markets.json",
    ),
    BET9JA: ("getevent_soccer_norway_france.json", "getevent_soccer_qatar_sudan_suspended_prices.json"),
}
"""Prematch details of football."""
AT: Final = datetime(2026, 6, 26, 10, tzinfo=UTC)


@dataclass(slots=True)
class Cost:
    """Least CPU seconds (all threads) of one platform's batch, and what the batch was."""

    n_bodies: int
    n_bytes: int
    n_prices: int = 0
    path: float = float("inf")
    orjson: float = float("inf")

    def figures(self) -> dict[str, float]:
        return {
            "ratio_to_orjson": self.path / self.orjson,
            "mb_per_s": self.n_bytes / 1e6 / self.path,
            "ms_per_event": self.path * 1000 / self.n_bodies,
            "orjson_ms_per_event": self.orjson * 1000 / self.n_bodies,
        }


def repeat_answers(samples: Path, platform: Platform, n: int) -> list[Answer]:
    """`n` answers, the captured ones in turn."""
    request = Request(platform, PayloadKind.DETAIL, "/recorded")
    captured = [(samples / platform / name).read_bytes() for name in CAPTURED[platform]]
    bodies = islice(cycle(captured), n)
    return [Answer(request, 1, AT, AT, AT, 200, {"content-type": "application/json"}, body) for body in bodies]


def canonical_prices(adapter: PlatformAdapter, batch: Sequence[Answer]) -> int:
    """The production path of one platform's answers; returns the number of prices."""
    return normalise(
        collect_raw_books(adapter.read_detail([answer]) for answer in batch), load_installed_vocabulary()
    ).prices.height


def measure(
    bodies: Annotated[int, typer.Option(min=3, help="Number of answers in the batch.")] = 300,
    repetitions: Annotated[int, typer.Option(min=1, help="Repetitions, of which the least cost counts.")] = 5,
) -> dict[str, Any]:
    """Figures over all platforms and for each, from `bodies` answers in equal numbers per platform. Path and yardstick
    take turns.
    """
    spoken = build_adapters()
    with TemporaryDirectory() as folder:
        samples = unpack(ANSWERS, Path(folder))
        batches = {platform: repeat_answers(samples, platform, bodies // len(PLATFORMS)) for platform in PLATFORMS}
    costs = {platform: Cost(len(batch), sum(len(a.body or b"") for a in batch)) for platform, batch in batches.items()}
    canonical_prices(spoken[BETPAWA], batches[BETPAWA][:1])
    for _ in range(repetitions):
        for platform, batch in batches.items():
            cost = costs[platform]
            seconds, _ = _timed(lambda batch=batch: [None for a in batch if orjson.loads(a.body or b"") is None])
            cost.orjson = min(cost.orjson, seconds)
            seconds, cost.n_prices = _timed(
                lambda platform=platform, batch=batch: canonical_prices(spoken[platform], batch)
            )
            cost.path = min(cost.path, seconds)
    names = ("n_bodies", "n_bytes", "n_prices", "path", "orjson")
    whole = Cost(**{name: sum(getattr(cost, name) for cost in costs.values()) for name in names})
    return {
        **whole.figures(),
        "n_bodies": whole.n_bodies,
        "n_prices": whole.n_prices,
        "platforms": {platform: cost.figures() for platform, cost in costs.items()},
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    before = process_time()
    done = work()
    return process_time() - before, done


def table(found: dict[str, Any]) -> Table:
    """One row per platform and one for all."""
    shown = Table(title=f"{found['n_bodies']} answers to {found['n_prices']:,} prices, CPU time", title_justify="left")
    shown.add_column("platform")
    for heading in ("ratio to orjson", "MB/s", "ms per event", "orjson ms per event"):
        shown.add_column(heading, justify="right")
    for name, figures in [*found["platforms"].items(), ("all", found)]:
        shown.add_row(
            name,
            *(f"{figures[key]:.2f}" for key in ("ratio_to_orjson", "mb_per_s", "ms_per_event", "orjson_ms_per_event")),
        )
    return shown
