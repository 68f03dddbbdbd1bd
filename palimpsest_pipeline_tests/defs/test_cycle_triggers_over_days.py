"""Two days of the kickoff cadence by a simulated clock: every fixture has exactly its slots, but for an outage, and
what that cost is told.

The sensor is the real one, tick by tick, on a real database. Runs are stood in for: one asks at each minute of its slot
for who is due by then.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from palimpsest_pipeline.defs.asset_partitions import parse_day_key
from palimpsest_pipeline.defs.cycle_triggers import kickoff_sensor
from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome
from palimpsest_pipeline.domain.enums import RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.kickoff_slots import report_slots
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

BEGIN = datetime(2026, 6, 26, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
N_MINUTES = 48 * 60
N_FIXTURES = 700
OUTAGE = range(1 * 24 * 60 + 14 * 60 + 7, 1 * 24 * 60 + 14 * 60 + 47)
"""Minutes without the daemon: 40 on the second day, from 14:07. A run that is under way goes on."""
CHANGES_AT = timedelta(seconds=40)
"""When in a minute what is known of kickoffs changes: after whoever is due at it was asked."""

Changes = dict[int, dict[int, datetime | None]]
"""By minute: what becomes known of fixtures in it."""


class SimulatedClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = BEGIN

    def now(self) -> datetime:
        return self.at


@dataclass
class Script:
    """What happens, decided before anything runs.

    `known`: each fixture's kickoffs (None: nobody lists it), from the minute on after which.
    """

    changes: Changes = field(default_factory=dict)
    known: dict[int, list[tuple[int, datetime | None]]] = field(default_factory=dict)

    def change(self, minute: int, sr_id: int, kickoff_at: datetime | None) -> None:
        self.changes.setdefault(minute, {})[sr_id] = kickoff_at
        self.known.setdefault(sr_id, []).append((minute, kickoff_at))

    def due(self) -> set[tuple[int, int]]:
        """Each fixture at each minute of the two days at which the cadence asks for it, by what is known as the
        minute begins.
        """
        return {
            (sr_id, minute)
            for sr_id, steps in self.known.items()
            for minute in range(N_MINUTES)
            if _due(_at(steps, minute), minute)
        }

    def still_due_at_the_end(self, sr_id: int, minute: int) -> bool:
        return _due(_at(self.known[sr_id], minute + 1), minute)


def _at(steps: list[tuple[int, datetime | None]], minute: int) -> datetime | None:
    known = [kickoff_at for since, kickoff_at in steps if since < minute]
    return known[-1] if known else None


def _due(kickoff_at: datetime | None, minute: int) -> bool:
    """The cadence in plain words: each minute of the last half hour, and each fifth one of the two hours before
    kickoff.
    """
    if kickoff_at is None:
        return False
    to_go_s = (kickoff_at - (BEGIN + MINUTE * minute)).total_seconds()
    return 0 < to_go_s <= 1800 or (0 < to_go_s <= 7200 and minute % 5 == 0)


def scripted(seed: int) -> Script:
    """The fixtures, most known from the begin and some first seen shortly before kickoff; postponed before and inside
    their tiers, moved to earlier, taken away and listed again."""
    rng, script = random.Random(seed), Script()
    for sr_id in range(1, N_FIXTURES + 1):
        minute = rng.randrange(10, N_MINUTES + 180)
        kickoff_at = (
            BEGIN
            + MINUTE * (minute if rng.random() < 0.2 else minute - minute % 15)
            + timedelta(seconds=rng.choice([0, 0, 0, 30]))
        )
        into = (kickoff_at - BEGIN) // MINUTE
        first_seen = -1 if rng.random() < 0.9 else max(-1, into - rng.randrange(1, 150))
        script.change(first_seen, sr_id, kickoff_at)
        lot = rng.random()
        before = into - rng.randrange(1, 115)  # in one of its tiers
        if before <= first_seen:
            continue
        if lot < 0.10:
            script.change(before, sr_id, kickoff_at + MINUTE * rng.choice([5, 15, 17, 60, 24 * 60]))
        elif lot < 0.15:
            script.change(before, sr_id, kickoff_at - MINUTE * rng.choice([5, 10, 40]))
        elif lot < 0.20:
            script.change(before, sr_id, None)
            if rng.random() < 0.5:
                script.change(before + rng.randrange(1, 20), sr_id, kickoff_at)
        elif lot < 0.22:
            script.change(before, sr_id, kickoff_at + MINUTE * 30)
            script.change(before + 3, sr_id, kickoff_at + MINUTE * 90)
    return script


@dataclass
class Runs:
    """Runs as the daemon launches them: none twice for a key.

    Each asks at every minute of its slot for the fixtures that are due by then.
    """

    pipeline: Pipeline
    keys: set[str] = field(default_factory=set)
    slots: set[datetime] = field(default_factory=set)
    n_requests: int = 0

    def launch(self, request: dg.RunRequest) -> None:
        self.n_requests += 1
        assert request.run_key is not None
        assert request.partition_key is not None
        if request.run_key in self.keys:
            return
        slot_at = datetime.fromisoformat(request.run_config["ops"]["landing__odds_payloads"]["config"]["slot_at"])
        assert (
            0 <= (slot_at.date() - parse_day_key(request.partition_key)).days <= (slot_at.hour == slot_at.minute == 0)
        )
        assert slot_at not in self.slots
        self.keys.add(request.run_key)
        self.slots.add(slot_at)

    def work(self, conn: psycopg.Connection, at: datetime) -> None:
        cadence = self.pipeline.cadence
        if cadence.find_slot_start(at) not in self.slots:
            return
        due = [
            sr_id
            for sr_id, kickoff_at in upcoming_fixtures.read_kickoffs(conn, at, at + cadence.first_tier_length)
            if cadence.is_due(kickoff_at, at)
        ]
        if due:
            cycle = Cycle(
                make_cycle_id(at),
                Trigger.SENSOR,
                Scope.KICKOFF,
                BETPAWA,
                floor_to_hour(at),
                at,
                "run",
                tuple(due),
                at,
            )
            cycle_ledger.write_running_cycle(conn, cycle)
            answered_at = at + timedelta(seconds=20)
            answers = [
                EventOutcome(
                    BETPAWA,
                    str(sr_id),
                    sr_id,
                    RunStatus.COMPLETED,
                    1,
                    None,
                    "",
                    200,
                    at,
                    answered_at,
                    0,
                    1.0,
                    answered_at,
                )
                for sr_id in due
            ]
            cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.COMPLETED, answered_at, [], answers))
            conn.commit()


@pytest.fixture
def pipeline(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pipelines(postgres, tmp_path_factory.mktemp("days")) as make:
        yield replace(make())


def live_through(pipeline: Pipeline, script: Script, clock: SimulatedClock) -> Runs:
    """All minutes in order: a tick of the sensor as it begins, the run of the slot, what becomes known in it.

    Cursors are lost now and then.
    """
    runs, cursor = Runs(pipeline), None
    with dg.DagsterInstance.ephemeral() as instance, pipeline.connect() as conn:
        put_kickoffs(conn, BEGIN - MINUTE + CHANGES_AT, script.changes.get(-1, {}))
        conn.execute("analyze core.fixtures, core.event_listings")
        conn.commit()
        for minute in range(N_MINUTES):
            clock.at = BEGIN + MINUTE * minute
            if minute not in OUTAGE:
                given = "not a cursor" if minute % 97 == 0 else cursor
                with dg.build_sensor_context(
                    instance=instance, cursor=given, resources={"pipeline": pipeline}
                ) as context:
                    found = kickoff_sensor(context)
                if isinstance(found, dg.SensorResult):
                    (request,) = found.run_requests or []
                    runs.launch(request)
                    cursor = found.cursor
            runs.work(conn, clock.at)
            clock.at += CHANGES_AT
            if minute in script.changes:
                put_kickoffs(conn, clock.at, script.changes[minute])
                conn.commit()
        clock.at = BEGIN + MINUTE * N_MINUTES
    return runs


@pytest.mark.slow
def test_every_fixture_has_exactly_its_slots_and_those_of_an_outage_are_told(pipeline: Pipeline):
    script, clock = scripted(seed=11), SimulatedClock()
    pipeline.__dict__["clock"] = clock
    runs = live_through(pipeline, script, clock)

    with pipeline.connect() as conn:
        rows = conn.execute("select unnest(sr_ids), slot_at from ops.scrape_batches").fetchall()
    asked = Counter((sr_id, (slot_at - BEGIN) // MINUTE) for sr_id, slot_at in rows)
    assert max(asked.values()) == 1, "none twice"
    due = script.due()
    # The run of the slot that the outage begins in goes on to its end, and the daemon that comes back asks for what is
    # left of a slot.
    dark = {minute for minute in OUTAGE if minute >= 5 * (OUTAGE[0] // 5 + 1)}
    lost = {(sr_id, minute) for sr_id, minute in due if minute in dark}
    assert set(asked) == due - lost, "none lost but those of the outage"

    found = report_slots(pipeline, BEGIN, BEGIN + MINUTE * N_MINUTES)
    told = {
        (sr_id, (slot_at - BEGIN) // MINUTE)
        for sr_id, slot_at in found.lost_slots.select("sr_id", "slot_at").iter_rows()
    }
    assert told == {(sr_id, minute) for sr_id, minute in lost if script.still_due_at_the_end(sr_id, minute)}
    assert found.lost_stretches["n_slots"].sum() == len(told)
    assert any(minute in OUTAGE for minute in script.changes), "something became known in the outage"
    assert found.slots.height > 15_000
    assert len(told) > 200
    assert runs.n_requests > len(runs.keys), "a slot was asked for again without a cursor, and run once"
