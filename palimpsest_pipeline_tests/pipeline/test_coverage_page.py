"""The coverage page from a real Postgres that real cycles have filled: what it says is what the marts say."""

import base64
import errno
import json
import os
import re
import statistics
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.operate.backfill.backfill import rebuild_dirty_dates
from palimpsest_pipeline.pipeline import coverage_page as report_page
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.coverage_page import write_page
from palimpsest_pipeline.report import trend_columns
from palimpsest_pipeline.report.fixture_columns import FIXTURE_CLASSES, UNKNOWN_COUNT
from palimpsest_pipeline.report.statements import list_offers
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.db.locks import AdvisoryLock
from palimpsest_pipeline.storage.ledger import cycle_reader
from palimpsest_pipeline.storage.marts import cycle_marts
from palimpsest_pipeline.storage.marts.page_coverage import NoCoverageError, read_coverage, read_trends
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA
from palimpsest_pipeline_tests.fixtures.truth import check_without


def data_of(page: str) -> dict[str, Any]:
    """What the page's scripts read."""
    (blob,) = re.findall(r'<script type="application/octet-stream"[^>]*>([^<]*)<', page)
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(blob)))
    return data


def derive_lives(pipeline: Pipeline) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert rebuild_dirty_dates(pipeline, instance, lambda _: None) == {}


@pytest.fixture(scope="module")
def world_and_truth(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, dict[str, Any]]]:
    """A full cycle in which a platform failed, and the lives of its fixtures; and the truth at its end."""
    with SimulatorProcess(12, 5) as simulator, pipelines(postgres, tmp_path_factory.mktemp("world")) as make:
        simulator.set_fault(BET9JA, "down")
        pipeline = make(simulator, bet9ja={"give_up_s": 0.1})
        outcome = run_here(pipeline, "full_cycle")
        assert outcome.success, outcome.error
        truth = simulator.fetch_truth()
        derive_lives(pipeline)
        yield pipeline, truth


@pytest.fixture(scope="module")
def world(world_and_truth: tuple[Pipeline, dict[str, Any]]) -> Pipeline:
    return world_and_truth[0]


@pytest.fixture(scope="module")
def shown(world: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("page") / "a folder that is not there" / "page.html"
    written = write_page(world, path)
    text = path.read_text()
    assert (written.path, written.bytes) == (path, len(text.encode()))
    return data_of(text)


def test_a_platform_that_is_down_leaves_the_others_whole_and_concludes_nothing(
    world_and_truth: tuple[Pipeline, dict[str, Any]],
):
    check_without(BET9JA, *world_and_truth)


def test_the_full_cycle_wrote_it_into_the_home_folder(world: Pipeline):
    data = data_of(world.settings.report_path.read_text())
    with world.connect() as conn:
        assert (
            len(data["fixtures"]["sr_id"])
            == cycle_marts.read_mart_rows(
                conn, "mart.coverage_fixture", cycle_marts.read_latest_cycle(conn) or 0
            ).height
        )
    assert world.settings.report_path == world.settings.home / "report" / "coverage.html"


def test_it_shows_the_marts_rows(world: Pipeline, shown: dict[str, Any]):
    data = shown
    with world.connect() as conn:
        cycle_id = cycle_marts.read_latest_cycle(conn) or 0
        fixtures = cycle_marts.read_mart_rows(conn, "mart.coverage_fixture", cycle_id)
        tournaments = cycle_marts.read_mart_rows(conn, "mart.coverage_tournament", cycle_id)
        spoken = dict(
            conn.execute(
                "select (fixture_sr_id, platform)::text, n_markets_priced from core.event_listings where is_primary"
            ).fetchall()
        )
    f, platforms = data["fixtures"], [platform["key"] for platform in data["platforms"]]
    classes = dict(fixtures.select("sr_id", "fixture_class").iter_rows())
    assert {sr_id: FIXTURE_CLASSES[c] for sr_id, c in zip(f["sr_id"], f["class"], strict=True)} == classes
    for n, sr_id in enumerate(f["sr_id"]):
        for k, platform in enumerate(platforms):
            assert f["markets"][k][n] == spoken.get(f"({sr_id},{platform})")
    upcoming = tournaments.filter(~pl.col("include_started"), platform="any")
    assert sum(n or 0 for n in data["tournaments"]["counts"][0]["n_matched"]) == upcoming["n_matched"].sum()
    assert sorted(data["tournaments"]["key"]) == sorted(tournaments["tournament_key"].unique())


def test_a_platform_that_failed_is_not_known_and_never_nought(world: Pipeline, shown: dict[str, Any]):
    text = world.settings.report_path.read_text()
    assert re.search(r"<strong>Bet9ja</strong>: could not be looked at .* its listings are not known", text)
    data = shown
    assert set(data["tournaments"]["counts"][0]["on"][2]) == {UNKNOWN_COUNT}
    assert set(data["fixtures"]["unknown"]) == {4}
    assert data["cycles"]["overall"] == [None]


@pytest.mark.slow
def test_trends_go_over_cycles_and_an_earlier_look_is_named(start_simulator, make_pipeline: MakePipeline):
    simulator = start_simulator(12, 5, clock_offset_s=-600)
    assert run_here(make_pipeline(simulator, clock_offset_s=-600), "full_cycle").success
    simulator.set_clock(0)
    simulator.set_fault(BET9JA, "down")
    pipeline = make_pipeline(simulator)
    assert run_here(pipeline, "full_cycle").success
    text = pipeline.settings.report_path.read_text()
    assert re.search(
        r"<strong>Bet9ja</strong>: not looked at completely .* its listings are those of \d\d \w{3}, \d\d:\d\d UTC",
        text,
    )
    data = data_of(text)
    assert len(data["cycles"]["at"]) == len(data["skews"]["at"]) == 2
    assert data["cycles"]["carried"] == [0, 1]
    f = data["fixtures"]
    apart = [n for n, on in enumerate(f["on"]) if on & 0b101 == 0b101 and not f["started"][n]]
    assert apart
    assert all(
        (f["not_compared"][1][n] or 0) > 0 and not f["home_lacks"][1][n] and not f["lacks"][1][n] for n in apart
    ), "no equal books"
    with pipeline.connect() as conn:
        cycles = [c for (c,) in conn.execute("select cycle_id from core.cycles order by 1")]
        medians = [round(statistics.median(cycle_reader.read_skews_ms(conn, [cycle])), 1) for cycle in cycles]
        query = "select overall_match_rate::float8 from mart.match_rate_platform where platform = 'all' and not include_started order by cycle_id"
        rates = [rate for (rate,) in conn.execute(query)]
    assert data["skews"]["p50_ms"] == pytest.approx(medians, abs=0.11)
    assert data["cycles"]["overall"] == pytest.approx(rates, abs=1e-6)


def test_margins_by_kickoff_date_are_those_of_the_mart(world: Pipeline, shown: dict[str, Any]):
    data = shown
    query = """
        select extract(epoch from kickoff_date)::bigint as at, sum(margin_tw_mean * n_observed_minutes) / sum(n_observed_minutes) as margin
        from mart.margin_ttk_bucket
        where bucket_scheme = 'reference4' and market_key = 'match_result' and platform = 'betpawa' and ttk_bucket = '<24h' and n_observed_minutes > 0
        group by 1 order by 1
    """
    with world.connect() as conn:
        margins = dict(read_frame(conn, query).iter_rows())
    assert margins
    told = zip(data["margins"]["date"], data["margins"]["of"]["match_result"]["<24h"][0], strict=True)
    assert {at: margin for at, margin in told if margin is not None} == pytest.approx(margins, abs=1e-6)


def test_gaps_by_kickoff_date_are_the_sums_of_the_mart(world: Pipeline):
    """A row a fixture and competitor: of two dates, two fixtures each, one competitor; and what was computed for
    another home.
    """
    day = datetime(2026, 11, 20, tzinfo=UTC)
    insert = """
        insert into mart.gap_count values (%s, %s, 1, %s, 'sr:1', %s, 50, %s, %s, 3, 4, 5, now(), '1', now())
    """
    rows = [
        (1, "sportybet", day, "betpawa", 7, 20),
        (2, "sportybet", day, "betpawa", 8, 21),
        (3, "sportybet", day + timedelta(days=1), "betpawa", 9, 22),
        (4, "bet9ja", day + timedelta(days=1), "sportybet", 100, 100),
    ]
    with world.connect() as conn:
        seen = list_offers(read_coverage(conn, cycle_marts.read_latest_cycle(conn)))
        conn.execute("delete from mart.gap_count")
        for row in rows:
            conn.execute(insert, row)
        told = trend_columns.build_gap_columns(read_trends(conn, "betpawa", day - timedelta(days=1), day), seen)
        conn.rollback()
    assert told["date"] == [int(day.timestamp()), int(day.timestamp()) + 86400]
    sportybet, bet9ja = told["of"][1]
    assert sportybet == {
        "n_fixtures": [2, 1],
        "n_home_missing": [15, 9],
        "n_platform_missing": [41, 22],
        "n_home_suspended": [6, 3],
        "n_platform_suspended": [8, 4],
        "n_unknown": [10, 5],
    }
    assert all(values == [None, None] for values in bet9ja.values())


def test_what_one_lacks_of_a_fixture_and_what_was_not_compared_is_counted_from_its_gaps(world: Pipeline):
    kinds = ("home_missing", "platform_missing", "unknown")
    apart = "update mart.availability_gap set gap_type = 'unknown' where sr_id = (select min(sr_id) from mart.availability_gap)"
    with world.connect() as conn:
        n_apart = conn.execute(apart).rowcount
        found = read_coverage(conn, cycle_marts.read_latest_cycle(conn)).gaps
        gaps = conn.execute("select sr_id, platform, gap_type from mart.availability_gap").fetchall()
        conn.rollback()
    counts = Counter((sr_id, platform, gap) for sr_id, platform, gap in gaps if gap in kinds)
    assert {gap for *_, gap in counts} == set(kinds)
    assert found.height == len({key[:2] for key in counts})
    assert found["n_unknown"].sum() == n_apart
    for row in found.iter_rows(named=True):
        assert [row[f"n_{kind}"] for kind in kinds] == [counts[row["sr_id"], row["platform"], kind] for kind in kinds]


def test_since_when_competitors_list_what_home_lacks_is_their_lead_time(world: Pipeline):
    with world.connect() as conn:
        found = read_coverage(conn, cycle_marts.read_latest_cycle(conn))
        query = "select sr_id, platform, first_listed_at, listed_censored, lead_days_listed::float8 from mart.listing_lead_time"
        lives = {(row[0], row[1]): row for row in conn.execute(query)}
    alone = set(found.fixtures.filter(fixture_class="competitor_only")["sr_id"])
    expected = sorted(row for (sr_id, _), row in lives.items() if sr_id in alone)
    assert expected
    assert sorted(found.leads.iter_rows()) == expected


def test_a_platform_that_dropped_a_fixture_says_no_more_when_it_begins(world: Pipeline):
    drop = "update mart.coverage_fixture set platforms = array_remove(platforms, 'sportybet') where sr_id = %s"
    with world.connect() as conn:
        cycle_id = cycle_marts.read_latest_cycle(conn)
        before = read_coverage(conn, cycle_id)
        sr_id = before.listings.filter(platform="sportybet")["sr_id"][0]
        conn.execute(drop, [sr_id])
        after = read_coverage(conn, cycle_id)
        conn.rollback()
    gone = before.listings.join(after.listings, on=["sr_id", "platform"], how="anti").select("sr_id", "platform")
    assert gone.rows() == [(sr_id, "sportybet")]


def test_a_page_is_read_and_written_while_nobody_else_writes_one(
    world: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else one that was read earlier might be written later."""
    mine: list[bool] = []

    def try_lock() -> None:
        with world.connect() as conn:
            mine.append(
                conn.execute("select pg_try_advisory_lock(%s)", [AdvisoryLock.COVERAGE_PAGE]).fetchone() == (True,)
            )

    def asked(step: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: (try_lock(), step(*args, **kwargs))[1]

    for name in ("read_coverage", "replace_text"):
        monkeypatch.setattr(report_page, name, asked(getattr(report_page, name)))
    write_page(world, tmp_path / "page.html")
    assert mine == [False, False]
    try_lock()
    assert mine[-1], "and is let go"


def test_a_page_that_could_not_be_written_leaves_the_one_that_was_there(
    world: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "page.html"
    path.write_text("yesterday")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(report_page.PageNotWrittenError, match="No space left"):
            write_page(world, path)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "yesterday"


def test_before_the_first_coverage_it_says_what_to_do(make_pipeline: MakePipeline):
    with pytest.raises(NoCoverageError, match="run `palimpsest scrape`"):
        write_page(make_pipeline())


def test_the_command_writes_it_where_it_is_told_to(world: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in world.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "here.html"), "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"] == str(tmp_path / "here.html")
    assert told["bytes"] == (tmp_path / "here.html").stat().st_size
    refused = CliRunner().invoke(app, ["report", "--out", "/proc/none/page.html"])
    assert refused.exit_code == 1
    assert "cannot write the page to /proc/none" in refused.stderr
    assert "choose another place with --out" in refused.stderr


def test_what_cannot_be_read_is_not_said_to_be_unwritable(
    world: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    unreachable = "postgresql://nobody@127.0.0.1:9/none"
    monkeypatch.setattr("palimpsest_pipeline.operate.databases.require_schema", lambda _: None)
    for name, value in {**world.settings.to_environment(), "PALIMPSEST_DATABASE_URL": unreachable}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "here.html")])
    assert isinstance(done.exception, DatabaseUnreachable)
    assert "--out" not in done.output
