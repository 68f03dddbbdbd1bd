"""Prices side by side and gaps as they stand, from a simulated world of three cycles: one platform blocks us,
another one drops a listing.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from palimpsest_pipeline.cli import console
from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.defs.mart.checks import no_fixture_is_due_for_long
from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts import derive_prices
from palimpsest_pipeline.runtime import terminal
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.catalog.fixtures import UnknownFixtureError
from palimpsest_pipeline.storage.db.row_differences import WriteCounts
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_rows
from palimpsest_pipeline_tests.fixtures.content import drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_at
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA
from palimpsest_pipeline_tests.marts import present_by_sql

OFFSETS_S: Final = (-1200.0, -600.0, 0.0)
"""When the cycles are, from now: three within twenty minutes, so that a day may begin between them."""


@dataclass
class World:
    """What came of it."""

    pipeline: Pipeline
    cycles: list[int] = field(default_factory=list)
    instants: list[datetime] = field(default_factory=list)
    """After each cycle."""
    kept: list[dict[str, pl.DataFrame]] = field(default_factory=list)
    """What the tables held after each cycle."""
    dropped: int = 0
    """SportyBet dropped it before the last cycle."""

    def table(self, name: str) -> pl.DataFrame:
        return rows(self.pipeline)[f"mart.{name}"]


def rows(pipeline: Pipeline) -> dict[str, pl.DataFrame]:
    with pipeline.connect() as conn:
        return {
            table: present_by_sql.read_compared_rows(conn, table).drop("computed_at")
            for table in current_price_rows.COMPARED_TABLES
        }


def marked(pipeline: Pipeline) -> list[int]:
    with pipeline.connect() as conn:
        return dirty_fixtures.read_fixture_marks(conn, FixtureProduct.PRICES)["sr_id"].to_list()


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        SimulatorProcess(14, 11, clock_offset_s=OFFSETS_S[0]) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("present")) as make,
    ):
        found = World(make(simulator))
        for number, offset_s in enumerate(OFFSETS_S):
            simulator.set_fault(BET9JA, "block" if number == 1 else "none")
            if number == 2:
                both = [
                    f["sr_id"]
                    for f in simulator.fetch_truth()["fixtures"]
                    if {"betpawa", "sportybet"} <= set(f["platforms"])
                ]
                found.dropped = both[-1]
                simulator.run_script("drop", found.dropped, platform="sportybet")
            pipeline = make(simulator, clock_offset_s=offset_s)
            found.cycles.append(land_at(make, simulator, offset_s))
            ingest_cycle(pipeline, found.cycles[-1])
            found.instants.append(pipeline.clock.now())
            derive_prices.derive_prices(pipeline)
            found.kept.append(rows(pipeline))
        yield found


def same(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> None:
    for table in current_price_rows.COMPARED_TABLES:
        order = [
            column
            for column in ("sr_id", "market_key", "specifier", "outcome_key", "platform")
            if column in left[table].columns
        ]
        assert_frame_equal(left[table].sort(order), right[table].sort(order).select(left[table].columns), abs_tol=1e-9)


def test_every_market_of_every_platform_is_compared(world: World):
    prices, gaps = world.table("price_comparison"), world.table("availability_gap")
    assert prices.height > 1000
    assert gaps.height > 100
    assert set(prices["platform"]) == {"sportybet", "bet9ja"}
    assert prices["comparable"].mean() > 0.5


@pytest.mark.parametrize("table", present_by_sql.TABLES)
def test_every_row_is_what_sql_makes_of_the_history(world: World, table: str):
    assert present_by_sql.assert_as_by_sql(world.pipeline, table) > 100


@pytest.mark.parametrize("cycle", [0, 1, 2])
def test_as_of_an_instant_is_what_stood_then_row_for_row(world: World, cycle: int):
    known = world.kept[cycle]
    asked = sorted(set(world.table("price_comparison")["sr_id"]) | set(known["mart.price_comparison"]["sr_id"]))
    then = derive_prices.compute_prices_as_of(world.pipeline, asked, world.instants[cycle])
    only = {table: frame.filter(pl.col("sr_id").is_in(asked)) for table, frame in known.items()}
    same({table: frame.drop("computed_at") for table, frame in then.items()}, only)


def test_what_could_not_be_looked_at_is_unknown_and_compares_with_nothing(world: World):
    blocked = world.kept[1]
    gaps = blocked["mart.availability_gap"].filter(platform="bet9ja")
    assert set(gaps["gap_type"]) == {"unknown"}
    assert gaps["gap_open_since"].null_count() == gaps.height > 0
    prices = blocked["mart.price_comparison"].filter(platform="bet9ja")
    assert prices.height > 0
    assert not prices["comparable"].any()
    assert "unknown" not in set(world.kept[2]["mart.availability_gap"].filter(platform="bet9ja")["gap_type"])


def test_a_listing_that_is_dropped_lists_nothing_and_has_gaps_wherever_home_has_a_market(world: World):
    assert world.table("price_comparison").filter(sr_id=world.dropped, platform="sportybet").is_empty()
    before = world.kept[1]["mart.price_comparison"].filter(sr_id=world.dropped, platform="sportybet")
    assert before.height > 0
    gaps = world.table("availability_gap").filter(sr_id=world.dropped, platform="sportybet")
    missing = gaps.filter(gap_type="platform_missing")
    listed = before.filter(home_state="offered").select("market_key", "specifier").unique()
    assert (
        listed.join(missing, on=["market_key", "specifier"], how="anti").height <= listed.height // 10
    )  # home may have taken some off since
    assert set(missing.filter(~pl.col("never_offered_platform"))["platform_state"]) == {"event_dropped"}
    assert missing["gap_minutes"].min() >= 0


@pytest.fixture
def palimpsest(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """The command line on this world."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        console.out, "width", terminal.PIPE_WIDTH_COLUMNS
    )  # else as wide as the terminal of whoever runs the tests
    settings = world.pipeline.settings
    assert settings.database_url is not None
    urls = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "DAGSTER_DATABASE_URL": "postgresql://unused/dagster",
    }
    for name, value in {"HOME_DIR": str(settings.home_dir), **urls}.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_a_fixture_is_compared_on_the_command_line_as_the_tables_have_it(world: World, palimpsest: Callable[..., Any]):
    held = (
        world.table("price_comparison")
        .filter(market_key="match_result", platform="bet9ja", comparable=True)
        .row(0, named=True)
    )
    sr_id = str(held["sr_id"])
    done = palimpsest("compare", sr_id, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["prices"]
    assert len(told) == world.table("price_comparison").filter(sr_id=held["sr_id"]).height
    same_row = next(
        r for r in told if all(r[name] == held[name] for name in ("market_key", "specifier", "outcome_key", "platform"))
    )
    assert (same_row["home_odds"], same_row["diff_rel"]) == (held["home_odds"], held["diff_rel"])
    printed = palimpsest("compare", sr_id, "--market", "match_result")
    assert printed.exit_code == 0, printed.stderr
    assert "match_result (margins: betpawa " in printed.stdout
    assert f"({held['diff_rel']:+.1%})" in printed.stdout
    blocked = palimpsest("compare", sr_id, "--at", world.instants[1].isoformat(), "--json")
    assert not any(r["comparable"] for r in json.loads(blocked.stdout)["prices"] if r["platform"] == "bet9ja")


def test_a_file_beside_json_takes_nothing_from_standard_output(
    world: World, palimpsest: Callable[..., Any], tmp_path: Path
):
    sr_id = str(world.table("price_comparison")["sr_id"][0])
    for rows_of, *words in (("prices", "compare", sr_id), ("coverage_tournament", "coverage")):
        done = palimpsest(*words, "--json", "--csv", str(tmp_path / "rows.csv"), "--xlsx", str(tmp_path / "rows.xlsx"))
        assert done.exit_code == 0, done.stderr
        assert len(json.loads(done.stdout)[rows_of]) == pl.read_csv(tmp_path / "rows.csv").height
        assert (tmp_path / "rows.xlsx").stat().st_size > 0
        assert palimpsest(*words, "--csv", str(tmp_path / "alone.csv")).stdout == ""


def test_gaps_of_a_fixture_on_the_command_line(world: World, palimpsest: Callable[..., Any]):
    told = json.loads(palimpsest("gaps", str(world.dropped), "--json").stdout)["gaps"]
    held = world.table("availability_gap").filter(sr_id=world.dropped)
    assert {(r["market_key"], r["specifier"], r["platform"], r["gap_type"]) for r in told} == set(
        held.select("market_key", "specifier", "platform", "gap_type").iter_rows()
    )
    printed = palimpsest("gaps", str(world.dropped))
    assert "platform_missing" in printed.stdout
    unknown = palimpsest("gaps", "404")
    assert unknown.exit_code == 1
    assert isinstance(unknown.exception, UnknownFixtureError)
    assert str(unknown.exception).startswith("no fixture with SportRadar id 404 is known")


def test_everything_anew_in_another_order_is_the_same(world: World):
    before = rows(world.pipeline)
    drop_derived(world.pipeline)
    assert rows(world.pipeline)["mart.price_comparison"].is_empty()
    for cycle in (world.cycles[2], world.cycles[0], world.cycles[1]):
        ingest_cycle(world.pipeline, cycle)
    assert derive_prices.derive_prices(world.pipeline).n_fixtures > 0
    same(rows(world.pipeline), before)


def versions(world: World) -> set[tuple[str, str]]:
    """Stored versions of the rows of prices and gaps: a row that is written again has a new one."""
    with world.pipeline.connect() as conn:
        return {
            row
            for table in current_price_rows.COMPARED_TABLES
            for row in conn.execute(f"select tableoid::text, xmin || ' ' || ctid from {table}").fetchall()
        }


def test_a_cycle_in_which_nothing_changed_writes_no_price_and_no_gap(world: World):
    before, seen = versions(world), rows(world.pipeline)
    with world.pipeline.connect() as conn:
        dirty_fixtures.mark_fixtures(conn, world.cycles[2], [])
    done = derive_prices.derive_prices(world.pipeline)
    assert done.n_fixtures > 0
    assert {table: done.rows_by_table[table] for table in current_price_rows.COMPARED_TABLES} == dict.fromkeys(
        current_price_rows.COMPARED_TABLES, WriteCounts()
    )
    assert done.rows_by_table[current_price_rows.LISTING_TABLE].updated > 0
    assert done.n_flips == 0
    assert versions(world) == before
    same(rows(world.pipeline), seen)


def test_what_changed_is_written_and_nothing_else(world: World):
    """A price that somebody changed, a row that somebody removed, and one that was never there."""
    before = rows(world.pipeline)
    with world.pipeline.connect() as conn:
        for change, order in (
            ("update mart.price_comparison set home_odds_milli[1] = 77770", ""),
            ("delete from mart.price_comparison", " desc"),
        ):
            one = f"select ctid from mart.price_comparison order by (sr_id, line_id, platform){order} limit 1"
            assert conn.execute(f"{change} where ctid = ({one})".encode()).rowcount == 1
        columns = "platform, home_state_since, platform_state_since, gap_type, home_state, platform_state"
        conn.execute(
            f"insert into mart.availability_gap (sr_id, line_id, {columns}) select sr_id, -1, {columns} from mart.availability_gap limit 1".encode()
        )
        flipped = conn.execute(
            "update mart.compared_listing set comparable = not comparable where platform = 'bet9ja'"
        ).rowcount
        dirty_fixtures.mark_fixtures(conn, world.cycles[2], [])
    done = derive_prices.derive_prices(world.pipeline)
    assert done.rows_by_table[current_price_rows.COMPARISON_TABLE] == WriteCounts(inserted=1, updated=1)
    assert done.rows_by_table[current_price_rows.GAP_TABLE] == WriteCounts(deleted=1)
    assert done.n_flips == flipped > 0
    same(rows(world.pipeline), before)


def test_fixtures_that_have_begun_are_taken_out(world: World):
    with world.pipeline.connect() as conn:
        some = current_price_rows.read_upcoming_fixtures(conn, datetime.now(UTC))[0]
        (kickoff,) = conn.execute("select effective_kickoff from core.fixtures where sr_id = %s", [some]).fetchone()
        conn.execute("update core.fixtures set effective_kickoff = now() where sr_id = %s", [some])
    try:
        assert derive_prices.derive_prices(world.pipeline).n_removed == 1
        assert some not in set(world.table("availability_gap")["sr_id"]) | set(world.table("price_comparison")["sr_id"])
    finally:
        with world.pipeline.connect() as conn:
            conn.execute("update core.fixtures set effective_kickoff = %s where sr_id = %s", [kickoff, some])
            dirty_fixtures.mark_fixtures(conn, world.cycles[2], [some])
        derive_prices.derive_prices(world.pipeline)


def test_the_run_of_the_job_derives_what_is_due_and_its_checks_hold(world: World):
    with world.pipeline.connect() as conn:
        dirty_fixtures.mark_fixtures(conn, world.cycles[2], [])
    n_due = len(marked(world.pipeline))
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_job(instance, world.pipeline, "present")
        assert outcome.success, outcome.error
        made = {
            table: instance.get_latest_materialization_event(
                dg.AssetKey(table.split("."))
            ).asset_materialization.metadata
            for table in current_price_rows.COMPARED_TABLES
        }
    assert marked(world.pipeline) == []
    assert made[current_price_rows.COMPARISON_TABLE]["fixtures_derived"].value == n_due > 0
    assert 0 < made[current_price_rows.COMPARISON_TABLE]["home_is_best_share"].value < 1
    assert (
        made[current_price_rows.GAP_TABLE]["home_missing"].value
        == world.table("availability_gap").filter(gap_type="home_missing").height
    )


def test_a_mark_that_waits_long_is_named(world: World):
    assert no_fixture_is_due_for_long(world.pipeline).passed
    with world.pipeline.connect() as conn:
        conn.execute("insert into mart.dirty_fixtures values ('prices', 1, now() - interval '2 hours')")
    behind = no_fixture_is_due_for_long(world.pipeline)
    with world.pipeline.connect() as conn:
        conn.execute("delete from mart.dirty_fixtures where sr_id = 1")
    assert not behind.passed
    assert "prices of 1 fixtures, for 120 min" in (behind.description or "")
