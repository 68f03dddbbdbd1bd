"""Each cycle's materializations have figures of the same names as plain numbers, which Dagster plots by partition."""

import dagster as dg
import pytest

from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

FIGURES = {
    "landing/odds_payloads": {"dagster/row_count", "requests", "requests_per_s", "duration_s", "floor_s"},
    "core/odds_snapshots": {"dagster/row_count", "rows_written"},
    "mart/run_quality": {"dagster/row_count", "markets_changed"},
    "mart/match_rate_platform": {"dagster/row_count", "overall_match_rate"},
    "mart/coverage_fixture": {"dagster/row_count", "overall_match_rate"},
    "mart/mapping_coverage": {"dagster/row_count", "mapped_rate_betpawa"},
}


@pytest.mark.slow
def test_two_cycles_have_their_figures_as_numbers_of_the_same_names(start_simulator, make_pipeline: MakePipeline):
    pipeline = make_pipeline(start_simulator(40, 3))
    day = pipeline.clock.now().date()
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assert run_job(instance, pipeline, "full_cycle", day).success
        for asset, names in FIGURES.items():
            records = instance.fetch_materializations(dg.AssetKey(asset.split("/")), limit=2).records
            figures = [
                {
                    name: value.value
                    for name, value in record.asset_materialization.metadata.items()
                    if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
                }
                for record in records
            ]
            assert len(figures) == 2
            assert all(names <= each.keys() for each in figures), (asset, figures)
