"""A cycle with several answers of each platform, some of one listing: what is derived does not depend on how many
are taken in together.
"""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest import write_core
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.recordings import DETAILS, listing_id_in
from palimpsest_pipeline_tests.fixtures.vocabularies import without

HOUR: Final = datetime(2026, 6, 26, 10, tzinfo=UTC)
FILES: Final = [file for file, *_ in DETAILS if "product1" not in file and "getliveevent" not in file]
LACKING: Final = {"double_chance", "total_corners", "anytime_goalscorer"}


def dearer(body: Any) -> Any:
    """The same answer with every price up by a tenth."""
    if isinstance(body, dict):
        return {key: f"{float(value) * 1.1:.2f}" if key == "odds" else dearer(value) for key, value in body.items()}
    return [dearer(value) for value in body] if isinstance(body, list) else body


def write_hour(samples: Path, folder: Path) -> Path:
    """All captures in one hour, each three times: as it is, dearer, as it is; one twice at one instant, and one that
    is refused.
    """
    folder.mkdir()
    entries = []
    for minute, prices in ((5, "as_is"), (15, "dearer"), (16, "as_is"), (25, "as_is")):
        for n, file in enumerate(FILES):
            platform, name = file.split("/")[0], f"{prices}_{file.replace('/', '_')}"
            if prices == "as_is":
                shutil.copy(samples / file, folder / name)
            else:
                (folder / name).write_text(json.dumps(dearer(json.loads((samples / file).read_bytes()))))
            if minute == 16 and platform != "sportybet":
                continue
            at = f"2026-06-26T10:{15 if minute == 16 else minute:02d}:{n:02d}Z"
            entries.append(
                {
                    "file": name,
                    "platform": platform,
                    "kind": "detail",
                    "external_id": listing_id(samples / file),
                    "received_at": at,
                }
            )
    (folder / "manifest.json").write_text(json.dumps(entries))
    return folder


def listing_id(file: Path) -> str:
    platform = file.parent.name
    return str(json.loads(file.read_bytes())["id"]) if platform == "betpawa" else listing_id_in(file, platform)


@pytest.fixture(scope="module")
def landed(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pipelines(postgres, tmp_path_factory.mktemp("batches")) as make:
        pipeline = make()
        pipeline.__dict__["vocabulary"] = without(LACKING, tmp_path_factory.mktemp("lacking") / "vocabulary")
        import_recorded(pipeline, write_hour(samples, tmp_path_factory.mktemp("hour") / "folder"), BETPAWA)
        yield pipeline


@pytest.mark.slow
def test_what_is_derived_is_the_same_by_batches_of_any_size(landed: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for size in (1, 2, 3, 1000):
        monkeypatch.setattr(write_core, "ANSWERS_PER_BATCH", size)
        drop_derived(landed)
        outcome = run_here(landed, "replay", HOUR.date())
        assert outcome.success, outcome.error
        found[size] = content_hashes(landed)
        # It counts writes: the first of two answers of one instant is written and replaced when a batch ends between
        # them.
        del found[size]["core.cycle_products"]
    whole = found.pop(1000)
    for size, hashes in found.items():
        assert {table for table in whole if hashes[table] != whole[table]} == set(), size
    for table in (
        "core.captures",
        "core.market_changes",
        "core.unmapped_markets",
        "core.mapping_counts",
        "core.player_lists",
    ):
        assert whole[table][0] > 0, table
    with landed.connect() as conn:
        counts = conn.execute(
            "select max(occurrences), max(cardinality(listing_ids)) from core.unmapped_markets"
        ).fetchone()
        answers = conn.execute("select count(*), count(distinct listing_id) from core.captures").fetchone()
    assert counts is not None
    assert counts[0] > counts[1] > 1, "an unmapped market of several answers and listings, which batches must merge"
    assert answers == (3 * len(FILES), len(FILES))
