"""Worlds whose derived tables are compared before and after a change: landed once at fixed instants, then replayed into
an empty database as often as one likes.

The clock of the pipeline stands still at the instant of each cycle, and so does the simulator's. A replay begins with
the ledger and the ids of the landing's first database, which no replay writes. So two replays of one landing agree in
every column but the few that `_content` leaves out.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import dagster as dg
from psycopg import sql

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.operate.backfill.backfill import derive_due_fixtures, rebuild_dirty_dates
from palimpsest_pipeline.operate.run_job import RunOutcome
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.record_landed_cycles import rescan_landing
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulated_platforms import DEMO_PLATFORMS
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.all_recordings import write_all_recordings
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, PLATFORMS
from palimpsest_pipeline_tests.fixtures.samples import unpack
from palimpsest_pipeline_tests.recorded.import_answers import ANSWERS

BEGIN: Final = datetime(2026, 9, 1, 12, 0, 0, 400_000, tzinfo=UTC)
"""The first cycle of every simulated world. Its tenths of a second keep the few milliseconds between setting the
simulator's clock and stopping it within one second.
"""
READ_AFTER: Final = timedelta(minutes=1)
"""Time from the last cycle to the instant at which everything is derived and read."""
GIVEN: Final = (
    "ops.scrape_batches",
    "ops.scrape_runs",
    "ops.event_scrape_status",
    "ops.listing_ids",
    "ops.market_lines",
    "ops.line_names",
    "ops.known_kickoffs",
)
"""Tables that live cycles write and a replay does not: it begins with their rows."""


@dataclass(frozen=True, slots=True)
class World:
    """A simulated world, or the recorded answers when `size` is 0. Instants are minutes after `BEGIN`."""

    size: int
    seed: int
    cycles: Sequence[int]
    platforms: Sequence[Platform] = PLATFORMS
    blocked: int | None = None
    """Minute of the cycle in which Bet9ja blocks us."""
    led: int | None = None
    """Minute at which three fixtures get a price that platforms follow one after the other, and one is suspended so."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_settings(self) -> dict[str, Any]:
        return {**self.settings, **({"platforms": list(self.platforms)} if self.size else {})}

    @property
    def read_at(self) -> datetime:
        return BEGIN + timedelta(minutes=self.cycles[-1]) + READ_AFTER


WORLDS: Final = {
    "demo": World(60, 7, (0, 10), DEMO_PLATFORMS),
    "days": World(
        20,
        5,
        (0, 60, 120, 130, 140, 150, 160, 170, 180, 240, 780, 1500),
        blocked=120,
        led=135,
        settings={"odds_alert_markets": ["*"], "odds_alert_levels": (0.01, 0.02, 0.04)},
    ),
    "recorded": World(0, 0, (0,)),
}


@contextmanager
def land_world(server: EmbeddedPostgres, world: World, folder: Path) -> Iterator[Pipeline]:
    """Land the world, derive it cycle by cycle, and keep its landing and its given rows in `folder`."""
    with tempfile.TemporaryDirectory() as home, pipelines(server, Path(home)) as make:
        if world.size:
            _scrape(world, make)
        pipeline = make(**world.all_settings)
        with _stopped(world.read_at):
            if not world.size:
                samples = unpack(ANSWERS, Path(home) / "samples")
                import_recorded(pipeline, write_all_recordings(samples, Path(home) / "answers"))
                _replay(pipeline)
            _derive_due(pipeline)
            shutil.copytree(pipeline.settings.landing_root, folder / "landing")
            with pipeline.connect() as conn:
                platforms = [name for (name,) in conn.execute("select platform from ops.platforms order by 1")]
                (folder / "platforms.json").write_text(json.dumps(platforms))
                for name in GIVEN:
                    query = sql.SQL("select json_agg(t)::text from {} t").format(sql.Identifier(*name.split(".")))
                    ((rows,),) = conn.execute(query).fetchall()
                    (folder / f"{name}.json").write_text(rows or "[]")
            yield pipeline


@contextmanager
def replay_world(server: EmbeddedPostgres, world: World, folder: Path) -> Iterator[Pipeline]:
    """Derive the landing in `folder` from an empty database, which begins with the given rows."""
    with tempfile.TemporaryDirectory() as home, pipelines(server, Path(home)) as make:
        pipeline = make(**world.all_settings)
        shutil.copytree(folder / "landing", pipeline.settings.landing_root, dirs_exist_ok=True)
        with pipeline.connect() as conn:
            pipeline.record_platforms(
                conn, [Platform(name) for name in json.loads((folder / "platforms.json").read_text())]
            )
            for name in GIVEN:
                table = sql.Identifier(*name.split("."))
                insert = sql.SQL(
                    "insert into {0} select * from json_populate_recordset(null::{0}, %s) on conflict do nothing"
                )
                conn.execute(insert.format(table), [(folder / f"{name}.json").read_text()])
            for table_name, column in (("ops.listing_ids", "listing_id"), ("ops.market_lines", "line_id")):
                conn.execute(
                    sql.SQL("select setval(pg_get_serial_sequence({0}, {1}), (select max({2}) from {3}))").format(
                        table_name, column, sql.Identifier(column), sql.Identifier(*table_name.split("."))
                    )
                )
            conn.commit()
        with _stopped(world.read_at):
            rescan_landing(pipeline)
            _replay(pipeline)
            _derive_due(pipeline)
            yield pipeline


def _scrape(world: World, make: MakePipeline) -> None:
    """Run every cycle of the world, with all that a full cycle derives."""
    has_led = False
    with SimulatorProcess(world.size, world.seed, epoch=BEGIN, platforms=world.platforms) as simulator:
        for minute in world.cycles:
            at = BEGIN + timedelta(minutes=minute)
            if not has_led and world.led is not None and world.led < minute:
                _lead(simulator, world, BEGIN + timedelta(minutes=world.led))
                has_led = True
            simulator.set_fault(BET9JA, "block" if minute == world.blocked else "none")
            simulator.set_clock((at - datetime.now(UTC)).total_seconds(), stopped=True)
            with _stopped(at):
                _succeed(run_here(make(simulator, **world.all_settings), "full_cycle"))


def _lead(simulator: SimulatorProcess, world: World, at: datetime) -> None:
    simulator.set_clock((at - datetime.now(UTC)).total_seconds(), stopped=True)
    everywhere = [f for f in simulator.fetch_truth()["fixtures"] if len(f["platforms"]) == len(world.platforms)]
    for number, fixture in enumerate(everywhere[:4]):
        action, settings = ("lead", {"factor": 1.6}) if number else ("suspend", {"minutes": 20})
        simulator.run_script(action, fixture["sr_id"], platforms=list(world.platforms), lag_s=600, **settings)


@contextmanager
def _stopped(at: datetime) -> Iterator[None]:
    with patch.object(Clock, "now", lambda _: at):
        yield


def _replay(pipeline: Pipeline) -> None:
    for day in sorted({cycle.partition_hour.date() for cycle in pipeline.landing.list_cycles()}):
        _succeed(run_here(pipeline, "replay", day))


def _derive_due(pipeline: Pipeline) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        failed = rebuild_dirty_dates(pipeline, instance, lambda _: None)
        error = derive_due_fixtures(pipeline, instance, lambda _: None)
    if failed or error:
        raise RuntimeError(f"not derived: {failed or error}")


def _succeed(outcome: RunOutcome) -> None:
    if not outcome.success:
        raise RuntimeError(outcome.error)
