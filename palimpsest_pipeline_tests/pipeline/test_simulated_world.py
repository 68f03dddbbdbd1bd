"""The whole way of the data against a simulated world whose truth is known: what Postgres says is what is so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from palimpsest_pipeline.metrics.alerts.find_odds_alerts import find_odds_alerts as odds_alerts_of
from palimpsest_pipeline.operate.backfill.backfill import derive_due_fixtures, rebuild_dirty_dates
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.installed_vocabulary import build_vocabulary_frames
from palimpsest_pipeline.pipeline.marts import derive_odds_alerts
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.catalog.fixtures import read_suspects
from palimpsest_pipeline.storage.marts import lifecycle_rows, odds_alert_rows
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA
from palimpsest_pipeline_tests.fixtures.truth import check_against_truth, check_without, latest, truth_classes
from palimpsest_pipeline_tests.marts import life_by_sql
from palimpsest_pipeline_tests.marts.odds_alerts_by_sql import assert_alerts_as_by_sql


def test_every_number_is_the_truth(two_cycles: Pipeline, truth: dict[str, Any]):
    check_against_truth(two_cycles, truth)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_number_of_other_worlds_is_the_truth(seed: int, start_simulator, make_pipeline: MakePipeline):
    simulator = start_simulator(60, seed)
    simulator.set_clock(0, stopped=True)
    pipeline = make_pipeline(simulator)
    outcome = run_here(pipeline, "full_cycle")
    assert outcome.success, outcome.error
    check_against_truth(pipeline, simulator.fetch_truth())


def run_full_cycle(pipeline: Pipeline) -> None:
    outcome = run_here(pipeline, "full_cycle")
    assert outcome.success, outcome.error


def derive_core_only(pipeline: Pipeline) -> None:
    ingest_cycle(pipeline, land_cycle(pipeline))


@contextmanager
def after_two_cycles(
    size: int,
    postgres: EmbeddedPostgres,
    folder: Path,
    cycle: Callable[[Pipeline], None] = run_full_cycle,
    **settings: Any,
) -> Iterator[tuple[Pipeline, dict[str, Any]]]:
    """A pipeline after two cycles ten minutes apart, and the truth at the second one."""
    now = datetime.now(UTC)
    later_s = (
        0 if (now - timedelta(minutes=10)).date() == now.date() else -900
    )  # of one day: each begins with all prices anew
    with SimulatorProcess(size, 5, clock_offset_s=later_s - 600) as simulator, pipelines(postgres, folder) as make:
        for offset_s in (later_s - 600, later_s):
            simulator.set_clock(offset_s, stopped=True)
            pipeline = make(simulator, clock_offset_s=offset_s, **settings)
            cycle(pipeline)
        yield pipeline, simulator.fetch_truth()


@pytest.fixture(scope="module")
def after_two(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, dict[str, Any]]]:
    """The tests leave its content as it is.

    It has alerts of every market and of small changes, so that there are rows to compare.
    """
    alerts = {"odds_alert_markets": ["*"], "odds_alert_levels": (0.01, 0.02, 0.04)}
    with after_two_cycles(40, postgres, tmp_path_factory.mktemp("two_cycles"), **alerts) as (pipeline, truth):
        derive_lives(pipeline)
        yield pipeline, truth


@pytest.fixture(scope="module")
def two_cycles(after_two: tuple[Pipeline, dict[str, Any]]) -> Pipeline:
    return after_two[0]


@pytest.fixture(scope="module")
def truth(after_two: tuple[Pipeline, dict[str, Any]]) -> dict[str, Any]:
    return after_two[1]


def derive_lives(pipeline: Pipeline) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert rebuild_dirty_dates(pipeline, instance, lambda _: None) == {}
        assert derive_due_fixtures(pipeline, instance, lambda _: None) is None


def test_prices_move_between_cycles_and_only_changes_are_written(two_cycles: Pipeline):
    with two_cycles.connect() as conn:
        rows = conn.execute(
            "select cycle_id, count(*), sum(n_changed), sum(n_markets_mapped) from core.captures group by 1 order by 1"
        ).fetchall()
        states = {s for (s,) in conn.execute("select distinct state::text from core.market_changes")}
    first, second = rows
    assert first[1] > 0
    assert second[1] > 0
    assert 0 < second[2] < second[3] / 4
    assert {"offered", "suspended"} <= states


def test_no_player_is_taken_for_another_and_namesakes_are_left_open(two_cycles: Pipeline):
    """The simulated books call a player by one number, which the matching of names does not know."""
    with two_cycles.connect() as conn:
        found = conn.execute(
            """
            select external_player_id, sr_player_id, status, count(*) over (partition by fixture_sr_id, platform, player_name) > 1
            from core.player_links where platform = 'betpawa'
            """
        ).fetchall()
    proposed = [(external, sr_id) for external, sr_id, status, _ in found if status == "proposed"]
    assert len(proposed) > 50
    assert [external for external, sr_id in proposed if external != str(sr_id)] == []
    assert {status for *_, status, namesake in found if namesake} <= {"ambiguous", "none"}
    assert "ambiguous" not in {status for *_, status, namesake in found if not namesake}


@pytest.mark.slow
def test_a_backfill_after_dropping_core_and_mart_gives_the_same_rows(two_cycles: Pipeline):
    before = content_hashes(two_cycles)
    assert all(n for table, (n, _) in before.items() if table not in MAY_BE_EMPTY), before
    drop_derived(two_cycles)
    assert not any(n for n, _ in content_hashes(two_cycles).values())
    for day in sorted({m.partition_hour.date() for m in two_cycles.landing.list_cycles()}):
        outcome = run_here(two_cycles, "replay", day)
        assert outcome.success, outcome.error
    derive_lives(two_cycles)
    assert content_hashes(two_cycles) == before


MAY_BE_EMPTY = {
    "mart.price_lead",  # test_price_leads has a world with leaders
    "core.rejects",
    "core.largest_books",
    "mart.dirty_fixtures",
    "mart.dirty_kickoff_dates",
    "mart.gap_count",
}
"""Of gap_count no fixture need be as near its kickoff; largest_books has rows once a day has left Postgres."""


@pytest.mark.parametrize("table", life_by_sql.TABLES)
def test_margins_and_counts_of_gaps_are_what_sql_computes(two_cycles: Pipeline, table: str):
    with two_cycles.connect() as conn:
        dates = [day for (day,) in conn.execute("select distinct kickoff_date from mart.listing_lead_time").fetchall()]
    assert sum(life_by_sql.assert_as_by_sql(two_cycles, table, day) for day in dates) > 0 or table in MAY_BE_EMPTY


def test_alerts_to_traders_are_what_sql_computes(two_cycles: Pipeline):
    assert assert_alerts_as_by_sql(two_cycles).total() > 0


def alerts_by_default(
    pipeline: Pipeline, plant: Callable[[pl.DataFrame], pl.DataFrame] = lambda changes: changes
) -> pl.DataFrame:
    """What the default settings tell traders of these cycles, when `plant` alters the history."""
    url, unused = pipeline.settings.database_url, pipeline.settings.dagster_database_url
    asked = derive_odds_alerts.build_rules(Pipeline(load_settings(database_url=url, dagster_database_url=unused)))
    names, parts = build_vocabulary_frames(pipeline.vocabulary)[0], []
    with pipeline.connect() as conn:
        known_until = odds_alert_rows.read_known_until(conn)
        layers = OddsHistoryReader(conn, pipeline.archive)
        for (day,) in conn.execute(
            "select distinct (effective_kickoff at time zone 'UTC')::date from core.fixtures"
        ).fetchall():
            found = lifecycle_rows.read_lifecycle_inputs(conn, layers, day, BETPAWA)
            changes = plant(lifecycle_rows.read_lifecycle_changes(conn, layers, found.listings, day))
            parts.append(
                odds_alerts_of(
                    found.listings,
                    found.looks,
                    changes,
                    found.kickoffs,
                    names,
                    asked,
                    as_of=known_until,
                    suspects=read_suspects(conn, found.listings["sr_id"].unique()),
                )
            )
    return pl.concat(parts)


@pytest.mark.slow
def test_a_quiet_world_tells_traders_of_little(postgres: EmbeddedPostgres, tmp_path: Path):
    with after_two_cycles(110, postgres, tmp_path, derive_core_only) as (pipeline, _):
        with pipeline.connect() as conn:
            (n_fixtures,) = conn.execute("select count(*) from core.fixtures").fetchone()
        assert n_fixtures >= 100
        told = alerts_by_default(pipeline)
    assert told.height < 0.2 * n_fixtures, told


def test_faults_that_are_planted_in_a_quiet_world_are_told_of(two_cycles: Pipeline):
    with two_cycles.connect() as conn:
        rows = conn.execute(EVERYWHERE_SQL).fetchall()
    assert len(rows) >= 3, "fixtures whose result all platforms offered in both cycles"
    (longer, home_of_longer, _), (swapped, home_of_swapped, _), (gone, home_of_gone, last_at) = rows[:3]
    is_result, listing = pl.col("market_key") == "match_result", pl.col("listing_id")
    home, draw, away = (pl.col("odds_milli").list.get(n) for n in range(3))

    def plant(changes: pl.DataFrame) -> pl.DataFrame:
        prices = (
            pl.when(is_result & (listing == home_of_longer))
            .then(pl.concat_list(home * 10, draw, away))
            .when(is_result & (listing == home_of_swapped))
            .then(pl.concat_list(away, draw, home))
            .otherwise("odds_milli")
        )
        altered = changes.with_columns(odds_milli=prices)
        of_gone = is_result & (listing == home_of_gone)
        withdrawn = (
            altered.filter(of_gone)
            .unique("listing_id")
            .with_columns(observed_at=pl.lit(last_at, altered.schema["observed_at"]), state=pl.lit("withdrawn"))
        )
        return pl.concat([altered.filter(~of_gone | (pl.col("observed_at") < last_at)), withdrawn])

    before, after = alerts_by_default(two_cycles), alerts_by_default(two_cycles, plant)
    planted = after.join(before, on="alert_id", how="anti").filter(pl.col("market_key") == "match_result")
    assert {(longer, "home_outlier"), (swapped, "home_outlier"), (gone, "market_disappeared")} == set(
        planted.select("sr_id", "alert_type").rows()
    )


EVERYWHERE_SQL = """
select h.fixture_sr_id, h.listing_id, max(k.observed_at)
from core.event_listings h
join core.event_listings e on e.fixture_sr_id = h.fixture_sr_id and e.is_primary
join core.current_markets c on c.listing_id = e.listing_id and c.state = 'offered'
join ops.market_lines n on n.line_id = c.line_id
join core.markets m on m.market_id = n.market_id and m.market_key = 'match_result'
join core.captures k on k.listing_id = h.listing_id
join core.fixtures f on f.sr_id = h.fixture_sr_id and f.suspect_code is null
where h.platform = 'betpawa' and h.is_primary and c.off_mask is null and f.effective_kickoff < now() + interval '2 days'
    and abs(1000.0 / c.odds_milli[1] - 1000.0 / c.odds_milli[3]) > 0.15
    and not exists (
        select from core.market_changes x join ops.market_lines y using (line_id)
        where x.listing_id = e.listing_id and y.market_id = n.market_id and x.state <> 'offered'
    )
group by 1, 2
having count(distinct e.platform) = 3 and count(distinct k.observed_at) = 2
order by 1
"""


def test_a_repeated_replay_derives_nothing_again(two_cycles: Pipeline):
    def marks() -> list[tuple[Any, ...]]:
        with two_cycles.connect() as conn:
            return conn.execute(
                "select cycle_id, product, computed_at from core.cycle_products order by 1, 2"
            ).fetchall()

    before = marks()
    for day in {m.partition_hour.date() for m in two_cycles.landing.list_cycles()}:
        assert run_here(two_cycles, "replay", day).success
    assert marks() == before


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["html", "block"])
def test_a_platform_that_fails_leaves_the_others_whole_and_concludes_nothing(
    mode: str, start_simulator, make_pipeline: MakePipeline
):
    simulator = start_simulator(20, 3)
    pipeline = make_pipeline(simulator, bet9ja={"give_up_s": 0.1})
    simulator.set_fault(BET9JA, mode)
    outcome = run_here(pipeline, "full_cycle")
    assert outcome.success, outcome.error
    check_without(BET9JA, pipeline, simulator.fetch_truth())


@pytest.mark.slow
def test_a_platform_that_goes_down_is_carried_and_says_since_when(start_simulator, make_pipeline: MakePipeline):
    simulator = start_simulator(40, 3)
    pipeline = make_pipeline(simulator)
    assert run_here(pipeline, "full_cycle").success
    simulator.set_fault(BET9JA, "down")
    assert run_here(pipeline, "full_cycle").success
    fixtures = latest(pipeline, "coverage_fixture").filter(~pl.col("started"))
    assert dict(fixtures.select("sr_id", "fixture_class").iter_rows()) == truth_classes(simulator.fetch_truth())
    assert set(fixtures["evidence"]) == {"carried"}
    assert fixtures["stale_since"].null_count() == 0
    with pipeline.connect() as conn:
        (gone,) = conn.execute(
            "select count(*) from core.event_listings where deleted_at is not null and platform = 'bet9ja'"
        ).fetchone()
    assert gone == 0


@pytest.mark.slow
def test_coverage_of_a_later_cycle_is_due_again_when_an_earlier_one_is_derived_late(two_cycles: Pipeline):
    before = content_hashes(two_cycles)
    first, second = (m.cycle_id for m in two_cycles.landing.list_cycles())
    days = sorted({m.partition_hour.date() for m in two_cycles.landing.list_cycles()})
    with two_cycles.connect() as conn:
        conn.execute("delete from mart.cycle_products where cycle_id = %s", [first])
    assert run_here(two_cycles, "replay", days[0]).success
    with two_cycles.connect() as conn:
        marked = {c for (c,) in conn.execute("select cycle_id from mart.cycle_products where product = 'coverage'")}
    assert marked == ({first, second} if len(days) == 1 else {first})
    for day in days:
        assert run_here(two_cycles, "replay", day).success
    assert content_hashes(two_cycles) == before
