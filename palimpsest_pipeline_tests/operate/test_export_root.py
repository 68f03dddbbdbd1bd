"""A root without the exported days is not taken for the export: nothing is written to a day that cannot be seen, and
nothing replaces it.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from palimpsest_pipeline import definitions  # noqa: F401 - it reads the settings, and an opened instance names its storage among them
from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.operate.databases import upgrade_schema
from palimpsest_pipeline.operate.doctor.stores import check_export as look_at_export
from palimpsest_pipeline.operate.export_root import adopt_root
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest import write_core
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import MARKER_NAME, ArchiveError, RecordedDay, read_recorded_days, record_days
from palimpsest_pipeline.storage.odds import partitions, retention
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database
from palimpsest_pipeline_tests.storage.answered_days import cycle_at, ingest_day, noon

NOON = datetime.combine(datetime.now(UTC), time(12), UTC)
DAYS = [NOON.date() - timedelta(days=days_ago) for days_ago in (5, 3)]
CLOCK_OFFSET_S = (NOON - datetime.now(UTC)).total_seconds()


def answer(pipeline: Pipeline, *days: date, minute: int = 0) -> None:
    with pipeline.connect() as conn:
        partitions.ensure_partitions(conn, days)
        for day in days:
            ingest_day(conn, day, 1, 2, minute=minute)
        conn.execute(
            "insert into ops.listing_ids (listing_id, platform, external_id) values (1, 'betpawa', 'a') on conflict do nothing"
        )


def with_root(pipeline: Pipeline, root: Path) -> Pipeline:
    return Pipeline(pipeline.settings.model_copy(update={"export_url": str(root)}))


@dataclass(frozen=True)
class World:
    """Two exported days."""

    pipeline: Pipeline
    records: list[RecordedDay]

    @property
    def root(self) -> Path:
        return Path(self.pipeline.archive.address)

    def recorded(self) -> list[date]:
        with self.pipeline.connect() as conn:
            return list(read_recorded_days(conn))


@pytest.fixture(scope="module")
def exported(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    create_database(postgres, "dagster_of_export_root")
    with pipelines(postgres, tmp_path_factory.mktemp("home")) as make:
        pipeline = make(clock_offset_s=CLOCK_OFFSET_S)
        own = pipeline.settings.model_copy(
            update={"dagster_database_url": SecretStr(postgres.build_url("dagster_of_export_root"))}
        )
        pipeline = Pipeline(own)
        answer(pipeline, *DAYS)
        with open_instance(own) as instance:
            for day in [*DAYS, DAYS[1] + timedelta(days=1)]:  # nothing was observed on the last one
                assert run_job(instance, pipeline, "export", day).success
        with pipeline.connect() as conn:
            records = list(read_recorded_days(conn).values())
        yield World(pipeline, records)
    drop_database(postgres, "dagster_of_export_root")


@pytest.fixture
def world(exported: World) -> Iterator[World]:
    """The exported days are recorded, and the folder is not marked."""
    with exported.pipeline.connect() as conn:
        record_days(conn, exported.records)
    (exported.root / MARKER_NAME).unlink(missing_ok=True)
    yield exported


def test_an_upgrade_marks_the_root_that_has_every_exported_day(world: World) -> None:
    upgrade_schema(world.pipeline)
    assert world.pipeline.archive.is_marked()
    assert world.recorded() == DAYS
    found = look_at_export(world.pipeline.settings)
    assert found.ok
    assert "2 days" in found.detail


def test_an_upgrade_does_not_mark_a_root_without_the_exported_days_and_doctor_says_what_to_do(
    world: World, tmp_path: Path
) -> None:
    unmounted = with_root(world.pipeline, tmp_path / "unmounted")
    upgrade_schema(unmounted)
    assert world.recorded() == DAYS
    assert not unmounted.archive.is_marked()
    with pytest.raises(ArchiveError, match="palimpsest doctor"):
        unmounted.archive.read_entry(DAYS[0])
    found = look_at_export(unmounted.settings)
    assert not found.ok
    assert f"2 days were exported, the newest {DAYS[1]}" in found.detail
    assert "palimpsest export --adopt-root" in found.detail


def test_a_root_that_lacks_one_exported_day_is_not_marked(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "copy")
    (tmp_path / "copy" / "catalogue" / f"{DAYS[0]}.json").unlink()
    other = with_root(world.pipeline, tmp_path / "copy")
    upgrade_schema(other)
    assert not other.archive.is_marked()
    assert not look_at_export(other.settings).ok

    assert adopt_root(other) == ([DAYS[1]], [DAYS[0]])
    assert other.archive.is_marked()
    assert world.recorded() == [DAYS[1]]
    assert look_at_export(other.settings).ok


def test_an_upgrade_of_a_fresh_database_marks_a_fresh_root_and_asks_nobody(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    fresh = with_root(make_pipeline(), tmp_path / "fresh")  # its Dagster cannot be reached
    upgrade_schema(fresh)
    assert fresh.archive.is_marked()
    assert fresh.archive.read_catalogue() == {}


def test_an_empty_root_is_not_marked_when_days_left_postgres_and_no_export_is_remembered(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    unmounted = with_root(make_pipeline(clock_offset_s=CLOCK_OFFSET_S), tmp_path / "unmounted")
    left, held = DAYS
    with unmounted.connect() as conn:
        partitions.ensure_partitions(conn, [held])
    for days, is_complete in [
        ([held, NOON.date()], True),
        ([left], False),
    ]:  # today's cycles may be ahead of their partition
        with unmounted.connect() as conn:
            for day in days:
                conn.execute(
                    "insert into core.cycles values (%s, %s, 'manual', 'full', 'betpawa', %s)",
                    [cycle_at(day), noon(day), noon(day)],
                )
        upgrade_schema(unmounted)
        assert unmounted.archive.is_marked() is is_complete
        found = look_at_export(unmounted.settings)
        assert found.ok is is_complete
        (Path(unmounted.archive.address) / MARKER_NAME).unlink(missing_ok=True)
    assert f"no export is recorded, but 1 days of cycles, the newest {left}, have left Postgres" in found.detail
    assert "palimpsest export --adopt-root" in found.detail


def test_an_unmounted_root_keeps_days_in_postgres(world: World, tmp_path: Path) -> None:
    upgrade_schema(world.pipeline)
    unmounted = with_root(world.pipeline, tmp_path / "unmounted")
    with world.pipeline.connect() as conn, pytest.raises(ArchiveError, match=MARKER_NAME):
        retention.drop_exported_days(conn, unmounted.archive, NOON.date())


@pytest.fixture
def imported(make_pipeline: MakePipeline, tmp_path: Path, samples: Path) -> tuple[Pipeline, Manifest]:
    """An answer of a past day that is landed and not derived."""
    pipeline = make_pipeline()
    capture = samples / "betpawa" / "detail_football_113_markets_v3_2026-06-26.json"
    entry = {
        "file": capture.name,
        "platform": "betpawa",
        "kind": "detail",
        "external_id": "35429065",
        "received_at": "2026-06-26T10:25:00Z",
    }
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(capture, folder)
    (folder / "manifest.json").write_text(json.dumps([entry]))
    [manifest] = import_recorded(pipeline, folder, BETPAWA)
    return pipeline, manifest


DAY = date(2026, 6, 26)


def record(pipeline: Pipeline, day: date, n_captures: int) -> None:
    with pipeline.connect() as conn:
        conn.execute("insert into ops.exported_days values (%s, %s, %s)", [day, NOON, n_captures])


def derive(pipeline: Pipeline, manifest: Manifest) -> int:
    with pipeline.connect() as conn:
        return write_core.make_odds_derivation(BETPAWA)(pipeline, conn, manifest)


def test_nothing_is_ingested_into_an_exported_day_that_the_archive_does_not_have(
    imported: tuple[Pipeline, Manifest],
) -> None:
    pipeline, manifest = imported
    record(pipeline, DAY, 7)
    with pytest.raises(
        ArchiveError, match=rf"{DAY} was exported at .* with 7 answers, and the export at .* does not have it"
    ):
        derive(pipeline, manifest)
    with pipeline.connect() as conn:
        assert partitions.find_missing_partitions(conn, [DAY])


def test_nothing_is_ingested_into_a_past_day_while_the_export_cannot_be_seen(
    imported: tuple[Pipeline, Manifest], tmp_path: Path
) -> None:
    pipeline, manifest = imported
    with pytest.raises(ArchiveError, match=f"cannot be seen .*{MARKER_NAME}"):
        derive(with_root(pipeline, tmp_path / "unmounted"), manifest)


@pytest.mark.parametrize("n_captures", [None, 0])
def test_a_past_day_without_exported_answers_is_ingested(
    imported: tuple[Pipeline, Manifest], n_captures: int | None
) -> None:
    pipeline, manifest = imported
    if n_captures is not None:
        record(pipeline, DAY, n_captures)
    assert derive(pipeline, manifest) > 0
