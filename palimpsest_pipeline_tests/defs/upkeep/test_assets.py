"""The assets of upkeep as Dagster runs them, on a real database and archive."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.upkeep import jobs
from palimpsest_pipeline.defs.upkeep.checks import partitions_are_ahead, storage_is_within_its_limit
from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, format_hour_key, make_cycle_id
from palimpsest_pipeline.operate import export_days
from palimpsest_pipeline.operate.databases import prepare_schema
from palimpsest_pipeline.operate.export_days import ExportReport
from palimpsest_pipeline.operate.run_job import RunOutcome, run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.record_landed_cycles import rescan_landing
from palimpsest_pipeline.pipeline.upkeep import export_day
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.catalog.listings import CycleFacts, write_cycle_facts
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline.storage.odds import partitions, retention
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS
from palimpsest_pipeline_tests.storage.answered_days import cycle_at, ingest_day

NOON = datetime.combine(datetime.now(UTC), time(12), UTC)
TODAY = NOON.date()
HOT_DAYS = 2


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    """It is noon; nothing is landed."""
    return make_pipeline(clock_offset_s=(NOON - datetime.now(UTC)).total_seconds(), history_hot_days=HOT_DAYS)


@pytest.fixture(scope="module")
def kept(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, dg.ExecuteInProcessResult]]:
    """Five days answered, the two oldest of which, and the third but one, are exported; then the night's upkeep."""
    with pipelines(postgres, tmp_path_factory.mktemp("home")) as make:
        pipeline = make(clock_offset_s=(NOON - datetime.now(UTC)).total_seconds(), history_hot_days=HOT_DAYS)
        answer(pipeline, 1, 2, 3, 4, 5)
        for days_ago in (1, 3, 5):
            assert exported(pipeline, days_ago).success
        yield pipeline, upkeep(pipeline)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def answer(pipeline: Pipeline, *days_ago: int) -> None:
    with pipeline.connect() as conn:
        partitions.ensure_partitions(conn, map(ago, days_ago))
        for days in days_ago:
            ingest_day(conn, ago(days), 1, 2)


def exported(pipeline: Pipeline, days_ago: int) -> RunOutcome:
    with dg.DagsterInstance.ephemeral() as instance:
        return run_job(instance, pipeline, "export", ago(days_ago))


def exporting(pipeline: Pipeline, chosen: tuple[date, date] | None = None, *, force: bool = False) -> ExportReport:
    """What the command `export` does, with a storage of Dagster's own in memory."""
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patched:
        patched.setattr(export_days, "open_instance", lambda _: instance)
        return export_days.export_days(pipeline, chosen, print, force=force)


def upkeep(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def("upkeep").execute_in_process(
            instance=instance, resources={"pipeline": pipeline}, raise_on_error=False
        )


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(key)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {c.check_name: c for c in result.get_asset_check_evaluations()}


def cycle(at: datetime) -> Cycle:
    return Cycle(
        cycle_id=make_cycle_id(at),
        trigger=Trigger.MANUAL,
        scope=Scope.FULL,
        home_platform=BETPAWA,
        partition_hour=floor_to_hour(at),
        started_at=at,
        run_id=None,
        sr_ids=(),
    )


def requested(pipeline: Pipeline, at: datetime = NOON) -> list[dg.RunRequest]:
    with dg.DagsterInstance.ephemeral() as instance:
        given = {"instance": instance, "resources": {"pipeline": pipeline}, "repository_def": defs.get_repository_def()}
        with dg.build_schedule_context(scheduled_execution_time=at, **given) as context:
            return list(jobs.nightly_export.evaluate_tick(context).run_requests)


def test_a_night_makes_days_ahead_drops_old_ones_that_are_exported_and_measures_the_rest(
    kept: tuple[Pipeline, dg.ExecuteInProcessResult],
) -> None:
    pipeline, result = kept
    assert result.success
    with pipeline.connect() as conn:
        there = retention.read_stored_days(conn)
    assert there == [*map(ago, (4, 2, 1)), *(ago(-n) for n in range(15))]
    dropped = metadata(result, "upkeep", "history_retention")
    assert (dropped["days_dropped"], dropped["days_kept"], dropped["dropped"]) == (2, 1, f"{ago(5)}, {ago(3)}")
    told = metadata(result, "upkeep", "storage_report")
    assert told["bytes_per_price"] > told["export_bytes_per_price"] > 0
    assert told["total_bytes"] == told["postgres_bytes"] + told["landing_bytes"] + told["export_bytes"]
    with pipeline.connect() as conn:
        assert conn.execute("select count(*) from ops.storage_samples where table_name = 'export'").fetchone() == (3,)


def test_what_should_have_left_is_named_with_what_to_do(kept: tuple[Pipeline, dg.ExecuteInProcessResult]) -> None:
    found = checks(kept[1])
    assert {name for name, check in found.items() if not check.passed} == {"old_days_have_left"}
    late = found["old_days_have_left"]
    assert late.severity is dg.AssetCheckSeverity.WARN
    assert f"{ago(4)} is still in Postgres: it is not exported yet: run `palimpsest export {ago(4)} {ago(4)}`" in (
        late.description or ""
    )


def test_what_is_exported_is_left_alone_and_says_so(kept: tuple[Pipeline, dg.ExecuteInProcessResult]) -> None:
    pipeline, _ = kept
    found = {days: export_day.export_day(pipeline, ago(days)) for days in (1, 3, 9)}
    assert {days: done.sentence for days, done in found.items()} == {
        1: "not exported: it is the same in Postgres and in the archive",
        3: "not exported: it is only in the archive",
        9: "not exported: no answer was observed on it",
    }
    assert all(done.seconds is None for done in found.values())


def test_the_nightly_export_asks_for_what_the_archive_lacks_or_has_otherwise(
    kept: tuple[Pipeline, dg.ExecuteInProcessResult],
) -> None:
    pipeline, _ = kept
    with pipeline.connect() as conn:
        ingest_day(conn, ago(1), 3, minute=30)
    asked = requested(pipeline)
    assert [request.partition_key for request in asked] == [str(ago(days)) for days in (4, 2, 1)]
    assert all(request.run_key.startswith(f"{request.partition_key} ") for request in asked if request.run_key)
    assert {r.run_key for r in asked}.isdisjoint({r.run_key for r in requested(pipeline, NOON + timedelta(days=1))})
    for days in (4, 2, 1):
        assert exported(pipeline, days).success
    assert requested(pipeline) == []


def test_a_day_before_the_first_partition_is_named_by_a_check_and_keeps_no_other_day_from_its_export(
    pipeline: Pipeline,
) -> None:
    answer(pipeline, 1)
    bogus = date(1994, 10, 18)
    with pipeline.connect() as conn:
        partitions.ensure_partitions(conn, [bogus])
        ingest_day(conn, bogus, 1)
        write_cycle_facts(conn, CycleFacts(cycle_at(bogus), NOON, Trigger.MANUAL, Scope.FULL, BETPAWA, NOON))
    assert [request.partition_key for request in requested(pipeline)] == [str(ago(1))]
    found = checks(upkeep(pipeline))
    named = found["days_to_export_have_partitions"]
    assert (named.passed, named.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"{bogus} (1 days)" in (named.description or "")
    assert f"`palimpsest backfill {format_hour_key(NOON)} {format_hour_key(NOON)} --again`" in (named.description or "")
    assert str(bogus) not in (found["old_days_have_left"].description or "")


def test_a_damaged_file_costs_the_export_of_its_own_day_and_no_other(pipeline: Pipeline, tmp_path: Path) -> None:
    entry, manifest, half, whole = ago(8), ago(6), ago(4), ago(2)
    answer(pipeline, 8, 6, 4, 2)
    assert exported(pipeline, 8).success
    (tmp_path / "export/catalogue" / f"{entry}.json").write_text("{")
    noon = datetime.combine(manifest, time(12), UTC)
    pipeline.landing.open_writer(cycle(noon)).close(RunStatus.COMPLETED, noon, ("capture",))
    next((tmp_path / "landing").rglob("manifest.json")).write_text("{")
    rescan_landing(pipeline)
    with pipeline.connect() as conn:
        conn.execute(f"drop table core.{partitions.build_partition_name('market_changes', half)}")  # type: ignore[arg-type]
    assert [request.partition_key for request in requested(pipeline)] == [str(whole)]
    named = checks(upkeep(pipeline))["days_to_export_have_partitions"]
    assert not named.passed
    reasons = {
        str(entry): f"catalogue/{entry}.json is not a valid entry of the catalogue",
        str(manifest): "manifest.json is not a manifest",
        str(half): f"no partition of the odds history for UTC day {half}",
    }
    for reason in reasons.values():
        assert reason in (named.description or "")
    report = exporting(pipeline)
    assert list(report.exported) == [str(whole)]
    assert report.failed.keys() == reasons.keys()
    assert all(reason in report.failed[day] for day, reason in reasons.items())
    report = exporting(pipeline, (entry, half))
    assert report.failed.keys() >= reasons.keys()
    assert f"palimpsest export --force {entry}" in report.failed[str(entry)]


def test_days_that_have_no_place_yet_fail_the_check_by_name_until_they_are_made(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        partitions.ensure_days_ahead(conn, pipeline.clock.now(), 5)
    with dg.DagsterInstance.ephemeral() as instance:
        keys = dg.AssetSelection.checks_for_assets(dg.AssetKey(["core", "history_partitions"]))
        only = dg.define_asset_job("only_the_check", selection=keys)
        asked = dg.Definitions.merge(defs, dg.Definitions(jobs=[only])).resolve_job_def("only_the_check")
        result = asked.execute_in_process(instance=instance, resources={"pipeline": pipeline}, raise_on_error=False)
    check = checks(result)["partitions_are_ahead"]
    assert (check.passed, check.blocking, check.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert f"no partition for {ago(-6)}, {ago(-7)}: materialize core/history_partitions" in (check.description or "")
    assert checks(upkeep(pipeline))["partitions_are_ahead"].passed


def test_a_day_that_may_still_change_is_refused_with_the_reason(pipeline: Pipeline) -> None:
    answer(pipeline, 1, 2)
    refused = {0: "is not over", -1: "is not over"}
    for days, why in refused.items():
        with pytest.raises(export_day.DayIsOpen, match=why):
            export_day.export_day(pipeline, ago(days))
    running = cycle(datetime.combine(ago(2), time(23, 50), UTC))  # goes on past midnight
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, running)
    outcome = exported(pipeline, 1)
    assert not outcome.success
    assert f"cycle {running.cycle_id} is running" in (outcome.error or "")
    assert requested(pipeline) == []


def test_a_day_with_a_cycle_that_is_landed_and_not_derived_is_refused_until_it_is(pipeline: Pipeline) -> None:
    answer(pipeline, 1)
    landed = cycle(datetime.combine(ago(1), time(8, 30), UTC))
    manifest = pipeline.landing.open_writer(landed).close(RunStatus.COMPLETED, landed.started_at)
    rescan_landing(pipeline)
    with pytest.raises(
        export_day.DayIsOpen,
        match=rf"e\.g\. {landed.cycle_id}: run `palimpsest backfill {ago(1)}-08:00 {ago(1)}-08:00`",
    ):
        export_day.export_day(pipeline, ago(1))
    versions = {"landing_digest": manifest.digest, "parser_version": "old", "mapping_version": "old"}
    with pipeline.connect() as conn:
        for platform in PLATFORMS:
            derived_products.mark_derived(
                conn, "core", f"odds_snapshots/{platform}", landed.cycle_id, **versions, n_rows=0
            )
    assert export_day.export_day(pipeline, ago(1)).seconds is not None


def test_an_export_whose_file_is_gone_fails_its_check_and_is_written_again(pipeline: Pipeline) -> None:
    answer(pipeline, 1)
    assert exported(pipeline, 1).success
    entry = pipeline.archive.read_entry(ago(1))
    assert entry is not None
    for name in entry.files:
        (Path(pipeline.archive.address) / name).unlink()
    assert [request.partition_key for request in requested(pipeline)] == [str(ago(1))]
    assert exported(pipeline, 1).success
    assert pipeline.archive.check_day(ago(1)).n_captures == 2


@pytest.mark.parametrize(("share", "severity"), [(0.9, dg.AssetCheckSeverity.WARN), (1.1, dg.AssetCheckSeverity.ERROR)])
def test_a_store_that_fills_up_is_a_warning_and_a_full_one_an_error(
    kept: tuple[Pipeline, dg.ExecuteInProcessResult], share: float, severity: dg.AssetCheckSeverity
) -> None:
    pipeline, result = kept
    total = metadata(result, "upkeep", "storage_report")["total_bytes"]
    tight = Pipeline(pipeline.settings.model_copy(update={"storage_limit_gb": total / share / 10**9}))
    check = checks(upkeep(tight))["storage_is_within_its_limit"]
    assert (check.passed, check.severity) == (False, severity)
    assert "PALIMPSEST_STORAGE_LIMIT_GB" in (check.description or "")


def test_a_young_site_is_in_order_and_one_that_was_never_measured_is_told_of(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    prepare_schema(pipeline)
    assert partitions_are_ahead(pipeline).passed
    young = storage_is_within_its_limit(pipeline)
    assert (young.passed, "nothing was measured yet" in (young.description or "")) == (True, True)
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle(pipeline.clock.now() - timedelta(days=3)))
    old = storage_is_within_its_limit(pipeline)
    assert (old.passed, old.severity) == (False, dg.AssetCheckSeverity.WARN)
