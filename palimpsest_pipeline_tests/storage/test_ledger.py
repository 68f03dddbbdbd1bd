"""The ledger says which cycles ran and how each platform and listing fared."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.words import FailureClass, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.storage import ledger, migrate, products
from palimpsest_pipeline.storage.database import Database

AT = datetime(2026, 5, 1, 12, 10, tzinfo=UTC)
CYCLE = Cycle(20260501121000000, Trigger.SENSOR, Scope.EVENTS, Platform.BETPAWA, AT.replace(minute=0), AT, "run-1", (7, 8))


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    migrate.upgrade(database_url)
    with Database(database_url).connect() as connection:
        yield connection
        connection.rollback()


def run(platform: Platform, status: RunStatus, message: str = "") -> PlatformRun:
    return PlatformRun(platform, status, AT, AT + timedelta(seconds=9), 3, 2, 2, 4, 1234, {"transient": 1}, 10.5, None, message)


def result(**changes: object) -> CycleResult:
    whole = CycleResult(
        CYCLE,
        RunStatus.PARTIAL,
        AT + timedelta(seconds=10),
        [
            run(Platform.BET9JA, RunStatus.FAILED, "403"),
            run(Platform.BETPAWA, RunStatus.COMPLETED),
            run(Platform.SPORTYBET, RunStatus.COMPLETED),
        ],
        [
            EventOutcome(Platform.BETPAWA, "1", 7, RunStatus.COMPLETED, 1, None, "", 200, AT, AT, 600, 12.0),
            EventOutcome(Platform.BET9JA, "9", None, RunStatus.FAILED, 3, FailureClass.BLOCKED, "HTML, not JSON", None, AT, AT, 0, 8.0),
        ],
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_a_batch_is_found_by_its_run_and_reads_as_it_was_opened(conn: psycopg.Connection) -> None:
    ledger.open_batch(conn, CYCLE)
    found = ledger.batch_of_run(conn, "run-1")
    assert found is not None
    assert (found.cycle, found.status, found.finished_at) == (CYCLE, RunStatus.RUNNING, None)
    assert ledger.batch_of_run(conn, "run-2") is None
    assert ledger.batch(conn, 1) is None


def test_closing_twice_leaves_what_closing_once_left(conn: psycopg.Connection) -> None:
    ledger.open_batch(conn, CYCLE)
    for _ in range(2):
        ledger.close_batch(conn, result())
    assert conn.execute("select count(*) from ops.scrape_runs").fetchone() == (3,)
    assert conn.execute("select platform, error_class, sr_id, http_status from ops.event_scrape_status order by 1").fetchall() == [
        ("bet9ja", "blocked", None, None),
        ("betpawa", None, 7, 200),
    ]
    batch = ledger.last_batches(conn)[0]
    assert (batch.status, batch.finished_at) == (RunStatus.PARTIAL, AT + timedelta(seconds=10))


def test_a_batch_that_was_never_opened_cannot_be_closed(conn: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="never opened"):
        ledger.close_batch(conn, result())


def test_every_column_of_the_ledger_is_filled_by_a_cycle(conn: psycopg.Connection) -> None:
    ledger.open_batch(conn, CYCLE)
    ledger.close_batch(conn, result(runs=[replace(run(Platform.BETPAWA, RunStatus.PARTIAL, "a page failed"), p95_ms=20.0)]))
    outcome = conn.execute(
        "select 1 from ops.scrape_batches b join ops.scrape_runs r using (cycle_id) where not (b is null) and b is not null and r is not null"
    ).fetchall()
    assert outcome == [(1,)]


def test_the_summary_names_home_first_and_what_failed(conn: psycopg.Connection) -> None:
    ledger.open_batch(conn, CYCLE)
    conn.execute("insert into core.bookmakers values ('betpawa', 'BetPawa', 1), ('sportybet', 'SportyBet', 2), ('bet9ja', 'Bet9ja', 3)")
    query = "select summary, trigger from palimpsest.scrape_batches where id = %s"
    assert conn.execute(query, [CYCLE.cycle_id]).fetchone() == ("running", "sensor")
    ledger.close_batch(conn, result())
    assert conn.execute(query, [CYCLE.cycle_id]).fetchone() == ("betpawa ok, sportybet ok, bet9ja failed", "sensor")


def test_silence_is_judged_by_the_last_sign_of_life_and_not_by_the_start(conn: psycopg.Connection) -> None:
    ledger.open_batch(conn, CYCLE)
    assert [b.cycle.cycle_id for b in ledger.running_batches(conn, 60)] == [CYCLE.cycle_id]
    assert ledger.silent_batches(conn, 60) == []
    conn.execute("update ops.scrape_batches set heartbeat_at = clock_timestamp() - interval '2 minutes'")
    assert ledger.running_batches(conn, 60) == []
    assert len(ledger.silent_batches(conn, 60)) == 1
    ledger.heartbeat(conn, CYCLE.cycle_id)
    assert ledger.silent_batches(conn, 60) == []
    ledger.abandon(conn, CYCLE.cycle_id)
    assert ledger.last_batches(conn)[0].status is RunStatus.FAILED
    assert ledger.running_batches(conn, 60) == []


def test_a_product_is_due_until_it_is_marked_and_again_when_anything_behind_it_changes(conn: psycopg.Connection) -> None:
    digests = {2: "b", 1: "a"}
    versions = {"parser_version": "p1", "mapping_version": "m1"}
    assert products.pending(conn, "core", "home_events", digests, **versions) == [1, 2]
    products.mark(conn, "core", "home_events", 1, landing_digest="a", n_rows=5, **versions)
    assert products.pending(conn, "core", "home_events", digests, **versions) == [2]
    assert products.pending(conn, "mart", "home_events", digests, **versions) == [1, 2]
    assert products.pending(conn, "core", "home_events", {1: "changed"}, **versions) == [1]
    assert products.pending(conn, "core", "home_events", {1: "a"}, parser_version="p2", mapping_version="m1") == [1]
    assert products.pending(conn, "core", "home_events", {1: "a"}, parser_version="p1", mapping_version="m2") == [1]
    products.mark(conn, "core", "home_events", 1, landing_digest="changed", n_rows=6, **versions)
    assert products.marks(conn, "core", 1) == {"home_events": 6}
    products.unmark(conn, "core", "home_events", [1])
    assert products.pending(conn, "core", "home_events", {}, **versions) == []
    assert products.pending(conn, "core", "home_events", {1: "changed"}, **versions) == [1]
