"""A small world over two days, derived by the pipeline: margins, margins by time to kickoff and counts of gaps are those that SQL computes."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg
import polars as pl
import pytest

from palimpsest_pipeline.defs.launch import run_job
from palimpsest_pipeline.defs.mart import life
from palimpsest_pipeline.defs.mart.life_checks import margins_are_of_the_main_markets
from palimpsest_pipeline.defs.pipeline import Pipeline
from palimpsest_pipeline.domain.words import Platform
from palimpsest_pipeline.metrics import margin_laws
from palimpsest_pipeline.settings import SettingsError
from palimpsest_pipeline.simulator.launch import SimulatorProcess
from palimpsest_pipeline.storage import life as stored
from palimpsest_pipeline.storage.embedded import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines

from .life_by_sql import TABLES, assert_as_by_sql

pytestmark = pytest.mark.slow  # five cycles take ten seconds; test_simulated_world compares the tables after two of them in every run

PEAK_H: Final = 48
"""Hours from the begin of the world to the first of the kickoffs that most of its fixtures have within three hours."""
MINUTES: Final = (24 * 60 - 30, 46 * 60 + 30, 47 * 60, 47 * 60 + 50, 50 * 60 + 10)
"""When the cycles are, from the begin of the world. The last one comes after some kickoffs."""
BLOCKED: Final = 2
"""In this cycle Bet9ja blocks us."""
DROPPED: Final = 3
"""From this cycle on SportyBet lacks a fixture of the three hours."""


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, date, list[date]]]:
    """A pipeline, the date of these kickoffs, and all dates with a life."""
    now = datetime.now(UTC)
    peak = now.replace(hour=18, minute=0, second=0, microsecond=0)
    peak -= timedelta(days=0 if now - peak > timedelta(hours=1) else 1)
    began = peak - timedelta(hours=PEAK_H)
    with (
        SimulatorProcess(8, 37, clock_offset_s=(began - now).total_seconds(), epoch=began) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("by_sql")) as make,
    ):
        for number, minutes in enumerate(MINUTES):
            offset_s = (began + timedelta(minutes=minutes, seconds=5) - datetime.now(UTC)).total_seconds()
            simulator.set_clock(offset_s, stopped=True)
            simulator.fault(Platform.BET9JA, "block" if number == BLOCKED else "none")
            if number == DROPPED:
                there = [f for f in simulator.truth()["fixtures"] if len(f["platforms"]) == len(Platform)]
                simulator.script("drop", min(there, key=lambda f: f["kickoff_at"])["sr_id"], platform="sportybet")
            land_cycle(make(simulator, clock_offset_s=offset_s))
        pipeline = make(simulator)
        with dg.DagsterInstance.ephemeral() as instance:
            for hour in sorted({m.partition_hour for m in pipeline.landing.cycles()}):
                outcome = run_job(instance, pipeline, "replay", hour, group="core")
                assert outcome.success, outcome.error
        with pipeline.connect() as conn:
            dates = sorted(stored.waiting(conn)["kickoff_date"])
        for day in dates:
            life.derive_date(pipeline, day)
        yield pipeline, peak.date(), dates


World = tuple[Pipeline, date, list[date]]


def rows(world: World, table: str) -> pl.DataFrame:
    pipeline, peak, _ = world
    with pipeline.connect() as conn:
        return stored.of_date(conn, table, peak)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_what_sql_computes_from_its_definition(world: World, table: str) -> None:
    pipeline, peak, dates = world
    compared = {day: assert_as_by_sql(pipeline, table, day) for day in dates}
    assert compared[peak] > 5


def test_the_world_has_what_the_comparison_is_about(world: World) -> None:
    margins, curves, gaps = (rows(world, table) for table in TABLES)
    assert {"ok", "suspended_outcome"} <= set(margins["margin_status"])
    ended_early = margins.filter(pl.col("observed_to") < margins["observed_to"].max())
    assert ended_early.filter(pl.col("observed_to") - pl.col("last_confirmed_at") == timedelta(minutes=90)).height, "none ended by silence"
    assert set(curves["bucket_scheme"]) == {"reference4", "trader10"}
    assert curves["home_minus_platform_tw_mean"].count() > 0
    assert set(gaps["hours_before"]) == {24, 1, 0}
    for name in ("n_both", "n_home_missing", "n_platform_missing", "n_home_suspended", "n_unknown"):
        assert gaps[name].sum() > 0, name


def test_what_is_written_obeys_the_laws(world: World) -> None:
    margins, curves, _ = (rows(world, table) for table in TABLES)
    for law in (margin_laws.stretches_do_not_overlap, margin_laws.margins_follow_their_status, margin_laws.margins_reconcile):
        assert law(margins).is_empty()
    assert margin_laws.bucket_minutes_add_up(margins, curves).is_empty()


def test_batches_do_not_show_in_the_tables(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends within a tournament, whose curves rest on the batches before it too."""
    pipeline, peak, _ = world
    before = [rows(world, table).drop("computed_at") for table in TABLES]
    monkeypatch.setattr(life.batches, "__defaults__", (1,))
    life.derive_date(pipeline, peak)
    assert [rows(world, table).drop("computed_at").equals(frame) for table, frame in zip(TABLES, before, strict=True)] == [True] * 3


def test_another_setting_replaces_the_margins_of_a_date_and_until_then_the_old_ones_are_told_of(world: World) -> None:
    pipeline, peak, _ = world
    fewer = Pipeline(pipeline.settings.model_copy(update={"main_markets": ["match_result"]}))
    assert margins_are_of_the_main_markets(pipeline).passed
    told = margins_are_of_the_main_markets(fewer)
    assert not told.passed
    assert told.severity is dg.AssetCheckSeverity.WARN
    assert "double_chance" in (told.description or "")
    try:
        life.derive_date(fewer, peak)
        assert set(rows(world, "mart.market_margin")["market_key"]) == {"match_result"}
        assert set(rows(world, "mart.margin_ttk_bucket")["market_key"]) == {"match_result"}
    finally:
        life.derive_date(pipeline, peak)


@pytest.mark.parametrize(
    ("markets", "told"), [(["match_result", "btts"], "no market btts"), (["match_result_1up"], "match_result_1up can have no margin")]
)
def test_a_setting_that_names_no_market_with_a_margin_is_refused(world: World, markets: list[str], told: str) -> None:
    pipeline, peak, _ = world
    wrong = Pipeline(pipeline.settings.model_copy(update={"main_markets": markets}))
    with pytest.raises(SettingsError, match=told):
        life.derive_date(wrong, peak)
    assert rows(world, "mart.market_margin").height > 0
