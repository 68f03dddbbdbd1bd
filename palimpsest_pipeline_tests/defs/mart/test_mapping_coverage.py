"""What Dagster shows of the mapping: rates per platform on the asset, and a warning, not a failure, when they are
low.
"""

from pathlib import Path

import dagster as dg
import pytest

from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS
from palimpsest_pipeline_tests.fixtures.vocabularies import without

COVERAGE = dg.AssetKey(["mart", "mapping_coverage"])
RANKING = dg.AssetKey(["mart", "unmapped_market"])


def cycle(instance: dg.DagsterInstance, pipeline: Pipeline) -> dict[str, dg.AssetCheckEvaluation]:
    """Run a full cycle, which must succeed, and return what the checks of the mapping said."""
    outcome = run_job(instance, pipeline, "full_cycle", pipeline.clock.now().date())
    assert outcome.success, outcome.error
    names = ("markets_are_mapped", "mapped_and_unmapped_add_up")
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(COVERAGE, name) for name in names]
    )
    return {key.name: record.event.dagster_event.event_specific_data for key, record in found.items()}


def figures(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, object]:
    return {
        name: value.value
        for name, value in instance.get_latest_materialization_event(asset).asset_materialization.metadata.items()
    }


@pytest.mark.slow
def test_a_vocabulary_that_loses_a_market_is_warned_of_and_fails_nothing(
    start_simulator, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    simulator = start_simulator(24, 3, clock_offset_s=-600)
    with dg.DagsterInstance.ephemeral() as instance:
        checks = cycle(instance, make_pipeline(simulator, clock_offset_s=-600, min_mapped_rate=0.5))
        assert {name: check.passed for name, check in checks.items()} == {
            "markets_are_mapped": True,
            "mapped_and_unmapped_add_up": True,
        }
        rates = figures(instance, COVERAGE)
        assert all(0.5 < rates[f"mapped_rate_{platform}"] <= 1 for platform in PLATFORMS)
        n_new = figures(instance, RANKING)["n_new"]

        simulator.set_clock(0)
        lacking = make_pipeline(
            simulator, min_mapped_rate=min(rates[f"mapped_rate_{platform}"] for platform in PLATFORMS)
        )
        lacking.__dict__["vocabulary"] = without({"match_result", "total_goals"}, tmp_path / "lacking")
        checks = cycle(instance, lacking)
        assert checks["mapped_and_unmapped_add_up"].passed
        warned = checks["markets_are_mapped"]
        assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert warned.description.count("of its markets are mapped, less than") == len(PLATFORMS)
        assert all(
            figures(instance, COVERAGE)[f"mapped_rate_{platform}"] < rates[f"mapped_rate_{platform}"]
            for platform in PLATFORMS
        )
        assert figures(instance, RANKING)["n_new"] > n_new
