"""What a tick of the kickoff sensor costs, next to the bare query that it makes; and what knowing of kickoffs costs
whoever derives them.

The sensor is the real one on a Postgres of its own; Dagster's storage is in memory. Ticks and queries take turns.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any, Final

import dagster as dg
import typer

from palimpsest_pipeline.defs.cycle_triggers import kickoff_sensor
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.kickoff_slots import CadenceMoment, report_slots
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.postgres import create_database, run_server, upgrade_with_platforms

DATABASE: Final = "cadence"
AT: Final = datetime(2026, 6, 26, 12, 0, 10, tzinfo=UTC)
REACH: Final = timedelta(hours=2)
OTHERS: Final = 2
"""Fixtures out of reach, before and after, for each one in reach."""


class Standing:
    """A clock that stands."""

    def now(self) -> datetime:
        return AT


@dataclass
class Took:
    """Milliseconds by what was done, one for each round."""

    ms: dict[str, list[float]] = field(default_factory=dict)

    def time(self, name: str, work: Callable[[], object]) -> object:
        began = perf_counter()
        done = work()
        self.ms.setdefault(name, []).append(1000 * (perf_counter() - began))
        return done


def measure(
    fixtures: Annotated[
        int, typer.Option(min=1, help="Fixtures that kick off within the reach of the cadence.")
    ] = 5000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median counts.")] = 15,
) -> dict[str, Any]:
    """Figures in milliseconds: a tick that asks for a slot, the same after a day without the daemon, the bare query of
    both, one tick that has nothing to ask; then writing down what is known of kickoffs when nothing changed, and
    judging two hours of slots."""
    with TemporaryDirectory(prefix="palimpsest-cadence-") as folder, world(Path(folder), fixtures) as pipeline:
        took, n_requests = Took(), 0
        slot = pipeline.cadence.find_slot_start(AT)
        cursors = {
            "tick": slot - timedelta(minutes=5),
            "tick_after_a_day": slot - timedelta(days=1),
            "tick_asked": slot,
        }
        moment = CadenceMoment(
            pipeline.cadence, AT, slot - timedelta(minutes=5), timedelta(minutes=pipeline.settings.grace_minutes)
        )
        with dg.DagsterInstance.ephemeral() as instance:
            for _ in range(rounds):
                took.time("query", lambda: query(pipeline, moment))
                for name, asked_at in cursors.items():
                    found = took.time(name, lambda asked_at=asked_at: tick(pipeline, instance, asked_at))
                    n_requests += isinstance(found, dg.SensorResult)
                took.time("remember", lambda: remember(pipeline))
                with pipeline.connect() as conn:
                    took.time("judge", lambda: report_slots(pipeline, conn, AT - REACH, AT))
        ms = {f"{name}_ms": median(each) for name, each in took.ms.items()}
        return {
            "fixtures_in_reach": fixtures,
            "rounds": rounds,
            **ms,
            "tick_ratio_to_query": ms["tick_ms"] / ms["query_ms"],
            "requests_per_tick_that_asks": n_requests / (2 * rounds),
        }


def query(pipeline: Pipeline, moment: CadenceMoment) -> None:
    with pipeline.connect() as conn:
        upcoming_fixtures.read_kickoffs_and_next(conn, *moment.kickoff_span)


def remember(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        upcoming_fixtures.record_kickoffs(conn, AT)


def tick(pipeline: Pipeline, instance: dg.DagsterInstance, asked_at: datetime) -> object:
    with dg.build_sensor_context(
        instance=instance, cursor=asked_at.isoformat(), resources={"pipeline": pipeline}
    ) as context:
        return kickoff_sensor(context)


@contextmanager
def world(folder: Path, fixtures: int) -> Iterator[Pipeline]:
    """A pipeline whose database knows so many fixtures in reach, and others."""
    with run_server(folder, durable=True) as postgres:
        create_database(postgres, DATABASE)
        upgrade_with_platforms(postgres.build_url(DATABASE))
        pipeline = Pipeline(
            load_settings(
                home_dir=folder,
                database_url=postgres.build_url(DATABASE),
                dagster_database_url="postgresql://unused/dagster",
            )
        )
        pipeline.__dict__["clock"] = Standing()
        near = {n: AT + REACH * (n / fixtures) for n in range(1, fixtures + 1)}
        before = {n + fixtures: AT - timedelta(minutes=n) for n in range(1, fixtures * OTHERS // 2)}
        after = {n + fixtures * OTHERS: AT + REACH + timedelta(minutes=n) for n in range(1, fixtures * OTHERS // 2)}
        with pipeline.connect() as conn:
            put_kickoffs(conn, AT - timedelta(days=30), near | before | after)
        with pipeline.connect() as conn:
            conn.execute("analyze core.fixtures, core.event_listings, ops.known_kickoffs")
        yield pipeline
