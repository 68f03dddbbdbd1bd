"""The life of fixtures by date of kickoff, from a simulated world with a script: nine cycles over two days, with what a
platform drops, lists late, postpones and fails to answer. What the tables say is held against the script and against
what was so in the world at each cycle."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import dagster as dg
import polars as pl
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.life.assets import no_kickoff_date_is_dirty_for_long
from palimpsest_pipeline.defs.life.jobs import list_due_dates, request_due_runs
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.operate.backfill.backfill import rebuild_dirty_dates
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.marts import lifecycle_rows
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.storage.table_rows import read_table

pytestmark = (
    pytest.mark.slow
)  # nine cycles take half a minute; test_simulated_world has two of them derived twice in every run

PEAK_H: Final = 48
"""Hours from the begin of the world to the kickoff that most of its fixtures share."""
MINUTES: Final = (0, 30, 60, 90, 120, 150, 47 * 60 + 30, 47 * 60 + 57, 48 * 60 + 40)
"""When the cycles are, from the begin of the world. The last one comes after the peak."""
BLOCKED, UNANSWERED, BEFORE_PAUSE, LAST_BEFORE_PEAK = 3, 4, 5, 7
"""Cycles: Bet9ja blocks us; SportyBet answers discovery only; the one after which nobody looks for two days; the one
minutes before the peak.
"""
OPEN_STATES: Final = ("offered", "suspended", "no_price")
LASTING: Final = tuple(table for table in lifecycle_rows.FIXTURE_TABLES if table != "mart.gap_count")
"""Tables with rows of every fixture; hours before kickoff that are to come have none."""
Key = tuple[int, str]


@dataclass
class World:
    """What came of the script."""

    pipeline: Pipeline
    began: datetime
    truths: list[dict[str, Any]] = field(default_factory=list)
    """What was so at each cycle."""
    cycles: list[int] = field(default_factory=list)
    dropped: int = 0
    """Bet9ja dropped it before the second cycle."""
    late: int = 0
    """Bet9ja listed it before the third cycle."""
    postponed: int = 0
    """Moved to the next day, after the pause."""
    books: dict[Key, list[dict[str, Any]]] = field(default_factory=dict)
    """Books of fixtures of the peak in the last cycle before it."""
    rows_before: dict[str, dict[date, int]] = field(default_factory=dict)
    """Rows of the postponed fixture by table and date, as derived before it moved."""

    @property
    def peak(self) -> datetime:
        return self.began + timedelta(hours=PEAK_H)

    def at(self, cycle: int) -> datetime:
        return self.began + timedelta(minutes=MINUTES[cycle])

    def table(self, name: str, day: date | None = None) -> pl.DataFrame:
        with self.pipeline.connect() as conn:
            return read_table(conn, f"mart.{name}", day or self.peak.date())

    def listed(self, cycle: int) -> dict[Key, datetime]:
        """What was listed in the world at a cycle, with the fixture's kickoff."""
        kickoffs = {f["sr_id"]: datetime.fromisoformat(f["kickoff_at"]) for f in self.truths[cycle]["fixtures"]}
        return {
            (f["sr_id"], platform): kickoffs[f["sr_id"]]
            for f in self.truths[cycle]["fixtures"]
            for platform in f["platforms"]
        }


def derive_core(pipeline: Pipeline, instance: dg.DagsterInstance, cycles: Sequence[int]) -> None:
    """Core of the days of these cycles."""
    for day in sorted({m.partition_hour.date() for m in pipeline.landing.list_cycles() if m.cycle_id in cycles}):
        outcome = run_job(instance, pipeline, "replay", day, group="core")
        assert outcome.success, outcome.error


def rebuild(pipeline: Pipeline, instance: dg.DagsterInstance) -> list[str]:
    said: list[str] = []
    assert rebuild_dirty_dates(pipeline, instance, said.append) == {}, said
    return said


def rows_of(pipeline: Pipeline, sr_id: int) -> dict[str, dict[date, int]]:
    with pipeline.connect() as conn:
        return {
            table: dict(
                conn.execute(
                    f"select kickoff_date, count(*) from {table} where sr_id = %s group by 1", [sr_id]
                ).fetchall()
            )
            for table in LASTING
        }


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def world(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, instance: dg.DagsterInstance
) -> Iterator[World]:
    now = datetime.now(UTC)
    peak = now.replace(hour=18, minute=0, second=0, microsecond=0)
    peak -= timedelta(days=0 if now - peak > timedelta(hours=1) else 1)
    began = peak - timedelta(hours=PEAK_H)
    first_offset_s = (began - now).total_seconds()
    with (
        SimulatorProcess(20, 34, clock_offset_s=first_offset_s, epoch=began) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("lives")) as make,
    ):
        pipeline = make(simulator)
        world, derived = World(pipeline, began), 0
        for number, minutes in enumerate(MINUTES):
            offset_s = (began + timedelta(minutes=minutes, seconds=5) - datetime.now(UTC)).total_seconds()
            simulator.set_clock(offset_s, stopped=True)
            SCRIPT.get(number, lambda *_: None)(world, simulator)
            world.truths.append(simulator.fetch_truth())
            world.cycles.append(land_cycle(make(simulator, clock_offset_s=offset_s)))
            if number == LAST_BEFORE_PEAK:
                world.books = books(world, simulator)
            if number in {1, BEFORE_PAUSE, len(MINUTES) - 1}:
                world.rows_before = rows_of(pipeline, world.postponed)
                derive_core(pipeline, instance, world.cycles[derived:])
                rebuild(pipeline, instance)
                derived = number + 1
        yield world


def at_the_peak(world: World) -> list[dict[str, Any]]:
    return [f for f in world.truths[0]["fixtures"] if datetime.fromisoformat(f["kickoff_at"]) == world.peak]


def drop_one(world: World, simulator: SimulatorProcess) -> None:
    world.dropped, world.postponed = [f["sr_id"] for f in at_the_peak(world) if len(f["platforms"]) == len(PLATFORMS)][
        :2
    ]
    simulator.run_script("drop", world.dropped, platform="bet9ja")


def list_one(world: World, simulator: SimulatorProcess) -> None:
    world.late = next(
        f["sr_id"] for f in at_the_peak(world) if "betpawa" in f["platforms"] and "bet9ja" not in f["platforms"]
    )
    simulator.run_script("list", world.late, platform="bet9ja")


def postpone_one(world: World, simulator: SimulatorProcess) -> None:
    simulator.run_script("postpone", world.postponed, minutes=24 * 60)
    for platform in PLATFORMS:
        simulator.set_fault(platform, "none")


def books(world: World, simulator: SimulatorProcess) -> dict[Key, list[dict[str, Any]]]:
    found = {}
    for fixture in world.truths[-1]["fixtures"]:
        if datetime.fromisoformat(fixture["kickoff_at"]) == world.peak:
            for platform, ids in fixture["platforms"].items():
                if len(ids) == 1:
                    found[fixture["sr_id"], platform] = simulator.fetch_book(Platform(platform), ids[0])
    return found


SCRIPT: Final[dict[int, Callable[[World, SimulatorProcess], None]]] = {
    1: drop_one,
    2: list_one,
    BLOCKED: lambda _, simulator: simulator.set_fault(BET9JA, "block"),
    UNANSWERED: lambda _, simulator: (
        simulator.set_fault(BET9JA, "none"),
        simulator.set_fault(SPORTYBET, "error", endpoint="detail"),
    ),
    BEFORE_PAUSE: lambda _, simulator: simulator.set_fault(SPORTYBET, "none"),
    BEFORE_PAUSE + 1: postpone_one,
}


def minutes(world: World, since: datetime) -> int:
    """Whole minutes from the begin of the world."""
    return int((since - world.began).total_seconds() // 60)


def test_at_every_cycle_what_the_world_lists_is_there_and_what_it_has_taken_off_is_not(world: World):
    """Every listing of every fixture, held against the world itself."""
    dates = {kickoff.date() for cycle in range(len(MINUTES)) for kickoff in world.listed(cycle).values()}
    whole = pl.concat([world.table("availability_interval", day) for day in sorted(dates)]).filter(market_key="*")
    seen: dict[Key, datetime] = {}
    gone: set[Key] = set()
    compared = 0
    for cycle in range(len(MINUTES)):
        listed = world.listed(cycle)
        seen |= listed
        then = world.at(cycle) + timedelta(minutes=2)
        holds = whole.filter(pl.col("valid_from") <= then, pl.col("valid_to").is_null() | (pl.col("valid_to") > then))
        found = {
            (sr_id, platform): state
            for sr_id, platform, state in holds.select("sr_id", "platform", "state").iter_rows()
        }
        for key, kickoff in seen.items():
            if kickoff <= world.at(cycle):
                expected = {"event_dropped"} if key in gone else {"closed_at_kickoff"}
            elif (cycle, key[1]) == (BLOCKED, "bet9ja") or (
                (cycle, key[1]) == (UNANSWERED, "sportybet") and key in listed
            ):
                expected = {"not_observed"}
            else:
                expected = set(OPEN_STATES) if key in listed else {"event_dropped"}
            assert found[key] in expected, (cycle, key, kickoff)
            gone = gone - {key} | ({key} if found[key] == "event_dropped" else set())
            compared += 1
    assert compared > len(MINUTES) * 40


def test_a_listing_that_comes_late_has_an_exact_opening_and_others_may_be_older(world: World):
    leads = {r["platform"]: r for r in world.table("listing_lead_time").filter(sr_id=world.late).iter_rows(named=True)}
    assert minutes(world, leads["bet9ja"]["first_listed_at"]) == MINUTES[2]
    assert not leads["bet9ja"]["listed_censored"]
    assert leads["betpawa"]["listed_censored"]
    assert leads["bet9ja"]["home_lead_diff_days"] == pytest.approx(-1 / 24, abs=1e-3)
    assert {r["ended_by"] for r in leads.values()} == {"kickoff"}
    prices = world.table("open_close").filter(sr_id=world.late)
    first = prices.filter(pl.col("open_observed_at") == pl.col("open_observed_at").min().over("platform"))
    qualities = dict(first.group_by("platform").agg(pl.col("open_quality").unique()).iter_rows())
    assert qualities == {"bet9ja": ["exact"], "betpawa": ["left_censored"], "sportybet": ["left_censored"]}
    assert set(first.filter(platform="bet9ja")["prev_absent_cycle"]) == {world.cycles[1]}


def test_closing_prices_are_those_of_the_world_when_it_was_last_asked(world: World):
    closes = world.table("open_close").filter(market_key="match_result", close_quality="exact")
    compared = 0
    for (sr_id, platform), book in world.books.items():
        odds = next((line["odds"] for line in book if line["key"] == "match_result" and not line["suspended"]), None)
        rows = closes.filter(sr_id=sr_id, platform=platform)
        if odds is not None and rows.height:
            assert dict(rows.select("outcome_key", "close_odds").iter_rows()) == pytest.approx(odds), (sr_id, platform)
            assert rows["close_lag_s"].is_between(0, 5 * 60, closed="right").all()
            compared += 1
    assert compared >= 8


def test_a_postponed_fixture_leaves_its_date_and_is_open_again(world: World):
    day, next_day = world.peak.date(), world.peak.date() + timedelta(days=1)
    assert {table: set(rows) for table, rows in world.rows_before.items()} == {table: {day} for table in LASTING}
    assert {table: set(rows) for table, rows in rows_of(world.pipeline, world.postponed).items()} == {
        table: {next_day} for table in LASTING
    }
    prices = world.table("open_close", next_day).filter(sr_id=world.postponed)
    assert set(prices["kickoff_version"]) == {2}
    assert prices["close_quality"].null_count() == prices.height > 0
    last = (
        world.table("availability_interval", next_day)
        .filter(sr_id=world.postponed, market_key="*")
        .filter(pl.col("valid_to").is_null())
    )
    assert set(last["state"]) <= set(OPEN_STATES)


def test_when_all_is_derived_nothing_is_due(world: World, instance: dg.DagsterInstance):
    with world.pipeline.connect() as conn:
        assert lifecycle_rows.read_date_marks(conn).is_empty()
    assert rebuild(world.pipeline, instance) == []


def test_core_and_mart_dropped_and_derived_again_in_another_order_are_the_same(
    world: World, instance: dg.DagsterInstance
):
    """Also what rests on when something was derived: before, dates were derived as the cycles came."""
    before = content_hashes(world.pipeline)
    drop_derived(world.pipeline)
    derive_core(world.pipeline, instance, world.cycles[4:])
    derive_core(world.pipeline, instance, world.cycles)
    said = rebuild(world.pipeline, instance)
    assert len(said) > 0
    assert content_hashes(world.pipeline) == before


def test_a_mark_that_is_set_while_its_date_is_derived_stays(world: World):
    day = world.peak.date()
    with world.pipeline.connect() as conn, conn.transaction(force_rollback=True):
        dates = lifecycle_rows.read_kickoff_dates(conn, [])
        lifecycle_rows.mark_dates(conn, world.cycles[0], [], dates)
        seen = lifecycle_rows.read_date_marks(conn, day)
        assert seen.height == 1
        lifecycle_rows.mark_dates(conn, world.cycles[0], [], dates)  # the cycle is derived anew meanwhile
        lifecycle_rows.mark_dates(conn, world.cycles[1], [], dates)
        lifecycle_rows.unmark_dates(conn, seen)
        left = lifecycle_rows.read_date_marks(conn, day)
    assert left["cycle_id"].to_list() == world.cycles[:2]


def test_a_cycle_marks_the_dates_that_it_bears_on_and_no_others(world: World):
    """The last full cycle saw the kickoffs of the peak pass; what had begun before the cycle before it is none of
    its business.
    """
    with world.pipeline.connect() as conn, conn.transaction(force_rollback=True):
        lifecycle_rows.mark_dates(conn, world.cycles[-1], [], lifecycle_rows.read_kickoff_dates(conn, []))
        marked = set(lifecycle_rows.read_date_marks(conn)["kickoff_date"])
        kickoffs = [k for (k,) in conn.execute("select effective_kickoff from core.fixtures")]
    assert marked == {k.date() for k in kickoffs if k > world.at(LAST_BEFORE_PEAK)}
    assert marked < {k.date() for k in kickoffs}


def test_every_fixture_has_its_rows_on_the_dates_of_its_lead_times(world: World):
    with world.pipeline.connect() as conn:
        lead_times = read_table(conn, "mart.listing_lead_time")
        for table in lifecycle_rows.FIXTURE_TABLES:
            rows = read_table(conn, table)
            assert rows.join(lead_times, on=["sr_id", "platform", "kickoff_date"], how="anti").is_empty(), table


def test_what_is_near_is_due_each_hour_and_what_is_far_when_it_has_waited_a_day(world: World):
    today = world.pipeline.clock.now().date()
    dates = [today + timedelta(days=n) for n in (-3, 0, 1, 2, 3, 400)]
    with marked(world, dates):
        near, every = (
            list_due_dates(world.pipeline, include_far=False),
            list_due_dates(world.pipeline, include_far=True),
        )
    with marked(world, dates, hours_ago=25):
        waited = list_due_dates(world.pipeline, include_far=False)
    assert near == dates[:3]
    assert every == waited == dates[:5]  # one too far ahead has no partition yet, and waits


@contextmanager
def marked(world: World, days: Sequence[date], hours_ago: int = 0) -> Iterator[None]:
    """Marks of a cycle that there never was, inside the block."""
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    with world.pipeline.connect() as conn:
        for day in days:
            conn.execute("insert into mart.dirty_kickoff_dates values (%s, 1, %s)", [day, at])
    try:
        yield
    finally:
        with world.pipeline.connect() as conn:
            conn.execute("delete from mart.dirty_kickoff_dates where cycle_id = 1")


def test_the_schedule_asks_for_a_run_per_date_and_not_while_one_is_at_it(world: World, instance: dg.DagsterInstance):
    today = world.pipeline.clock.now().date()

    def asked(runs: dg.DagsterInstance) -> list[str | None]:
        """The partition of each run that a tick asks for."""
        return [
            told.partition_key
            for told in request_due_runs(world.pipeline, runs, noon)
            if isinstance(told, dg.RunRequest)
        ]

    noon = datetime.combine(today, time(12, 40), UTC)
    near = [str(today + timedelta(days=n)) for n in (-3, 0, 1)]
    with marked(world, [today + timedelta(days=n) for n in (-3, 0, 1, 5)]):
        assert asked(instance) == near
        with dg.DagsterInstance.ephemeral() as busy:
            busy.create_run_for_job(defs.resolve_job_def("fixture_life"), status=dg.DagsterRunStatus.STARTED)
            assert asked(busy) == []
    assert asked(instance) == []


def test_a_date_that_waits_too_long_is_named(world: World):
    day = world.peak.date()
    assert no_kickoff_date_is_dirty_for_long(world.pipeline).passed
    with marked(world, [day], hours_ago=27):
        behind = no_kickoff_date_is_dirty_for_long(world.pipeline)
    assert not behind.passed
    assert behind.severity is dg.AssetCheckSeverity.WARN
    assert str(day) in (behind.description or "")


def test_no_price_is_from_after_kickoff_and_none_closes_before_it(world: World):
    prices = world.table("open_close")
    seen_at = pl.max_horizontal("open_observed_at", "close_observed_at", "close_last_confirmed_at")
    closed = pl.col("close_quality").is_not_null() | pl.col("close_odds").is_not_null()
    assert prices.filter(seen_at >= pl.col("effective_kickoff")).is_empty()
    assert prices.filter(closed, pl.col("effective_kickoff") > pl.col("as_of")).is_empty()
