"""On a world of the size of the real one, scraped three times: coverage is the truth, and the rest is what SQL
computes from core by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts import derive_lifecycle
from palimpsest_pipeline.pipeline.marts.derive_odds_alerts import derive_alerts
from palimpsest_pipeline.pipeline.marts.derive_prices import derive_prices
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.marts import lifecycle_rows
from palimpsest_pipeline_tests.fixtures.landed import land_at
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET
from palimpsest_pipeline_tests.fixtures.truth import check_against_truth

from . import life_by_sql, present_by_sql
from .odds_alerts_by_sql import assert_alerts_as_by_sql

pytestmark = [pytest.mark.slow, pytest.mark.long]

FIXTURES: Final = 1500
OFFSETS_S: Final = (-7200.0, -3600.0, 0.0)
BLOCKED: Final = 1
"""In this cycle SportyBet blocks us: what it offered is carried, or not known."""


@dataclass(frozen=True)
class World:
    """After three cycles, with core and the tables compared here derived."""

    pipeline: Pipeline
    first_cycle_id: int
    truth: dict[str, Any]
    """Of the first cycle, which a run of the full cycle made and derived everything of."""


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        SimulatorProcess(FIXTURES, 71, clock_offset_s=OFFSETS_S[0]) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("full_size")) as make,
    ):
        simulator.set_clock(
            OFFSETS_S[0], stopped=True
        )  # what goes while the cycle runs would be right in one answer and wrong in the truth
        outcome = run_here(make(simulator, clock_offset_s=OFFSETS_S[0]), "full_cycle")
        assert outcome.success, outcome.error
        truth = simulator.fetch_truth()
        for number, offset_s in enumerate(OFFSETS_S[1:], 1):
            simulator.set_fault(SPORTYBET, "block" if number == BLOCKED else "none")
            ingest_cycle(make(simulator), land_at(make, simulator, offset_s))
        pipeline = make(simulator)
        with pipeline.connect() as conn:
            conn.execute("analyze")
        derive_prices(pipeline)
        derive_alerts(pipeline)
        for day in dates(pipeline):
            derive_lifecycle.derive_kickoff_date(pipeline, day)
        yield World(pipeline, min(m.cycle_id for m in pipeline.landing.list_cycles()), truth)


@pytest.fixture
def pipeline(world: World) -> Pipeline:
    return world.pipeline


def test_every_number_of_coverage_is_the_truth(world: World) -> None:
    check_against_truth(world.pipeline, world.truth, world.first_cycle_id)


def dates(pipeline: Pipeline) -> list[date]:
    with pipeline.connect() as conn:
        return sorted(lifecycle_rows.read_due_dates(conn)["kickoff_date"])


@pytest.mark.parametrize("table", present_by_sql.TABLES)
def test_prices_and_gaps_as_they_stand_are_those_of_sql(pipeline: Pipeline, table: str) -> None:
    assert present_by_sql.assert_as_by_sql(pipeline, table) > 100_000


def test_alerts_to_traders_are_those_of_sql(pipeline: Pipeline) -> None:
    assert assert_alerts_as_by_sql(pipeline).total() > 0


@pytest.mark.parametrize("table", life_by_sql.TABLES)
def test_margins_and_gap_counts_of_every_kickoff_date_are_those_of_sql(pipeline: Pipeline, table: str) -> None:
    with pipeline.connect() as conn:
        days = [
            day
            for (day,) in conn.execute("select distinct kickoff_date from mart.listing_lead_time order by 1").fetchall()
        ]
    assert sum(life_by_sql.assert_as_by_sql(pipeline, table, day) for day in days) > (
        100 if table == "mart.gap_count" else 1000
    )
