"""A live cycle as the runs drive it: broken off half-way, refused, and with the older generation of BetPawa's
interface.
"""

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.landing.assets import discovery_payloads
from palimpsest_pipeline.defs.monitoring.dead_run_sensor import dead_runs
from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.landing import LandingError
from palimpsest_pipeline.operate.run_job import CANCELLED_MESSAGE
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.book_reader import BookReader
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.pipeline.live.recovery import recover_dead_cycles
from palimpsest_pipeline.runtime import heartbeat
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.scrape.sinks import ScrapeObserver
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_reader
from palimpsest_pipeline_tests.fixtures.ledger import find_unfilled_columns, read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS
from palimpsest_pipeline_tests.fixtures.truth import check_against_truth

from .cycles import list_answered_listings, list_target_listings, read_statuses

Start = Callable[..., SimulatorProcess]
TOTALS_SQL = """
    select e.external_id, l.specifier, o.outcome_key, p.odds_milli
    from core.current_markets c
    join ops.market_lines l using (line_id)
    join core.event_listings e using (listing_id)
    join core.markets m using (market_id)
    cross join lateral unnest(c.odds_milli) with ordinality as p (odds_milli, ordinal)
    join core.market_outcomes o on o.market_id = l.market_id and o.ordinal = p.ordinal
    where e.platform = 'betpawa' and e.fixture_sr_id is not null and m.market_key = 'total_goals' and c.state = 'offered' and p.odds_milli is not null
"""
"""Totals that can be backed on BetPawa now, outcome by outcome."""


class InterruptedAfter(ScrapeObserver):
    """A Watch: presses Ctrl-C when so many askings are over, and once more with every one after that."""

    def __init__(self, n: int | None = None) -> None:
        self.n = n
        self.over = 0

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for _ in outcomes:
            self.over += 1
            if self.n is not None and self.over >= self.n:
                signal.raise_signal(signal.SIGINT)


class DatabaseAway(InterruptedAfter):
    """A Watch: takes the database away once five askings are over and until all are, or for good; its keeper must
    have noticed before it goes on.
    """

    def __init__(self, pipeline: Pipeline, server: EmbeddedPostgres, *, comes_back: bool) -> None:
        super().__init__()
        self.server, self.comes_back = server, comes_back
        self.name = conninfo_to_dict(pipeline.database.conninfo)["dbname"]
        self.left, self.noticed = 0, threading.Event()
        self.warnings = logging.Handler(logging.WARNING)
        self.warnings.emit = lambda record: self.noticed.set()  # type: ignore[method-assign]

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        self.left += n

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        before, self.over = self.over, self.over + len(outcomes)
        self.left -= len(outcomes)
        if before < 5 <= self.over:
            heartbeat.log.addHandler(self.warnings)  # first: the keeper may notice at once
            self.let_in(False)
            assert self.noticed.wait(30)
            heartbeat.log.removeHandler(self.warnings)
        if not self.left and self.comes_back:
            self.let_in(True)

    def let_in(self, anybody: bool) -> None:
        with psycopg.connect(self.server.build_libpq_url("postgres"), autocommit=True) as conn:
            conn.execute(f"alter database {self.name} allow_connections {anybody}".encode())
            if not anybody:
                conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [self.name])


def begun(pipeline: Pipeline, *sr_ids: int) -> live_cycle.ScrapeRequest:
    return live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "run-1", sr_ids)


def landed(pipeline: Pipeline, kind: PayloadKind) -> int:
    (manifest,) = pipeline.landing.list_cycles()
    return pipeline.landing.read_answers(manifest, kinds=[kind], columns=["kind"]).height


def ledger_of(pipeline: Pipeline) -> tuple[RunStatus, dict[str, str], set[str]]:
    with pipeline.connect() as conn:
        (batch,) = read_latest_cycles(conn)
        runs = conn.execute("select platform, status, message from ops.scrape_runs").fetchall()
        assert find_unfilled_columns(conn, batch.cycle.cycle_id) == []
    assert batch.finished_at is not None
    return batch.status, {platform: status for platform, status, _ in runs}, {message for *_, message in runs}


def test_a_capture_broken_off_keeps_every_answer_that_came_and_says_so(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(start_simulator(40, 3))
    cycle = live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL)
    live_cycle.run_discovery(pipeline, cycle, InterruptedAfter())
    progress = InterruptedAfter(20)
    with pytest.raises(KeyboardInterrupt):
        live_cycle.run_capture(pipeline, begun(pipeline), progress)
    assert landed(pipeline, PayloadKind.DETAIL) >= progress.over >= 20
    status, runs, messages = ledger_of(pipeline)
    assert (status, set(runs)) == (RunStatus.CANCELLED, set(PLATFORMS))
    assert "capture cancelled" in messages
    (manifest,) = pipeline.landing.list_cycles()
    assert (manifest.status, manifest.stages) == (RunStatus.CANCELLED, ("discovery",))
    lines = read_statuses(pipeline)
    assert list_target_listings(pipeline) <= lines.keys()
    assert lines == {
        **dict.fromkeys(lines, "cancelled"),
        **dict.fromkeys(list_answered_listings(pipeline), "completed"),
    }


def test_a_run_that_is_interrupted_says_so_in_plain_words(
    start_simulator: Start, make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[BookReader] = []

    def drop_all(reader: BookReader) -> None:
        dropped.append(reader)

    monkeypatch.setattr(BookReader, "drop_all", drop_all)
    pipeline = make_pipeline(start_simulator(40, 3))
    outcome = run_here(replace(pipeline, progress=InterruptedAfter(50)), "full_cycle")
    assert (outcome.success, outcome.error) == (False, CANCELLED_MESSAGE)
    assert ledger_of(pipeline)[0] is RunStatus.CANCELLED
    assert landed(pipeline, PayloadKind.TREE) == len(PLATFORMS)
    assert len(dropped) == 1, "the process ends without reading what waits"


def test_a_discovery_broken_off_keeps_every_answer_and_concludes_nothing(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(start_simulator(40, 3))
    cycle = live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL)
    progress = InterruptedAfter(8)
    with pytest.raises(KeyboardInterrupt):
        live_cycle.run_discovery(pipeline, cycle, progress)
    assert landed(pipeline, PayloadKind.TREE) + landed(pipeline, PayloadKind.LISTING) >= progress.over >= 8
    assert ledger_of(pipeline) == (RunStatus.CANCELLED, dict.fromkeys(PLATFORMS, "cancelled"), {"discovery cancelled"})
    outcome = run_here(pipeline, "replay", cycle.partition_hour.date())
    assert outcome.success, outcome.error
    with pipeline.connect() as conn:
        absent = conn.execute("select count(*) from core.event_listings where deleted_at is not null").fetchone()
        whole = conn.execute(
            "select count(*) from core.discovery_manifest where external_id = '*' and completeness = 'complete'"
        ).fetchone()
    assert absent == (0,)
    assert whole != (len(PLATFORMS),)


def test_a_landing_that_refuses_is_named_and_the_cycle_is_closed(
    start_simulator: Start, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    (tmp_path / "occupied").write_text("a file where the landing should be")
    pipeline = make_pipeline(start_simulator(40, 3), landing_url=str(tmp_path / "occupied"))
    cycle = live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL)
    with pytest.raises(LandingError, match="cannot write to the landing"):
        live_cycle.run_discovery(pipeline, cycle, InterruptedAfter())
    assert ledger_of(pipeline)[0] is RunStatus.FAILED


@pytest.mark.parametrize("comes_back", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_database_that_goes_away_stops_no_fetching(
    comes_back: bool, start_simulator: Start, make_pipeline: MakePipeline, postgres: EmbeddedPostgres
) -> None:
    pipeline = make_pipeline(start_simulator(20, 3), heartbeat_s=0.05, silent_after_s=0.1)
    cycle = live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL)
    live_cycle.run_discovery(pipeline, cycle, InterruptedAfter())
    away = DatabaseAway(pipeline, postgres, comes_back=comes_back)
    with nullcontext() if comes_back else pytest.raises(DatabaseUnreachable):
        live_cycle.run_capture(pipeline, begun(pipeline), away)
    assert (away.noticed.is_set(), away.left) == (True, 0)
    (manifest,) = pipeline.landing.list_cycles()
    assert (manifest.status, manifest.stages) == (RunStatus.COMPLETED, ("discovery", "capture"))
    if not comes_back:
        away.let_in(True)
        assert recover_dead_cycles(pipeline) == [cycle]
    assert ledger_of(pipeline)[0] is (RunStatus.COMPLETED if comes_back else RunStatus.INTERRUPTED)
    assert read_statuses(pipeline) == dict.fromkeys(list_answered_listings(pipeline), "completed")


@pytest.mark.slow
def test_the_older_generation_of_betpawas_interface_gives_the_same_tables(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    simulator = start_simulator(60, 2, betpawa_version="v3")
    simulator.set_clock(0, stopped=True)
    pipeline = make_pipeline(simulator, betpawa={"api_version": "v3"})
    outcome = run_here(pipeline, "full_cycle")
    assert outcome.success, outcome.error
    check_against_truth(pipeline, simulator.fetch_truth())
    with pipeline.connect() as conn:
        found = set(conn.execute(TOTALS_SQL).fetchall())
    listed = [
        external_id
        for fixture in simulator.fetch_truth()["fixtures"]
        for external_id in fixture["platforms"].get("betpawa", ())
    ]
    assert found == {
        (external_id, f"total={line['line']}", outcome, round(odds * 1000))
        for external_id in listed
        for line in simulator.fetch_book(BETPAWA, external_id)
        if line["key"] == "total_goals" and not line["suspended"]
        for outcome, odds in line["odds"].items()
        if odds is not None
    }
    assert len(found) > 100


def test_between_its_stages_a_cycle_is_running_and_is_found_when_the_next_one_never_comes(
    start_simulator: Start, make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise RuntimeError("the step could not be started")

    monkeypatch.setattr(live_cycle, "run_capture", never)
    pipeline = make_pipeline(start_simulator(20, 3), heartbeat_s=0.05, silent_after_s=0.1)
    assert run_here(pipeline, "full_cycle").error == "the step could not be started"
    with pipeline.connect() as conn:
        (batch,) = read_latest_cycles(conn)
        runs = conn.execute("select distinct status, requests > 0 from ops.scrape_runs").fetchall()
        assert cycle_reader.read_unended_cycles(conn) == [batch.cycle.cycle_id]
    assert (batch.status, runs) == (RunStatus.RUNNING, [("running", True)])
    while not (closed := recover_dead_cycles(pipeline)):
        pass
    assert closed == [batch.cycle]
    assert ledger_of(pipeline)[:2] == (RunStatus.INTERRUPTED, dict.fromkeys(PLATFORMS, "interrupted"))


def test_a_discovery_without_a_capture_after_it_completes_its_cycle(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(start_simulator(20, 3))
    today = str(pipeline.clock.now().date())
    assert dg.materialize([discovery_payloads], partition_key=today, resources={"pipeline": pipeline}).success
    assert ledger_of(pipeline) == (RunStatus.COMPLETED, dict.fromkeys(PLATFORMS, "completed"), {""})


def test_a_cancelled_cycle_is_derived_by_the_sensor_and_shows_no_fault_of_a_platform(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(start_simulator(40, 3))
    assert run_here(replace(pipeline, progress=InterruptedAfter(8)), "full_cycle").cancelled
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context,
    ):
        ((cycle_id, day),) = [
            ((request.run_key or "").partition(" ")[0], request.partition_key) for request in dead_runs(context)
        ]
    with dg.DagsterInstance.ephemeral() as instance:
        replayed = defs.resolve_job_def("replay").execute_in_process(
            instance=instance, partition_key=day, resources={"pipeline": pipeline}
        )
    said = {check.check_name: check.passed for check in replayed.get_asset_check_evaluations()}
    with pipeline.connect() as conn:
        quality = conn.execute(
            "select count(*) from mart.run_quality where cycle_id = %s and completeness = 'failed'", [cycle_id]
        ).fetchone()
    assert quality != (0,)
    assert said["no_stage_is_empty"]
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context,
    ):
        assert list(dead_runs(context)) == []


@pytest.mark.slow
def test_checks_of_a_day_leave_a_cycle_alone_that_another_run_is_just_landing(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(start_simulator(12, 3))
    assert run_here(pipeline, "full_cycle").success
    live_cycle.run_discovery(
        pipeline,
        live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL),
        InterruptedAfter(),
        has_capture_next=True,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        checked = defs.resolve_job_def("replay").execute_in_process(
            instance=instance,
            partition_key=str(pipeline.clock.now().date()),
            resources={"pipeline": pipeline},
            op_selection=[
                "mart__coverage_fixture_kickoffs_of_the_platforms_agree",
                "mart__mapping_coverage_markets_are_mapped",
            ],
        )
    assert len(checked.get_asset_check_evaluations()) == 2


def test_a_landing_that_cannot_be_written_is_noticed_before_the_first_request(
    make_pipeline: MakePipeline, start_simulator: Start, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    simulator = start_simulator(size=3)
    outcome = run_here(make_pipeline(simulator, landing_url=str(tmp_path / "file" / "landing")), "full_cycle")
    assert not outcome.success
    assert "cannot write to the landing at" in (outcome.error or "")
    assert simulator.list_requests() == []
