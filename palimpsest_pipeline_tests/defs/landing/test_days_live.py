"""Which UTC day a scrape belongs to: today, the day before within the grace after midnight; and what another try of
a run of today says.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from palimpsest_pipeline.defs.landing.assets import discovery_payloads, odds_payloads
from palimpsest_pipeline.domain.enums import Scope, Trigger
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.runtime.run_tags import FOLLOWS_TAG
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

MIDNIGHT = datetime(2026, 5, 2, tzinfo=UTC)
BEFORE = (MIDNIGHT - timedelta(hours=1)).date()


def at(make: MakePipeline, now: datetime) -> Pipeline:
    return make(clock_offset_s=(now - datetime.now(UTC)).total_seconds(), grace_minutes=10)


def test_a_cycle_that_begins_within_the_grace_after_midnight_belongs_to_the_last_hour_of_its_day(
    make_pipeline: MakePipeline,
) -> None:
    pipeline = at(make_pipeline, MIDNIGHT + timedelta(minutes=4))
    cycle = live_cycle.open_cycle(pipeline, live_cycle.ScrapeRequest(BEFORE, Trigger.SCHEDULED, "run"), Scope.FULL)
    assert cycle.started_at - MIDNIGHT >= timedelta(minutes=4)
    assert cycle.partition_hour == MIDNIGHT - timedelta(hours=1)
    own = live_cycle.open_cycle(
        pipeline, live_cycle.ScrapeRequest(MIDNIGHT.date(), Trigger.SCHEDULED, "other", (7,)), Scope.EVENTS
    )
    assert own.partition_hour == MIDNIGHT


@pytest.mark.parametrize("now", [MIDNIGHT + timedelta(minutes=11), MIDNIGHT - timedelta(days=1, minutes=1)])
def test_after_the_grace_and_before_the_day_nothing_is_scraped(now: datetime, make_pipeline: MakePipeline) -> None:
    pipeline = at(make_pipeline, now)
    with pytest.raises(
        live_cycle.NotLive,
        match=rf"{BEFORE} cannot be scraped: only today \({now.date()}, UTC\) is live.*palimpsest backfill",
    ):
        live_cycle.open_cycle(pipeline, live_cycle.ScrapeRequest(BEFORE, Trigger.MANUAL, "run"), Scope.FULL)
    with pipeline.connect() as conn:
        assert read_latest_cycles(conn) == []


@pytest.mark.parametrize("assets", [[discovery_payloads, odds_payloads], [odds_payloads]])
def test_another_try_of_a_run_of_today_asks_the_platforms_again_and_says_so_once(
    assets: list[dg.AssetsDefinition],
    start_simulator: Callable[..., SimulatorProcess],
    make_pipeline: MakePipeline,
    instance: dg.DagsterInstance,
) -> None:
    simulator = start_simulator(5, 3)
    pipeline = make_pipeline(simulator)
    day = str(pipeline.clock.now().date())
    given = {"instance": instance, "partition_key": day, "resources": {"pipeline": pipeline}}
    first = dg.materialize([discovery_payloads, odds_payloads], **given)
    assert first.success
    asked = len(simulator.list_requests())
    again = dg.materialize(assets, selection=assets, tags={FOLLOWS_TAG: first.run_id}, **given)
    assert again.success
    # Without a discovery only fixtures that core knows are asked for, and core of the first try is not derived.
    assert (len(simulator.list_requests()) > asked) is (discovery_payloads in assets)
    said = [
        entry.user_message
        for entry in instance.all_logs(again.run_id)
        if "asks the platforms again" in entry.user_message
    ]
    assert len(said) == 1
    assert f"this run repeats run {first.run_id} " in said[0]
    assert f"`palimpsest backfill {day} {day}`" in said[0]
    assert not [entry for entry in instance.all_logs(first.run_id) if "asks the platforms again" in entry.user_message]
