"""A slot of the kickoff cadence: its minutes by a clock of the test's own, the platforms simulated, everything else
real.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from palimpsest_pipeline.defs.landing.assets import SLOT_ASSETS
from palimpsest_pipeline.domain.cycles import Cycle, CycleResult
from palimpsest_pipeline.domain.enums import FixtureProduct, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.instants import Clock, floor_to_hour
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import derive_cycles
from palimpsest_pipeline.pipeline.ingest.write_core import CORE_PRODUCTS, derive_product, ingest_cycle
from palimpsest_pipeline.pipeline.live import kickoff_minutes, live_cycle, stage
from palimpsest_pipeline.pipeline.live.kickoff_minutes import SlotRun, run_slot
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.run_tags import is_resting
from palimpsest_pipeline.scrape.host_budget import BreakerRule, HostBudget
from palimpsest_pipeline.scrape.sinks import ObserverGroup
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.derivation import derived_products, dirty_fixtures
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader, host_state
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS, SPORTYBET

MINUTE = timedelta(minutes=1)
ALWAYS = {"kickoff_tiers": {10080: 1}, "kickoff_slot_minutes": 1}
"""Everything of the next week is due at every minute."""


LAST_ANSWER_SQL = """
    select e.fixture_sr_id, max(c.observed_at) from core.captures c join core.event_listings e using (listing_id)
    where c.cycle_id = %s and e.is_primary group by e.fixture_sr_id
"""


class MovedClock(Clock):
    """A clock that goes on from wherever it is put."""

    def put(self, at: datetime) -> None:
        object.__setattr__(self, "offset_s", (at - datetime.now(UTC)).total_seconds())


@dataclass
class World:
    """A pipeline that knows what the simulated platforms list, and one clock for both."""

    simulator: SimulatorProcess
    pipeline: Pipeline
    clock: MovedClock
    kickoffs: dict[int, datetime]
    slots: dict[datetime, tuple[int, datetime]]
    """By hour a fixture of all three platforms, and the slot ten minutes before it kicks off; each test takes one."""

    def put(self, at: datetime) -> None:
        self.clock.put(at)
        self.simulator.set_clock((at - datetime.now(UTC)).total_seconds())

    def wait(self, _: Clock, at: datetime) -> None:
        if self.clock.now() < at:
            self.put(at)

    def run(self, slot_at: datetime, wait: Any = None, run_id: str = "run-1", **options: Any) -> SlotRun:
        begun = live_cycle.ScrapeRequest(slot_at.date(), Trigger.SENSOR, run_id, **options)
        return run_slot(self.pipeline, begun, slot_at, ObserverGroup(), wait=wait or self.wait)

    def take_slot(self) -> datetime:
        """A slot that no other test has; it begins now."""
        self.simulator.set_fault(SPORTYBET, "none")
        with self.pipeline.connect() as conn:
            conn.execute("delete from ops.host_state")
        while True:
            _, (sr_id, slot_at) = self.slots.popitem()
            self.put(slot_at)
            stands = {f["sr_id"]: f for f in self.simulator.fetch_truth()["fixtures"]}.get(
                sr_id
            )  # worlds move and drop fixtures
            if (
                stands
                and len(stands["platforms"]) == 3
                and {datetime.fromisoformat(k) for k in stands["kickoffs"].values()} == {self.kickoffs[sr_id]}
                and self.known_kickoff(sr_id) == self.kickoffs[sr_id]  # another test may have moved it
            ):
                return slot_at

    def known_kickoff(self, sr_id: int) -> datetime | None:
        with self.pipeline.connect() as conn:
            row = conn.execute("select effective_kickoff from core.fixtures where sr_id = %s", [sr_id]).fetchone()
        return None if row is None else row[0]

    def asked(self, slot_at: datetime) -> list[tuple[datetime, set[int]]]:
        with self.pipeline.connect() as conn:
            cycles = [batch.cycle for batch in read_latest_cycles(conn, 100)]
        mine = [
            cycle
            for cycle in reversed(cycles)
            if cycle.scope is Scope.KICKOFF and cycle.partition_hour == floor_to_hour(slot_at)
        ]
        return [(cycle.slot_at, set(cycle.sr_ids)) for cycle in mine if cycle.slot_at is not None]

    def due(self, at: datetime) -> set[int]:
        return {sr_id for sr_id, kickoff_at in self.kickoffs.items() if self.pipeline.cadence.is_due(kickoff_at, at)}


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with SimulatorProcess(40, 5) as simulator, pipelines(postgres, tmp_path_factory.mktemp("kickoff")) as make:
        pipeline = make(simulator, sportybet={"total_timeout_s": 5}, kickoff_ingest_s=30, heartbeat_s=0.2)
        hasty = HostBudget(max_in_flight=16, max_attempts=2, backoff_max_s=0, breaker=BreakerRule(stall_s=0.5))
        vars(pipeline)["_build_budget"] = lambda platform: hasty
        clock = MovedClock()
        vars(pipeline)["clock"] = clock
        begun = live_cycle.ScrapeRequest(clock.now().date(), Trigger.MANUAL, "full")
        cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
        live_cycle.run_discovery(pipeline, cycle, ObserverGroup(), has_capture_next=True)
        live_cycle.run_capture(pipeline, begun, ObserverGroup())
        kickoff_minutes.ingest_cycle(pipeline, cycle.cycle_id)
        with pipeline.connect() as conn:
            known = dict(
                conn.execute(
                    "select sr_id, effective_kickoff from core.fixtures where effective_kickoff > now() + interval '3 h'"
                ).fetchall()
            )
        everywhere = [
            f["sr_id"] for f in simulator.fetch_truth()["fixtures"] if len(f["platforms"]) == 3 and f["sr_id"] in known
        ]
        slots = {sr_id: pipeline.cadence.find_slot_start(known[sr_id] - 10 * MINUTE) for sr_id in everywhere}
        yield World(
            simulator,
            pipeline,
            clock,
            known,
            {floor_to_hour(slot_at): (sr_id, slot_at) for sr_id, slot_at in slots.items()},
        )


def test_each_minute_of_a_slot_is_a_cycle_of_what_is_due_and_in_core_before_the_next(world: World) -> None:
    slot_at = world.take_slot()
    derived = []

    def wait(clock: Clock, at: datetime) -> None:
        with world.pipeline.connect() as conn:
            query = "select count(*) from core.cycles where scope = 'kickoff' and partition_hour = %s"
            derived.append(conn.execute(query, [floor_to_hour(slot_at)]).fetchone()[0])
        world.wait(clock, at)

    run = world.run(slot_at, wait)
    minutes = [slot_at + n * MINUTE for n in range(5)]
    assert world.asked(slot_at) == [(at, world.due(at)) for at in minutes]
    assert derived == [0, 1, 2, 3, 4]
    assert [r.status for r in run.results] == [RunStatus.COMPLETED] * 5
    world.put(slot_at)
    with pytest.raises(live_cycle.Skipped, match="no fixture was due that had not been requested"):
        world.run(slot_at, run_id="run-2")
    assert len(world.asked(slot_at)) == 5, "nobody is asked twice for a minute"
    first, *_, before, last = (result.cycle for result in run.results)
    with world.pipeline.connect() as conn:
        answered = dict(conn.execute(LAST_ANSWER_SQL, [last.cycle_id]).fetchall())
        shown = dict(conn.execute("select sr_id, max(as_of) from mart.compared_listing group by sr_id").fetchall())
        prices_due, alerts_due = (
            set(dirty_fixtures.read_fixture_marks(conn, product, last.sr_ids)["sr_id"]) for product in FixtureProduct
        )
    assert answered.keys() == set(last.sr_ids)
    assert {sr_id: shown.get(sr_id) for sr_id in compared(world, last.sr_ids)} == {
        sr_id: answered[sr_id] for sr_id in compared(world, last.sr_ids)
    }
    assert (prices_due, alerts_due) == (set(), set(last.sr_ids)), "alerts are told at the end of the slot's run"
    everywhere = next(
        f["sr_id"]
        for f in world.simulator.fetch_truth()["fixtures"]
        if f["sr_id"] in last.sr_ids and len(f["platforms"]) == 3
    )
    with world.pipeline.connect() as conn:
        assert cycle_reader.find_last_answering_cycles(conn, [everywhere], first.cycle_id) == {
            (everywhere, p): last.cycle_id for p in PLATFORMS
        }
        conn.execute(
            "update ops.event_scrape_status set http_status = null where cycle_id = %s and platform = 'sportybet'",
            [last.cycle_id],
        )
        found = cycle_reader.find_last_answering_cycles(conn, [everywhere], first.cycle_id)
        conn.rollback()
    assert found[everywhere, SPORTYBET] == before.cycle_id, "a host that has not answered since is the one to ask first"


def compared(world: World, sr_ids: Sequence[int]) -> set[int]:
    """Fixtures that home and a competitor list."""
    listed = {f["sr_id"]: set(f["platforms"]) for f in world.simulator.fetch_truth()["fixtures"]}
    return {sr_id for sr_id in sr_ids if "betpawa" in listed[sr_id] and len(listed[sr_id]) > 1}


@pytest.mark.slow
def test_a_platform_that_stops_costs_no_minute_and_the_others_nothing(world: World) -> None:
    hasty = replace(
        world.pipeline, settings=world.pipeline.settings.model_copy(update={"kickoff_ingest_s": 45})
    )  # it is waited for
    vars(hasty)["clock"] = world.clock
    slot_at = world.take_slot()
    world.simulator.set_fault(SPORTYBET, "hang")
    run = replace(world, pipeline=hasty).run(slot_at)
    assert len(run.results) == 5
    for result in run.results:
        found = {r.platform: r for r in result.runs}
        assert {p: r.status for p, r in found.items() if p != SPORTYBET} == dict.fromkeys(
            set(PLATFORMS) - {SPORTYBET}, RunStatus.COMPLETED
        )
        assert found[SPORTYBET].status is RunStatus.FAILED
        assert result.finished_at <= result.cycle.slot_at + timedelta(seconds=22)


def test_what_kicks_off_later_takes_its_minutes_with_it_and_what_is_over_is_left_out(world: World) -> None:
    slot_at = world.take_slot()
    gone = world.due(slot_at)

    def wait(clock: Clock, at: datetime) -> None:
        if at == slot_at + 2 * MINUTE:
            with world.pipeline.connect() as conn:
                conn.execute(
                    "update core.fixtures set effective_kickoff = effective_kickoff + interval '1 day' where sr_id = any(%s)",
                    [list(gone)],
                )
        world.wait(clock, at + (MINUTE if at == slot_at else timedelta(0)))

    with pytest.raises(kickoff_minutes.NothingAsked, match=r"was left out: it had ended before it could start"):
        world.run(slot_at, lambda clock, at: world.put(slot_at + 5 * MINUTE))
    world.put(slot_at)
    run = world.run(slot_at, wait)
    assert list(run.left_out_minutes) == [slot_at]
    asked = dict(world.asked(slot_at))
    assert asked.pop(slot_at + MINUTE) == world.due(slot_at + MINUTE)
    assert not any(gone & sr_ids for sr_ids in asked.values())


def test_a_minute_waits_for_a_cycle_that_asks_for_the_same_and_is_left_out_when_that_takes_too_long(
    world: World,
) -> None:
    slot_at = world.take_slot()
    last, tries = slot_at + 4 * MINUTE, []
    world.put(last)
    other = live_cycle.open_cycle(
        world.pipeline,
        live_cycle.ScrapeRequest(slot_at.date(), Trigger.MANUAL, "other", tuple(world.due(last))),
        Scope.KICKOFF,
    )

    def wait(clock: Clock, at: datetime) -> None:
        if at > last:
            tries.append(at)
            if len(tries) == 2:
                closed(world.pipeline, other)
        world.wait(clock, at)

    run = world.run(slot_at, wait)
    assert (len(tries), [r.cycle.slot_at for r in run.results]) == (2, [last])
    assert last not in run.left_out_minutes
    world.put(last)
    other = live_cycle.open_cycle(
        world.pipeline,
        live_cycle.ScrapeRequest(slot_at.date(), Trigger.MANUAL, "other", tuple(world.due(last))),
        Scope.KICKOFF,
    )
    forget_asked(world.pipeline, last)
    with pytest.raises(
        live_cycle.Skipped,
        match=rf"was left out: it had ended before it could start.*cycle {other.cycle_id} of scope kickoff asks for the same",
    ):
        world.run(slot_at, lambda clock, at: world.put(at if at <= last else last + MINUTE), run_id="run-2")
    closed(world.pipeline, other)


def test_a_slot_of_fixtures_that_nobody_is_known_to_list_any_more_is_no_success(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot_at = world.take_slot()
    monkeypatch.setattr(live_cycle, "read_upcoming_listings", lambda *_: [])
    with pytest.raises(kickoff_minutes.NothingAsked, match=r"was left out: no upcoming listing is known"):
        world.run(slot_at)


def closed(pipeline: Pipeline, cycle: Cycle) -> None:
    with pipeline.connect() as conn:
        cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.COMPLETED, pipeline.clock.now(), ()))


def forget_asked(pipeline: Pipeline, slot_at: datetime) -> None:
    with pipeline.connect() as conn:
        conn.execute("update ops.scrape_batches set slot_at = null where slot_at = %s", [slot_at])


def test_an_ingest_that_fails_stops_no_minute_and_what_it_left_is_derived_with_the_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot_at = world.take_slot()
    failing = iter([True])

    def ingest(pipeline: Pipeline, cycle_id: int) -> None:
        if next(failing, False):
            raise OSError("no space left on device")
        ingest_cycle(pipeline, cycle_id)

    monkeypatch.setattr(kickoff_minutes, "ingest_cycle", ingest)
    run = world.run(slot_at)
    assert (len(run.results), run.left_out_minutes) == (5, {})
    with world.pipeline.connect() as conn:
        left = [
            r.cycle.cycle_id
            for r in run.results
            if not derived_products.read_product_marks(conn, "core", r.cycle.cycle_id)
        ]
    assert left == [run.results[0].cycle.cycle_id]
    manifests = world.pipeline.landing.list_cycles(hour=floor_to_hour(slot_at))
    assert derive_product(world.pipeline, "tournaments", manifests).cycles == left


def test_a_minute_without_an_answer_fails_its_cycle_and_a_slot_without_one_the_run(world: World) -> None:
    slot_at = world.take_slot()

    def block(mode: str) -> None:
        for platform in PLATFORMS:
            world.simulator.set_fault(platform, mode)
        with world.pipeline.connect() as conn:
            conn.execute("delete from ops.host_state")

    def wait(clock: Clock, at: datetime) -> None:
        block("block" if at == slot_at else "none")
        world.wait(clock, at)

    world.put(slot_at + 4 * MINUTE)
    block("block")
    try:
        with pytest.raises(live_cycle.NoPlatformAnswered):
            world.run(slot_at)
    finally:
        block("none")
    world.put(slot_at)
    run = world.run(slot_at, wait)
    assert [r.status for r in run.results] == [RunStatus.FAILED, *[RunStatus.COMPLETED] * 3]


def test_a_run_that_is_ended_between_two_minutes_keeps_what_it_had_and_its_next_try_asks_for_the_rest(
    world: World,
) -> None:
    slot_at = world.take_slot()

    def wait(clock: Clock, at: datetime) -> None:
        if at == slot_at + 2 * MINUTE:
            raise KeyboardInterrupt
        world.wait(clock, at)

    with pytest.raises(KeyboardInterrupt):
        world.run(slot_at, wait)
    with world.pipeline.connect() as conn:
        had = [
            batch
            for batch in read_latest_cycles(conn, 100)
            if batch.cycle.run_id == "run-1" and batch.cycle.partition_hour == floor_to_hour(slot_at)
        ]
        assert [
            (batch.status, bool(derived_products.read_product_marks(conn, "core", batch.cycle.cycle_id)))
            for batch in had
        ] == [(RunStatus.COMPLETED, True)] * 2
    run = world.run(slot_at, run_id="run-2", repeats=("run-1",))
    minutes = [slot_at + n * MINUTE for n in range(5)]
    assert [r.cycle.slot_at for r in run.results] == minutes[2:]
    assert world.asked(slot_at) == [(at, world.due(at)) for at in minutes]


def test_a_run_that_waits_for_a_minute_says_so_and_is_ended_at_once(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    slot_at = floor_to_hour(now) + 30 * MINUTE
    pipeline = make_pipeline(clock_offset_s=(slot_at - 3 * MINUTE - now).total_seconds())
    waits: list[datetime] = []

    def asked_to_end(_: Clock, at: datetime) -> None:
        waits.append(at)
        raise KeyboardInterrupt

    monkeypatch.setattr(kickoff_minutes, "wait_until", asked_to_end)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_job(instance, pipeline, "kickoff_window", slot_at.date(), trigger=Trigger.SENSOR, slot_at=slot_at)
        run = instance.get_run_by_id(outcome.run_id)
    assert (waits, outcome.cancelled) == ([slot_at], True)
    assert run is not None
    assert is_resting(run.tags)


@pytest.mark.slow
def test_through_dagster_a_slot_is_asked_once_and_a_run_with_nothing_to_do_is_skipped(
    start_simulator: Callable[..., SimulatorProcess], make_pipeline: MakePipeline
) -> None:
    offset_s = float(5 - datetime.now(UTC).second)
    simulator = start_simulator(20, 5)
    simulator.set_clock(offset_s)
    pipeline = make_pipeline(simulator, clock_offset_s=offset_s, kickoff_ingest_s=0, **ALWAYS)
    assert run_here(pipeline, "full_cycle").success
    pipeline = make_pipeline(
        simulator, clock_offset_s=float(5 - datetime.now(UTC).second), kickoff_ingest_s=0, **ALWAYS
    )
    slot_at = pipeline.cadence.find_slot_start(pipeline.clock.now())
    with dg.DagsterInstance.ephemeral() as instance:
        asked = run_job(instance, pipeline, "kickoff_window", slot_at.date(), trigger=Trigger.SENSOR, slot_at=slot_at)
        assert asked.success, asked.error
        told = instance.get_latest_materialization_event(
            dg.AssetKey(["landing", "odds_payloads"])
        ).asset_materialization.metadata
        again = run_job(instance, pipeline, "kickoff_window", slot_at.date(), trigger=Trigger.SENSOR, slot_at=slot_at)
        run = instance.get_run_by_id(again.run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert not instance.all_logs(again.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert (told["cycles"].value, told["minutes_left_out"].value, told["status"].value) == (1, 0, "completed")
    assert (again.success, again.error) == (False, "no fixture was due that had not been requested")


@pytest.mark.parametrize(
    ("fails", "success", "n_reported"),
    [
        ("nothing", True, 7),
        pytest.param("the ingest", True, 0, marks=pytest.mark.slow),
        pytest.param("odds of a platform", True, 4, marks=pytest.mark.slow),
        pytest.param("the end", False, 7, marks=pytest.mark.slow),
    ],
)
def test_a_slot_reports_the_assets_that_its_minutes_have_written_and_no_other(
    start_simulator: Callable[..., SimulatorProcess],
    make_pipeline: MakePipeline,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
    success: bool,
    n_reported: int,
) -> None:
    offset_s = float(5 - datetime.now(UTC).second)
    simulator = start_simulator(3, 5)
    simulator.set_clock(offset_s)
    pipeline = make_pipeline(simulator, clock_offset_s=offset_s, kickoff_ingest_s=0, **ALWAYS)
    begun = live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "full")
    cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
    live_cycle.run_discovery(pipeline, cycle, ObserverGroup(), has_capture_next=True)
    live_cycle.run_capture(pipeline, begun, ObserverGroup())
    ingest_cycle(pipeline, cycle.cycle_id)
    pipeline = make_pipeline(
        simulator, clock_offset_s=float(5 - datetime.now(UTC).second), kickoff_ingest_s=0, **ALWAYS
    )
    slot_at = pipeline.cadence.find_slot_start(pipeline.clock.now())
    run_minute = kickoff_minutes._run_minute

    def ingest(pipeline: Pipeline, cycle_id: int) -> None:
        if fails == "odds of a platform":
            manifest, of_platform = (
                pipeline.landing.read_manifest(cycle_id),
                CORE_PRODUCTS[derived_products.ODDS_PRODUCT].make_platform_derivation,
            )
            assert of_platform is not None
            for name in ("tournaments", "home_events", "competitor_events"):
                derive_product(pipeline, name, [manifest])
            derive_cycles(
                pipeline, [manifest], "core", f"{derived_products.ODDS_PRODUCT}/betpawa", of_platform(BETPAWA)
            )
        raise OSError("no space left on device")

    def run_and_fail(*args: Any) -> bool:
        assert run_minute(*args)
        raise OSError("no space left on device")

    if fails == "the end":
        monkeypatch.setattr(kickoff_minutes, "_run_minute", run_and_fail)
    elif fails != "nothing":
        monkeypatch.setattr(kickoff_minutes, "ingest_cycle", ingest)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_job(instance, pipeline, "kickoff_window", slot_at.date(), trigger=Trigger.SENSOR, slot_at=slot_at)
        entries = instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [
        entry.dagster_event.step_materialization_data.materialization
        for entry in entries
        if entry.dagster_event is not None
    ]
    reported = [each.asset_key for each in found if "written_by" in each.metadata]
    assert (outcome.success, len(reported)) == (success, n_reported), (outcome.error, reported)
    assert set(reported) <= set(SLOT_ASSETS)


def test_a_full_cycle_while_one_runs_is_skipped_and_names_it(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    now = pipeline.clock.now()
    cycle = live_cycle.open_cycle(pipeline, live_cycle.ScrapeRequest(now.date(), Trigger.MANUAL, "run-1"), Scope.FULL)
    outcome = run_here(pipeline, "full_cycle")
    assert not outcome.success
    assert f"cycle {cycle.cycle_id} of scope full asks for the same" in (outcome.error or "")
    assert "(run run-1): wait until it is over, or end its run first" in (outcome.error or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("soon", "is not an instant"),
        ("2026-06-26T19:05:00", "has no time zone"),
        ("2026-06-26T19:06:00Z", "begins at 2026-06-26T19:05:00+00:00"),
        ("2026-06-27T00:10:00Z", "choose 2026-06-27"),
        ("2026-06-25T23:55:00Z", "choose 2026-06-25"),
    ],
)
def test_what_is_no_slot_is_refused(text: str, says: str) -> None:
    pipeline = Pipeline(
        load_settings(database_url="postgresql://unused/a", dagster_database_url="postgresql://unused/b")
    )
    with pytest.raises(kickoff_minutes.BadSlot, match=re.escape(says)):
        kickoff_minutes.parse_slot(pipeline, text, date(2026, 6, 26))


@pytest.mark.slow
def test_what_one_cycle_finds_of_a_host_the_next_one_heeds_and_a_good_answer_clears(world: World) -> None:
    slot_at = world.take_slot()
    world.simulator.set_fault(SPORTYBET, "ratelimit", retry_after_s=600)
    run = world.run(slot_at, lambda clock, at: world.put(at))
    asked = [{r.platform: r.requests > 0 for r in result.runs} for result in run.results]
    assert [minute.get(SPORTYBET) for minute in asked] == [True, False, False, False, False]
    assert all(minute[BETPAWA] for minute in asked)
    with world.pipeline.connect() as conn:
        found = host_state.read_troubles(conn, [world.pipeline.find_host_name(SPORTYBET)], world.clock.now())
        (trouble,) = found.values()
        assert trouble.reason == "asked to wait 600 s"
        assert 300 < trouble.for_s <= 600, "four of its ten minutes are over"
    slot_at = world.take_slot()
    with world.pipeline.connect() as conn:
        conn.execute(
            "update ops.host_state set blocked_until = %s, reason = 'asked to wait'",
            [world.clock.now() - timedelta(seconds=1)],
        )
    world.run(slot_at)
    with world.pipeline.connect() as conn:
        assert host_state.read_troubles(conn, [world.pipeline.find_host_name(SPORTYBET)], world.clock.now()) == {}
        assert conn.execute("select count(*) from ops.host_state").fetchone() == (0,)


def test_what_others_found_of_hosts_is_found_out_anew_when_it_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = "postgresql://127.0.0.1:1/away"
    pipeline = Pipeline(load_settings(database_url=nowhere, dagster_database_url=f"{nowhere}_dagster"))
    assert stage._read_host_holds(pipeline, 1) == {}
    assert "the states of hosts that other scrapes recorded cannot be read: cannot reach" in caplog.text
