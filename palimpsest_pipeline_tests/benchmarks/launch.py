"""A full cycle from the job's page: how long until it asks, and after its last row; with runs of this machine's own
and with a Celery worker.
"""

import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer

from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline_tests.fixtures.deployed import Site, redis, site
from palimpsest_pipeline_tests.fixtures.postgres import run_server

LAUNCHERS: Final = ("default", "celery")
FIRST_REQUEST = (
    "select min(scrape_runs.started_at) from ops.scrape_runs join ops.scrape_batches using (cycle_id) where run_id = %s"
)
LAST_ROW = """
    select max(computed_at) from (
        select cycle_id, computed_at from core.cycle_products union all select cycle_id, computed_at from mart.cycle_products
    ) marks join ops.scrape_batches using (cycle_id) where run_id = %s
"""
SPANS: Final = (
    "launch_to_start_s",
    "launch_to_first_step_s",
    "launch_to_first_request_s",
    "last_row_to_end_s",
    "whole_s",
)


def measure(
    size: Annotated[int, typer.Option(min=10, help="Fixtures in the simulated world.")] = 40,
    runs: Annotated[
        int, typer.Option(min=2, help="Runs with each launcher; the first one warms a worker up and is told apart.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the simulated world.")] = 7,
) -> dict[str, Any]:
    """Seconds per launcher: of the first run, and the median of the others."""
    found: dict[str, Any] = {"size": size, "runs": runs}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="launch-")))
        names = [f"{launcher}_{whose}" for launcher in LAUNCHERS for whose in ("ours", "theirs")]
        server = stack.enter_context(run_server(folder, *names))
        urls = stack.enter_context(SimulatorProcess(size, seed)).base_urls
        asked = {f"PALIMPSEST_PLATFORM__{platform.upper()}__BASE_URL": url for platform, url in urls.items()}
        for launcher in LAUNCHERS:
            home = folder / launcher
            home.mkdir()
            ours = server.build_url(f"{launcher}_ours")
            settings = {
                **asked,
                "PALIMPSEST_DATABASE_URL": ours,
                "PALIMPSEST_DAGSTER_DATABASE_URL": server.build_url(f"{launcher}_theirs"),
            }
            with ExitStack() as at_end:
                if launcher == "celery":
                    settings["PALIMPSEST_CELERY_BROKER_URL"] = at_end.enter_context(redis(home))
                running = at_end.enter_context(site(home, settings))
                running.up()
                if launcher == "celery":
                    running.worker()
                timed = [full_cycle(running, Database(ours)) for _ in range(runs)]
            found[launcher] = {name: median(spans[name] for spans in timed[1:]) for name in SPANS}
            found[launcher] |= {f"first_{name}": timed[0][name] for name in SPANS}
    return found


def full_cycle(running: Site, database: Database) -> dict[str, float]:
    run_id = running.launch("full_cycle", str(datetime.now(UTC).date()))
    run = running.ended(run_id)
    if run["status"] != "SUCCESS":
        raise RuntimeError(
            f"the run ended as {run['status']}: {[event['message'] for event in running.events(run_id)][-3:]}"
        )
    at: dict[str, float] = {}
    for event in running.events(run_id):
        at.setdefault(event["eventType"], float(event["timestamp"]) / 1000)
    with database.connect() as conn:
        first, last = (conn.execute(query, [run_id]).fetchone()[0].timestamp() for query in (FIRST_REQUEST, LAST_ROW))
    begin, end = at["RUN_ENQUEUED"], at["RUN_SUCCESS"]
    return dict(
        zip(
            SPANS,
            (at["RUN_START"] - begin, at["STEP_START"] - begin, first - begin, end - last, end - begin),
            strict=True,
        )
    )
