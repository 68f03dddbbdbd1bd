"""Clocks that are off, kickoffs that are, cycles that are silent: what the checks say of them."""

import re
from collections.abc import Callable
from datetime import timedelta

import dagster as dg

from palimpsest_pipeline.defs.monitoring.checks import nothing_is_stuck
from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.operate.doctor import stores as doctor
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

ODDS, FIXTURES = dg.AssetKey(["landing", "odds_payloads"]), dg.AssetKey(["mart", "coverage_fixture"])


def test_a_host_whose_clock_and_a_book_whose_kickoffs_are_an_hour_off_are_warned_of(
    start_simulator: Callable[..., SimulatorProcess], make_pipeline: MakePipeline
):
    simulator = start_simulator(40, 3)
    simulator.set_fault(BET9JA, "clock", offset_s=3600)
    simulator.set_fault(SPORTYBET, "kickoffs", offset_s=3600)
    pipeline = make_pipeline(simulator)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_job(instance, pipeline, "full_cycle", pipeline.clock.now().date())
        assert outcome.success, outcome.error
        keys = [dg.AssetCheckKey(ODDS, "clocks_of_the_hosts_agree"), dg.AssetCheckKey(ODDS, "every_platform_answered")]
        keys.append(dg.AssetCheckKey(FIXTURES, "kickoffs_of_the_platforms_agree"))
        found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    said = {key.name: record.event.dagster_event.event_specific_data for key, record in found.items()}
    assert {name: check.passed for name, check in said.items()} == {
        "clocks_of_the_hosts_agree": False,
        "every_platform_answered": True,
        "kickoffs_of_the_platforms_agree": False,
    }
    assert said["clocks_of_the_hosts_agree"].severity is dg.AssetCheckSeverity.WARN
    assert re.search(r"the clock of bet9ja is \+3(599|60\d) s", said["clocks_of_the_hosts_agree"].description), (
        "its Date header has whole seconds"
    )
    assert "sportybet" in said["kickoffs_of_the_platforms_agree"].description
    with pipeline.connect() as conn:
        assert conn.execute("select distinct status from ops.scrape_runs").fetchall() == [("completed",)]
        now = pipeline.clock.now()
        remembered = conn.execute(
            "select sr_id, kickoff_at from ops.known_kickoffs where kickoff_at > %s", [now]
        ).fetchall()
        assert sorted(remembered) == sorted(upcoming_fixtures.read_kickoffs(conn, now, now + timedelta(days=365)))
        assert len(remembered) > 10


def test_a_cycle_that_is_silent_fails_a_check_until_the_doctor_closes_it(make_pipeline: MakePipeline):
    pipeline = make_pipeline()
    now = pipeline.clock.now()
    cycle = Cycle(make_cycle_id(now), Trigger.MANUAL, Scope.FULL, BETPAWA, floor_to_hour(now), now)

    def check() -> dg.AssetCheckResult:
        told = nothing_is_stuck(dg.build_asset_check_context(), pipeline)
        assert isinstance(told, dg.AssetCheckResult)
        return told

    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle)
    assert check().passed
    with pipeline.connect() as conn:
        conn.execute("update ops.scrape_batches set heartbeat_at = %s", [now - timedelta(minutes=1)])
    pipeline = make_pipeline(heartbeat_s=0.05, silent_after_s=0.2)  # for less than that no server of a test is up
    silent = check()
    assert (silent.passed, silent.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert str(cycle.cycle_id) in str(silent.description)
    found = doctor.check_dead_cycles(pipeline.settings)
    assert found.ok
    assert f"cycle {cycle.cycle_id} of {now.date()}: its process died; closed" in found.detail
    assert check().passed
    assert doctor.check_dead_cycles(pipeline.settings).detail == "none is running, and no process of one has died"
