"""The early end of a scrape: Ctrl-C, SIGTERM, a run terminated in Dagster's UI.

Answers that have arrived are kept, and the status in the ledger is `cancelled`.
"""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from palimpsest_pipeline.domain.enums import RunStatus, Scope
from palimpsest_pipeline.pipeline.context import Pipeline, make_embedded_server
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment, ours
from palimpsest_pipeline_tests.fixtures.deployed import Site, site, until
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database

from .cycles import list_answered_listings, read_statuses

pytestmark = pytest.mark.slow
DETAIL_LATENCY_MS = 1500.0
"""The latency of details, so long that a capture can be ended before it is complete."""
WITHIN_S = 30.0
"""A command ends some 15 s after its database was lost, when it has asked for all that was listed; the rest is for a
busy machine.
"""


@contextmanager
def own_site(pipeline: Pipeline, postgres: EmbeddedPostgres, folder: Path) -> Iterator[Site]:
    """This pipeline's settings, and a database of its own for Dagster."""
    name = dagster_database(pipeline)
    create_database(postgres, name)
    own = {"PALIMPSEST_DAGSTER_DATABASE_URL": postgres.build_url(name)}
    with site(folder, {**pipeline.settings.to_environment(), **own}) as found:
        yield found
    drop_database(postgres, name)


def dagster_database(pipeline: Pipeline) -> str:
    return f"{pipeline.database.conninfo.rpartition('/')[2].partition('?')[0]}_dagster"


def details_have_arrived(pipeline: Pipeline, simulator: SimulatorProcess) -> bool:
    """Return whether a host has had more detail requests than may run at once, so that an answer has arrived."""
    n_requests = Counter(
        n_requests.platform for n_requests in simulator.list_requests() if n_requests.endpoint == "detail"
    )
    return any(
        n_requests[platform] > budget.max_in_flight for platform, budget in pipeline.split_budgets(Scope.FULL).items()
    )


def check_cancelled(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        (batch,) = read_latest_cycles(conn)
    assert batch.status is RunStatus.CANCELLED
    landed, lines = list_answered_listings(pipeline), read_statuses(pipeline)
    assert landed
    assert landed < lines.keys()
    assert lines == {**dict.fromkeys(lines, "cancelled"), **dict.fromkeys(landed, "completed")}


@pytest.fixture
def slow_world(start_simulator: Callable[..., SimulatorProcess]) -> SimulatorProcess:
    return start_simulator(60, 3, latency={"*.detail": (DETAIL_LATENCY_MS, DETAIL_LATENCY_MS)})


@pytest.fixture
def slower_world(start_simulator: Callable[..., SimulatorProcess]) -> SimulatorProcess:
    """A simulator so slow that a scrape is still running seconds later, when its end is requested."""
    return start_simulator(150, 3, latency={"*.detail": (4 * DETAIL_LATENCY_MS, 4 * DETAIL_LATENCY_MS)})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_scrape_keeps_its_answers_and_is_cancelled(
    number: signal.Signals,
    slow_world: SimulatorProcess,
    make_pipeline: MakePipeline,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
):
    pipeline = make_pipeline(slow_world)
    with own_site(pipeline, postgres, tmp_path) as own:
        process = own.start("scrape")
        until(lambda: details_have_arrived(pipeline, slow_world), "details")
        process.send_signal(number)
        process.wait(60)
    assert (process.returncode, "answers that have arrived are kept" in own.log("scrape")) == (130, True)
    check_cancelled(pipeline)


def test_a_ctrl_c_in_the_terminal_shows_no_traceback(
    slow_world: SimulatorProcess, make_pipeline: MakePipeline, postgres: EmbeddedPostgres, tmp_path: Path
):
    """A terminal sends the signal to the whole group: the command and the processes that it started."""
    pipeline = make_pipeline(slow_world)
    with own_site(pipeline, postgres, tmp_path) as own:
        process = own.start("scrape", own_group=True)
        until(lambda: details_have_arrived(pipeline, slow_world), "details")
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    said = own.log("scrape")
    assert (process.returncode, said.splitlines()[-1]) == (130, "error: cancelled; answers that have arrived are kept")
    assert "Traceback" not in said


def test_when_postgres_dies_there_is_one_error_line_with_advice(
    start_simulator: Callable[..., SimulatorProcess], folder: Path
):
    small_world = start_simulator(12, 3, latency={"*.detail": (DETAIL_LATENCY_MS, DETAIL_LATENCY_MS)})
    urls = {
        f"PALIMPSEST_PLATFORM__{platform.upper()}__BASE_URL": url for platform, url in small_world.base_urls.items()
    }
    folder.chmod(0o711)  # as root the server's user must pass through
    server = make_embedded_server(load_settings(home_dir=folder / "home", database_url=None, dagster_database_url=None))
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [*PALIMPSEST, "scrape"], cwd=folder, env=environment(folder, **urls), stdout=said, stderr=said
        )
    try:
        until(lambda: any(asked.endpoint == "detail" for asked in small_world.list_requests()), "details")
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        lost_at = time.monotonic()
        process.wait(240)
        ended_after_s = time.monotonic() - lost_at
    finally:
        process.kill()
        server.remove()
    lines = (folder / "said").read_text().splitlines()
    assert process.returncode == 1
    assert [line.partition(":")[0] for line in lines if not line.startswith("warning: ")] == ["error"], "\n".join(lines)
    assert lines[-1].startswith("error: the database was lost: ")
    assert "palimpsest doctor" in lines[-1]
    assert len(lines) < 10
    assert ended_after_s < WITHIN_S, "Dagster's own retries take over a minute"


def test_a_run_terminated_in_dagster_keeps_what_arrived_and_says_cancelled(
    slower_world: SimulatorProcess, make_pipeline: MakePipeline, postgres: EmbeddedPostgres, tmp_path: Path
):
    pipeline = make_pipeline(slower_world)
    with own_site(pipeline, postgres, tmp_path) as own:
        own.up()
        run_id = own.launch("full_cycle", str(pipeline.clock.now().date()))
        until(lambda: details_have_arrived(pipeline, slower_world), "details")
        own.terminate(run_id)
        assert own.ended(run_id)["status"] == "CANCELED"
    check_cancelled(pipeline)


def test_down_during_a_full_cycle_keeps_its_answers_and_leaves_no_process(
    slower_world: SimulatorProcess, make_pipeline: MakePipeline, postgres: EmbeddedPostgres, tmp_path: Path
):
    pipeline = make_pipeline(slower_world)
    with own_site(pipeline, postgres, tmp_path) as own:
        process = own.up()
        run_id = own.launch("full_cycle", str(pipeline.clock.now().date()))
        until(lambda: details_have_arrived(pipeline, slower_world), "details")
        result = subprocess.run(
            [*PALIMPSEST, "down", "--now"],
            cwd=tmp_path,
            env=own.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        process.wait(30)
        ending_line, *others = (
            line for line in result.stdout.splitlines() if "queued run" not in line
        )  # upkeep's own schedules may have begun a run beside it
        assert ending_line.startswith("asking to end: run ")
        assert ending_line.endswith("; answers that have arrived are kept")
        assert f"run {run_id[:8]} (full_cycle)" in ending_line
        assert others == [f"stopped Dagster at http://127.0.0.1:{own.port}"]
        with psycopg.connect(Database(postgres.build_url(dagster_database(pipeline))).conninfo) as conn:
            assert conn.execute("select status from runs where run_id = %s", [run_id]).fetchone() == ("CANCELED",)
    assert ours(tmp_path) == []
    check_cancelled(pipeline)
