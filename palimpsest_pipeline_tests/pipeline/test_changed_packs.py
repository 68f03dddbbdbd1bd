"""A pack that comes, changes or goes: only the cycles that cover its platforms are due."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from palimpsest_pipeline.pipeline import context
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.installed_products import list_cycles_without_pack, list_due_products
from palimpsest_pipeline.platforms import registry
from palimpsest_pipeline.platforms.packs import InstalledPacks, load_packs
from palimpsest_pipeline.storage.derivation.derived_products import mark_cycles_due
from palimpsest_pipeline.storage.derivation.due_products import DueReason
from palimpsest_pipeline_tests.fixtures.all_recordings import write_all_recordings
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

INSIDE = "betpawa,sportybet,bet9ja"
GHANA = "sportybet-gh"


def keep(folder: Path, target: Path, platforms: Sequence[str]) -> Path:
    """A folder with the recorded answers about Norway against France on these platforms."""
    entries = json.loads((folder / "manifest.json").read_text())
    shutil.copytree(folder, target)
    kept = [one for one in entries if one["platform"] in platforms and one["received_at"].startswith("2026-06-26")]
    (target / "manifest.json").write_text(json.dumps(kept))
    return target


@pytest.fixture
def world(samples: Path, tmp_path: Path, make_pipeline: MakePipeline) -> tuple[Pipeline, int, int]:
    """A pipeline with two derived cycles: one of the three platforms, one of these and MSport."""
    recorded = write_all_recordings(samples, tmp_path / "all")
    (three,) = import_recorded(make_pipeline(), keep(recorded, tmp_path / "three", INSIDE.split(",")))
    pipeline = make_pipeline(platforms=f"{INSIDE},msport")
    (four,) = import_recorded(pipeline, keep(recorded, tmp_path / "four", ["msport"]))
    for manifest in (three, four):
        ingest_cycle(pipeline, manifest.cycle_id)
    return pipeline, three.cycle_id, four.cycle_id


def test_an_imported_cycle_covers_no_other_platform_that_is_active(
    samples: Path, tmp_path: Path, make_pipeline: MakePipeline
) -> None:
    """A pack without an answer in it must neither make it due nor freeze it."""
    recorded = write_all_recordings(samples, tmp_path / "all")
    pipeline = make_pipeline(platforms=f"betpawa,bet9ja,betway,betika,{GHANA}", home_platform="betway")
    (manifest,) = import_recorded(pipeline, keep(recorded, tmp_path / "msport", ["msport"]))
    assert manifest.platforms == ("bet9ja", "betpawa", "betway", "msport")


def list_due(pipeline: Pipeline) -> dict[int, set[DueReason]]:
    """The reasons why core of each cycle is due."""
    due: dict[int, set[DueReason]] = {}
    with pipeline.connect() as conn:
        for product in list_due_products(pipeline, conn):
            if product.schema == "core":
                due.setdefault(product.cycle_id, set()).add(product.reason)
    return due


def test_only_cycles_of_a_changed_pack_are_due(
    world: tuple[Pipeline, int, int], make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, three, four = world
    assert list_due(pipeline) == {}
    assert list_due(make_pipeline(platforms=INSIDE)) == {}, "which platforms are active decides nothing"
    assert list_due(make_pipeline(platforms=f"{INSIDE},msport,betika")) == {}, "a pack that comes has no cycles"

    changed: Any = make_pipeline(platforms=INSIDE)
    versions = {**changed.vocabulary.pack_versions, "msport": "3+changed"}
    changed.__dict__["vocabulary"] = replace(changed.vocabulary, pack_versions=versions)
    assert list_due(changed) == {four: {DueReason.MAPPING}}
    versions = {**pipeline.vocabulary.pack_versions, "bet9ja": "3+changed"}
    changed.__dict__["vocabulary"] = replace(pipeline.vocabulary, pack_versions=versions)
    assert list_due(changed) == {three: {DueReason.MAPPING}, four: {DueReason.MAPPING}}

    newer = make_pipeline(platforms=INSIDE)
    monkeypatch.setattr(type(newer.get_adapter(load_packs().require("msport").platform)), "parser_version", 9)
    assert list_due(newer) == {four: {DueReason.PARSER}}


def test_cycles_are_due_when_a_value_of_the_pack_changes_their_reading(
    world: tuple[Pipeline, int, int], make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to raise a number when a time zone was wrong."""
    _, _, four = world
    packs = load_packs()
    msport = packs.packs["msport"]
    nigeria = structs.replace(msport.content.countries["ng"], time_zone="Africa/Lagos")
    content = structs.replace(msport.content, countries={**msport.content.countries, "ng": nigeria})
    changed = InstalledPacks({**packs.packs, "msport": replace(msport, content=content)}, {})
    for module in (context, registry):
        monkeypatch.setattr(module, "load_packs", lambda: changed)
    assert list_due(make_pipeline(platforms=INSIDE)) == {four: {DueReason.PARSER}}


def test_cycles_of_a_missing_pack_are_never_due(
    world: tuple[Pipeline, int, int], make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, three, _ = world
    packs = load_packs()
    without = InstalledPacks({name: pack for name, pack in packs.packs.items() if name != "msport"}, {})
    monkeypatch.setattr(context, "load_packs", lambda: without)
    pipeline = make_pipeline(platforms=INSIDE)
    assert list_due(pipeline) == {}
    versions = dict.fromkeys(pipeline.vocabulary.pack_versions, "3+changed")
    pipeline.__dict__["vocabulary"] = replace(pipeline.vocabulary, pack_versions=versions)
    assert list_due(pipeline) == {three: {DueReason.MAPPING}}


def test_cycles_of_a_broken_pack_are_named_while_they_are_not_derived(
    world: tuple[Pipeline, int, int], make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, three, four = world
    monkeypatch.setattr(context, "find_vocabulary_problems", lambda: {"msport": "keys.csv:2: no such market"})
    pipeline = make_pipeline(platforms=INSIDE)
    with pipeline.connect() as conn:
        assert list_cycles_without_pack(pipeline, conn) == []
        mark_cycles_due(conn, [three, four])
        named = list_cycles_without_pack(pipeline, conn)
    assert [(cycle.cycle_id, cycle.platforms) for cycle in named] == [(four, ("msport",))]
