"""The retention of the landing: removed hours, kept hours and the reasons, in Dagster and in the commands."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.cli.console import EXIT_PARTIAL
from palimpsest_pipeline.defs.monitoring.checks import find_unfinished_work
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import floor_to_hour, format_hour_key
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.operate.backfill.backfill import mark_hours_due
from palimpsest_pipeline.operate.doctor import stores as doctor
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import CycleWithoutPack
from palimpsest_pipeline.pipeline.record_landed_cycles import ALL_HOURS
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.pipeline.upkeep import export_day, landing_retention
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.locks import AdvisoryLock
from palimpsest_pipeline.storage.derivation import derived_products, landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import DueReason
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline.storage.odds.retention import DayStatus
from palimpsest_pipeline_tests.defs.upkeep.test_assets import NOON, ago, checks, cycle, metadata, upkeep
from palimpsest_pipeline_tests.fixtures.landed import list_marks
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS
from palimpsest_pipeline_tests.storage.answered_days import ingest_day

HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)
LION = Platform("lion")
"""A platform without a pack."""
EXPORTED, UNEXPORTED, UNDERIVED, YOUNG, NOW = 10, 11, 9, 3, 0
"""Days ago of the cycles of the world."""


def at(days_ago: int) -> datetime:
    return datetime.combine(ago(days_ago), time(8, 30), UTC)


def key(days_ago: int) -> str:
    return format_hour_key(at(days_ago))


def land_cycle(pipeline: Pipeline, when: datetime, n: int = 20, platforms: tuple[Platform, ...] = ()) -> Manifest:
    """Land a full cycle with one answer per segment."""
    made = replace(cycle(when), platforms=platforms)
    writer = pipeline.landing.open_writer(made)
    for number in range(n):
        request = Request(list(PLATFORMS)[number % 3], PayloadKind.DETAIL, f"/event/{number}", external_id=str(number))
        writer.append(Answer(request, 1, when, when, when, 200, {}, f'{{"n": {number}}}'.encode()))
        writer.flush()
    return writer.close(RunStatus.COMPLETED, when, ("capture",))


def mark_all_derived(pipeline: Pipeline, manifest: Manifest, versions: str = "old") -> None:
    marked = {"landing_digest": manifest.digest, "parser_version": versions, "mapping_version": versions}
    with pipeline.connect() as conn:
        for product in list_marks():
            derived_products.mark_derived(conn, product.schema, product.name, manifest.cycle_id, **marked, n_rows=0)


@pytest.fixture(scope="module")
def world(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, dg.ExecuteInProcessResult]]:
    """Five cycles after the upkeep: not needed, day not exported, not derived, young, and of the present hour."""
    with pipelines(postgres, tmp_path_factory.mktemp("home")) as make:
        pipeline = make(clock_offset_s=(NOON - datetime.now(UTC)).total_seconds(), history_hot_days=20)
        with pipeline.connect() as conn:
            partitions.ensure_partitions(conn, [ago(EXPORTED), ago(UNEXPORTED)])
            for days in (EXPORTED, UNEXPORTED):
                ingest_day(conn, ago(days), 1, 2)
        for days in (EXPORTED, UNEXPORTED, UNDERIVED, YOUNG):
            manifest = land_cycle(pipeline, at(days))
            if days != UNDERIVED:
                mark_all_derived(pipeline, manifest)
        land_cycle(pipeline, NOON - timedelta(minutes=5))
        export_day.export_day(pipeline, ago(EXPORTED))
        yield pipeline, upkeep(pipeline)


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({}, None),
        (
            {"day_states": {ago(1): DayStatus.EXPORTED, ago(2): DayStatus.ARCHIVED, ago(3): DayStatus.NOTHING}},
            None,
        ),
        ({"running_ids": [7], "unclosed_ids": [7]}, "cycle 7 is running"),
        (
            {"unclosed_ids": [7], "underived_ids": [8]},
            "cycle 7 is not closed: run `palimpsest doctor`",
        ),
        (
            {"underived_ids": [8, 9]},
            "2 cycles are not fully derived, e.g. 8: run `palimpsest backfill 2026-06-26-10:00 2026-06-26-10:00`",
        ),
        (
            {"day_states": {ago(1): DayStatus.EXPORTED, ago(2): DayStatus.MISSING}},
            f"run `palimpsest export {ago(2)} {ago(2)}`",
        ),
        (
            {"cycles_without_pack": [CycleWithoutPack(8, HOUR, (LION,))]},
            "cycle 8 covers lion, whose pack cannot be used: mend or install it, then run `palimpsest backfill"
            " 2026-06-26-10:00 2026-06-26-10:00`",
        ),
        ({"day_states": {ago(2): DayStatus.CHANGED}}, "it has changed since its export"),
        (
            {"day_states": {ago(2): DayStatus.DAMAGED}},
            "its files in the archive differ from the exported ones",
        ),
    ],
)
def test_an_hour_is_needed_while_something_of_it_is_not_derived_or_not_exported(
    claims: dict[str, Any], says: str | None
) -> None:
    why = landing_retention.explain_need(HOUR, **claims)
    assert why is None if says is None else says in (why or "")


def test_a_night_removes_hours_that_nobody_needs_and_keeps_the_rest(
    world: tuple[Pipeline, dg.ExecuteInProcessResult],
) -> None:
    pipeline, result = world
    assert result.success
    metadata_values = metadata(result, "upkeep", "landing_retention")
    assert (metadata_values["hours_expired"], metadata_values["hours_kept"]) == (1, 2)
    assert metadata_values["bytes_expired"] > 0
    with pipeline.connect() as conn:
        gone = [cycle.partition_hour for cycle in landed_cycles.read_cycles(conn, *ALL_HOURS) if cycle.is_gone]
    assert gone == [floor_to_hour(at(EXPORTED))]
    assert (
        f"{key(UNEXPORTED)}: {ago(UNEXPORTED)}, which has answers of it, is not in the archive"
        in metadata_values["kept"]
    )
    assert f"{key(UNDERIVED)}: 1 cycles are not fully derived" in metadata_values["kept"]
    cycles = {m.partition_hour: m for m in pipeline.landing.list_cycles()}
    assert set(cycles) == {floor_to_hour(at(days)) for days in (UNEXPORTED, UNDERIVED, YOUNG)} | {
        floor_to_hour(NOON - timedelta(minutes=5))
    }
    assert all(pipeline.landing.read_answers(manifest).height == 20 for manifest in cycles.values())
    sizes = metadata(result, "upkeep", "storage_report")
    assert all(sizes[f"landing_bytes_per_answer_{platform}"] > 0 for platform in PLATFORMS)
    parquet = sum(path.stat().st_size for path in (pipeline.settings.home / "landing").rglob("*.parquet"))
    assert sizes["landing_bytes"] == parquet


def test_rows_derived_from_kept_answers_stay_valid(world: tuple[Pipeline, dg.ExecuteInProcessResult]) -> None:
    pipeline, _ = world
    [hour] = plan_hours(pipeline, floor_to_hour(at(YOUNG)), floor_to_hour(at(YOUNG)))
    assert (hour.damaged_cycles, hour.gone_cycles) == ((), ())
    assert {product.reason for product in hour.due} <= {DueReason.PARSER, DueReason.MAPPING}


def test_the_check_names_hours_that_stay_too_long_with_the_reason(
    world: tuple[Pipeline, dg.ExecuteInProcessResult],
) -> None:
    check = checks(world[1])["landing_is_kept_no_longer_than_needed"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    for words in (
        f"{key(UNEXPORTED)} is still in the landing: {ago(UNEXPORTED)}, which has answers of it, is not in the archive: it is not exported yet",
        f"{key(UNDERIVED)} is still in the landing: 1 cycles are not fully derived",
    ):
        assert words in (check.description or "")
    assert key(YOUNG) not in (check.description or "")


def test_a_damaged_manifest_keeps_its_own_hour_as_it_is_and_no_other(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    damaged, old = (land_cycle(pipeline, at(days), n=3).partition_hour for days in (UNDERIVED, UNEXPORTED))
    [manifest] = pipeline.landing.list_cycles(hour=old)
    mark_all_derived(pipeline, manifest)
    for path in (pipeline.settings.home / "landing").glob(f"date={damaged:%Y-%m-%d}/*/*/manifest.json"):
        path.write_text("{")
    expired = landing_retention.expire_landing(pipeline, UNDERIVED - 1)
    assert expired.removed == [old]
    assert "manifest.json is not a manifest" in expired.kept_hours[damaged]


def test_answers_of_a_cycle_without_its_pack_stay_until_they_are_derived(make_pipeline: MakePipeline) -> None:
    pipeline, covered = make_pipeline(), (*PLATFORMS, LION)
    manifest = land_cycle(pipeline, at(UNDERIVED), n=3, platforms=covered)
    hour, day = manifest.partition_hour, ago(UNDERIVED)
    sentence = f"cycle {manifest.cycle_id} covers lion, whose pack cannot be used"

    def list_refused() -> list[str]:
        with dg.DagsterInstance.ephemeral() as instance:
            return list(find_unfinished_work(instance, pipeline, []).refused_hours.values())

    assert sentence in landing_retention.expire_landing(pipeline, 1).kept_hours[hour]
    with pipeline.connect() as conn, pytest.raises(export_day.DayIsOpen, match=sentence):
        export_day.require_closed(pipeline, conn, day)
    finding = doctor.check_derived_products(pipeline.settings)
    assert (finding.ok, sentence in finding.detail) == (False, True)
    [refused], [planned] = list_refused(), plan_hours(pipeline, hour, hour)
    assert sentence in refused
    assert [sentence in lost.sentence for lost in planned.lost_cycles] == [True]

    with pipeline.connect() as conn:
        for product in list_marks(covered):
            if product.schema == "core":
                marked = {"landing_digest": manifest.digest, "parser_version": "old", "mapping_version": "old"}
                derived_products.mark_derived(conn, "core", product.name, manifest.cycle_id, **marked, n_rows=0)
    mark_hours_due(pipeline, plan_hours(pipeline, hour, hour))
    assert (plan_hours(pipeline, hour, hour)[0].lost_cycles, list_refused()) == ((), [])
    assert doctor.check_derived_products(pipeline.settings).ok
    with pipeline.connect() as conn:
        export_day.require_closed(pipeline, conn, day)
    assert landing_retention.expire_landing(pipeline, 1).removed == [hour]


def test_only_one_process_at_a_time_changes_the_landing(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    with pipeline.connect() as other:
        other.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.LANDING_RETENTION])
        with pytest.raises(landing_retention.LandingInUse, match="try again"):
            landing_retention.expire_landing(pipeline)
    for _ in range(20):
        done = landing_retention.expire_landing(pipeline)
        assert done.removed == [], "a finished process blocks no other, even at once"


def test_the_commands_announce_removals_and_remove_hours(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline()
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    mark_all_derived(pipeline, land_cycle(pipeline, at(EXPORTED)))
    mark_all_derived(pipeline, land_cycle(pipeline, at(YOUNG)))
    land_cycle(pipeline, at(YOUNG) + timedelta(hours=1))

    def run_landing(*words: str) -> Any:
        result = CliRunner().invoke(app, ["landing", *words, "--json"])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    landing_list = run_landing("ls")
    assert [row["answers"] for row in landing_list["cycles"]] == [20, 20, 20]
    assert {row["platform"]: row["n_answers"] for row in landing_list["platforms"]} == {
        "bet9ja": 18,
        "betpawa": 21,
        "sportybet": 21,
    }
    assert "like the 3 that are landed" in doctor.check_landing(pipeline.settings).detail
    due = [key(EXPORTED), key(YOUNG), format_hour_key(at(YOUNG) + timedelta(hours=1))]
    assert run_landing("expire", "--dry-run")["to_remove"] == [key(EXPORTED)]
    assert run_landing("expire")["removed"] == [key(EXPORTED)]
    expired = run_landing("expire", "--days", "1")
    assert expired["removed"] == [key(YOUNG)]
    assert list(expired["kept"]) == due[2:]
    shown = CliRunner().invoke(app, ["landing", "expire"])
    assert shown.stdout.strip() == "nothing to remove"
    assert "Bytes an answer, by platform" in CliRunner().invoke(app, ["landing", "ls"]).stdout


def test_a_damaged_manifest_leaves_only_its_own_cycle_out_of_the_lists(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline()
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    unreadable, good = (land_cycle(pipeline, at(days), n=3) for days in (UNDERIVED, NOW))
    file = pipeline.landing._cycle_folder(unreadable.partition_hour, unreadable.cycle_id) / "manifest.json"
    file.write_text("{")

    def run_command(*words: str, code: int) -> tuple[Any, str]:
        result = CliRunner().invoke(app, [*words, "--json"])
        assert result.exit_code == code, result.stderr
        return json.loads(result.stdout), result.stderr

    landing_list, warnings = run_command("landing", "ls", code=EXIT_PARTIAL)
    rows = {row["cycle_id"]: (row["answers"], row["bytes"]) for row in landing_list["cycles"]}
    assert rows == {good.cycle_id: (3, good.bytes)}
    assert [(row["hour"], row["cycle_id"]) for row in landing_list["unreadable"]] == [
        (format_hour_key(unreadable.partition_hour), unreadable.cycle_id)
    ]
    assert sum(row["bytes"] for row in landing_list["platforms"]) == good.bytes
    assert f"{file} is not a manifest" in warnings
    shown = CliRunner().invoke(app, ["landing", "ls"])
    assert (shown.exit_code, "Landing" in shown.stdout) == (EXIT_PARTIAL, True)  # a narrow table breaks longer words

    storage, warnings = run_command("storage", code=EXIT_PARTIAL)
    assert storage["figures"]["landing_bytes"] == good.bytes
    assert storage["unreadable"] == landing_list["unreadable"]
    assert f"cycle {unreadable.cycle_id} cannot be read" in warnings
    report = metadata(upkeep(pipeline), "upkeep", "storage_report")
    assert (report["landing_bytes"], report["n_unreadable_cycles"]) == (good.bytes, 1)

    (pipeline.landing._cycle_folder(good.partition_hour, good.cycle_id) / "manifest.json").write_text("{")
    empty_list, warnings = run_command("landing", "ls", code=1)
    assert (empty_list["cycles"], len(empty_list["unreadable"])) == ([], 2)
