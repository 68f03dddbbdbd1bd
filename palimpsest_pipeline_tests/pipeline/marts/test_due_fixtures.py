"""What is derived fixture by fixture while others mark, postpone, acknowledge or fail: prices as they stand, and alerts
to traders.

Others have connections of their own. They come at the worst moment: when all is decided and the lock is not had yet, or
within a batch.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any, Final

import psycopg
import pytest

from palimpsest_pipeline.defs.mart.checks import begun_fixtures_have_no_open_alert
from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_odds_alerts, derive_prices, fixture_batches
from palimpsest_pipeline.pipeline.marts.fixture_batches import NotDerived
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.locks import hold_lock
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_rows, odds_alert_rows
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.storage.table_rows import insert, read_table

PRICES, ALERTS = FixtureProduct.PRICES, FixtureProduct.ODDS_ALERTS
HOUR: Final = timedelta(hours=1)
SOON, GONE, LATER = 1, 2, 3
"""SportRadar ids. Odd ones but for GONE, which no fixture has: they are under one lock."""
DERIVE: Final[dict[FixtureProduct, Callable[[Pipeline], Any]]] = {
    PRICES: derive_prices.derive_prices,
    ALERTS: derive_odds_alerts.derive_alerts,
}
PATIENCE_S: Final = 60
"""For what comes in milliseconds: past it something hangs."""
MODULE: Final[dict[FixtureProduct, ModuleType]] = {PRICES: derive_prices, ALERTS: derive_odds_alerts}
BATCH_SETTING: Final = {PRICES: "COMPARED_FIXTURES_PER_BATCH", ALERTS: "ALERT_FIXTURES_PER_BATCH"}


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pipelines(postgres, tmp_path_factory.mktemp("due")) as make:
        yield make()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def pipeline(database: Pipeline, now: datetime) -> Pipeline:
    """Two fixtures that kick off soon, nothing due, and a full cycle that has just been."""
    with database.connect() as conn:
        conn.execute(
            "truncate core.fixtures, core.event_listings, core.kickoff_versions, core.cycles, core.cycle_products cascade"
        )
        conn.execute(
            "truncate mart.dirty_fixtures, mart.compared_listing, mart.odds_alert, ops.acknowledged_odds_alerts, ops.known_kickoffs"
        )
        list_fixtures(conn, now, {SOON: now + HOUR, LATER: now + 2 * HOUR})
        been(conn, now, "full")
    return database


def list_fixtures(conn: psycopg.Connection, now: datetime, kickoffs: dict[int, datetime]) -> None:
    """Fixtures with a listing each, whose kickoff has not changed."""
    put_kickoffs(conn, now, kickoffs)
    conn.execute(
        "insert into core.kickoff_versions (listing_id, version, observed_from, kickoff_at) select listing_id, 1, %s, kickoff_at"
        " from core.event_listings on conflict do nothing",
        [now],
    )


def been(conn: psycopg.Connection, at: datetime, scope: str) -> None:
    """A cycle that is in core."""
    cycle_id = int(at.strftime("%Y%m%d%H%M%S")) * 1000
    insert(conn, "core.cycles", {"cycle_id": cycle_id, "scope": scope, "as_of": at})
    insert(conn, "core.cycle_products", {"cycle_id": cycle_id, "product": "matched_events"})


def mark(pipeline: Pipeline, *sr_ids: int) -> None:
    """As a cycle does that bears on them, at once."""
    with pipeline.connect() as conn:
        set_marks(conn, *sr_ids)


def set_marks(conn: psycopg.Connection, *sr_ids: int) -> None:
    conn.execute(
        "insert into mart.dirty_fixtures select product, sr_id, clock_timestamp() from unnest(%s::bigint[]) sr_id, unnest(%s::text[]) product"
        " on conflict (product, sr_id) do update set marked_at = excluded.marked_at",
        [list(sr_ids), [product.value for product in FixtureProduct]],
    )


def postpone(pipeline: Pipeline, sr_id: int, kickoff_at: datetime) -> None:
    with pipeline.connect() as conn:
        conn.execute("update core.fixtures set effective_kickoff = %s where sr_id = %s", [kickoff_at, sr_id])
        set_marks(conn, sr_id)


def marked(pipeline: Pipeline, product: FixtureProduct) -> list[int]:
    with pipeline.connect() as conn:
        return dirty_fixtures.read_fixture_marks(conn, product)["sr_id"].to_list()


def hold(pipeline: Pipeline, sr_id: int, day: date | None = None, **alert: Any) -> None:
    """A row of the fixture in each table."""
    with pipeline.connect() as conn:
        insert(conn, "mart.compared_listing", {"sr_id": sr_id})
        insert(
            conn,
            "mart.odds_alert",
            {"alert_id": sr_id, "sr_id": sr_id, "status": "open", "kickoff_date": day or date(2026, 5, 1), **alert},
        )


def held(pipeline: Pipeline, product: FixtureProduct) -> set[int]:
    with pipeline.connect() as conn:
        return (
            current_price_rows.read_fixture_ids(conn)
            if product is PRICES
            else set(read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE)["sr_id"])
        )


def before_the_lock(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """`act` happens once, when what is to be done has been decided."""
    acts = [act]

    @contextmanager
    def late(conn: psycopg.Connection, lock: int, *, wait: bool = True) -> Iterator[None]:
        if acts:
            acts.pop()()
        with hold_lock(conn, lock, wait=wait):
            yield

    monkeypatch.setattr(fixture_batches, "hold_lock", late)


def within_a_batch(monkeypatch: pytest.MonkeyPatch, product: FixtureProduct, act: Callable[[list[int]], None]) -> None:
    """`act` is told the fixtures of each batch, when it has read what is due."""
    module, name, place = (
        (current_price_rows, "read_current_state", 1) if product is PRICES else (derive_odds_alerts, "_compute_rows", 3)
    )
    real = getattr(module, name)

    def told(*args: Any) -> Any:
        act(list(args[place]))
        return real(*args)

    monkeypatch.setattr(module, name, told)


@pytest.mark.parametrize("product", FixtureProduct)
def test_a_mark_that_is_set_while_its_fixture_is_derived_fails_nothing_and_stays(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, product: FixtureProduct
):
    mark(pipeline, SOON, LATER)
    within_a_batch(monkeypatch, product, lambda _: mark(pipeline, SOON))
    assert DERIVE[product](pipeline).n_fixtures == 2
    assert marked(pipeline, product) == [SOON]
    monkeypatch.undo()
    assert DERIVE[product](pipeline).n_fixtures == 1
    assert marked(pipeline, product) == []


def test_a_mark_that_somebody_is_just_setting_is_not_waited_for(pipeline: Pipeline):
    mark(pipeline, SOON, LATER)
    with pipeline.connect() as conn, pipeline.connect() as cycle:
        seen = dirty_fixtures.read_fixture_marks(conn, PRICES)
        set_marks(cycle, SOON)
        conn.execute("set lock_timeout = '5s'")
        dirty_fixtures.unmark_fixtures(conn, PRICES, seen)
    assert marked(pipeline, PRICES) == [SOON]


def test_a_fixture_that_is_postponed_before_its_rows_are_removed_is_derived(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, now: datetime
):
    postpone(pipeline, SOON, now - HOUR)
    hold(pipeline, SOON)
    before_the_lock(monkeypatch, lambda: postpone(pipeline, SOON, now + HOUR))
    done = derive_prices.derive_prices(pipeline)
    assert (done.n_fixtures, done.n_removed, marked(pipeline, PRICES)) == (1, 0, [])


def test_a_fixture_that_begins_before_it_is_derived_is_removed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, now: datetime
):
    mark(pipeline, SOON)
    hold(pipeline, SOON)
    before_the_lock(monkeypatch, lambda: postpone(pipeline, SOON, now - HOUR))
    done = derive_prices.derive_prices(pipeline)
    assert (done.n_fixtures, done.n_removed, marked(pipeline, PRICES)) == (0, 1, [])


def test_alerts_are_told_of_the_date_to_which_a_fixture_has_moved_meanwhile(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, now: datetime
):
    told: list[tuple[date, list[int]]] = []
    real = derive_odds_alerts._compute_rows
    monkeypatch.setattr(
        derive_odds_alerts, "_compute_rows", lambda *args: (told.append((args[2], list(args[3]))), real(*args))[1]
    )
    mark(pipeline, SOON)
    moved = now + timedelta(days=2)
    before_the_lock(monkeypatch, lambda: postpone(pipeline, SOON, moved))
    assert derive_odds_alerts.derive_alerts(pipeline).n_watched == 1
    assert told == [(moved.date(), [SOON])]
    assert marked(pipeline, ALERTS) == []


@pytest.mark.parametrize("product", FixtureProduct)
def test_what_somebody_else_has_derived_meanwhile_is_left_as_it_is(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, product: FixtureProduct
):
    mark(pipeline, SOON, LATER)
    hold(pipeline, SOON)

    def done_by_another() -> None:
        with pipeline.connect() as conn:
            conn.execute("delete from mart.dirty_fixtures where sr_id = %s", [SOON])

    before_the_lock(monkeypatch, done_by_another)
    assert DERIVE[product](pipeline).n_fixtures == 1
    assert held(pipeline, product) == {SOON}
    assert marked(pipeline, product) == []


@pytest.mark.parametrize("product", FixtureProduct)
def test_a_batch_that_fails_stays_due_is_named_and_stops_no_other(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, product: FixtureProduct
):
    def fail(sr_ids: list[int]) -> None:
        if SOON in sr_ids:
            raise LookupError("no such day")

    monkeypatch.setattr(MODULE[product], BATCH_SETTING[product], 1)
    within_a_batch(monkeypatch, product, fail)
    hold(pipeline, SOON)
    mark(pipeline, SOON, LATER)
    with pytest.raises(
        NotDerived, match=rf"{product} of 1 fixtures .* stay due \(SportRadar ids {SOON}\): LookupError: no such day"
    ):
        DERIVE[product](pipeline)
    assert marked(pipeline, product) == [SOON]
    assert held(pipeline, product) == {SOON}, "what stood stands"


@pytest.mark.parametrize("product", FixtureProduct)
def test_who_is_interrupted_ends_both_halves_before_their_next_batch(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, now: datetime, product: FixtureProduct
):
    even = (GONE + 2, GONE + 4)
    with pipeline.connect() as conn:
        list_fixtures(conn, now, dict.fromkeys(even, now + HOUR))
    mark(pipeline, SOON, LATER, *even)
    begun: list[int] = []
    both_began, interrupted = threading.Barrier(2), threading.Event()
    monkeypatch.setattr(fixture_batches, "Event", lambda: interrupted)

    def send_interrupt(sr_ids: list[int]) -> None:
        begun.extend(sr_ids)
        if both_began.wait(PATIENCE_S) == 0:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        interrupted.wait(PATIENCE_S)

    monkeypatch.setattr(MODULE[product], BATCH_SETTING[product], 1)
    within_a_batch(monkeypatch, product, send_interrupt)
    earlier_threads = set(threading.enumerate())
    earlier_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            DERIVE[product](pipeline)
    finally:
        signal.signal(signal.SIGINT, earlier_handler)
    assert set(threading.enumerate()) <= earlier_threads, "nobody writes any more"
    assert sorted(sr_id % 2 for sr_id in begun) == [0, 1]
    assert sorted([*begun, *marked(pipeline, product)]) == [SOON, LATER, *even]


def test_a_fixture_that_is_no_more_leaves_neither_a_mark_nor_a_row(pipeline: Pipeline):
    mark(pipeline, GONE, LATER)
    hold(pipeline, GONE)
    for product in FixtureProduct:
        DERIVE[product](pipeline)
        assert (marked(pipeline, product), held(pipeline, product)) == ([], set())
    hold(pipeline, GONE)
    for product in FixtureProduct:
        DERIVE[product](pipeline)
        assert held(pipeline, product) == set()


def test_who_does_not_wait_leaves_what_is_due_to_whoever_comes_next(pipeline: Pipeline):
    mark(pipeline, SOON, LATER)
    with (
        pipeline.database.connect(autocommit=True) as cycle,
        hold_lock(cycle, current_price_rows.CURRENT_PRICES_LOCKS[SOON % 2]),
    ):
        assert derive_prices.derive_prices(pipeline, [SOON, LATER], wait=False).n_fixtures == 0
        assert marked(pipeline, PRICES) == [SOON, LATER]
    assert derive_prices.derive_prices(pipeline, [SOON], wait=False).n_fixtures == 1
    assert marked(pipeline, PRICES) == [LATER]


def test_who_acknowledges_waits_for_whoever_replaces_the_row(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, now: datetime
):
    hold(pipeline, SOON)
    hold(pipeline, LATER)
    refused = []

    def acknowledge(_: list[int]) -> None:
        with pipeline.connect() as conn:
            conn.execute("set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                odds_alert_rows.acknowledge_alert(conn, SOON, "Ada", now)
            refused.append(SOON)

    mark(pipeline, SOON)
    within_a_batch(monkeypatch, ALERTS, acknowledge)
    assert derive_odds_alerts.derive_alerts(pipeline).n_fixtures == 1
    with pipeline.connect() as conn:
        assert refused == [SOON]
        with pytest.raises(odds_alert_rows.NoSuchAlert):
            odds_alert_rows.acknowledge_alert(conn, SOON, "Ada", now)  # it is over: there was no price to tell of
        odds_alert_rows.acknowledge_alert(conn, LATER, "Ada", now)
        assert read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE)["status"].to_list() == ["acknowledged"]


def test_what_is_open_though_its_fixture_has_begun_is_told_once_a_full_cycle_has_seen_it_and_nothing_is_due(
    pipeline: Pipeline, now: datetime
):
    hold(pipeline, SOON)
    with pipeline.connect() as conn:
        been(conn, now + HOUR, "kickoff")
    assert begun_fixtures_have_no_open_alert(pipeline).passed, (
        "a minute of other fixtures has passed its kickoff, and bore on it not"
    )
    with pipeline.connect() as conn:
        been(conn, now + HOUR + timedelta(minutes=1), "full")
        set_marks(conn, SOON)
    assert begun_fixtures_have_no_open_alert(pipeline).passed, "it is to be derived"
    with pipeline.connect() as conn:
        conn.execute("delete from mart.dirty_fixtures")
    told = begun_fixtures_have_no_open_alert(pipeline)
    assert not told.passed
    assert "1 alerts are open though their fixtures have begun" in (told.description or "")
    derive_odds_alerts.derive_alerts(pipeline)
    assert begun_fixtures_have_no_open_alert(pipeline).passed
