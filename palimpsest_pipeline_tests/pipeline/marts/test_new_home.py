"""The setting for the home platform changed between two cycles: the next tick and the next replay derive what names
the home platform anew.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from palimpsest_pipeline.defs.cycle_jobs import current_prices_job
from palimpsest_pipeline.defs.life.jobs import list_due_dates
from palimpsest_pipeline.defs.mart.late_marts_sensor import request_late_runs
from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.operate.backfill.backfill import derive_due_fixtures, rebuild_dirty_dates
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts import derive_lifecycle, derive_odds_alerts, derive_prices
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_rows
from palimpsest_pipeline_tests.fixtures.content import content_hashes, derived_tables
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines

from .test_derive_prices import rows, same

pytestmark = pytest.mark.slow

OLD_HOME, NEW_HOME = "betpawa", "sportybet"


def life_hashes(pipeline: Pipeline) -> dict[str, tuple[int, str]]:
    found = content_hashes(pipeline)
    return {table: found[table] for table in derive_lifecycle.TABLES}


def homes(pipeline: Pipeline) -> dict[str, set[str]]:
    """The home platforms that the rows of each derived table name."""
    with pipeline.connect() as conn:
        tables = [
            table
            for table in derived_tables()
            if table in (current_price_rows.LISTING_TABLE, *derive_lifecycle.HOME_RELATIVE_TABLES)
        ]
        return {
            table: {home for (home,) in conn.execute(f"select distinct home_platform from {table}".encode())}
            for table in tables
        }


def kickoff_days(pipeline: Pipeline) -> list[date]:
    with pipeline.connect() as conn:
        days = "select distinct (effective_kickoff at time zone 'UTC')::date from core.fixtures order by 1"
        return [day for (day,) in conn.execute(days)]


def derive_all(pipeline: Pipeline) -> None:
    derive_prices.derive_prices(pipeline)
    derive_odds_alerts.derive_alerts(pipeline)
    for day in kickoff_days(pipeline):
        derive_lifecycle.derive_kickoff_date(pipeline, day)


def due(pipeline: Pipeline, product: FixtureProduct = FixtureProduct.PRICES) -> set[int]:
    with pipeline.connect() as conn:
        return set(dirty_fixtures.read_fixture_marks(conn, product)["sr_id"])


@pytest.fixture
def make(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[MakePipeline, SimulatorProcess]]:
    """A cycle derived with OLD_HOME as home, of a world with fixtures that only one platform lists."""
    with SimulatorProcess(14, 11) as simulator, pipelines(postgres, tmp_path_factory.mktemp("home")) as make:
        before = make(simulator, home_platform=OLD_HOME)
        ingest_cycle(before, land_cycle(before))
        derive_all(before)
        assert due(before) == set()
        yield make, simulator


def test_present_prices_and_gaps_are_marked_at_the_next_tick_and_derived_for_the_new_home(
    make: tuple[MakePipeline, SimulatorProcess],
) -> None:
    pipelines_, simulator = make
    after = pipelines_(simulator, home_platform=NEW_HOME)
    with dg.DagsterInstance.ephemeral() as instance:
        asked = {
            request.job_name for request in request_late_runs(after, instance) if isinstance(request, dg.RunRequest)
        }
        assert current_prices_job.name in asked
        assert len(due(after)) > 5
        said: list[str] = []
        assert derive_due_fixtures(after, instance, said.append) is None
        assert said == ["current prices and alerts to traders: derived"]
        assert due(after) == set()
        # Prices of the old home mark alerts too when they are replaced, perhaps after the alerts were derived: then
        # these are due once more.
        assert derive_due_fixtures(after, instance, said.append) is None
        said.clear()
        assert derive_due_fixtures(after, instance, said.append) is None
    assert said == [], "nothing is due any more"
    found_rows = rows(after)
    assert homes(after)[current_price_rows.LISTING_TABLE] == {NEW_HOME}
    with after.connect() as conn:
        upcoming = current_price_rows.read_upcoming_fixtures(conn, after.clock.now())
        conn.execute(
            "insert into mart.dirty_fixtures select 'prices', sr_id, now() from unnest(%s::bigint[]) sr_id", [upcoming]
        )
    derive_prices.derive_prices(after)
    same(found_rows, rows(after))


def test_dates_derived_for_another_home_platform_are_derived_anew(make: tuple[MakePipeline, SimulatorProcess]) -> None:
    pipelines_, simulator = make
    before = life_hashes(pipelines_(simulator, home_platform=OLD_HOME))
    after = pipelines_(simulator, home_platform=NEW_HOME)
    said: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        assert rebuild_dirty_dates(after, instance, said.append) == {}
        assert said, "also of dates without a row that names its home"
        assert {home for table in derive_lifecycle.HOME_RELATIVE_TABLES for home in homes(after)[table]} == {NEW_HOME}
        anew = life_hashes(after)
        for day in kickoff_days(after):
            derive_lifecycle.derive_kickoff_date(after, day)
        assert life_hashes(after) == anew != before
        assert list_due_dates(after, include_far=True) == []
        assert rebuild_dirty_dates(pipelines_(simulator, home_platform=OLD_HOME), instance, said.append) == {}
    assert life_hashes(after) == before
