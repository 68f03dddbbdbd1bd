"""The pipeline looked at as a whole: what is stale, what stands still, what was left undone, and what is not as
declared.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.asset_partitions import day_partitions
from palimpsest_pipeline.defs.check_results import name_check
from palimpsest_pipeline.defs.derive_run import RunHasFailedCycles, raise_for_failed_cycles
from palimpsest_pipeline.defs.monitoring.alert_sensor import AlertSubjects, process_alerts
from palimpsest_pipeline.defs.monitoring.checks import (
    DAILY_ASSETS,
    FRESHNESS_SPECS,
    find_unfinished_work,
    judge_freshness,
)
from palimpsest_pipeline.defs.monitoring.jobs import health_job
from palimpsest_pipeline.defs.monitoring.stuck_runs import describe_stuck_runs
from palimpsest_pipeline.defs.run_cycles import RunCycles
from palimpsest_pipeline.domain.alerts import AlertKind
from palimpsest_pipeline.domain.cycles import CycleResult, PlatformRun
from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform, RunStatus
from palimpsest_pipeline.domain.instants import floor_to_hour, format_hour_key, get_day_start
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.pipeline.monitoring import freshness
from palimpsest_pipeline.pipeline.monitoring.freshness import FamilyAge, measure_ages
from palimpsest_pipeline.pipeline.record_landed_cycles import record_closed
from palimpsest_pipeline.storage.catalog import listings
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.derivation.due_products import read_failures
from palimpsest_pipeline.storage.ledger import alert_rows, cycle_ledger, run_heartbeats
from palimpsest_pipeline.storage.marts.data_freshness import ODDS_SQL
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.fixtures.landed import find_versions, land_answer, list_marks, make_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.storage.table_rows import insert

NOW = datetime.now(UTC).replace(microsecond=0)
EVENING = datetime(2026, 6, 26, 21, 15, tzinfo=UTC)
LIMITS = (100, 190)
ODDS = FRESHNESS_SPECS[FreshnessFamily.ODDS, BET9JA]


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def stored(pipeline: Pipeline, at: datetime, platforms: tuple[Platform, ...] = tuple(PLATFORMS)) -> int:
    """A full cycle that was scraped at `at`, and what core and mart have of it, as far as freshness looks; returns
    its id.
    """
    cycle = make_cycle(at)
    cycle_id = cycle.cycle_id
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle)
        cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.COMPLETED, at, [], []))
        insert(
            conn,
            "core.cycles",
            {"cycle_id": cycle_id, "scope": "full", "partition_hour": floor_to_hour(at), "as_of": at},
        )
        partitions.ensure_partitions(conn, sorted({at.date(), (at + timedelta(minutes=5)).date()}))
        for number, platform in enumerate(platforms):
            found = {"cycle_id": cycle_id, "platform": platform, "external_id": "*", "completeness": "complete"}
            insert(conn, "core.discovery_manifest", found)
            conn.execute("insert into ops.listing_ids values (%s, %s, 'x') on conflict do nothing", [number, platform])
            answered = {"listing_id": number, "observed_at": at + timedelta(minutes=5), "cycle_id": cycle_id}
            insert(conn, "core.captures", answered)
            product = derived_products.name_platform_product(derived_products.ODDS_PRODUCT, platform)
            derived_products.mark_derived(
                conn, "core", product, cycle_id, landing_digest="a", parser_version="1", mapping_version="1", n_rows=1
            )
        insert(conn, "mart.match_rate_platform", {"cycle_id": cycle_id, "platform": "all", "as_of": at})
    return cycle_id


def newest(pipeline: Pipeline) -> dict[str, datetime | None]:
    return {age.subject: age.newest_at for age in measure_ages(pipeline)}


def test_a_pipeline_that_never_began_a_cycle_is_healthy_and_says_so(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    with pipeline.connect() as conn:
        partitions.ensure_partitions(conn, [(NOW + timedelta(days=n)).date() for n in range(9)])
        conn.execute("insert into ops.storage_samples values (now(), 'core.captures', current_date, 0, null, 1, 1)")
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("health").execute_in_process(instance=instance, resources={"pipeline": pipeline})
    told = {name_check(e.asset_check_key): e for e in result.get_asset_check_evaluations()}
    assert [name for name, e in told.items() if not e.passed] == []
    checks = health_job.selection.resolve_checks(defs.resolve_asset_graph())
    assert set(told) == {name_check(key) for key in checks}
    assert len(told) > len(FRESHNESS_SPECS)
    assert (
        told["mart/match_rate_platform:coverage_is_fresh"].description
        == "No cycle has begun yet, so no data is expected."
    )


def test_a_family_is_as_old_as_its_newest_row_and_a_backfill_of_the_past_makes_nothing_newer(
    make_pipeline: MakePipeline,
) -> None:
    pipeline = make_pipeline()
    stored(pipeline, ago(240), (BETPAWA,))
    stored(pipeline, ago(60))
    expected = {
        **{f"discovery of {platform}": ago(60) for platform in PLATFORMS},
        **{f"odds of {platform}": ago(55) for platform in PLATFORMS},
        "coverage": ago(60),
        "fixture life": None,
        "export": None,
    }
    assert newest(pipeline) == expected
    stored(pipeline, ago(60 * 24 * 3))
    assert newest(pipeline) == expected
    (life,) = (age for age in measure_ages(pipeline) if age.family is FreshnessFamily.FIXTURE_LIFE)
    assert life.minutes > 60 * 24 * 3  # nothing of it was ever there: since the first cycle


def test_a_platform_that_answers_no_more_is_stale_by_itself(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    stored(pipeline, ago(240))
    stored(pipeline, ago(60), (BETPAWA, SPORTYBET))
    found = newest(pipeline)
    assert (found["odds of bet9ja"], found["odds of betpawa"]) == (ago(235), ago(55))
    assert (found["discovery of bet9ja"], found["discovery of betpawa"]) == (ago(240), ago(60))


def test_what_cannot_be_looked_at_is_no_age(make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = make_pipeline()
    stored(pipeline, ago(60))
    with pipeline.connect() as conn:
        conn.execute("alter table mart.match_rate_platform rename to elsewhere")
    with pytest.raises(Exception, match="match_rate_platform"):
        measure_ages(pipeline)


@pytest.mark.parametrize(
    ("minutes", "cadence_on", "passed", "severity"),
    [
        (99, True, True, None),
        (101, True, False, dg.AssetCheckSeverity.WARN),
        (191, True, False, dg.AssetCheckSeverity.ERROR),
        (5_000, False, False, dg.AssetCheckSeverity.WARN),
    ],
)
def test_a_family_warns_then_fails_and_only_warns_while_the_cadence_is_off(
    minutes: float, cadence_on: bool, passed: bool, severity: dg.AssetCheckSeverity | None
) -> None:
    age = FamilyAge(FreshnessFamily.ODDS, BET9JA, ago(minutes), timedelta(minutes=minutes))
    told = judge_freshness(ODDS, [age], LIMITS, cadence_on=cadence_on)
    assert told.passed is passed
    assert severity in (None, told.severity)
    assert passed or "odds of bet9ja" in str(told.description)
    assert passed or cadence_on or "full_cycle_schedule is off: `palimpsest cadence on`" in str(told.description)


def test_the_newest_odds_are_found_by_index_on_the_days_of_the_newest_cycles_alone(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    with pipeline.connect() as conn:
        days = [(EVENING - timedelta(days=n)).date() for n in range(6)]
        partitions.ensure_partitions(conn, days)
        conn.execute(
            "insert into core.cycles select n, date_trunc('hour', at), 'manual', 'full', 'betpawa', at"
            " from generate_series(1, 240) n cross join lateral (select %s - make_interval(mins => (240 - n)::int * 30) as at) x",
            [EVENING],
        )
        conn.execute(
            "insert into core.cycle_products select n, 'odds_snapshots/bet9ja', 'a', '1', '1', 1, now() from generate_series(1, 240) n"
        )
        conn.execute("insert into ops.listing_ids select n, 'bet9ja', n::text from generate_series(1, 200) n")
        conn.execute(
            "insert into core.captures (listing_id, observed_at, cycle_id, ingested_at, n_markets_listed, n_markets_mapped, n_markets_priced,"
            " n_prices, n_changed, keyframe, mapping_version) select l, c.as_of, c.cycle_id, now(), 1, 1, 1, 1, 1, true, '1'"
            " from core.cycles c cross join generate_series(1, 200) l"
        )
    with pipeline.connect() as conn:
        conn.autocommit = True
        conn.execute("analyze")
        params = {"product": "odds_snapshots/bet9ja", "platform": "bet9ja"}
        assert conn.execute(ODDS_SQL, params).fetchone() == (EVENING,)
        ((plan,),) = conn.execute("explain (analyze, format json) " + ODDS_SQL, params).fetchall()
    nodes = list(_nodes(plan[0]["Plan"]))
    read = [n for n in nodes if n.get("Relation Name", "").startswith("captures") and n["Actual Loops"]]
    assert read, json.dumps(plan)
    assert {n["Node Type"] for n in read} <= {"Index Scan", "Bitmap Heap Scan", "Index Only Scan"}
    assert len({n["Relation Name"] for n in read}) <= 2
    assert sum(n["Actual Rows"] * n["Actual Loops"] for n in read) <= 3 * 200


def _nodes(plan: dict) -> list[dict]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


@pytest.fixture
def begun() -> Callable[[dg.DagsterInstance, dg.DagsterRunStatus], str]:
    def begin(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
        return instance.create_run_for_job(defs.resolve_job_def("health"), status=status).run_id

    return begin


def test_a_run_is_stuck_by_its_silence_and_not_by_its_age(
    make_pipeline: MakePipeline, begun: Callable[[dg.DagsterInstance, dg.DagsterRunStatus], str]
) -> None:
    pipeline = make_pipeline(heartbeat_s=0.01, silent_after_s=0.05)
    later = datetime.now(UTC) + timedelta(hours=2)
    with dg.DagsterInstance.ephemeral() as instance:
        assert describe_stuck_runs(instance, pipeline, later) == []
        run_id = begun(instance, dg.DagsterRunStatus.STARTED)
        assert describe_stuck_runs(instance, pipeline) == []
        (said,) = describe_stuck_runs(instance, pipeline, later)
        assert f"run {run_id} of health" in said
        assert "never wrote a heartbeat" in said
        alive = make_pipeline()  # half a minute of silence is nothing
        with pipeline.connect() as conn:
            run_heartbeats.write_heartbeat(conn, run_heartbeats.RunProcess(run_id, "health", "here", 1))
        assert describe_stuck_runs(instance, alive, later) == []
        with pipeline.connect() as conn:
            conn.execute("update ops.run_heartbeats set heartbeat_at = clock_timestamp() - interval '1 minute'")
        (said,) = describe_stuck_runs(instance, pipeline)
        assert "is silent since" in said
        assert "dead_runs" in said


def test_a_run_that_could_give_no_sign_before_the_server_was_started_is_not_stuck(
    make_pipeline: MakePipeline,
    begun: Callable[[dg.DagsterInstance, dg.DagsterRunStatus], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = make_pipeline()
    later = datetime.now(UTC) + timedelta(hours=2)
    with dg.DagsterInstance.ephemeral() as instance:
        begun(instance, dg.DagsterRunStatus.STARTED)
        assert len(describe_stuck_runs(instance, pipeline, later)) == 1
        monkeypatch.setattr(run_heartbeats, "server_started_at", lambda _: later - timedelta(minutes=1), raising=False)
        assert describe_stuck_runs(instance, pipeline, later) == []


def test_runs_that_wait_are_stuck_when_nothing_goes_on(
    make_pipeline: MakePipeline, begun: Callable[[dg.DagsterInstance, dg.DagsterRunStatus], str]
) -> None:
    pipeline = make_pipeline()
    later = datetime.now(UTC) + timedelta(hours=2)
    with dg.DagsterInstance.ephemeral() as instance:
        begun(instance, dg.DagsterRunStatus.NOT_STARTED)
        assert describe_stuck_runs(instance, pipeline) == []
        (said,) = describe_stuck_runs(instance, pipeline, later)
        assert "1 runs wait" in said
        at_work = begun(instance, dg.DagsterRunStatus.STARTED)
        with pipeline.connect() as conn:
            run_heartbeats.write_heartbeat(conn, run_heartbeats.RunProcess(at_work, "health", "here", 1))
        assert describe_stuck_runs(instance, pipeline, later) == []


def landed(pipeline: Pipeline, at: datetime) -> int:
    """A full cycle with one answer, landed and in the ledger; nothing is derived."""
    cycle = make_cycle(at)
    manifest = land_answer(pipeline, cycle)
    run = PlatformRun(BETPAWA, RunStatus.COMPLETED, at, at, 0, 0, 0, 1, 2, {}, 1.0, 1.0)
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle)
        record_closed(conn, manifest)
        cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.COMPLETED, at, [run], []))
    return cycle.cycle_id


def test_hours_that_are_due_or_refused_are_named_with_the_command_until_they_stand(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    first, second = landed(pipeline, ago(200)), landed(pipeline, ago(100))
    landed(pipeline, datetime.now(UTC))  # its run may still be at it
    with dg.DagsterInstance.ephemeral() as instance:
        left = find_unfinished_work(instance, pipeline, DAILY_ASSETS)
        assert set(left.due_hours) == {format_hour_key(ago(200)), format_hour_key(ago(100))}
        assert "run `palimpsest backfill --stale`" in left.sentence
        (segment,) = Path(pipeline.settings.landing_root).glob(f"**/cycle={second}/**/*.parquet")
        segment.unlink()
        left = find_unfinished_work(instance, pipeline, DAILY_ASSETS)
        assert (set(left.due_hours), set(left.refused_hours)) == (
            {format_hour_key(ago(200))},
            {format_hour_key(ago(100))},
        )
        assert "Restore the segments" in left.sentence
        digests = {manifest.cycle_id: manifest.digest for manifest in pipeline.landing.list_cycles()}
        versions = find_versions(pipeline)
        with pipeline.connect() as conn:
            for cycle_id in (first, second):
                derived = {"landing_digest": digests[cycle_id], "n_rows": 0, **versions}
                for product in list_marks():
                    derived_products.mark_derived(conn, product.schema, product.name, cycle_id, **derived)
        assert not find_unfinished_work(instance, pipeline, DAILY_ASSETS)


def test_a_partition_whose_last_run_failed_is_counted_until_it_is_materialized(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    cycle_id = landed(pipeline, ago(100))
    (segment,) = Path(pipeline.settings.landing_root).glob(f"**/cycle={cycle_id}/**/*.parquet")
    content = segment.read_bytes()
    segment.unlink()
    with dg.DagsterInstance.ephemeral() as instance:
        assert not run_job(instance, pipeline, "replay", ago(100).date()).success
        left = find_unfinished_work(instance, pipeline, DAILY_ASSETS)
        assert "core/tournaments" in left.failed_days[str(ago(100).date())]
        segment.write_bytes(content)
        outcome = run_job(instance, pipeline, "replay", ago(100).date())
        assert outcome.success, outcome.error
        assert not find_unfinished_work(instance, pipeline, DAILY_ASSETS), find_unfinished_work(
            instance, pipeline, DAILY_ASSETS
        ).sentence


def open_alerts(pipeline: Pipeline, instance: dg.DagsterInstance) -> dict[str, str]:
    """Look for troubles once; the open alerts of runs and cycles, and where they are."""
    subjects = AlertSubjects.from_repository(defs.get_repository_def())
    process_alerts(pipeline, instance, subjects, [], None, logging.getLogger(__name__))
    with pipeline.connect() as conn:
        return {
            alert.alert_key: alert.partition_label
            for alert in alert_rows.read_latest_alerts(conn)
            if alert.closed_at is None and alert.kind is not AlertKind.CHECK
        }


@pytest.mark.parametrize("damaged", ["**/*.parquet", "manifest.json"])
def test_a_replay_goes_on_past_a_cycle_that_fails_and_names_it_at_its_end(
    make_pipeline: MakePipeline, damaged: str
) -> None:
    pipeline = make_pipeline()
    hour = floor_to_hour(ago(100))
    bad, good = landed(pipeline, hour + timedelta(minutes=1)), landed(pipeline, hour + timedelta(minutes=2))
    (segment,) = Path(pipeline.settings.landing_root).glob(f"**/cycle={bad}/{damaged}")
    content = segment.read_bytes()
    segment.write_bytes(b"not as it was written")
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_job(instance, pipeline, "replay", hour.date())
        assert not outcome.success
        assert f"cycle {bad}" in (outcome.error or "")
        assert str(good) not in (outcome.error or "")
        key = format_hour_key(hour)
        of_failed_steps = dg.DagsterRun(
            "replay", run_id=str(uuid4()), root_run_id=outcome.run_id, parent_run_id=outcome.run_id
        )
        with pytest.raises(
            RunHasFailedCycles, match=f"(?s)cycle {bad}, tournaments: .*palimpsest backfill {key} {key}`"
        ):
            raise_for_failed_cycles(pipeline, of_failed_steps, RunCycles([bad, good], is_own=False))
        told = open_alerts(pipeline, instance)
        assert "cycle/core/tournaments" in {key.rpartition("/")[0] for key in told}
        assert {key.partition("/")[0] for key in told} == {"cycle"}, "its run is not told again"
        assert set(told.values()) == {f"cycle {bad}"}
        with pipeline.connect() as conn:
            assert {each.cycle_id for each in list_due_products(pipeline, conn) if each.schema == "core"} == {bad}, (
                "all of core of the other cycle stands"
            )
        run_job(instance, pipeline, "cycle_marts", hour.date())
        with pipeline.connect() as conn:
            assert {each.cycle_id for each in list_due_products(pipeline, conn)} == {bad}, (
                "all of the other cycle stands, core and mart"
            )
        segment.write_bytes(content)
        outcome = run_job(instance, pipeline, "replay", hour.date())
        assert outcome.success, outcome.error
        assert open_alerts(pipeline, instance) == {}
    with pipeline.connect() as conn:
        assert (list_due_products(pipeline, conn), read_failures(conn, [bad, good])) == ([], {})


def test_an_hour_whose_run_failed_a_moment_ago_is_due_and_does_not_stand(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline()
    at = datetime.now(UTC)
    landed(pipeline, at)
    day = str(at.date())
    with dg.DagsterInstance.ephemeral() as instance:
        assert not find_unfinished_work(instance, pipeline, DAILY_ASSETS)
        with monkeypatch.context() as broken:
            broken.setattr(listings, "write_discovery", None)
            assert not run_job(instance, pipeline, "replay", at.date()).success
        left = find_unfinished_work(instance, pipeline, DAILY_ASSETS)
        assert (list(left.due_hours), list(left.failed_days)) == ([format_hour_key(at)], [day])
        assert len(set(left.failed_days[day])) == len(left.failed_days[day]), "each asset once"
        assert "1 hours are due" in left.sentence
        assert "`palimpsest backfill --stale`" in left.sentence
        assert "stand" not in left.sentence


def test_the_newest_exported_day_is_found_however_old(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline()
    days = {(NOW - timedelta(days=n)).date(): object() for n in (3, 30)}

    class Exported:
        def read_entry(self, day: object) -> object | None:
            return days.get(day)

        def read_catalogue(self) -> dict:
            return days

    pipeline.__dict__["archive"] = Exported()
    assert freshness._find_export_end(pipeline) == get_day_start(NOW.date()) - timedelta(days=2)
    del days[(NOW - timedelta(days=3)).date()]
    assert freshness._find_export_end(pipeline) == get_day_start(NOW.date()) - timedelta(days=29)


def test_alerts_know_which_checks_judge_cycles_and_which_of_them_block() -> None:
    graph = defs.get_repository_def().asset_graph
    by_day = {key for key in graph.asset_check_keys if graph.get(key).partitions_def == day_partitions}
    subjects = AlertSubjects.from_repository(defs.get_repository_def())
    assert subjects.cycle_checks == {name_check(key): graph.get(key).blocking for key in by_day}
    assert set(subjects.cycle_checks.values()) == {True, False}
    assert set(subjects.checks) == set(graph.asset_check_keys) - by_day
    assert subjects.checks
