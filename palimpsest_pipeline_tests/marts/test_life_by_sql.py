"""A small world over two days, derived by the pipeline: margins, those by time to kickoff, counts of gaps and alerts
are those that SQL computes.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg
import polars as pl
import pytest

from palimpsest_pipeline.defs.life.assets import dates_follow_the_settings
from palimpsest_pipeline.defs.life.jobs import list_due_dates
from palimpsest_pipeline.domain.enums import FixtureProduct, OddsAlertType
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_lifecycle, derive_odds_alerts
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import SettingsError
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import lifecycle_rows, odds_alert_rows
from palimpsest_pipeline.storage.odds import retention
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, PLATFORMS
from palimpsest_pipeline_tests.storage.table_rows import read_table

from .life_by_sql import TABLES, assert_as_by_sql
from .odds_alerts_by_sql import assert_alerts_as_by_sql

pytestmark = (
    pytest.mark.slow
)  # five cycles take ten seconds; test_simulated_world compares the tables after two of them in every run

PEAK_H: Final = 48
"""Hours from the begin of the world to the first of the kickoffs that most of its fixtures have within three hours."""
MINUTES: Final = (24 * 60 - 30, 46 * 60 + 30, 47 * 60, 47 * 60 + 50, 50 * 60 + 10)
"""When the cycles are, from the begin of the world. The last one comes after some kickoffs."""
BLOCKED: Final = 2
"""In this cycle Bet9ja blocks us."""
DROPPED: Final = 3
"""From this cycle on SportyBet lacks a fixture of the three hours."""


@pytest.fixture(scope="module")
def world(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, date, list[date]]]:
    """A pipeline, the date of these kickoffs, and all dates with a life."""
    now = datetime.now(UTC)
    peak = now.replace(hour=18, minute=0, second=0, microsecond=0)
    peak -= timedelta(days=0 if now - peak > timedelta(hours=3) else 1)  # the last cycle is not in the future
    began = peak - timedelta(hours=PEAK_H)
    with (
        SimulatorProcess(8, 37, clock_offset_s=(began - now).total_seconds(), epoch=began) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("by_sql")) as make,
    ):
        for number, minutes in enumerate(MINUTES):
            offset_s = (began + timedelta(minutes=minutes, seconds=5) - datetime.now(UTC)).total_seconds()
            simulator.set_clock(offset_s, stopped=True)
            simulator.set_fault(BET9JA, "block" if number == BLOCKED else "none")
            if number == DROPPED:
                there = [f for f in simulator.fetch_truth()["fixtures"] if len(f["platforms"]) == len(PLATFORMS)]
                simulator.run_script("drop", min(there, key=lambda f: f["kickoff_at"])["sr_id"], platform="sportybet")
            land_cycle(make(simulator, clock_offset_s=offset_s))
        pipeline = make(simulator, odds_alert_levels=(0.01, 0.02, 0.04), odds_alert_markets=["*"])
        with dg.DagsterInstance.ephemeral() as instance:
            for day in sorted({m.partition_hour.date() for m in pipeline.landing.list_cycles()}):
                outcome = run_job(instance, pipeline, "replay", day, group="core")
                assert outcome.success, outcome.error
        with pipeline.connect() as conn:
            dates = sorted(lifecycle_rows.read_due_dates(conn)["kickoff_date"])
        for day in dates:
            derive_lifecycle.derive_kickoff_date(pipeline, day)
        yield pipeline, peak.date(), dates


World = tuple[Pipeline, date, list[date]]


def rows(world: World, table: str) -> pl.DataFrame:
    pipeline, peak, _ = world
    with pipeline.connect() as conn:
        return read_table(conn, table, peak)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_what_sql_computes_from_its_definition(world: World, table: str) -> None:
    pipeline, peak, dates = world
    compared = {day: assert_as_by_sql(pipeline, table, day) for day in dates}
    assert compared[peak] > 5


def test_the_world_has_what_the_comparison_is_about(world: World) -> None:
    margins, curves, gaps = (rows(world, table) for table in TABLES)
    assert {"ok", "suspended_outcome"} <= set(margins["margin_status"])
    ended_early = margins.filter(pl.col("observed_to") < margins["observed_to"].max())
    assert ended_early.filter(pl.col("observed_to") - pl.col("last_confirmed_at") == timedelta(minutes=90)).height, (
        "none ended by silence"
    )
    assert set(curves["bucket_scheme"]) == {"reference4", "trader10"}
    assert curves["home_minus_platform_tw_mean"].count() > 0
    assert set(gaps["hours_before"]) == {24, 1, 0}
    for name in ("n_both", "n_home_missing", "n_platform_missing", "n_home_suspended", "n_unknown"):
        assert gaps[name].sum() > 0, name


def test_batches_do_not_show_in_the_tables(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends within a tournament, whose curves rest on the batches before it too."""
    pipeline, peak, _ = world
    before = [rows(world, table).drop("computed_at") for table in TABLES]
    monkeypatch.setattr(derive_lifecycle.batch_listings, "__defaults__", (1,))
    derive_lifecycle.derive_kickoff_date(pipeline, peak)
    assert [
        rows(world, table).drop("computed_at").equals(frame) for table, frame in zip(TABLES, before, strict=True)
    ] == [True] * 3


def test_another_setting_replaces_the_margins_of_a_date_and_until_then_it_is_told_of(world: World) -> None:
    pipeline, peak, dates = world
    fewer = Pipeline(pipeline.settings.model_copy(update={"main_markets": ["match_result"]}))
    assert dates_follow_the_settings(pipeline).passed
    told = dates_follow_the_settings(fewer)
    assert not told.passed
    assert told.severity is dg.AssetCheckSeverity.WARN
    assert "double_chance" in (told.description or "")
    assert "yet" not in (told.description or "")
    assert list_due_dates(fewer, include_far=True) == dates
    try:
        derive_lifecycle.derive_kickoff_date(fewer, peak)
        assert set(rows(world, "mart.market_margin")["market_key"]) == {"match_result"}
        assert set(rows(world, "mart.margin_ttk_bucket")["market_key"]) == {"match_result"}
        assert peak not in list_due_dates(fewer, include_far=True)
        assert list_due_dates(pipeline, include_far=True) == [peak]
        assert list_due_dates(pipeline, include_far=False) == []
        told = dates_follow_the_settings(pipeline)
        assert not told.passed
        assert (
            f"Without margins yet: {', '.join(sorted(set(pipeline.main_markets) - {'match_result'}))} on 1 dates"
            in (told.description or "")
        )
        assert "no longer" not in (told.description or "")
        assert "`palimpsest backfill --stale`" in (told.description or "")
    finally:
        derive_lifecycle.derive_kickoff_date(pipeline, peak)


def test_dates_of_another_home_platform_are_told_of_and_derived_anew(world: World) -> None:
    pipeline, peak, dates = world
    elsewhere = Pipeline(pipeline.settings.model_copy(update={"home_platform": BET9JA}))
    told = dates_follow_the_settings(elsewhere)
    assert not told.passed
    assert f"Another home platform: betpawa on {len(dates)} dates" in (told.description or "")
    assert list_due_dates(elsewhere, include_far=True) == dates
    try:
        derive_lifecycle.derive_kickoff_date(elsewhere, peak)
        assert peak not in list_due_dates(elsewhere, include_far=True)
        assert list_due_dates(pipeline, include_far=True) == [peak]
    finally:
        derive_lifecycle.derive_kickoff_date(pipeline, peak)


@pytest.mark.parametrize(
    ("markets", "told"),
    [(["match_result", "btts"], "no market btts"), (["match_result_1up"], "match_result_1up can have no margin")],
)
def test_a_setting_that_names_no_market_with_a_margin_is_refused(world: World, markets: list[str], told: str) -> None:
    pipeline, peak, _ = world
    wrong = Pipeline(pipeline.settings.model_copy(update={"main_markets": markets}))
    with pytest.raises(SettingsError, match=told):
        derive_lifecycle.derive_kickoff_date(wrong, peak)
    assert rows(world, "mart.market_margin").height > 0


@pytest.fixture(scope="module")
def alerts(world: World) -> pl.DataFrame:
    """Of all fixtures, derived once."""
    derive_odds_alerts.derive_alerts(world[0])
    with world[0].connect() as conn:
        return read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE)


def test_alerts_to_traders_are_what_sql_computes_from_their_definition(world: World, alerts: pl.DataFrame) -> None:
    assert assert_alerts_as_by_sql(world[0]).keys() == {kind.value for kind in OddsAlertType}


def test_when_alerts_are_derived_again_they_are_the_same_and_an_acknowledged_one_stays_so(
    world: World, alerts: pl.DataFrame
) -> None:
    pipeline, now = world[0], world[0].clock.now()
    is_open = alerts.filter(status="open")["alert_id"].to_list()
    with pipeline.connect() as conn:
        assert dirty_fixtures.read_fixture_marks(conn, FixtureProduct.ODDS_ALERTS).is_empty()
        odds_alert_rows.acknowledge_alert(conn, is_open[0], "Ada", now)
        odds_alert_rows.acknowledge_alert(conn, is_open[0], "Bob", now)
        with pytest.raises(odds_alert_rows.NoSuchAlert, match="no alert 1: "):
            odds_alert_rows.acknowledge_alert(conn, 1, "Ada", now)
        conn.execute(
            "insert into mart.dirty_fixtures select 'odds_alerts', sr_id, clock_timestamp() from core.fixtures"
        )
        conn.execute(
            'insert into mart.odds_alert select (jsonb_populate_record(a, \'{"alert_id": 1, "sr_id": 1}\')).* from mart.odds_alert a limit 1'
        )
    derive_odds_alerts.derive_alerts(pipeline)
    with pipeline.connect() as conn:
        again = read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE)
        (row,), total = odds_alert_rows.list_alerts(
            conn, only_open=False, severities=["low", "medium", "high"], market_keys=None, sr_id=None, limit=1
        )
        still_open, n_open = odds_alert_rows.list_alerts(
            conn, only_open=True, severities=["high"], market_keys=None, sr_id=None, limit=None
        )
    status = pl.when(pl.col("alert_id") == is_open[0]).then(pl.lit("acknowledged")).otherwise("status")
    assert again.drop("computed_at").equals(
        alerts.with_columns(status=status).drop("computed_at")
    )  # also: no row of a fixture that is not there
    assert (total, row["opened_at"]) == (alerts.height, alerts["opened_at"].max())
    to_come = pl.col("opened_at") + pl.duration(seconds=pl.col("minutes_to_kickoff") * 60) > datetime.now(UTC)
    assert n_open == len(still_open) == again.filter(to_come, status="open", severity="high").height


def test_what_was_open_at_a_kickoff_is_over_once_a_cycle_has_seen_it_pass(world: World, alerts: pl.DataFrame) -> None:
    """Nothing of the fixture has to be looked at for that."""
    pipeline = world[0]
    closed_at_kickoff = alerts.filter(
        pl.col("closed_at") == pl.col("opened_at") + pl.duration(seconds=pl.col("minutes_to_kickoff") * 60)
    )
    assert closed_at_kickoff.height
    with pipeline.connect() as conn:
        conn.execute(
            "update mart.odds_alert set closed_at = null, status = 'open' where alert_id = any(%s)",
            [closed_at_kickoff["alert_id"].to_list()],
        )
    done = derive_odds_alerts.derive_alerts(pipeline)
    assert done.n_fixtures == closed_at_kickoff["sr_id"].n_unique()
    with pipeline.connect() as conn:
        assert (
            read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE)
            .filter(pl.col("closed_at").is_null())["sr_id"]
            .is_in(closed_at_kickoff["sr_id"].to_list())
            .sum()
            == 0
        )


def test_alerts_are_kept_as_long_as_the_life_of_their_fixtures(world: World, alerts: pl.DataFrame) -> None:
    with world[0].connect() as conn, conn.transaction(force_rollback=True):
        first, last = alerts["kickoff_date"].min(), alerts["kickoff_date"].max()
        assert isinstance(first, date)
        assert isinstance(last, date)
        conn.execute("insert into ops.acknowledged_odds_alerts values (2, '2020-01-01Z', 'Ada')")
        retention.delete_lifecycle(conn, last)
        left = read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE)
        assert left.height == alerts.filter(pl.col("kickoff_date") >= last).height < alerts.height
        assert conn.execute("select from ops.acknowledged_odds_alerts where alert_id = 2").rowcount == 0
