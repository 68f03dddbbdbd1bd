"""What Dagster keeps of a cycle for people to look at: plots over the last cycles, inline."""

from base64 import b64decode

import dagster as dg
import pytest

from palimpsest_pipeline.defs.plots import INLINE_LIMIT_CHARACTERS
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.storage.marts import asset_trends
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

PLOTS = {
    "landing/odds_payloads": ["capture_s_plot", "fetched_plot", "requests_per_s_plot"],
    "core/odds_snapshots": ["markets_changed_plot"],
    "mart/match_rate_platform": ["overall_match_rate_plot"],
    "mart/coverage_fixture": ["overall_match_rate_plot"],
    "mart/mapping_coverage": ["mapped_rate_plot"],
}


@pytest.mark.slow
def test_two_cycles_are_plotted_beside_their_figures(start_simulator, make_pipeline: MakePipeline):
    pipeline = make_pipeline(start_simulator(40, 3))
    day = pipeline.clock.now().date()
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assert run_job(instance, pipeline, "full_cycle", day).success
        for asset, names in PLOTS.items():
            event = instance.get_latest_materialization_event(dg.AssetKey(asset.split("/")))
            assert event is not None
            assert event.asset_materialization is not None
            found = event.asset_materialization.metadata
            assert sorted(name for name in found if name.endswith("_plot")) == names, asset
            for name in names:
                text = found[name].value
                assert len(text) < INLINE_LIMIT_CHARACTERS
                svg = b64decode(text.partition("base64,")[2].partition(")")[0]).decode()
                if name == "requests_per_s_plot":  # a point per second of the capture, not per cycle
                    assert svg.startswith("<svg")
                    continue
                assert svg.count("L") == (
                    2 if name == "capture_s_plot" else 0 if name == "markets_changed_plot" else 1
                ), (name, svg)
    with pipeline.connect() as conn:
        newest = conn.execute("select max(cycle_id) from ops.scrape_batches").fetchone()[0]
        assert len(asset_trends.read_match_rates(conn, newest)) == 2
        fetched, took_s, least_s = asset_trends.read_scrape_figures(conn, newest)
    assert fetched[0] == fetched[1] > 0
    assert all(took >= least > 0 for took, least in zip(took_s, least_s, strict=True))
