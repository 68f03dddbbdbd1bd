"""The metrics of a real derived world are what its ledger and its tables say, and a failure costs one metric."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import psycopg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from palimpsest_pipeline.board.metrics_route import METRICS_FILE
from palimpsest_pipeline.domain.instants import make_cycle_id
from palimpsest_pipeline.operate.serve import metrics
from palimpsest_pipeline.operate.serve.metrics import METRIC_ERRORS, METRICS, Metric, MetricReader, MetricsWriter
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_products
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.ledger import cycle_reader
from palimpsest_pipeline_tests.fixtures.deployed import until
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, copy_pipeline, pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, PLATFORMS
from palimpsest_pipeline_tests.storage.table_rows import insert

from .test_metrics_page import Page, parse

NAMES = {metric.name for metric in METRICS}

NEED_A_CYCLE = {
    "palimpsest_last_cycle_timestamp_seconds",
    "palimpsest_last_cycle_age_seconds",
    "palimpsest_last_cycle_capture_seconds",
    "palimpsest_last_cycle_floor_ratio",
    "palimpsest_last_cycle_skew_seconds",
    "palimpsest_last_cycle_prices",
    "palimpsest_last_cycle_listings",
    "palimpsest_mapped_ratio",
}
SOMETIMES_ABSENT = {
    "palimpsest_oldest_due_product_age_seconds",
    "palimpsest_kickoff_slots",
    "palimpsest_oldest_waiting_message_age_seconds",
}
NEED_NO_DATABASE = {
    "palimpsest_build_info",
    "palimpsest_platform_active",
    "palimpsest_dagster_runs",
    "palimpsest_home_free_bytes",
    "palimpsest_home_size_bytes",
    "palimpsest_metrics_read_seconds",
}


ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("a location"), "a repository"), "some_job")


@dg.job
def some_job() -> None:
    pass


@pytest.fixture(scope="module")
def original(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Two full cycles, in the second of which a platform gave no answer."""
    with SimulatorProcess(24, 5) as simulator, pipelines(postgres, tmp_path_factory.mktemp("metrics")) as make:
        pipeline = make(simulator, bet9ja={"give_up_s": 0.1})
        for fault in ("none", "down"):
            simulator.set_fault(BET9JA, fault)
            outcome = run_here(pipeline, "full_cycle")
            assert outcome.success, outcome.error
        yield pipeline


@pytest.fixture
def world(postgres: EmbeddedPostgres, original: Pipeline, tmp_path: Path) -> Iterator[Pipeline]:
    """A copy of the world, for a test that changes it."""
    with copy_pipeline(postgres, original, tmp_path / "copy") as pipeline:
        yield pipeline


def read_page(pipeline: Pipeline) -> Page:
    with dg.DagsterInstance.ephemeral() as instance:
        return parse(MetricReader(pipeline, instance).read_page())


def list_failed(page: Page) -> set[str]:
    return {name for (name,), value in page[METRIC_ERRORS].items() if value}


def execute(pipeline: Pipeline, statement: str, *params: object) -> None:
    with pipeline.connect() as conn:
        assert conn.execute(statement.encode(), params or None).rowcount != 0


def fetch(pipeline: Pipeline, query: str) -> list[tuple]:
    with pipeline.connect() as conn:
        return conn.execute(query.encode()).fetchall()


def test_every_metric_of_a_derived_world_is_there(original: Pipeline):
    page = read_page(original)
    assert list_failed(page) == set()
    assert page.keys() == {*NAMES, METRIC_ERRORS} - SOMETIMES_ABSENT
    assert page["palimpsest_platform_active"] == {(platform,): 1 for platform in PLATFORMS}
    assert page["palimpsest_dagster_runs"] == {("queued",): 0, ("under_way",): 0}


def test_queued_runs_and_runs_under_way_are_counted(original: Pipeline):
    statuses = dg.DagsterRunStatus
    with dg.DagsterInstance.ephemeral() as instance:
        for status in (statuses.QUEUED, statuses.QUEUED, statuses.STARTING, statuses.STARTED, statuses.CANCELING):
            instance.create_run_for_job(some_job, status=status, remote_job_origin=ORIGIN)
        instance.create_run_for_job(some_job, status=statuses.SUCCESS, remote_job_origin=ORIGIN)
        page = parse(MetricReader(original, instance).read_page())
    assert page["palimpsest_dagster_runs"] == {("queued",): 2, ("under_way",): 3}


def test_the_last_cycle_of_a_platform_is_the_last_one_with_an_answer_of_it(original: Pipeline):
    page = read_page(original)
    rows = fetch(
        original,
        "select platform, max(finished_at) filter (where fetched > 0), count(*) from ops.scrape_runs group by platform",
    )
    assert {n for *_, n in rows} == {2}
    stamps = page["palimpsest_last_cycle_timestamp_seconds"]
    assert stamps == {("full", platform): pytest.approx(at.timestamp()) for platform, at, _ in rows}
    assert stamps["full", BET9JA] < min(stamps["full", platform] for platform in PLATFORMS if platform != BET9JA)
    ages = page["palimpsest_last_cycle_age_seconds"]
    assert ages.keys() == stamps.keys()
    assert {round(stamps[key] + age) for key, age in ages.items()} == {
        round(stamps["full", BET9JA] + ages["full", BET9JA])
    }
    assert 0 < min(ages.values()) <= max(ages.values()) < 3600


def test_the_floor_ratio_is_the_duration_over_the_shortest_possible_one(original: Pipeline):
    page = read_page(original)
    rows = fetch(
        original,
        "select distinct on (platform) platform, capture_s, floor_s from ops.scrape_runs where capture_s is not null "
        "order by platform, cycle_id desc",
    )
    assert page["palimpsest_last_cycle_capture_seconds"] == {("full", p): pytest.approx(s) for p, s, _ in rows}
    ratios = page["palimpsest_last_cycle_floor_ratio"]
    assert ratios == {("full", p): pytest.approx(s / floor) for p, s, floor in rows if floor}
    assert ratios


def test_the_skew_is_that_of_the_newest_cycle(original: Pipeline):
    ((cycle_id,),) = fetch(original, "select max(cycle_id) from ops.scrape_batches")
    with original.connect() as conn:
        skews = pl.Series(cycle_reader.read_skews_ms(conn, [cycle_id]))
    assert read_page(original)["palimpsest_last_cycle_skew_seconds"] == {
        ("full", "median"): pytest.approx(skews.median() / 1000),
        ("full", "p95"): pytest.approx(skews.quantile(0.95, "linear") / 1000),
    }


def test_prices_are_those_of_the_last_derived_full_cycle(original: Pipeline):
    """A platform without an answer in that cycle has 0 prices there: the pipeline looked and stored none."""
    page = read_page(original)
    rows = fetch(
        original,
        "select platform, sum(n_prices), count(*) from core.captures join ops.listing_ids using (listing_id) "
        "where cycle_id = (select max(cycle_id) from core.cycles) group by platform",
    )
    assert {platform for platform, *_ in rows} == set(PLATFORMS) - {BET9JA}
    assert page["palimpsest_last_cycle_prices"] == {(p,): n for p, n, _ in rows} | {(BET9JA,): 0}
    assert page["palimpsest_last_cycle_listings"] == {(p,): n for p, _, n in rows} | {(BET9JA,): 0}


def test_mapped_ratios_are_those_of_the_mart(original: Pipeline):
    rows = fetch(
        original,
        "select platform, sport, sum(n_mapped)::float8 / sum(n_markets_seen) from mart.mapping_coverage "
        "where cycle_id = (select max(cycle_id) from mart.mapping_coverage) group by platform, sport",
    )
    ratios = read_page(original)["palimpsest_mapped_ratio"]
    assert ratios == {(p, sport): pytest.approx(rate) for p, sport, rate in rows}
    assert all(0.5 < ratio <= 1 for ratio in ratios.values())


def test_due_and_failed_products_are_counted(world: Pipeline):
    page = read_page(world)
    assert set(page["palimpsest_due_products"].values()) == {0}
    assert len(page["palimpsest_due_products"]) == 2 * len(list_products())
    assert "palimpsest_oldest_due_product_age_seconds" not in page

    execute(world, "delete from mart.cycle_products where product = 'coverage'")
    execute(world, "update core.cycle_products set parser_version = 'older' where product like 'odds_snapshots/%'")
    execute(
        world,
        "insert into ops.cycle_failures (cycle_id, product, landing_digest, parser_version, mapping_version, error, "
        "failed_at) select c.cycle_id, 'coverage', c.digest, p.parser_version, p.mapping_version, 'an error', now() "
        "from ops.landed_cycles c join mart.cycle_products p using (cycle_id) where p.product = 'run_quality' "
        "order by c.cycle_id limit 1",
    )
    page = read_page(world)
    due = {key: n for key, n in page["palimpsest_due_products"].items() if n}
    assert due == {
        ("mart", "coverage", "new_answers"): 2,
        ("core", "odds_snapshots", "new_version"): 2 * len(PLATFORMS),
    }
    assert {key: n for key, n in page["palimpsest_failed_products"].items() if n} == {("mart", "coverage"): 1}
    ((ended_at,),) = fetch(world, "select min(finished_at) from ops.scrape_batches")
    age_s = (world.clock.now() - ended_at).total_seconds()
    assert page["palimpsest_oldest_due_product_age_seconds"][()] == pytest.approx(age_s, abs=60)


def test_answers_that_are_gone_are_not_due(world: Pipeline):
    execute(world, "delete from mart.cycle_products where product = 'coverage'")
    execute(world, "update ops.landed_cycles set is_gone = true, is_whole = false, digest = null")
    page = read_page(world)
    assert set(page["palimpsest_due_products"].values()) == {0}
    assert "palimpsest_oldest_due_product_age_seconds" not in page


def test_open_alerts_are_counted_by_severity_and_kind(world: Pipeline):
    for key, closed in (("run/full_cycle/A", "null"), ("run/full_cycle/B", "null"), ("check/x/C", "now()")):
        execute(
            world,
            "insert into ops.alerts (alert_key, opened_at, severity, subject, error_class, message, n_seen, "
            f"last_seen_at, told_by, closing_told_by, closed_at) values (%s, now(), 'error', 's', 'e', 'm', 1, now(), "
            f"'{{}}', '{{}}', {closed})",
            key,
        )
    alerts = read_page(world)["palimpsest_open_alerts"]
    assert {key: n for key, n in alerts.items() if n} == {("error", "run"): 2}
    assert len(alerts) == 8


def test_alerts_to_traders_are_those_of_the_view(world: Pipeline):
    ids = [sr_id for (sr_id,) in fetch(world, "select sr_id from core.fixtures order by sr_id limit 3")]
    high, low = {"severity": "high", "alert_type": "price_move"}, {"severity": "low", "alert_type": "market_returned"}
    with world.connect() as conn:
        rows = [
            {"sr_id": ids[n % 3], "alert_id": n + 1, "status": "open", **(high if n < 3 else low)} for n in range(5)
        ]
        closed = {"sr_id": ids[0], "alert_id": 9, "status": "closed", "closed_at": world.clock.now(), **low}
        insert(conn, "mart.odds_alert", *rows, closed)
    count = "select severity, alert_type, count(*) from palimpsest.odds_alerts where status <> 'closed' group by 1, 2"
    expected = {(severity, alert_type): n for severity, alert_type, n in fetch(world, count)}
    assert {("high", "price_move"), ("low", "market_returned")} <= expected.keys()
    counted = read_page(world)["palimpsest_open_odds_alerts"]
    assert {key: n for key, n in counted.items() if n} == expected
    execute(world, "update core.fixtures set effective_kickoff = now() - interval '1 minute'")
    assert set(read_page(world)["palimpsest_open_odds_alerts"].values()) == {0}


def test_waiting_messages_are_counted_with_the_age_of_the_oldest(world: Pipeline):
    assert read_page(world)["palimpsest_waiting_messages"] == {(): 0}
    states = (("pending", 10), ("pending", 5), ("delivered", 1440), ("failed", 1440))
    with world.connect() as conn:
        for n, (state, minutes) in enumerate(states, start=1):
            message = {"message_seq": n, "message_id": str(n), "rule": "moves", "state": state}
            insert(conn, "ops.push_outbox", {**message, "created_at": datetime.now(UTC) - timedelta(minutes=minutes)})
    page = read_page(world)
    assert page["palimpsest_waiting_messages"] == {(): 2}
    assert page["palimpsest_oldest_waiting_message_age_seconds"][()] == pytest.approx(600, abs=60)


def test_lost_minutes_before_a_kickoff_are_counted(world: Pipeline):
    now = world.clock.now()
    execute(world, "delete from ops.known_kickoffs")
    kickoff = "insert into ops.known_kickoffs (sr_id, known_from, kickoff_at) values (7, %s, %s)"
    execute(world, kickoff, now - timedelta(hours=3), now + timedelta(minutes=1))
    assert "palimpsest_kickoff_slots" not in read_page(world)

    slot_at = (now - timedelta(minutes=90)).replace(second=0, microsecond=0)
    execute(
        world,
        "insert into ops.scrape_batches (cycle_id, trigger, scope, sr_ids, slot_at, home_platform, partition_hour, "
        "status, started_at, heartbeat_at, finished_at) values (%s, 'sensor', 'kickoff', '{7}', %s, 'betpawa', "
        "date_trunc('hour', %s::timestamptz), 'completed', now(), now(), now())",
        make_cycle_id(slot_at),
        slot_at,
        slot_at,
    )
    slots = read_page(world)["palimpsest_kickoff_slots"]
    assert slots["answered",] == 0
    assert 30 <= slots["lost",] <= 42  # one each 5 minutes, and one each minute in the last 30 minutes


def test_before_the_first_cycle_nothing_is_known_and_nothing_is_wrong(make_pipeline: MakePipeline):
    pipeline = make_pipeline()
    page = read_page(pipeline)
    assert list_failed(page) == set()
    assert page.keys() == {*NAMES, METRIC_ERRORS} - NEED_A_CYCLE - SOMETIMES_ABSENT


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("alter view palimpsest.mapping_coverage rename to away", {"palimpsest_mapped_ratio"}),
        (
            "alter table core.captures rename to away",
            {"palimpsest_last_cycle_prices", "palimpsest_last_cycle_listings"},
        ),
        ("alter table mart.odds_alert rename to away", {"palimpsest_open_odds_alerts"}),
        ("alter table ops.known_kickoffs rename to away", set()),  # not read while the cadence is not used
        (
            "drop function ops.due_products",
            {"palimpsest_due_products", "palimpsest_failed_products", "palimpsest_oldest_due_product_age_seconds"},
        ),
    ],
)
def test_a_query_that_fails_costs_its_metrics_only(world: Pipeline, statement: str, lost: set[str]):
    expected = read_page(world).keys() - lost
    execute(world, statement)
    page = read_page(world)
    assert list_failed(page) == lost
    assert page.keys() == expected


def test_without_the_database_the_disk_is_still_known(original: Pipeline, caplog: pytest.LogCaptureFixture):
    database = Database("postgresql://palimpsest:secret@127.0.0.1:1/nothing")
    with dg.DagsterInstance.ephemeral() as instance:
        reader = MetricReader(original, instance, database.connect)
        for _ in range(3):
            page = parse(reader.read_page())
    assert page.keys() == {*NEED_NO_DATABASE, METRIC_ERRORS}
    assert list_failed(page) == NAMES - NEED_NO_DATABASE
    assert "secret" not in caplog.text
    assert caplog.text.count("the database cannot be read") == 1


def test_each_outage_is_logged_once_and_its_connection_is_closed(original: Pipeline, caplog: pytest.LogCaptureFixture):
    opened: list[psycopg.Connection] = []
    is_in_transaction = [False]

    def connect() -> psycopg.Connection:
        conn = original.connect()
        opened.append(conn)
        if is_in_transaction[0]:
            conn.execute("select 1")  # in a transaction, autocommit cannot be set
        return conn

    with dg.DagsterInstance.ephemeral() as instance:
        reader = MetricReader(original, instance, connect)
        for is_broken in (True, True, False, True, False):
            is_in_transaction[0] = is_broken
            page = parse(reader.read_page())
            assert ("palimpsest_open_alerts" in list_failed(page)) is is_broken
    assert caplog.text.count("the database cannot be read") == 2
    assert caplog.text.count(f"{'palimpsest_open_alerts'} cannot be read") == 2
    assert all(conn.closed for conn in opened)


def test_a_storage_of_dagster_that_cannot_be_read_costs_the_queue_only(
    original: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(_: object) -> int:
        raise OSError("no route")

    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(instance, "get_runs_count", fail)
        reader = MetricReader(original, instance)
        for _ in range(3):
            page = parse(reader.read_page())
    assert list_failed(page) == {"palimpsest_dagster_runs"}
    assert caplog.text.count("palimpsest_dagster_runs cannot be read: OSError: no route") == 1


def test_a_reading_cannot_write(original: Pipeline, monkeypatch: pytest.MonkeyPatch):
    deletes = Metric("palimpsest_deleted_alerts", "Deleted alerts.", (), "delete from ops.alerts returning 1")
    monkeypatch.setattr(metrics, "METRICS", (deletes,))
    page = read_page(original)
    assert list_failed(page) == {deletes.name}


def test_pages_are_written_again_and_again_until_the_end(original: Pipeline):
    """The page of a reader is complete at each instant, because it replaces the earlier one."""
    path = original.settings.home / METRICS_FILE
    with dg.DagsterInstance.ephemeral() as instance, MetricsWriter(original, instance, interval_s=0.01):
        first = until(lambda: path.exists() and path.read_bytes(), "the first page")
        assert list_failed(parse(first)) == set()
        second = until(lambda: (page := path.read_bytes()) != first and page, "another page")
        assert parse(second).keys() == parse(first).keys()
    assert not path.exists()
    assert [file for file in original.settings.home.iterdir() if METRICS_FILE in file.name] == []


def test_a_page_that_cannot_be_written_is_tried_again(
    original: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    failures = [OSError("no space"), ValueError("strange")]
    write = metrics.replace_text

    def replace_text(path: Path, text: str) -> None:
        if failures:
            raise failures.pop()
        write(path, text)

    monkeypatch.setattr(metrics, "replace_text", replace_text)
    path = original.settings.home / METRICS_FILE
    with dg.DagsterInstance.ephemeral() as instance, MetricsWriter(original, instance, interval_s=0.01):
        until(path.exists, "a page")
    assert caplog.text.count("cannot be written") == 2
