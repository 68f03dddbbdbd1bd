"""Alerts from real runs to a real webhook: what is told, when, in which words, and what becomes of it when somebody
is away.
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.defs.derive_run import RunHasFailedCycles
from palimpsest_pipeline.defs.monitoring import alert_sensor as monitoring
from palimpsest_pipeline.domain.alerts import AlertKind, Occurrence, PipelineAlert
from palimpsest_pipeline.domain.enums import Scope, Severity
from palimpsest_pipeline.landing import LandingIncomplete
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import CyclesFailed
from palimpsest_pipeline.pipeline.monitoring.alert_channels import Message, make_channels
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.run_tags import PARTITION_RANGE_END_TAG, PARTITION_RANGE_START_TAG, SKIPPED_TAG
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.derivation import due_products, landed_cycles
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord
from palimpsest_pipeline.storage.ledger import alert_rows, check_verdicts
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS
from palimpsest_pipeline_tests.pipeline.push.receiver import Receiver, running_receiver

HOUR = datetime(2026, 6, 26, 18, tzinfo=UTC)
DAYS = dg.StaticPartitionsDefinition(["2026-06-26", "2026-06-27", "2026-06-28"])
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
FAILS: dict[str, Any] = {}
"""What the next run of the small world below comes to: error of its asset, severity of its check, result of its
blocking check.
"""


@dg.asset(partitions_def=DAYS)
def odds() -> None:
    if "error" in FAILS:
        try:
            raise FAILS["error"]
        except LandingIncomplete as cause:
            raise RuntimeError("while the day was derived") from cause


@dg.asset(key=["landing", "payloads"], partitions_def=DAYS)
def payloads() -> None:
    if "landing" in FAILS:
        raise FAILS["landing"]


@dg.asset(
    partitions_def=dg.DailyPartitionsDefinition("2026-06-20", end_date="2026-06-30"),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def lives() -> None:
    if "error" in FAILS:
        raise FAILS["error"]


@dg.asset_check(asset=odds, partitions_def=DAYS)
def looks_right() -> dg.AssetCheckResult:
    if "meanwhile" in FAILS:
        FAILS.pop("meanwhile")()
    return dg.AssetCheckResult(
        passed="check" not in FAILS,
        severity=FAILS.get("check", dg.AssetCheckSeverity.WARN),
        description="12 of 40 are odd",
    )


@dg.asset_check(asset=odds, blocking=True, partitions_def=DAYS)
def adds_up() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed="blocking" not in FAILS, description="3 rows do not add up. Materialize it again."
    )


DEFS = dg.Definitions(
    assets=[odds, payloads, lives],
    asset_checks=[looks_right, adds_up],
    jobs=[
        *(
            dg.define_asset_job(name, selection=dg.AssetSelection.assets(odds))
            for name in ("derive", "refresh", "export", "replay")
        ),
        dg.define_asset_job("full_cycle", selection=dg.AssetSelection.assets(payloads, odds)),
        dg.define_asset_job("fixture_life", selection=dg.AssetSelection.assets(lives)),
    ],
    executor=dg.in_process_executor,
)
SUBJECTS = monitoring.AlertSubjects(
    frozenset(["derive", "refresh", "export", "replay", "full_cycle", "fixture_life"]),
    tuple(dg.AssetCheckKey(dg.AssetKey("odds"), name) for name in ("looks_right", "adds_up")),
)
BLOCKING, USUAL = "core/odds_snapshots:history_equals_current", "mart/run_quality:no_stage_is_empty"
OF_CYCLES = replace(SUBJECTS, cycle_checks={BLOCKING: True, USUAL: False})


@dataclass
class Hook:
    """A webhook: what came, and what it answers."""

    receiver: Receiver
    status: int = 200

    def __post_init__(self) -> None:
        self.url = f"{self.receiver.base_url}/services/hunter2"
        self.receiver.answer = lambda *_: self.status

    @property
    def came(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.receiver.accepted()]

    @property
    def texts(self) -> list[str]:
        """What it was told; how long a trouble lasted here is no matter of the test."""
        return [re.sub(r"after \d+ s", "after a while", message["text"]) for message in self.came]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with running_receiver() as receiver:
        yield Hook(receiver)


@pytest.fixture(scope="module")
def make(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakePipeline]:
    with pipelines(postgres, tmp_path_factory.mktemp("alerts")) as make:
        yield make


class World:
    """One instance, one pipeline, and looks one after the other."""

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.instance = pipeline, instance
        self.cursor: str | None = None
        self.log = logging.getLogger("palimpsest.tests.tick")

    def run(
        self, job: str = "derive", partition: str = "2026-06-27", tags: dict[str, str] | None = None, **fails: Any
    ) -> None:
        FAILS.clear()
        FAILS.update(fails)
        given = {"run_config": QUIET, "tags": tags or {}}
        DEFS.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=partition, raise_on_error=False, **given
        )
        FAILS.clear()

    def look(
        self,
        later: timedelta = timedelta(0),
        pipeline: Pipeline | None = None,
        subjects: monitoring.AlertSubjects = SUBJECTS,
    ) -> str:
        on = pipeline or self.pipeline
        now = datetime.now(UTC) + later
        sentence, self.cursor = monitoring.process_alerts(
            on, self.instance, subjects, make_channels(on.settings, self.log), self.cursor, self.log, now
        )
        return sentence

    def open(self) -> set[str]:
        with self.pipeline.connect() as conn:
            return {alert.alert_key for alert in alert_rows.read_latest_alerts(conn) if alert.closed_at is None}

    def look_at_cycles(self) -> dict[str, str]:
        """Look once; the open alerts and where they are."""
        self.look(subjects=OF_CYCLES)
        with self.pipeline.connect() as conn:
            return {
                alert.alert_key: alert.partition_label
                for alert in alert_rows.read_latest_alerts(conn)
                if alert.closed_at is None
            }

    def fail(self, cycle_id: int, product: str, error: str) -> None:
        with self.pipeline.connect() as conn:
            landed_cycles.write_landed_cycle(
                conn, LandedCycleRecord(cycle_id, HOUR, Scope.FULL, tuple(sorted(PLATFORMS)), "d", is_whole=True)
            )
            due_products.record_failure(
                conn, product, cycle_id, landing_digest="d", parser_version="1", mapping_version="1", error=error
            )

    def mend(self, cycle_id: int, product: str) -> None:
        with self.pipeline.connect() as conn:
            due_products.delete_failure(conn, product, cycle_id)

    def judge(self, check: str, cycle_id: int, violations: int, severity: Severity = Severity.ERROR) -> None:
        with self.pipeline.connect() as conn:
            description = f"{violations} rows are odd" if violations else ""
            check_verdicts.write_verdicts(
                conn, check, [check_verdicts.CheckVerdict(cycle_id, severity, violations, description)]
            )


@pytest.fixture
def world(make: MakePipeline, hook: Hook) -> Iterator[World]:
    pipeline = make(alert_webhook_url=hook.url, alert_settle_minutes=0)
    with pipeline.connect() as conn:
        conn.execute("truncate ops.alerts, ops.cycle_failures, ops.cycle_checks, ops.landed_cycles")
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(pipeline, instance)


INCOMPLETE = LandingIncomplete("2 segments of cycle 7 are gone: restore them")


def test_one_message_groups_what_failed_alike_and_is_not_repeated(world: World, hook: Hook):
    world.run("derive", error=INCOMPLETE)
    world.run("derive", error=INCOMPLETE)
    world.run("refresh", error=INCOMPLETE)
    world.run("refresh", error=ValueError("no such line"))
    assert world.look() == "sent 6 notices"
    assert hook.texts == [
        "ERROR: 2 jobs failed of LandingIncomplete: derive, refresh\n"
        "  derive 2026-06-27, 2 times: 2 segments of cycle 7 are gone: restore them\n"
        "  refresh 2026-06-27: 2 segments of cycle 7 are gone: restore them\n"
        "ERROR: 1 job failed of ValueError: refresh\n"
        "  refresh 2026-06-27: no such line"
    ]
    (message,) = hook.came
    assert (message["n_begun"], message["n_over"]) == (3, 0)
    first = message["begun"][0]
    assert (first["key"], first["severity"], first["n_seen"], first["closed_at"]) == (
        "run/derive/LandingIncomplete",
        "error",
        2,
        None,
    )
    world.run("derive", error=INCOMPLETE)
    assert world.look() == "nothing new"
    assert len(hook.came) == 1


def test_an_end_is_told_and_what_fails_again_after_it_is_told_again(world: World, hook: Hook):
    world.run(error=INCOMPLETE)
    world.look()
    world.run()
    world.look()
    world.run(error=INCOMPLETE)
    world.look()
    begun, over, again = hook.texts
    assert over == "recovered after a while: derive (LandingIncomplete)"
    assert again == begun
    assert hook.came[1]["over"][0]["lasted_s"] > 0
    with world.pipeline.connect() as conn:
        assert [a.n_seen for a in alert_rows.read_recent_alerts(conn, datetime(2026, 1, 1, tzinfo=UTC))] == [1, 1]
        view = conn.execute(
            "select alert_key, closed_at is null, lasted > '0'::interval from palimpsest.alerts order by opened_at"
        ).fetchall()
    assert view == [("run/derive/LandingIncomplete", False, True), ("run/derive/LandingIncomplete", True, True)]


def test_a_run_that_had_nothing_to_do_is_no_recovery(world: World):
    world.run(error=INCOMPLETE)
    world.run(tags={SKIPPED_TAG: "no fixture was due that had not been requested"})
    world.look()
    assert world.open() == {"run/derive/LandingIncomplete"}


def marked_failed(world: World, job: str = "derive") -> str:
    """A run that somebody else marks as failed, as when its process was killed. Returns its id."""
    run = world.instance.create_run_for_job(DEFS.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED)
    world.instance.report_run_failed(run, "The process of this run died")
    return run.run_id


def test_a_run_that_was_marked_as_failed_from_outside_is_told_and_so_is_every_later_one(world: World, hook: Hook):
    marked_failed(world)
    world.look()
    assert hook.texts == ["ERROR: 1 job failed of RunFailure: derive\n  derive: The process of this run died"]
    world.run("refresh", error=INCOMPLETE)
    world.look()
    assert world.open() == {"run/derive/RunFailure", "run/refresh/LandingIncomplete"}


def test_what_a_failing_storage_of_dagster_has_hidden_is_told_by_the_next_tick(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    def gone(*_: object, **__: object) -> object:
        raise sa.exc.OperationalError("select", {}, Exception("server closed the connection"))

    world.run(error=INCOMPLETE)
    with monkeypatch.context() as patched:
        patched.setattr(world.instance, "get_records_for_run", gone)
        with pytest.raises(sa.exc.OperationalError):
            world.look()
    world.look()
    assert world.open() == {"run/derive/LandingIncomplete"}


def test_text_that_postgres_does_not_take_is_told_with_escapes(world: World, hook: Hook):
    world.run(error=ValueError("a\0b \ud800"))
    world.run("refresh", error=INCOMPLETE)
    world.look()
    assert world.open() == {"run/derive/ValueError", "run/refresh/LandingIncomplete"}
    assert "derive 2026-06-27: a\\x00b \\ud800" in hook.texts[0]


def test_no_alert_keeps_or_tells_a_secret_that_an_error_or_a_check_repeats(world: World, hook: Hook):
    secret = hook.url.rpartition("/")[2]
    world.run(error=ValueError(f"{secret} was refused by http://scraper:pa/ss@127.0.0.1"))
    world.run("refresh", error=INCOMPLETE)
    world.look()
    with world.pipeline.connect() as conn:
        messages = dict(conn.execute("select alert_key, message from ops.alerts").fetchall())
    assert messages["run/derive/ValueError"] == "*** was refused by http://***@127.0.0.1"
    assert "pa/ss" not in json.dumps(hook.came)
    assert secret not in json.dumps(hook.came)


def test_a_job_that_failed_is_over_by_its_next_success_whatever_the_day(world: World):
    world.run(partition="2026-06-28", error=INCOMPLETE)
    world.look()
    assert world.open() == {"run/derive/LandingIncomplete"}
    world.run(partition="2026-06-27")
    world.look()
    assert world.open() == set()


@pytest.mark.parametrize(("job", "subject"), [("export", "export"), ("replay", "__ASSET_JOB:odds")])
def test_a_date_that_failed_is_over_by_its_own_success_and_not_by_another_date_or_a_run_that_scrapes(
    world: World, job: str, subject: str
):
    world.run(job, partition="2026-06-27", error=INCOMPLETE)
    world.run(job, partition="2026-06-26")
    world.run(job, partition="2026-06-28")
    world.run("full_cycle", partition="2026-06-27")
    world.look()
    assert world.open() == {f"run/{subject}/LandingIncomplete"}
    world.run(job, partition="2026-06-27")
    world.look()
    assert world.open() == set()


def test_several_dates_that_fail_in_one_run_are_over_date_by_date(world: World):
    def run(first: int, last: int, **fails: Any) -> dict[str, str]:
        FAILS.update(fails)
        tags = {PARTITION_RANGE_START_TAG: f"2026-06-{first}", PARTITION_RANGE_END_TAG: f"2026-06-{last}"}
        DEFS.resolve_job_def("fixture_life").execute_in_process(
            instance=world.instance, tags=tags, raise_on_error=False, run_config=QUIET
        )
        FAILS.clear()
        return world.look_at_cycles()

    assert run(23, 25, error=INCOMPLETE) == {"run/fixture_life/LandingIncomplete": "2026-06-23, 2026-06-24, 2026-06-25"}
    assert run(24, 26) == {"run/fixture_life/LandingIncomplete": "2026-06-23"}
    assert run(22, 23) == {}


def test_what_comes_and_goes_is_one_alert_with_one_end(world: World, hook: Hook, make: MakePipeline):
    world.pipeline = make(alert_webhook_url=hook.url, alert_settle_minutes=5)
    for _ in range(3):
        world.run(error=INCOMPLETE)
        world.look()
        world.run()
        world.look()
    assert len(hook.came) == 1
    world.look(timedelta(minutes=6))
    world.look(timedelta(minutes=7))
    assert [text.partition(" after")[0] for text in hook.texts[1:]] == ["recovered"]
    assert hook.came[1]["over"][0]["n_seen"] == 3


def test_a_check_that_fails_is_told_by_its_words_told_again_when_it_is_worse_and_over_when_it_holds(
    world: World, hook: Hook
):
    world.run(check=dg.AssetCheckSeverity.WARN)
    world.look()
    world.run(check=dg.AssetCheckSeverity.WARN)
    world.look()
    world.run(check=dg.AssetCheckSeverity.ERROR)
    world.look()
    world.run()
    world.look()
    assert hook.texts == [
        "WARN: 1 check failed: odds:looks_right\n  odds:looks_right 2026-06-27: 12 of 40 are odd",
        "ERROR: 1 check failed: odds:looks_right\n  odds:looks_right 2026-06-27, 3 times: 12 of 40 are odd",
        "recovered after a while: odds:looks_right",
    ]


def test_a_run_that_a_blocking_check_stopped_is_told_as_that_check_and_once(world: World, hook: Hook):
    world.run(blocking=True)
    world.look()
    assert world.open() == {"check/odds:adds_up/CheckFailed"}
    assert hook.texts == [
        "ERROR: 1 check failed: odds:adds_up\n  odds:adds_up 2026-06-27: 3 rows do not add up. Materialize it again.",
    ]


def test_a_check_of_a_date_is_over_when_it_holds_for_that_date_whatever_holds_for_others(world: World):
    world.run(partition="2026-06-27", blocking=True)
    world.run(partition="2026-06-28")
    world.look()
    world.look()
    assert world.open() == {"check/odds:adds_up/CheckFailed"}
    world.run(partition="2026-06-27")
    world.run(partition="2026-06-28")
    world.look()
    assert world.open() == set()


def test_a_webhook_that_is_down_is_told_later_and_the_log_not_twice(
    world: World, hook: Hook, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    hook.status = 503
    world.run(error=INCOMPLETE)
    assert world.look() == "sent 1 notices; 1 could not be sent and wait"
    world.look()
    warned = [r.message for r in caplog.records if "could not send" in r.message]
    assert (
        warned
        == ["channel webhook could not send 1 alerts; the next tick tries again: 127.0.0.1 answered HTTP 503"] * 2
    )
    told = [r for r in caplog.records if r.message.startswith("ERROR: 1 job")]
    assert {(r.name, r.levelname) for r in told} == {
        ("palimpsest.tests.tick", "WARNING"),
        ("palimpsest.alerts", "WARNING"),
    }
    assert len(told) == 2
    hook.status = 200
    assert world.look() == "sent 1 notices"
    assert len(hook.came) == 1
    assert "hunter2" not in caplog.text


def test_what_another_look_writes_while_a_channel_tells_stays(world: World):
    world.run("derive", error=INCOMPLETE)
    over_at = datetime.now(UTC) + timedelta(minutes=1)

    class Meanwhile:
        """A channel; while it tells, another look finds that the trouble came once more and is over."""

        name = "meanwhile"

        def send(self, _: object) -> None:
            with world.pipeline.connect() as conn:
                alert_rows.lock_alerts(conn)
                alert_rows.write_alerts(
                    conn,
                    [
                        replace(alert, n_seen=7, message="again", closed_at=over_at)
                        for alert in alert_rows.read_latest_alerts(conn)
                    ],
                )

    sentence, _ = monitoring.process_alerts(world.pipeline, world.instance, SUBJECTS, [Meanwhile()], None, world.log)
    assert sentence == "sent 1 notices"
    with world.pipeline.connect() as conn:
        (alert,) = alert_rows.read_latest_alerts(conn)
    assert (alert.n_seen, alert.message, alert.closed_at) == (7, "again", over_at)
    assert (alert.told_by, alert.told_at is None, alert.closing_told_by) == (("meanwhile",), False, ())


def test_a_tick_without_a_cursor_repeats_nothing(world: World, hook: Hook):
    world.run(error=INCOMPLETE)
    world.look()
    world.cursor = None
    assert world.look() == "nothing new"
    assert len(hook.came) == 1


def test_without_our_database_its_absence_is_told_once_and_what_happened_meanwhile_when_it_is_back(
    world: World, hook: Hook, make: MakePipeline
):
    away = Pipeline(world.pipeline.settings.model_copy(update={"database_url": _nowhere()}))
    assert world.look(pipeline=away).startswith(
        "our database cannot be reached: cannot reach postgresql+psycopg://user:***@127.0.0.1:1/none"
    )
    world.run(error=INCOMPLETE)
    world.look(pipeline=away)
    assert [text.partition("\n")[0] for text in hook.texts] == ["ERROR: 1 part failed of DatabaseUnreachable: database"]
    assert "hunter" not in str(hook.came)
    world.look()
    (text,) = hook.texts[1:]
    assert text.splitlines()[0] == "ERROR: 1 job failed of LandingIncomplete: derive"
    assert text.splitlines()[-1] == "recovered after a while: database (DatabaseUnreachable)"
    assert world.look() == "nothing new"


def _nowhere() -> Any:
    return Settings(
        database_url="postgresql://user:hunter3@127.0.0.1:1/none", dagster_database_url="postgresql://x/y"
    ).database_url


SENT: list[Message] = []


class Pager:
    """A channel of somebody's own."""

    name = "pager"

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home_platform

    def send(self, message: Message) -> None:
        SENT.append(message)
        if message.fields["n_over"]:
            raise RuntimeError("the pager is out of paper")


def test_a_channel_of_ones_own_is_told_and_one_that_breaks_or_is_missing_keeps_nobody_from_it(
    world: World, hook: Hook, make: MakePipeline, caplog: pytest.LogCaptureFixture
):
    SENT.clear()
    world.pipeline = make(
        alert_webhook_url=hook.url, alert_settle_minutes=0, alert_channels=[f"{__name__}:Pager", f"{__name__}:Nobody"]
    )
    world.run(error=INCOMPLETE)
    world.look()
    assert [message.text for message in SENT] == hook.texts
    assert f"{__name__}:Nobody cannot be made: AttributeError" in caplog.text
    world.run()
    world.look()
    assert "the pager is out of paper" in caplog.text
    assert hook.texts[1].startswith("recovered after")


def test_a_message_is_bounded_and_counts_the_rest(world: World, hook: Hook):
    for n in range(12):
        world.run(error=type(f"Broken{n:02}", (Exception,), {})("x" * 1000))
    world.look()
    lines = hook.texts[0].splitlines()
    assert len(lines) == 20
    assert lines[-1] == "... and 5 lines more: see `palimpsest alerts`"
    assert max(map(len, lines)) == 400
    assert hook.came[0]["n_begun"] == 12


@pytest.mark.parametrize("error", [RunHasFailedCycles("cycle 7"), CyclesFailed("odds_snapshots", {7: INCOMPLETE})])
def test_a_product_that_failed_is_told_by_its_cycles_until_each_is_derived(world: World, hook: Hook, error: Exception):
    world.fail(7, "odds_snapshots/betpawa", "ValueError: no such line")
    world.fail(7, "odds_snapshots/sportybet", "ValueError: no such line")
    world.run("full_cycle", error=error)
    assert world.look_at_cycles() == {"cycle/core/odds_snapshots/ValueError": "cycle 7"}
    assert hook.texts == [
        "ERROR: 1 product failed of ValueError: core/odds_snapshots\n  core/odds_snapshots cycle 7: no such line",
    ]
    world.run("full_cycle")
    world.mend(7, "odds_snapshots/betpawa")
    assert world.look_at_cycles() == {"cycle/core/odds_snapshots/ValueError": "cycle 7"}, (
        "another cycle's success mends nothing"
    )
    world.fail(10, "odds_snapshots/betpawa", "ValueError: no such line")
    world.fail(9, "coverage", "LandingIncomplete: restore it")
    assert world.look_at_cycles() == {
        "cycle/core/odds_snapshots/ValueError": "cycles 7, 10",
        "cycle/mart/coverage_fixture/LandingIncomplete": "cycle 9",
    }
    world.mend(7, "odds_snapshots/sportybet")
    world.mend(9, "coverage")
    assert world.look_at_cycles() == {"cycle/core/odds_snapshots/ValueError": "cycle 10"}
    world.mend(10, "odds_snapshots/betpawa")
    assert world.look_at_cycles() == {}
    assert world.look_at_cycles() == {}
    told = [text.splitlines()[-1].partition(" after")[0] for text in hook.texts]
    assert told.count("recovered") == 2, "each end is told once"


def test_a_failure_of_a_cycle_that_is_written_late_or_comes_back_is_told(world: World):
    world.fail(7, "tournaments", "ValueError: no")
    world.look_at_cycles()
    world.fail(8, "tournaments", "ValueError: no")
    with world.pipeline.connect() as conn:
        conn.execute("update ops.cycle_failures set failed_at = failed_at - interval '1 hour' where cycle_id = 8")
    assert world.look_at_cycles() == {"cycle/core/tournaments/ValueError": "cycles 7, 8"}
    world.mend(7, "tournaments")
    world.mend(8, "tournaments")
    assert world.look_at_cycles() == {}
    world.fail(7, "tournaments", "ValueError: no")
    assert world.look_at_cycles() == {"cycle/core/tournaments/ValueError": "cycle 7"}


def test_a_run_that_failed_of_its_cycles_and_of_something_else_is_told_of_the_latter(world: World):
    world.run("full_cycle", error=RunHasFailedCycles("cycle 7"), landing=OSError("no space left"))
    assert world.look_at_cycles() == {"run/full_cycle/OSError": "2026-06-27"}


def test_every_bad_cycle_of_a_blocking_check_lasts_until_it_passes(world: World, hook: Hook):
    world.judge(BLOCKING, 7, 3)
    world.judge(BLOCKING, 8, 0)
    world.judge(BLOCKING, 9, 2)
    key = f"check/{BLOCKING}/CheckFailed"
    assert world.look_at_cycles() == {key: "cycles 7, 9"}
    assert hook.texts == [f"ERROR: 1 check failed: {BLOCKING}\n  {BLOCKING} cycles 7, 9, 2 times: 2 rows are odd"]
    world.judge(BLOCKING, 10, 0)
    world.judge(BLOCKING, 9, 0)
    assert world.look_at_cycles() == {key: "cycle 7"}
    world.judge(BLOCKING, 7, 0)
    assert world.look_at_cycles() == {}
    assert len(hook.came) == 2


def test_the_newest_verdict_of_another_check_decides(world: World, hook: Hook):
    world.judge(USUAL, 7, 3, Severity.WARN)
    world.judge(USUAL, 8, 2, Severity.WARN)
    key = f"check/{USUAL}/CheckFailed"
    assert world.look_at_cycles() == {key: "cycle 8"}
    assert world.look_at_cycles() == {key: "cycle 8"}
    world.judge(USUAL, 9, 0)
    assert world.look_at_cycles() == {}
    world.judge(USUAL, 6, 1, Severity.WARN)
    assert world.look_at_cycles() == {key: "cycle 6"}
    assert len(hook.came) == 3


def test_a_run_that_a_check_of_cycles_stopped_is_told_by_its_cycles_alone(world: World):
    of_cycles = monitoring.AlertSubjects(SUBJECTS.jobs, SUBJECTS.checks[:1], {"odds:adds_up": True})
    world.run(blocking=True)
    world.look(subjects=of_cycles)
    assert world.open() == set()
    world.judge("odds:adds_up", 7, 1)
    world.look(subjects=of_cycles)
    assert world.open() == {"check/odds:adds_up/CheckFailed"}


def test_a_check_stands_as_it_was_evaluated_last_whichever_run_planned_it_first(world: World):
    """A run of minutes is planned before a short one that passes meanwhile, and fails after it."""

    def a_short_run() -> None:
        world.run("refresh")
        FAILS.update(check=dg.AssetCheckSeverity.ERROR)

    world.run(meanwhile=a_short_run)
    world.look()
    assert world.open() == {"check/odds:looks_right/CheckFailed"}


def test_an_alert_of_what_is_no_more_ends(world: World):
    world.run(check=dg.AssetCheckSeverity.WARN)
    world.look()
    assert len(world.open()) == 1
    gone = monitoring.AlertSubjects(SUBJECTS.jobs, ())
    monitoring.process_alerts(world.pipeline, world.instance, gone, [], world.cursor, world.log, datetime.now(UTC))
    assert world.open() == set()


def test_what_has_been_over_for_long_is_forgotten_and_what_lasts_is_not(world: World):
    old = datetime.now(UTC) - alert_rows.CLOSED_ALERT_RETENTION - timedelta(days=1)
    lasts, over = (
        PipelineAlert.from_occurrence(Occurrence(AlertKind.RUN, job, "Broken", Severity.ERROR, "no", old))
        for job in ("derive", "refresh")
    )
    with world.pipeline.connect() as conn:
        alert_rows.write_alerts(conn, [lasts, replace(over, closed_at=old + timedelta(hours=1))])
    world.look()
    with world.pipeline.connect() as conn:
        assert [alert.alert_key for alert in alert_rows.read_latest_alerts(conn)] == ["run/derive/Broken"]


def test_the_sensor_looks_at_the_jobs_and_checks_of_its_code_location(world: World, hook: Hook):
    world.run(error=INCOMPLETE)
    context = dg.build_sensor_context(
        instance=world.instance, repository_def=DEFS.get_repository_def(), resources={"pipeline": world.pipeline}
    )
    told = monitoring.alert_sensor(context)
    assert isinstance(told, dg.SensorResult)
    assert told.cursor
    assert hook.texts[0].startswith("ERROR: 1 job failed of LandingIncomplete: derive")


def test_the_command_lists_what_lasts_and_what_was_over_lately(world: World, monkeypatch: pytest.MonkeyPatch):
    settings = world.pipeline.settings
    monkeypatch.setattr("palimpsest_pipeline.cli.console.load_settings", lambda: settings)
    assert CliRunner().invoke(app, ["alerts"]).stdout == (
        "no alert is open, and none ended in the last 24 hours; the sensor `alerts` looks while Dagster runs (`palimpsest up`)\n"
    )
    world.run("refresh", error=INCOMPLETE)
    world.run("derive", error=ValueError("no such line"))
    world.look()
    world.run("derive")
    world.look()
    shown = CliRunner().invoke(app, ["alerts"])
    lines = [
        re.sub(r"(for|lasted) \d+ s|\d{4}-\d\d-\d\d \d\d:\d\d", "some", line) for line in shown.stdout.splitlines()
    ]
    assert lines == [
        "ERROR refresh 2026-06-27: LandingIncomplete, some, seen once",
        "  2 segments of cycle 7 are gone: restore them",
        "ERROR derive 2026-06-27: ValueError, over since some UTC, some, seen once",
        "  no such line",
    ]
    told = json.loads(CliRunner().invoke(app, ["alerts", "--json"]).stdout)
    assert [(alert["key"], alert["closed_at"]) for alert in told["open"]] == [("run/refresh/LandingIncomplete", None)]
    assert [alert["key"] for alert in told["over"]] == ["run/derive/ValueError"]


def test_a_run_whose_record_cannot_be_read_is_told_and_the_others_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    run_id, read = marked_failed(world), world.instance.get_records_for_run

    def unreadable(of: str, *args: Any, **given: Any) -> object:
        if of == run_id:
            raise AttributeError("an event of another version")
        return read(of, *args, **given)

    monkeypatch.setattr(world.instance, "get_records_for_run", unreadable)
    world.run("refresh", error=INCOMPLETE)
    world.look()
    assert world.open() == {"run/derive/UnreadableRecord", "run/refresh/LandingIncomplete"}
    assert f"run {run_id} of derive ended, and its record cannot be read" in caplog.text
    with world.pipeline.connect() as conn:
        (message,) = [
            alert.message for alert in alert_rows.read_latest_alerts(conn) if alert.error_class == "UnreadableRecord"
        ]
    assert message.startswith(f"run {run_id} cannot be read (AttributeError: an event of another version)")


def test_a_storage_of_dagster_that_fails_is_no_unreadable_record(world: World, monkeypatch: pytest.MonkeyPatch):
    def gone(*_: object, **__: object) -> object:
        raise sa.exc.OperationalError("select", {}, Exception("server closed the connection"))

    world.run(error=INCOMPLETE)
    with monkeypatch.context() as patched:
        patched.setattr(world.instance, "get_records_for_run", gone)
        with pytest.raises(sa.exc.OperationalError):
            world.look()
    world.look()
    assert world.open() == {"run/derive/LandingIncomplete"}


def test_more_runs_than_one_look_takes_in_are_all_taken_in_by_the_next_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("palimpsest_pipeline.defs.monitoring.run_events.MAX_RUNS", 2)
    for n in range(5):
        world.run(error=type(f"Broken{n}", (Exception,), {})("no"))
    seen = []
    for later in range(3):
        world.look(timedelta(minutes=5 * later))
        seen.append(len(world.open()))
    assert seen == [2, 4, 5]
