"""Refreshing given fixtures: the same way as a full cycle, for a few, and without concluding anything about the
others.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from palimpsest_pipeline.cli.console import EXIT_PARTIAL
from palimpsest_pipeline.domain.enums import Trigger
from palimpsest_pipeline.operate.run_job import read_refresh_result
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.fixtures.in_process import CommandHere
from palimpsest_pipeline_tests.fixtures.ledger import NULLABLE_COLUMNS, find_unfilled_columns
from palimpsest_pipeline_tests.fixtures.pipeline import copy_pipeline, pipelines, rows, run_here
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS, SPORTYBET

World = tuple[Pipeline, SimulatorProcess]


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """After a full cycle. A test that makes a platform fail takes a copy: that would be known of it afterwards."""
    with SimulatorProcess(20, 9) as simulator, pipelines(postgres, tmp_path_factory.mktemp("refresh")) as make:
        pipeline = make(simulator)
        assert run_here(pipeline, "full_cycle").success
        yield pipeline, simulator


def test_every_ledger_column_that_should_be_filled_is_filled_after_a_cycle(world: World):
    """The first test of the module, so that the world has one cycle."""
    pipeline, _ = world
    with pipeline.connect() as conn:
        ((cycle_id,),) = conn.execute("select cycle_id from ops.scrape_batches").fetchall()
        assert find_unfilled_columns(conn, cycle_id) == []
        for table, exceptions in NULLABLE_COLUMNS.items():
            for column in metadata.tables[f"ops.{table}"].columns:
                n_rows, filled = conn.execute(f"select count(*), count({column.name}) from ops.{table}").fetchone()
                assert n_rows > 0, table
                if column.name not in exceptions:
                    assert filled == n_rows, f"{table}.{column.name}"


def test_a_refresh_captures_the_fixture_on_all_its_platforms_and_nothing_else(world: World):
    pipeline, simulator = world
    fixture = next(f for f in simulator.fetch_truth()["fixtures"] if len(f["platforms"]) == 3)
    outcome = run_here(pipeline, "refresh", trigger=Trigger.ON_DEMAND, sr_ids=[fixture["sr_id"]])
    assert outcome.success, outcome.error
    with pipeline.connect() as conn:
        ((cycle_id, trigger, scope, sr_ids),) = conn.execute(
            "select cycle_id, trigger, scope, sr_ids from ops.scrape_batches order by cycle_id desc limit 1"
        ).fetchall()
        asked = conn.execute(
            "select platform, external_id, status from ops.event_scrape_status where cycle_id = %s", [cycle_id]
        ).fetchall()
        (captures,) = conn.execute("select count(*) from core.captures where cycle_id = %s", [cycle_id]).fetchone()
        (coverage,) = conn.execute(
            "select count(*) from mart.match_rate_platform where cycle_id = %s", [cycle_id]
        ).fetchone()
        (deleted,) = conn.execute("select count(*) from core.event_listings where deleted_at is not null").fetchone()
    assert (trigger, scope, sr_ids) == ("on_demand", "events", [fixture["sr_id"]])
    expected = {
        (platform, external_id, "completed") for platform, ids in fixture["platforms"].items() for external_id in ids
    }
    assert set(asked) == expected
    assert captures == len(expected)
    assert coverage == 0
    assert deleted == 0


def test_a_fixture_nobody_lists_is_refused_with_its_id(world: World):
    pipeline, _ = world
    cycles = rows(pipeline, "select cycle_id from ops.scrape_batches")
    outcome = run_here(pipeline, "refresh", sr_ids=[1])
    assert not outcome.success
    assert rows(pipeline, "select cycle_id from ops.scrape_batches") == cycles, "none was opened"
    assert outcome.error == "no upcoming listing is known for SportRadar id 1: run a full cycle first, or check the id"


def test_unknown_fixtures_are_named_and_the_known_ones_done(
    world: World, instance: dg.DagsterInstance, command_here: CommandHere
):
    pipeline, simulator = world
    fixture = next(f for f in simulator.fetch_truth()["fixtures"] if len(f["platforms"]) == 2)
    ended = command_here(pipeline, "refresh", "2", str(fixture["sr_id"]), "1", "--json")
    assert (ended.exit_code, "SportRadar id 1, 2:" in ended.stderr) == (EXIT_PARTIAL, True), ended.stderr
    told = json.loads(ended.stdout)
    assert (told["success"], told["error"], told["unknown_sr_ids"]) == (True, None, [1, 2])
    assert set(told["timing"]) == {"startup_s", "scrape_s", "derive_s"}
    event = instance.get_latest_materialization_event(dg.AssetKey(["landing", "odds_payloads"]))
    assert event.asset_materialization.metadata["unknown_sr_ids"].value == "1, 2"
    platforms = told["platforms"]
    listed = {platform: len(ids) for platform, ids in fixture["platforms"].items()}
    assert {p["platform"]: p["listings"] for p in platforms} == {p: listed.get(p, 0) for p in PLATFORMS}
    for p in platforms:
        expected = ("completed", True) if p["platform"] in listed else ("not_listed", False)
        assert (p["status"], p["ms"] is not None) == expected
        assert (p["fetched"], p["failure"]) == (p["listings"], None)


def test_a_platform_that_fails_says_so_and_the_others_are_refreshed(
    world: World, postgres: EmbeddedPostgres, tmp_path: Path
):
    original, simulator = world
    fixture = next(f for f in simulator.fetch_truth()["fixtures"] if len(f["platforms"]) == 3)
    simulator.set_fault(SPORTYBET, "block")
    with copy_pipeline(postgres, original, tmp_path / "copy") as pipeline:
        outcome = run_here(pipeline, "refresh", sr_ids=[fixture["sr_id"]])
        platforms, unknown = read_refresh_result(pipeline, outcome.run_id, [fixture["sr_id"]])
    simulator.set_fault(SPORTYBET, "none")
    assert outcome.success, outcome.error
    assert unknown == []
    assert {p["platform"]: p["status"] for p in platforms} == {
        "betpawa": "completed",
        "sportybet": "failed",
        "bet9ja": "completed",
    }
    failure = next(p["failure"] for p in platforms if p["platform"] == "sportybet")
    assert "blocked" in failure
