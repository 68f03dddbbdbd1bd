"""Price leads end to end: platforms of the simulated world lead each other, and the views say who was first. What was
derived after every cycle is what is derived at once, in whatever batches, and what is derived when a cycle comes late.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts import derive_odds_alerts
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.db.row_differences import WriteCounts
from palimpsest_pipeline.storage.odds import retention
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import copy_pipeline, pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

pytestmark = pytest.mark.slow

EVERY_S: Final = 600
CYCLES: Final = 4
ORDER: Final = (str(SPORTYBET), str(BET9JA), str(BETPAWA))


@dataclass
class Planted:
    """A world after CYCLES cycles: `moved` is a fixture whose price rose on ORDER, one platform between two cycles;
    `suspended` one whose markets were suspended in that order. `late` is a copy in which the last cycle but one was
    derived after the last one.
    """

    pipeline: Pipeline
    late: Pipeline
    moved: int
    suspended: int
    began: datetime


@pytest.fixture(scope="module")
def planted(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    first_s = -EVERY_S * CYCLES
    with (
        SimulatorProcess(60, 5, clock_offset_s=first_s) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("leads")) as make,
    ):
        cycle_ids = []
        for cycle in range(CYCLES):
            offset_s = first_s + cycle * EVERY_S
            now = simulator.set_clock(offset_s)
            if cycle == 0:
                moved, suspended = choose_fixtures(simulator, now)
                begin = {"platforms": ORDER, "lag_s": EVERY_S}
                # At half an interval: between the first two cycles, the next two, and the last two.
                simulator.set_clock(offset_s + EVERY_S / 2)
                simulator.run_script("lead", moved, factor=1.8, **begin)
                simulator.run_script("suspend", suspended, minutes=120, **begin)
                simulator.set_clock(offset_s)
                began = now
            pipeline = make(simulator, clock_offset_s=offset_s)
            cycle_ids.append(land_cycle(pipeline))
        with copy_pipeline(postgres, pipeline, tmp_path_factory.mktemp("late")) as late:
            *first_ids, late_id, last_id = cycle_ids
            for each, ids in ((pipeline, cycle_ids), (late, [*first_ids, last_id, late_id])):
                for cycle_id in ids:
                    ingest_cycle(each, cycle_id)
                    derive_odds_alerts.derive_alerts(each)
            yield Planted(pipeline, late, moved, suspended, began)


def choose_fixtures(simulator: SimulatorProcess, now: datetime) -> list[int]:
    """Two that all platforms list alike, and that kick off in some hours."""
    chosen = [
        fixture["sr_id"]
        for fixture in simulator.fetch_truth()["fixtures"]
        if set(fixture["platforms"]) == set(ORDER)
        and fixture["rotated_on"] is None
        and timedelta(hours=2) < datetime.fromisoformat(fixture["kickoff_at"]) - now < timedelta(days=2)
        and all(len(ids) == 1 for ids in fixture["platforms"].values())
    ]
    return chosen[:2]


def ask(pipeline: Pipeline, query: str) -> pl.DataFrame:
    with pipeline.connect() as conn:
        return read_frame(conn, query)


def leads_of(world: Planted, sr_id: int, lead_type: str) -> set[tuple[Any, ...]]:
    found = ask(world.pipeline, "select * from palimpsest.price_leads").filter(sr_id=sr_id, lead_type=lead_type)
    return set(found.select("leader", "follower").unique().iter_rows())


def test_the_planted_order_is_found(planted: Planted) -> None:
    expected = {(ORDER[0], ORDER[1]), (ORDER[0], ORDER[2]), (ORDER[1], ORDER[2])}
    assert leads_of(planted, planted.moved, "move") == expected
    assert leads_of(planted, planted.suspended, "suspension") == expected
    found = ask(planted.pipeline, "select * from palimpsest.price_leads").filter(
        sr_id=planted.moved, lead_type="move", leader=ORDER[0], follower=ORDER[1]
    )
    assert found["home_team"].null_count() == found["outcome"].null_count() == 0
    error_s = (found["lag_s"] - EVERY_S).abs().max()
    assert isinstance(error_s, float)
    assert error_s <= EVERY_S / 2
    assert found["order_is_proven"].any()


def test_a_cycle_that_comes_late_leads_to_the_same_rows(planted: Planted) -> None:
    rows = read_rows(planted.pipeline)
    assert rows.height > 10
    assert read_rows(planted.late).equals(rows)


def test_deriving_again_writes_nothing_and_deriving_at_once_writes_the_same(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_each_cycle = read_rows(planted.pipeline)
    assert after_each_cycle.height > 10
    mark_all(planted.pipeline)
    assert derive_odds_alerts.derive_alerts(planted.pipeline).lead_rows == WriteCounts()
    with planted.pipeline.connect() as conn:
        conn.execute("truncate mart.price_lead")
    mark_all(planted.pipeline)
    monkeypatch.setattr(derive_odds_alerts, "ALERT_FIXTURES_PER_BATCH", 7)
    monkeypatch.setattr(derive_odds_alerts, "ROWS_PER_BATCH", 2000)
    assert derive_odds_alerts.derive_alerts(planted.pipeline).lead_rows == WriteCounts(inserted=after_each_cycle.height)
    assert read_rows(planted.pipeline).equals(after_each_cycle)


def test_rows_of_a_deleted_fixture_go_and_old_rows_expire(planted: Planted) -> None:
    with planted.pipeline.connect() as conn:
        conn.execute(
            "insert into mart.price_lead select 7, lead_type, market_key, specifier, leader, follower, leader_at, leader_after,"
            " follower_at, follower_after, outcome_key, null, null, null, null, lag_s, lag_min_s, lag_max_s, lag_limited_by,"
            " null, null, kickoff_date, mapping_version from mart.price_lead limit 1"
        )
    derive_odds_alerts.derive_alerts(planted.pipeline)
    assert ask(planted.pipeline, "select * from mart.price_lead").filter(sr_id=7).is_empty()
    with planted.pipeline.connect() as conn:
        retention.delete_lifecycle(conn, (planted.began + timedelta(days=20)).date())
        left = conn.execute("select count(*) from mart.price_lead").fetchone()
        conn.rollback()
    assert left == (0,)


def read_rows(pipeline: Pipeline) -> pl.DataFrame:
    return ask(pipeline, "select * from mart.price_lead order by 1, 2, 3, 4, 5, 6, 7")


def mark_all(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        conn.execute(
            "insert into mart.dirty_fixtures (product, sr_id, marked_at) select 'odds_alerts', sr_id, clock_timestamp()"
            " from core.fixtures on conflict do nothing"
        )
