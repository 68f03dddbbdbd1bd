"""The benchmarks measure what they say. No timing is asserted."""

import json
import os
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from . import _growth, cycle_cost, golden, marts
from .__main__ import app

pytestmark = pytest.mark.long


def test_a_benchmark_is_chosen_by_name_and_names_are_listed_without_one() -> None:
    names = {"cadence", "cycle_cost", "golden", "launch", "marts", "page", "scrape", "storage"}
    assert set(CliRunner().invoke(app, []).output.split()) == names
    assert CliRunner().invoke(app, ["nothing"]).exit_code != 0


@pytest.mark.slow
def test_the_scrape_is_measured_beside_the_floor_client() -> None:
    ran = CliRunner().invoke(
        app, ["scrape", "--json", "--fixtures", "20", "--scale", "0.05", "--rounds", "1", "--no-memory"]
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    figures = (
        "wall_ratio_to_floor",
        "events_per_s",
        "skew_p95_ratio",
        "cpu_ms_per_request",
        "cpu_ratio_to_floor",
        "peak_rss_mb",
    )
    assert all(found[name] > 0 for name in figures)
    assert found["wall_ratio_to_floor"] >= 1, "a floor is a floor"
    assert found["failed"] == 0
    assert sum(floor["requests"] for floor in found["floor"].values()) == found["requests"], "each listing once"
    assert found["peak_rss_mb_by_fixtures"].keys() == {"20"}


@pytest.mark.slow
def test_growth_is_measured_over_numbers_of_platforms() -> None:
    options = ["--fixtures", "20", "--scale", "0.05", "--rounds", "1", "--platforms", "3", "--platforms", "8"]
    ran = CliRunner().invoke(app, ["scrape", "--json", *options])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    assert found["growth"].keys() == {"3", "8"}
    names = found["growth"]["8"]["names"]
    assert names == [*PLATFORMS, "msport", "betway", "betika", "sportpesa", "betpawa-gh"]
    for figures in found["growth"].values():
        assert all(figures[name] > 0 for name in ("wall_ratio", "skew_p95_ratio", "cpu_ms_per_request", "peak_rss_mb"))
        assert figures["failed"] == 0
        assert figures["wall_s"] >= figures["floor_s"], "a floor is a floor"
        cycle = figures["cycle"]
        assert set(cycle["statuses"].values()) == {"completed"}
        assert all(cycle[name] > 0 for name in ("wall_s", "peak_rss_mb", "core_us_per_price", "mart_us_per_price"))
    few, many = found["growth"].values()
    assert few["requests"] < many["requests"]
    assert few["cycle"]["prices"] < many["cycle"]["prices"]


def test_platforms_of_a_growing_world_are_packs_first_and_then_countries() -> None:
    twelve = _growth.list_platforms(12)
    assert len(set(twelve)) == 12
    assert twelve[:7] == (*PLATFORMS, "msport", "betway", "betika", "sportpesa")
    assert twelve[7:] == ("betpawa-gh", "sportybet-gh", "msport-gh", "betway-gh", "betpawa-ke")
    assert _growth.list_platforms(3) == twelve[:3]
    with pytest.raises(ValueError, match=r"there are \d+ platforms, not 500"):
        _growth.list_platforms(500)


@pytest.mark.slow
def test_storage_is_measured_beside_a_raw_copy() -> None:
    ran = CliRunner().invoke(app, ["storage", "--json", "--events", "30", "--history-prices", "20000", "--rounds", "1"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    ratios = (
        "ingest_ratio_to_copy",
        "ingest_speedup_vs_upsert_all",
        "ingest_growth_100x",
        "open_close_ratio_to_duckdb",
    )
    figures = ("pg_bytes_per_price", "parquet_bytes_per_price", "asof_event_ms", "latest_all_ms", "gb_90d")
    assert all(found[name] > 0 for name in (*ratios, *figures))
    assert found["asof_event_prices"] == 3 * 328, "every price of an event on three platforms"
    assert found["n_history_prices"]["large"] > found["n_history_prices"]["small"] > found["n_current_prices"]
    assert found["gb_90d"] == pytest.approx(found["gb_90d_hot"] + found["gb_90d_cold"])


@pytest.mark.slow
def test_derived_tables_are_measured_beside_engines_that_come_to_the_same_rows() -> None:
    options = ["--size", "1", "--size", "2", "--partition-prices", "4000", "--rounds", "1", "--longest-s", "1e-9"]
    ran = CliRunner().invoke(app, ["marts", "--json", *options])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    assert (
        found["ratio_to_best"].keys()
        == found["tables"].keys()
        == {"price_comparison", "standing_margins", "availability_gap", "market_margin", "price_lead"}
    )
    for name, by_size in found["tables"].items():
        assert all(found["ratio_to_best"][name][size] > 0 for size in ("1", "2"))
        assert by_size["1"]["wall_s"].keys() == {"ours", "duckdb", "postgres"}
        assert by_size["2"]["wall_s"].keys() == {"ours", "duckdb"}, "what takes too long is left out ..."
        assert by_size["1"]["n_rows"] == found["rows_of_first_partition"][name] < by_size["2"]["n_rows"]
    assert {(one["engine"], one["partitions"]) for one in found["left_out"]} == {("postgres", 2)}, (
        "... and that is said"
    )
    assert all(0 < found["peak_rss_mb"][size] < 500 for size in ("1", "2"))


@pytest.mark.parametrize("engines", [["ours"], ["duckdb", "duckdb"]])
def test_an_engine_that_is_named_twice_is_refused_before_anything_runs(
    engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marts, "MartsWorld", None)
    ran = CliRunner().invoke(app, ["marts", "--json", *(word for name in engines for word in ("--engine", name))])
    assert ran.exit_code == 2, ran.output
    assert f"{engines[0]} is there more than once" in ran.output


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_engines_that_do_not_do_the_same_work_are_not_compared(engine: str) -> None:
    ours = pl.DataFrame({"sr_id": [1, 2], "margin": [0.05, None]})
    marts.assert_same(ours, ours.reverse(), "margins", engine)
    with pytest.raises(AssertionError, match=f"margins: ours and {engine} do not do the same work"):
        marts.assert_same(ours, ours.with_columns(pl.col("margin") + 1e-6), "margins", engine)


def make_content(rows: list[str]) -> golden.Content:
    return golden.Content(["a", "b"], len(rows), str(hash(tuple(rows))), rows)


def test_a_comparison_tells_names_columns_and_rows_apart() -> None:
    before = {"w/mart.x": make_content(["1\t2", "1\t3"]), "w/mart.y": make_content(["1\t2"])}
    after = {
        "w/mart.x": golden.Content(["a", "c"], 2, "", ["1\t2", "1\t4"]),
        "w/mart.z": make_content(["1\t2"]),
    }
    assert golden.find_differences(before, before, {}) == []
    assert golden.find_differences(before, after, {}) == [
        "w/mart.x: column b is gone",
        "w/mart.x: column c is new",
        "w/mart.y: gone",
        "w/mart.z: new",
    ]
    renames = {"mart.x.b": "c", "mart.y": "mart.z"}
    assert golden.find_differences(before, after, renames) == [
        "w/mart.x: 1 of 2 rows gone, 1 of 2 new",
        "  - a=1, b=3",
        "  + a=1, b=4",
    ]
    assert golden.find_differences({"w/mart.y": before["w/mart.y"]}, {}, {"mart.y": ""}) == []


@pytest.mark.slow
def test_a_tick_of_the_kickoff_sensor_is_measured_beside_its_bare_query() -> None:
    ran = CliRunner().invoke(app, ["cadence", "--json", "--fixtures", "50", "--rounds", "2"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout.splitlines()[-1])
    figures = (
        "query_ms",
        "tick_ms",
        "tick_after_a_day_ms",
        "tick_asked_ms",
        "remember_ms",
        "judge_ms",
        "tick_ratio_to_query",
    )
    assert all(found[name] > 0 for name in figures)
    assert found["requests_per_tick_that_asks"] == 1


@pytest.mark.slow
def test_what_a_cycle_costs_is_measured_table_by_table() -> None:
    ran = CliRunner().invoke(app, ["cycle_cost", "--json", "--fixtures", "20", "--cycles", "3"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout.splitlines()[-1])
    first, changed, idle = cycles = found["worlds"]["20"]["cycles"]
    assert [cycle["kind"] for cycle in cycles] == ["first", "5pct", "idle"]
    assert found["growth_first_mb_20"] == first["growth_mb"] > found["growth_5pct_mb_20"] == changed["growth_mb"] > 0
    assert found["growth_idle_mb_20"] == idle["growth_mb"]
    assert found["wal_ratio_5pct"] == pytest.approx(changed["wal_mb"] / changed["written_mb"])
    assert found["wal_ratio_5pct"] > 1, "the log of a row is longer than the row"
    assert first["wal_mb"] > changed["wal_mb"] > idle["wal_mb"] > 0
    assert found["tail_s_20"] > 0
    assert found["peak_mb_20"] == max(cycle["peak_mb"] for cycle in cycles)
    assert min(cycle["peak_mb"] for cycle in cycles) > 100, "the imports of the command alone take more"
    healthy_s, dead_s = (found["first_detail_s"][name] for name in ("healthy", "dead_platform"))
    assert healthy_s > 0
    assert found["dead_platform_delay_s"] == dead_s - healthy_s
    tables = found["worlds"]["20"]["tables"]
    assert tables.keys() == {"first", "5pct_at_1", "idle_at_1"}
    assert {"core.captures", "core.current_markets", "core.market_changes", "dagster:public.event_logs"} <= tables[
        "first"
    ].keys()
    changes = {kind: rows.get("core.market_changes", {}).get("written_rows", 0) for kind, rows in tables.items()}
    assert changes["idle_at_1"] == 0
    assert 0.03 * changes["first"] < changes["5pct_at_1"] < 0.07 * changes["first"]
    assert sum(
        cycle_cost.grown_mb(rows) for name, rows in tables["first"].items() if not name.startswith("dagster:")
    ) == pytest.approx(first["growth_mb"])


def test_the_peak_memory_of_a_command_is_its_own(tmp_path: Path) -> None:
    held = bytearray(400_000_000)
    held[::4096] = bytes(len(held[::4096]))
    peaks = [
        cycle_cost.run_measured([sys.executable, "-c", f"bytearray({n})[:] = bytes({n})"], tmp_path, os.environ)
        for n in (1, 60_000_000)
    ]
    assert peaks[0] < 50
    assert 120 < peaks[1] < 200


@pytest.mark.parametrize(
    ("marks", "kinds"),
    [
        ([1], ["first", "5pct", "idle"]),
        ([1, 3], ["first", "5pct", "idle", "5pct", "idle"]),
        ([1, 4], ["first", "5pct", "idle", "5pct", "5pct", "idle"]),
    ],
)
def test_two_cycles_after_each_mark_are_measured_and_prices_move_before_all_others(
    marks: list[int], kinds: list[str]
) -> None:
    assert cycle_cost.plan_kinds(marks) == kinds


@pytest.mark.browser
def test_the_coverage_page_is_measured_beside_the_same_file_without_its_script() -> None:
    ran = CliRunner().invoke(app, ["page", "--json", "--fixtures", "60", "--rounds", "1"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout.splitlines()[-1])
    figures = (
        "usable_ms",
        "floor_ms",
        "usable_ratio_to_floor",
        "choice_ms",
        "slowest_choice_ms",
        "key_ms",
        "slowest_key_ms",
    )
    assert all(found[name] > 0 for name in figures)
    assert found["page_mb"] > 0
