"""When cycles run: the schedule of full cycles and the sensor of those before kickoff, tick by tick; and what they
lost.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster_shared.serdes import deserialize_value, serialize_value
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.cycle_triggers import kickoff_sensor, request_full_cycle
from palimpsest_pipeline.defs.monitoring.checks import kickoff_slots_were_kept
from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.operate.serve import switches
from palimpsest_pipeline.operate.serve.switches import Switch
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_ledger, requested_slots
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA

NOON = datetime(2026, 6, 26, 12, tzinfo=UTC)
MIDNIGHT = 12 * 60
"""Minutes from noon to the end of the day."""
MINUTE = timedelta(minutes=1)


class At:
    """A clock that stands where it is put."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def m(minutes: float) -> datetime:
    return NOON + MINUTE * minutes


@pytest.fixture(scope="module")
def module_pipeline(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pipelines(postgres, tmp_path_factory.mktemp("cadence")) as make:
        yield make()


@pytest.fixture
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    """At noon, with nothing in its database that these tests put there."""
    with module_pipeline.connect() as conn:
        conn.execute("truncate ops.scrape_batches, ops.known_kickoffs, core.fixtures, core.event_listings cascade")
    at_noon = replace(module_pipeline)
    at_noon.__dict__["clock"] = At(NOON)
    return at_noon


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as dagster_instance:
        yield dagster_instance


def set_clock(pipeline: Pipeline, at: datetime) -> None:
    pipeline.__dict__["clock"] = At(at)


def put(pipeline: Pipeline, kickoffs: dict[int, datetime | None], known_from: datetime = NOON) -> None:
    with pipeline.connect() as conn:
        put_kickoffs(conn, known_from, kickoffs)


def open_kickoff_cycle(pipeline: Pipeline, at: datetime, *sr_ids: int) -> Cycle:
    """A cycle of the cadence for these fixtures at that minute."""
    hour = floor_to_hour(at)
    cycle = Cycle(make_cycle_id(at), Trigger.SENSOR, Scope.KICKOFF, BETPAWA, hour, at, "run", sr_ids, at)
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle)
    return cycle


def tick(
    pipeline: Pipeline, instance: dg.DagsterInstance, cursor: str | None = None, at: datetime | None = None
) -> dg.SensorResult | dg.SkipReason:
    """A tick of the sensor, at this instant or at that of the tick before."""
    if at is not None:
        set_clock(pipeline, at)
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"pipeline": pipeline}) as context:
        result = kickoff_sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def get_request(result: dg.SensorResult | dg.SkipReason) -> dg.RunRequest:
    """The request as the daemon gets it: the code server may send only what Dagster knows how to write down."""
    assert isinstance(result, dg.SensorResult), result
    (request,) = result.run_requests or []
    return deserialize_value(serialize_value(request), dg.RunRequest)


def get_run_key(result: dg.SensorResult | dg.SkipReason) -> str:
    """The request's run key from the hour of its slot on, without the words that are in each."""
    key = get_request(result).run_key or ""
    assert key.startswith("kickoff 2026-06-2")
    return key.removeprefix("kickoff ").replace(":00+00:00 within 120 min", "")


def get_skip_message(result: dg.SensorResult | dg.SkipReason) -> str:
    assert isinstance(result, dg.SkipReason), result
    return str(result.skip_message)


def start_run(instance: dg.DagsterInstance, job: str, **tags: str) -> dg.DagsterRun:
    return instance.create_run_for_job(defs.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED, tags=tags)


def test_the_schedule_requests_the_day_of_its_tick(pipeline: Pipeline, instance: dg.DagsterInstance):
    request = request_full_cycle(pipeline, instance, m(30))
    assert isinstance(request, dg.RunRequest)
    assert deserialize_value(serialize_value(request), dg.RunRequest) == request
    assert (request.run_key, request.partition_key) == (m(30).isoformat(), "2026-06-26")
    assert request.tags["palimpsest/trigger"] == "scheduled"


def test_a_full_cycle_is_skipped_while_a_run_of_its_job_is_unfinished(pipeline: Pipeline, instance: dg.DagsterInstance):
    run = start_run(instance, "full_cycle")
    result = request_full_cycle(pipeline, instance, m(30))
    assert isinstance(result, dg.SkipReason)
    assert f"run {run.run_id} is under way since 20" in str(result.skip_message)
    instance.report_run_failed(run, "over")
    assert isinstance(request_full_cycle(pipeline, instance, m(60)), dg.RunRequest)


@pytest.mark.parametrize(("scope", "is_skipped"), [(Scope.FULL, True), (Scope.KICKOFF, False), (Scope.EVENTS, False)])
def test_a_full_cycle_is_skipped_while_one_from_a_terminal_is_alive(
    scope: Scope, is_skipped: bool, pipeline: Pipeline, instance: dg.DagsterInstance
):
    cycle = Cycle(make_cycle_id(m(3)), Trigger.MANUAL, scope, BETPAWA, NOON, m(3), "run")
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle)
    result = request_full_cycle(pipeline, instance, m(30))
    assert isinstance(result, dg.SkipReason) is is_skipped
    if is_skipped:
        assert str(result.skip_message) == f"cycle {cycle.cycle_id} is under way since 2026-06-26 12:03:00 UTC"
        with pipeline.connect() as conn:
            conn.execute("update ops.scrape_batches set heartbeat_at = heartbeat_at - interval '1 hour'")
        # 0 s: the server may have been started a moment ago
        impatient = replace(pipeline, settings=pipeline.settings.model_copy(update={"silent_after_s": 0.0}))
        assert isinstance(request_full_cycle(impatient, instance, m(30)), dg.RunRequest), "who is dead does not keep it"


def test_a_slot_with_a_fixture_due_is_requested_once(pipeline: Pipeline, instance: dg.DagsterInstance):
    put(pipeline, {1: m(45)})
    first = tick(pipeline, instance, at=m(0.4))
    request = get_request(first)
    slot = "2026-06-26T12:00:00+00:00"
    assert (request.run_key, request.partition_key) == (f"kickoff {slot} within 120 min", "2026-06-26")
    assert request.run_config == {"ops": {"landing__odds_payloads": {"config": {"slot_at": slot}}}}
    assert request.tags == {"palimpsest/trigger": "sensor", "palimpsest/slot": slot}
    assert first.cursor == NOON.isoformat()
    assert "is already requested" in get_skip_message(tick(pipeline, instance, first.cursor, m(3.9)))


def test_a_slot_is_requested_shortly_before_it_begins_so_that_its_first_minute_is_whole(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(45)})
    cursor = NOON.isoformat()
    ahead = tick(pipeline, instance, cursor, m(4.1))
    assert get_run_key(ahead) == "2026-06-26T12:05"
    for minutes in (4.1, 5.1):
        again = tick(pipeline, instance, ahead.cursor, m(minutes))
        assert get_skip_message(again) == "the slot of 12:05 UTC is already requested"
    assert get_run_key(tick(pipeline, instance, cursor)) == "2026-06-26T12:05"


def test_the_rest_of_a_slot_is_requested_before_the_next_one(pipeline: Pipeline, instance: dg.DagsterInstance):
    put(pipeline, {1: m(20)})
    first = tick(pipeline, instance, m(-30).isoformat(), m(4.1))
    assert get_run_key(first) == "2026-06-26T12:00"
    assert get_run_key(tick(pipeline, instance, first.cursor)) == "2026-06-26T12:05"


def test_a_slot_of_the_next_day_is_requested_ahead_in_the_partition_that_is_there_unless_it_outlasts_the_grace(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(MIDNIGHT + 20)})
    cursor = m(MIDNIGHT - 5).isoformat()
    assert "is already requested" in get_skip_message(tick(pipeline, instance, cursor, m(MIDNIGHT - 1.1)))
    ahead = tick(pipeline, instance, cursor, m(MIDNIGHT - 0.5))
    assert (get_run_key(ahead), get_request(ahead).partition_key) == ("2026-06-27T00:00", "2026-06-26")
    assert get_request(tick(pipeline, instance, cursor, m(MIDNIGHT))).partition_key == "2026-06-27"
    pipeline.__dict__["settings"] = pipeline.settings.model_copy(update={"grace_minutes": 4})
    assert "is already requested" in get_skip_message(tick(pipeline, instance, cursor, m(MIDNIGHT - 0.5)))


def test_the_request_fits_the_job_which_goes_before_other_runs(pipeline: Pipeline, instance: dg.DagsterInstance):
    put(pipeline, {1: m(45)})
    jobs = [defs.resolve_job_def(name) for name in ("fixture_life", "full_cycle", "kickoff_window")]
    dg.validate_run_config(jobs[-1], get_request(tick(pipeline, instance)).run_config)
    first, second, third = (int(job.tags["dagster/priority"]) for job in jobs)
    assert first < second < third


def test_when_nothing_is_due_the_next_kickoff_is_named(pipeline: Pipeline, instance: dg.DagsterInstance):
    assert (
        get_skip_message(tick(pipeline, instance))
        == "no fixture is due in the slot of 12:00 UTC: no upcoming fixture is known"
    )
    put(pipeline, {1: m(300), 2: m(400)})
    assert get_skip_message(tick(pipeline, instance)).endswith("the next fixture kicks off at 2026-06-26 17:00 UTC")


def test_past_minutes_are_not_requested(pipeline: Pipeline, instance: dg.DagsterInstance):
    put(pipeline, {1: m(45)})  # due at 12:00 and not before 12:05 again
    assert get_skip_message(tick(pipeline, instance, at=m(1))).endswith(
        "the next fixture kicks off at 2026-06-26 12:45 UTC"
    )
    put(pipeline, {2: m(20)})
    assert get_run_key(tick(pipeline, instance)) == "2026-06-26T12:00"


def create_run(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
    return instance.create_run_for_job(defs.resolve_job_def("kickoff_window"), status=status, tags=request.tags).run_id


def test_the_rest_of_a_slot_whose_run_failed_is_requested_again_with_a_key_that_names_it(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(20)})
    first = tick(pipeline, instance, at=m(0.1))
    run_id = create_run(instance, get_request(first), dg.DagsterRunStatus.STARTING)
    assert "is already requested" in get_skip_message(tick(pipeline, instance, first.cursor))
    instance.report_run_failed(instance.get_run_by_id(run_id), "the code server was killed")
    again = tick(pipeline, instance, first.cursor, m(1.2))
    request = get_request(again)
    assert get_run_key(again) == f"2026-06-26T12:00 after {run_id}"
    assert (request.partition_key, request.run_config) == ("2026-06-26", get_request(first).run_config)
    assert request.tags == {**get_request(first).tags, "palimpsest/follows": run_id}
    assert again.cursor == first.cursor
    second = create_run(instance, request, dg.DagsterRunStatus.STARTED)
    assert "is already requested" in get_skip_message(tick(pipeline, instance, again.cursor)), (
        "while it runs nobody follows it"
    )
    instance.report_run_failed(instance.get_run_by_id(second), "and again")
    assert get_run_key(tick(pipeline, instance, again.cursor)).endswith(f" after {second}")
    assert get_run_key(tick(pipeline, instance, again.cursor, m(5))) == "2026-06-26T12:05", "none after the slot's end"


@pytest.mark.parametrize(
    ("status", "tags", "is_followed"),
    [
        (dg.DagsterRunStatus.SUCCESS, {}, False),
        (dg.DagsterRunStatus.NOT_STARTED, {}, False),
        (dg.DagsterRunStatus.CANCELED, {}, False),
        (dg.DagsterRunStatus.CANCELED, {"palimpsest/ended_with_server": "true"}, True),
    ],
)
def test_a_slot_is_requested_again_by_its_newest_run_and_after_a_restart_of_the_server(
    status: dg.DagsterRunStatus,
    tags: dict[str, str],
    is_followed: bool,
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
):
    put(pipeline, {1: m(20)})
    first = tick(pipeline, instance)
    create_run(instance, get_request(first), dg.DagsterRunStatus.FAILURE)
    run_id = create_run(instance, get_request(first), status)
    instance.add_run_tags(run_id, tags)
    again = tick(pipeline, instance, first.cursor, m(1.2))
    if is_followed:
        assert get_run_key(again) == f"2026-06-26T12:00 after {run_id}"
    else:
        assert get_skip_message(again) == "the slot of 12:00 UTC is already requested"


def test_a_failed_slot_comes_before_the_next_one_and_is_left_when_no_minute_of_it_is_due(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(20)})
    first = tick(pipeline, instance)
    create_run(instance, get_request(first), dg.DagsterRunStatus.FAILURE)
    again = tick(pipeline, instance, first.cursor, m(4.2))
    assert get_run_key(again).startswith("2026-06-26T12:00 after ")
    create_run(instance, get_request(again), dg.DagsterRunStatus.STARTED)
    ahead = tick(pipeline, instance, again.cursor)
    assert get_run_key(ahead) == "2026-06-26T12:05"
    late = create_run(instance, get_request(ahead), dg.DagsterRunStatus.FAILURE)
    after = tick(pipeline, instance, ahead.cursor)
    assert get_run_key(after) == f"2026-06-26T12:05 after {late}", "also before it begins"
    assert after.cursor == ahead.cursor
    put(pipeline, {1: m(120)}, known_from=m(4.2))  # put off: due at 12:05 again
    later = tick(pipeline, instance, ahead.cursor, m(6))
    assert get_skip_message(later) == "the slot of 12:05 UTC is already requested"


def test_a_run_that_follows_a_failed_one_does_not_wait_for_the_cycle_that_died_with_it(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    slot_at = floor_to_hour(datetime.now(UTC)) - MINUTE * 60
    open_kickoff_cycle(pipeline, slot_at, 1)
    set_clock(pipeline, slot_at + MINUTE * 6)
    ran = defs.resolve_job_def("kickoff_window").execute_in_process(
        instance=instance,
        partition_key=str(slot_at.date()),
        run_config={"ops": {"landing__odds_payloads": {"config": {"slot_at": slot_at.isoformat()}}}},
        tags={"palimpsest/follows": "run"},
        resources={"pipeline": pipeline},
    )
    assert ran.success
    with pipeline.connect() as conn:
        assert [batch.status for batch in read_latest_cycles(conn)] == [RunStatus.INTERRUPTED]


def test_a_slot_waits_while_two_runs_are_unfinished_and_a_failed_one_keeps_nobody(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(20)})
    cursor = m(-5).isoformat()
    run, _ = (start_run(instance, "kickoff_window", **{"palimpsest/slot": m(n).isoformat()}) for n in (-10, -5))
    reason = get_skip_message(tick(pipeline, instance, cursor))
    assert f"run {run.run_id} of the slot 2026-06-26T11:50:00+00:00 is under way since 20" in reason
    instance.report_run_failed(run, "over")
    assert get_run_key(tick(pipeline, instance, cursor, m(3))) == "2026-06-26T12:00"


def test_slots_that_nobody_requested_are_warned_of_with_the_next_one(
    pipeline: Pipeline, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
):
    put(pipeline, {1: m(20), 2: m(-22), 3: m(3000)}, known_from=m(-300))
    cursor = m(-40).isoformat()
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"pipeline": pipeline}) as context:
        context.log.addHandler(caplog.handler)
        get_request(kickoff_sensor(context))
    # Fixture 2 until it kicked off at 11:38, and fixture 1 in every slot.
    assert (
        "7 slots in which fixtures were due were never requested, from 2026-06-26 11:25 to 2026-06-26 11:55 UTC"
        in caplog.text
    )


def test_an_outage_of_the_database_fails_the_tick(instance: dg.DagsterInstance, pipeline: Pipeline):
    gone = replace(pipeline)
    gone.__dict__.update(clock=At(NOON), database=Database("postgresql://nobody@127.0.0.1:1/nothing"))
    with pytest.raises(DatabaseUnreachable):
        tick(gone, instance)


def test_a_tick_with_five_thousand_fixtures_in_reach_is_one_query_and_one_look_at_runs(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    put(pipeline, {sr_id: m(1 + sr_id % 119) for sr_id in range(1, 5001)})
    calls: list[str] = []

    def count(owner: object, name: str) -> None:
        method = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **options: (calls.append(name), method(*args, **options))[1])

    count(psycopg.Connection, "execute")
    count(instance, "get_run_records")
    first = tick(pipeline, instance, m(-60).isoformat())
    assert sorted(calls) == ["execute", "get_run_records"]
    create_run(instance, get_request(first), dg.DagsterRunStatus.FAILURE)
    assert " after " in get_run_key(tick(pipeline, instance, first.cursor))
    assert len(calls) == 4


def check(pipeline: Pipeline, instance: dg.DagsterInstance) -> tuple[bool, str, dict[str, object]]:
    result = kickoff_slots_were_kept(dg.build_asset_check_context(instance=instance), pipeline)
    assert isinstance(result, dg.AssetCheckResult)
    assert result.severity is dg.AssetCheckSeverity.WARN
    return result.passed, result.description or "", {name: value.value for name, value in result.metadata.items()}


def switched_on(instance: dg.DagsterInstance, at: datetime) -> InstigatorState:
    location = RegisteredCodeLocationOrigin("here")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "kickoff")
    data = SensorInstigatorData(last_sensor_start_timestamp=at.timestamp())
    return instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data))


NO_SILENCE = {"slots_unanswered": 0, "silent_platforms": "none"}
NOT_IN_USE = (True, "", {"in_use": False, "slots_due": 0, "slots_lost": 0, "fixtures_with_lost_slots": 0} | NO_SILENCE)


def test_the_check_names_what_was_lost_and_passes_when_the_cadence_is_not_in_use(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(20), 2: m(60)}, known_from=m(-600))
    set_clock(pipeline, m(10))
    assert check(pipeline, instance) == NOT_IN_USE
    open_kickoff_cycle(pipeline, m(-20), 1, 2)
    for minute in [-15, *range(-10, 5)]:
        open_kickoff_cycle(pipeline, m(minute), 1, *([2] if minute % 5 == 0 else []))
    passed, description, figures = check(pipeline, instance)
    assert not passed
    assert description.startswith(
        "6 slots of 2 fixtures were not kept: 6 from 2026-06-26 12:05 to 2026-06-26 12:09 UTC. "
    )
    assert "`palimpsest slots`" in description
    assert figures == {"in_use": True, "slots_due": 22 + 6, "slots_lost": 6, "fixtures_with_lost_slots": 2} | NO_SILENCE
    set_clock(pipeline, m(5.9))
    assert check(pipeline, instance)[0], "the minute that runs can still be asked"
    set_clock(pipeline, m(49 * 60))
    assert check(pipeline, instance) == NOT_IN_USE


def line(platform: Platform, sr_id: int, at: datetime, failure: FailureClass | None = None) -> EventOutcome:
    """How the request for a listing of the fixture went."""
    status, observed_at = (RunStatus.COMPLETED, at) if failure is None else (RunStatus.FAILED, None)
    answer = failure, str(failure or ""), 200
    listing = f"{platform}-{sr_id}"
    return EventOutcome(platform, listing, sr_id, status, 1, *answer, at, at, 0, 1.0, observed_at)


def ended(pipeline: Pipeline, at: datetime, lines: list[EventOutcome], *refused: Platform) -> None:
    """A cycle for fixtures 1, 2 and 3 at that minute that has ended, of which core refused the answers of some."""
    cycle = open_kickoff_cycle(pipeline, at, 1, 2, 3)
    platforms = sorted({outcome.platform for outcome in lines})
    runs = [PlatformRun(p, RunStatus.COMPLETED, at, at, 0, 1, 1, 1, 9, {}, None, None) for p in platforms]
    with pipeline.connect() as conn:
        cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.PARTIAL, at, runs, lines))
        for platform in refused:
            numbers = {"n_read": 0, "n_refused": 1, "example": "$.id: of another event", "max_refused_share": 0.05}
            cycle_ledger.record_refusals(conn, cycle.cycle_id, platform, **numbers)


def test_slots_that_no_platform_answered_are_lost_and_the_silent_platforms_are_named(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(10), 2: m(10), 3: m(10)}, known_from=m(-600))
    home, other, transient = BETPAWA, BET9JA, FailureClass.TRANSIENT
    kept = [line(home, 1, m(0), transient), line(other, 1, m(0)), line(home, 2, m(0)), line(home, 3, m(0))]
    ended(pipeline, m(0), kept)
    ended(pipeline, m(1), [line(p, sr_id, m(1), transient) for p in (home, other) for sr_id in (1, 2, 3)])
    ended(pipeline, m(2), [line(home, sr_id, m(2)) for sr_id in (1, 2)])  # broken off before the third
    set_clock(pipeline, m(3))
    passed, description, figures = check(pipeline, instance)
    assert not passed
    assert description.startswith(
        "4 slots of 3 fixtures were not kept: 4 from 2026-06-26 12:01 to 2026-06-26 12:02 UTC. "
        "4 were requested and no platform answered (bet9ja, betpawa)."
    )
    silent = "betpawa did not answer at 1 of the kept slots"
    wanted = {"slots_due": 9, "slots_lost": 4, "slots_unanswered": 4, "silent_platforms": silent}
    assert wanted.items() <= figures.items()


def test_a_gone_listing_keeps_a_slot_only_where_its_platform_gave_a_book_or_was_asked_once_and_a_refused_answer_none(
    pipeline: Pipeline,
) -> None:
    gone, home, other, both = FailureClass.NOT_FOUND, BETPAWA, BET9JA, ["bet9ja", "betpawa"]
    ended(pipeline, m(0), [line(p, sr_id, m(0), gone) for p in (home, other) for sr_id in (1, 2, 3)])
    of_home = [line(home, 1, m(1)), *(line(home, sr_id, m(1), gone) for sr_id in (2, 3))]
    ended(pipeline, m(1), [*of_home, *(line(other, sr_id, m(1), gone) for sr_id in (1, 2))])
    ended(pipeline, m(2), [line(home, 1, m(2), gone), *(line(other, sr_id, m(2), gone) for sr_id in (1, 2, 3))])
    for minute, refused in ((3, [home, other]), (4, [other]), (5, [])):
        ended(pipeline, m(minute), [line(p, 1, m(minute)) for p in (home, other)], *refused)
    with pipeline.connect() as conn:
        result = requested_slots.read_asked_slots(conn, m(0), m(6)).sort("slot_at", "sr_id")
    answered = {
        0: [(False, both)] * 3,
        1: [(True, ["bet9ja"]), (True, ["bet9ja"]), (True, [])],
        2: [(True, ["bet9ja"]), (False, ["bet9ja"]), (False, ["bet9ja"])],
        3: [(False, both)],
        4: [(True, ["bet9ja"])],
        5: [(True, [])],
    }
    rows = result.filter(pl.col("answered") | pl.col("silent").list.len().gt(0)).select("slot_at", "answered", "silent")
    assert rows.rows() == [(m(minute), *row) for minute, rows in answered.items() for row in rows]


def test_an_outage_of_hours_is_told_when_it_is_over_newest_first_and_for_a_day(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {1: m(60), 2: m(300), 3: m(600), 4: m(900)}, known_from=m(-600))
    open_kickoff_cycle(pipeline, m(-60), 1)  # then the daemon is down until 17:05
    for minute in [*range(480, 570, 5), *range(570, 600)]:
        open_kickoff_cycle(pipeline, m(minute), 3)
    set_clock(pipeline, m(330))
    passed, description, figures = check(pipeline, instance)
    assert not passed, "also when nothing was asked since"
    assert description.startswith(
        "95 slots of 2 fixtures were not kept: 95 from 2026-06-26 11:05 to 2026-06-26 16:59 UTC. "
    )
    assert figures["in_use"] is True
    for minute in range(780, 870, 5):
        open_kickoff_cycle(pipeline, m(minute), *([4] if minute != 800 else []))
    set_clock(pipeline, m(871))
    description = check(pipeline, instance)[1]
    assert description.startswith(
        "97 slots of 3 fixtures were not kept: 1 from 2026-06-27 02:30 to 2026-06-27 02:30 UTC, "
        "1 from 2026-06-27 01:20 to 2026-06-27 01:20 UTC, 95 from 2026-06-26 11:05 to 2026-06-26 16:59 UTC. "
    )
    set_clock(pipeline, m(300 + 24 * 60))
    assert check(pipeline, instance)[1].startswith("31 slots of 1 fixtures"), "what is older than a day is told no more"


def test_nothing_is_lost_before_the_sensor_was_on_and_everything_since_when_nothing_was_asked(
    pipeline: Pipeline, tmp_path: Path
):
    put(pipeline, {1: m(60), 2: m(300)}, known_from=m(-600))
    open_kickoff_cycle(pipeline, m(-5000), 1)
    set_clock(pipeline, m(330))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as keeps_states:
        assert check(pipeline, keeps_states) == NOT_IN_USE
        switched_on(keeps_states, m(269.5))
        assert check(pipeline, keeps_states)[1].startswith(
            "30 slots of 1 fixtures were not kept: 30 from 2026-06-26 16:30 to 2026-06-26 16:59 UTC. "
        )
        set_clock(pipeline, m(269.8))
        assert check(pipeline, keeps_states)[0]


def test_after_the_sensor_was_switched_off_nothing_is_expected_and_what_was_lost_before_is_still_told(
    pipeline: Pipeline, tmp_path: Path
):
    put(pipeline, {1: m(60), 2: m(300)}, known_from=m(-600))
    for minute in (0, 5, 15, 20, 25, *range(30, 40)):
        open_kickoff_cycle(pipeline, m(minute), 1)
    set_clock(pipeline, m(330))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as keeps_states:
        on = switched_on(keeps_states, m(-10))
        assert " to 2026-06-26 16:59 UTC" in check(pipeline, keeps_states)[1]
        last_tick = SensorInstigatorData(
            last_tick_timestamp=m(39.5).timestamp(), last_sensor_start_timestamp=m(-10).timestamp()
        )
        keeps_states.update_instigator_state(on.with_data(last_tick).with_status(InstigatorStatus.STOPPED))
        assert check(pipeline, keeps_states)[1].startswith(
            "1 slots of 1 fixtures were not kept: 1 from 2026-06-26 12:10 to 2026-06-26 12:10 UTC. "
        )
        set_clock(pipeline, m(26 * 60))
        assert check(pipeline, keeps_states)[0]


def test_the_check_of_slots_looks_over_a_day_of_five_thousand_fixtures_quickly(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    put(pipeline, {sr_id: m(-sr_id % 1440) for sr_id in range(1, 5001)}, known_from=m(-600))
    open_kickoff_cycle(pipeline, m(-1), *range(1, 5001))
    set_clock(pipeline, m(1440))
    begun = time.monotonic()
    _, _, figures = check(pipeline, instance)
    assert time.monotonic() - begun < 5
    assert figures["slots_due"] > 200_000


def test_the_check_of_slots_is_made_every_quarter_of_an_hour_and_by_no_run_that_derives_an_hour():
    names = [name for name in defs.get_repository_def().job_names if not name.startswith("__")]
    checks = {name: defs.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys for name in names}
    assert [name for name in names if "kickoff_slots_were_kept" in {key.name for key in checks[name]}] == ["health"]


def test_switching_on_says_that_a_first_full_cycle_comes_first_and_slots_do_not_call_it_off(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    at = datetime(2026, 6, 26, 12, 30, tzinfo=UTC)
    full = Switch("schedule", "full_cycle_schedule", "A full cycle.", True, at, "", "", "")
    monkeypatch.setattr(switches, "set_switches", lambda home, *, on: [full])
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)

    def description(*command: str) -> str:
        ran = CliRunner().invoke(app, command)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    first = "no platform is asked before the first full cycle at 12:30 UTC; `palimpsest scrape` runs one now"
    assert first in description("cadence", "on")
    assert first not in description("cadence", "off")
    assert "no slot of the kickoff cadence was asked for" in description("slots")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    put(pipeline, {1: now + timedelta(minutes=30)}, known_from=now - timedelta(hours=1))
    assert "no platform is asked" not in description("cadence", "on")
    open_kickoff_cycle(pipeline, now + MINUTE * 2, 1)
    assert "is not over yet" in description("slots", "--hours", "0.1")


def test_the_command_lists_what_was_lost_by_fixture_and_stretch(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    begin = now - timedelta(minutes=20)
    put(pipeline, {1: now + timedelta(minutes=3)}, known_from=begin - timedelta(hours=1))
    for minute in (0, 1, 2, 5, 6):
        open_kickoff_cycle(pipeline, begin + MINUTE * minute, 1)
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    ran = CliRunner().invoke(app, ["slots", "--hours", "1", "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert result["in_use"] is True
    assert [(row["sr_id"], row["first_slot_at"], row["n_slots"]) for row in result["lost"][:1]] == [
        (1, (begin + MINUTE * 3).isoformat(), 2)
    ]
    assert result["lost"][1]["first_slot_at"] == (begin + MINUTE * 7).isoformat()
    result = CliRunner().invoke(app, ["slots"])
    assert result.exit_code == 0
    assert "were lost" in result.stdout
    assert "slots of 1 fixtures were not kept" in result.stdout
