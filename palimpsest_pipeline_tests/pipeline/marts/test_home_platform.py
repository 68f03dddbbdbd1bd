"""Another platform is home by now: what shows the present follows the settings, what is as of a cycle the cycle."""

from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts.derive_marts import derive_coverage
from palimpsest_pipeline.pipeline.marts.derive_prices import derive_prices
from palimpsest_pipeline.storage.marts.page_coverage import read_coverage
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

PRESENT = "select distinct metadata_source from core.fixtures where 'betpawa' = any(platforms) and 'sportybet' = any(platforms)"
AS_OF = """
    select distinct home_platform, kickoff_source from mart.coverage_fixture where 'betpawa' = any(platforms) and 'sportybet' = any(platforms)
"""


def test_a_replay_matches_with_the_home_platform_of_the_settings(start_simulator, make_pipeline: MakePipeline) -> None:
    simulator = start_simulator(12, 3)
    cycle_id = land_cycle(make_pipeline(simulator, home_platform="betpawa"))
    pipeline = make_pipeline(simulator, home_platform="sportybet")
    ingest_cycle(pipeline, cycle_id)
    with pipeline.connect() as conn:
        derive_coverage(pipeline, conn, pipeline.landing.read_manifest(cycle_id))
        assert conn.execute(PRESENT).fetchall() == [("sportybet",)]
        assert conn.execute(AS_OF).fetchall() == [("betpawa", "betpawa")]


def test_prices_and_gaps_follow_the_home_platform_of_the_settings_and_the_page_says_what_it_cannot_compare(
    start_simulator, make_pipeline: MakePipeline
) -> None:
    simulator = start_simulator(12, 3)
    before = make_pipeline(simulator, home_platform="betpawa")
    cycle_id = land_cycle(before)
    ingest_cycle(before, cycle_id)
    with before.connect() as conn:
        derive_coverage(before, conn, before.landing.read_manifest(cycle_id))
    derive_prices(before)
    after = make_pipeline(simulator, home_platform="sportybet")
    derive_prices(after)
    with after.connect() as conn:
        for view in ("compared_prices", "compared_gaps"):
            assert conn.execute(f"select distinct home_platform from palimpsest.{view}".encode()).fetchall() == [
                ("sportybet",)
            ]
        gaps = read_coverage(conn, cycle_id).gaps
    assert set(gaps["platform"]) == {"sportybet", "bet9ja"}
    assert gaps["n_unknown"].min() > 0
    assert (gaps["n_home_missing"].sum(), gaps["n_platform_missing"].sum()) == (0, 0)
    assert derive_prices(after).n_fixtures == 0
