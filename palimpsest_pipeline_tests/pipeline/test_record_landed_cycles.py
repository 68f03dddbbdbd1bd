"""What the database knows of the landing: kept by whoever changes it, and rebuilt from the landing alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.domain.enums import Platform, Scope, Severity, Trigger
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_due_products, make_due_query
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.pipeline.record_landed_cycles import ALL_HOURS, record_closed, rescan_landing
from palimpsest_pipeline.scrape.sinks import ObserverGroup
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import read_due_failures, record_failure
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord
from palimpsest_pipeline.storage.ledger import check_verdicts, cycle_ledger
from palimpsest_pipeline.storage.ledger.check_verdicts import CheckVerdict
from palimpsest_pipeline_tests.fixtures.landed import land_answer, make_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings
from palimpsest_pipeline_tests.storage.table_rows import insert

CHECK = "core/tournaments:are_good"
HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)


def land(pipeline: Pipeline, hour: int, platforms: tuple[Platform, ...] = ()) -> Manifest:
    """Land a cycle with one answer, and record it in ops.landed_cycles and core.cycles."""
    at = HOUR + timedelta(hours=hour)
    manifest = land_answer(pipeline, replace(make_cycle(at), platforms=platforms))
    with pipeline.connect() as conn:
        record_closed(conn, manifest)
        row = {
            "cycle_id": manifest.cycle_id,
            "partition_hour": at,
            "trigger": "manual",
            "scope": "full",
            "home_platform": "betpawa",
            "as_of": at,
        }
        insert(conn, "core.cycles", row)
    return manifest


def rows(pipeline: Pipeline) -> dict[int, LandedCycleRecord]:
    with pipeline.connect() as conn:
        return {cycle.cycle_id: cycle for cycle in landed_cycles.read_cycles(conn, *ALL_HOURS)}


def judge(pipeline: Pipeline, *cycle_ids: int) -> None:
    """Record that these cycles could not be derived and that a check found them bad."""
    with pipeline.connect() as conn:
        for cycle_id in cycle_ids:
            record_failure(
                conn,
                "tournaments",
                cycle_id,
                landing_digest=None,
                parser_version="p",
                mapping_version="m",
                error="ValueError: bad",
            )
        check_verdicts.write_verdicts(
            conn, CHECK, [CheckVerdict(cycle_id, Severity.ERROR, 1, "bad") for cycle_id in cycle_ids]
        )


def folder(pipeline: Pipeline, manifest: Manifest) -> Path:
    return next(Path(pipeline.settings.landing_root).glob(f"**/cycle={manifest.cycle_id}"))


@pytest.fixture
def pipeline(make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """One that the commands find too, by the environment."""
    made = make_pipeline()
    for name, value in made.settings.to_environment().items():
        if value:
            monkeypatch.setenv(name, value)
    return made


def told(code: int, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["landing", "rescan", "--json"])
    assert done.exit_code == code, done.output
    assert all(word in done.stderr for word in words)
    return json.loads(done.stdout)


def test_a_table_that_lost_its_rows_is_rebuilt_equal_and_what_is_damaged_is_named(pipeline: Pipeline) -> None:
    whole, torn, unreadable, gone = (land(pipeline, hour) for hour in range(4))
    kept = rows(pipeline)
    assert kept[whole.cycle_id] == LandedCycleRecord(
        whole.cycle_id, HOUR, Scope.FULL, tuple(sorted(PLATFORMS)), whole.digest, is_whole=True
    )
    assert rescan_landing(pipeline).n_corrected == 0, (
        "what was recorded when a cycle was closed is what the landing says"
    )
    next(folder(pipeline, torn).rglob("*.parquet")).unlink()
    (folder(pipeline, unreadable) / "manifest.json").write_text("[]")
    shutil.rmtree(folder(pipeline, gone).parent)
    judge(pipeline, torn.cycle_id, gone.cycle_id)
    found = told(3, str(torn.cycle_id), str(unreadable.cycle_id), "is not a manifest")
    assert (found["whole"], found["gone"], found["corrected"], len(found["damaged"])) == (1, 1, 3, 2)
    now = rows(pipeline)
    assert {cycle_id: (cycle.is_whole, cycle.is_gone, cycle.digest is None) for cycle_id, cycle in now.items()} == {
        whole.cycle_id: (True, False, False),
        torn.cycle_id: (False, False, False),
        unreadable.cycle_id: (False, False, True),
        gone.cycle_id: (False, True, True),
    }
    with pipeline.connect() as conn:
        conn.execute("delete from ops.landed_cycles")
    assert told(3)["corrected"] == 4
    assert rows(pipeline) == now
    assert told(3)["corrected"] == 0
    with pipeline.connect() as conn:
        assert [failure.cycle_id for failure in read_due_failures(conn, make_due_query(pipeline, conn))] == [
            torn.cycle_id
        ], "what nobody can mend is forgotten"
        assert [verdict.cycle_id for _, _, verdict in check_verdicts.read_bad_verdicts_by_check(conn, [CHECK])] == [
            torn.cycle_id
        ]


def test_a_gone_cycle_of_the_ledger_is_due_by_the_versions_of_its_platforms(pipeline: Pipeline) -> None:
    whole, gone = land(pipeline, 0), land(pipeline, 1)
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, replace(gone.cycle, platforms=PLATFORMS))  # in the order of trust
    shutil.rmtree(folder(pipeline, gone).parent)
    assert rescan_landing(pipeline).n_gone == 1
    assert rows(pipeline)[gone.cycle_id].platforms == tuple(sorted(PLATFORMS))
    with pipeline.connect() as conn:
        assert {each.cycle_id for each in list_due_products(pipeline, conn)} == {whole.cycle_id, gone.cycle_id}


def test_platforms_in_two_orders_make_nothing_due_twice(pipeline: Pipeline) -> None:
    land(pipeline, 0)
    with pipeline.connect() as conn:
        landed_cycles.write_landed_cycle(
            conn, LandedCycleRecord(1, HOUR, Scope.FULL, PLATFORMS, None, is_whole=False, is_gone=True)
        )
        due = list_due_products(pipeline, conn)
    assert due
    assert len(due) == len(set(due))


def test_a_cycle_that_is_not_in_the_ledger_keeps_the_platforms_that_its_manifest_named(pipeline: Pipeline) -> None:
    covered = (BETPAWA, Platform("msport"))
    gone, unreadable = land(pipeline, 0, covered), land(pipeline, 1, covered)
    shutil.rmtree(folder(pipeline, gone).parent)
    (folder(pipeline, unreadable) / "manifest.json").write_text("[]")
    rescan_landing(pipeline)
    assert {cycle_id: cycle.platforms for cycle_id, cycle in rows(pipeline).items()} == {
        gone.cycle_id: covered,
        unreadable.cycle_id: covered,
    }


def test_imported_payloads_are_known_as_landed(pipeline: Pipeline, samples: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["landing", "import", str(write_recordings(samples, tmp_path / "recordings"))])
    assert done.exit_code == 0, done.output
    assert {(cycle.scope, cycle.is_whole) for cycle in rows(pipeline).values()} == {(Scope.RECORDED, True)}
    found = told(0)
    assert (found["whole"], found["corrected"]) == (len(pipeline.landing.list_cycles()), 0)


def test_a_scrape_is_known_as_landed_when_its_last_stage_has_closed(
    make_pipeline: MakePipeline, start_simulator: Callable[..., SimulatorProcess]
) -> None:
    pipeline = make_pipeline(start_simulator(5, 3))
    begun = live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "run")
    cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
    live_cycle.run_discovery(pipeline, cycle, ObserverGroup(), has_capture_next=True)
    assert rows(pipeline) == {}
    live_cycle.run_capture(pipeline, begun, ObserverGroup())
    manifest = pipeline.landing.read_manifest(cycle.cycle_id)
    assert rows(pipeline) == {
        cycle.cycle_id: LandedCycleRecord(
            cycle.cycle_id,
            manifest.partition_hour,
            Scope.FULL,
            tuple(sorted(PLATFORMS)),
            manifest.digest,
            is_whole=True,
        ),
    }
    assert rescan_landing(pipeline).n_corrected == 0
