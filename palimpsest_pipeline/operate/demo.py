"""The demo: simulated platforms, a separate embedded Postgres, and two full cycles some minutes apart.

The result are the numbers of the last cycle.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.domain.enums import Platform, Trigger
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.pipeline.context import Pipeline, make_embedded_server
from palimpsest_pipeline.pipeline.coverage_page import write_page
from palimpsest_pipeline.pipeline.home_notes import DataSource, note_source
from palimpsest_pipeline.runtime.server_sharing import is_in_use
from palimpsest_pipeline.settings import Settings, load_settings
from palimpsest_pipeline.simulator.simulated_platforms import DEMO_PLATFORMS
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.ledger.cycle_reader import read_skew_quantiles_ms
from palimpsest_pipeline.storage.marts import cycle_marts

from .databases import open_databases, prepare_schema

MINUTES_BETWEEN_CYCLES: Final = 10
_Say = Callable[[str], None]


class DemoError(PalimpsestError):
    """The demo could not be completed."""


def locate_demo_home(settings: Settings) -> Path:
    """Return the demo's own home folder, so that its data never mix with real data."""
    return settings.home / "demo"


def choose_home_platform(configured: Platform, platforms: Sequence[Platform]) -> Platform:
    """Return the configured home platform if the demo has it, else its first platform."""
    return configured if configured in platforms else platforms[0]


def build_demo_settings(
    home: Path, base_urls: dict[Platform, str], clock_offset_s: float, configured: Settings
) -> Settings:
    """Return settings with an embedded server, the simulator for every platform, and no request gaps."""
    platforms = {
        p: {"base_url": url, "proxy": None, "max_in_flight": 16, "min_gap_s": 0, "jitter_s": 0}
        for p, url in base_urls.items()
    }
    return load_settings(
        home_dir=home,
        database_url=None,
        dagster_database_url=None,
        landing_url=None,
        export_url=None,
        alert_webhook_url=None,
        alert_channels=[],
        clock_offset_s=clock_offset_s,
        first_day=None,
        embedded_durable=False,
        urgent_share=0,  # no other cycle runs at the same time
        ui_port=configured.ui_port,
        board_port=configured.board_port,
        board_host="127.0.0.1",
        board_token=None,
        board_database_url=None,
        platforms=list(base_urls),
        home_platform=choose_home_platform(configured.home_platform, list(base_urls)),
        platform=platforms,
    )


@contextmanager
def run_demo(
    settings: Settings, *, size: int, seed: int, say: _Say, platforms: Sequence[Platform] = DEMO_PLATFORMS
) -> Iterator[tuple[Settings, dict[str, Any]]]:
    """Run the demo of these platforms, and yield its settings and a summary.

    Its server and simulator run inside the block and are stopped after it. The data stay in the demo's home folder.
    """
    began = time.monotonic()
    home = locate_demo_home(settings)
    reset_demo(settings.model_copy(update={"home_dir": home, "embedded_durable": False}))
    now = Pipeline(settings).clock.now()
    # Both cycles must be on today's UTC day: a past day cannot be scraped.
    offset_s = -min(60.0 * MINUTES_BETWEEN_CYCLES, 3600.0 * now.hour + 60.0 * now.minute + now.second)
    say(f"Simulated platforms: {', '.join(platforms)}; {size} fixtures, seed {seed}")
    with SimulatorProcess(
        size=size,
        seed=seed,
        clock_offset_s=offset_s,
        log_path=home / "simulator.log",
        platforms=platforms,
    ) as simulator:
        first = build_demo_settings(home, simulator.base_urls, offset_s, settings)
        second = build_demo_settings(home, simulator.base_urls, 0, settings)
        say("Embedded Postgres and its schema")
        with open_databases(first) as first_pipeline:
            prepare_schema(first_pipeline)
            # Set now, because the definitions read the first day from the environment when they are imported.
            os.environ.update(first.to_environment())
            from .backfill.backfill import rebuild_dirty_dates  # noqa: PLC0415
            from .run_job import run_job  # noqa: PLC0415

            instance = open_instance(first)
            for number, cycle_settings in enumerate((first, second), start=1):
                simulator.set_clock(cycle_settings.clock_offset_s)
                pipeline = Pipeline(cycle_settings)
                say(f"Cycle {number}: discovery, capture, core, mart")
                outcome = run_job(instance, pipeline, "full_cycle", pipeline.clock.now().date(), trigger=Trigger.MANUAL)
                if not outcome.success:
                    raise DemoError(f"cycle {number} failed: {outcome.error}")
            say("Availability, first and last prices, lead times")
            for failed_date in rebuild_dirty_dates(Pipeline(second), instance, lambda _: None).items():
                raise DemoError("fixtures that kick off {}: {}".format(*failed_date))
            say(f"Coverage page: {write_page(Pipeline(second)).describe()}")
            yield second, build_summary(Pipeline(second), began)


def reset_demo(settings: Settings) -> None:
    """Delete the data of earlier demos.

    A simulated world starts at its own instant, so old rows would not fit. Raises DemoError while a demo is running.
    """
    home = settings.home
    if is_in_use(home):
        raise DemoError(f"a demo is running in {home}: stop it with Ctrl-C or `palimpsest down` first")
    if home.exists():
        make_embedded_server(settings).remove()
        shutil.rmtree(home)
    note_source(settings, DataSource.SIMULATED)


def build_summary(pipeline: Pipeline, started_s: float) -> dict[str, Any]:
    """Return the counts of the last cycle, its skew between platforms, and the demo's duration."""
    with pipeline.connect() as conn:
        rates = cycle_marts.read_latest_rates(conn).filter(platform="all").row(0, named=True)
        totals = cycle_marts.read_totals(conn)
        quantiles_ms = read_skew_quantiles_ms(conn, [totals["last_cycle_id"]])
        *_, skew_ms_p50, skew_ms_p95 = next(quantiles_ms.iter_rows(), (None, None))
    return {
        "fixtures": rates["n_union"],
        "matched": rates["n_matched_fixtures"],
        "home_only": rates["n_home_only"],
        "competitor_only": rates["n_competitor_only"],
        "overall_match_rate": float(rates["overall_match_rate"] or 0),
        "listings": rates["n_listings"],
        "prices": totals["n_prices"],
        "cycles": totals["n_cycles"],
        "skew_ms_p50": skew_ms_p50,
        "skew_ms_p95": skew_ms_p95,
        "wall_s": round(time.monotonic() - started_s, 1),
    }
