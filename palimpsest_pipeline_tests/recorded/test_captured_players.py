"""Players of one captured fixture whose books were received in different hours: who is who does not depend on which
hour is derived first.
"""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.recordings import DETAILS

TABLES = ("core.player_lists", "core.player_list_observations", "core.player_links")
HOURS = [datetime(2026, 6, 26, hour, tzinfo=UTC) for hour in (10, 11, 12)]
BETPAWA_DETAIL, SPORTYBET_DETAIL, _ = DETAILS[:3]


def write_hours(samples: Path, folder: Path) -> Path:
    """BetPawa's book, an hour later SportyBet's, and BetPawa's once more."""
    folder.mkdir()
    entries = []
    for hour, (file, platform, external_id, _) in zip(
        HOURS, (BETPAWA_DETAIL, SPORTYBET_DETAIL, BETPAWA_DETAIL), strict=True
    ):
        name = f"{hour:%H}.json"
        shutil.copy(samples / file, folder / name)
        at = (hour + timedelta(minutes=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
        entries.append(
            {"file": name, "platform": platform, "kind": "detail", "external_id": external_id, "received_at": at}
        )
    (folder / "manifest.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.slow
def test_players_and_links_are_the_same_in_any_order_of_hours_and_when_replayed(
    samples: Path, tmp_path: Path, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline()
    manifests = import_recorded(pipeline, write_hours(samples, tmp_path / "hours"), BETPAWA)
    assert [m.partition_hour for m in manifests] == HOURS

    def derived(order: list[datetime]) -> dict[str, tuple[int, str]]:
        for hour in order:
            outcome = run_here(pipeline, "replay", hour.date(), hours=(hour, hour))
            assert outcome.success, outcome.error
        found = content_hashes(pipeline)
        return {table: found[table] for table in TABLES}

    forward = derived(HOURS)
    assert forward["core.player_links"][0] > 90
    assert derived(HOURS) == forward
    for order in (HOURS[::-1], [HOURS[1], HOURS[0], HOURS[2]]):
        drop_derived(pipeline)
        assert derived(order) == forward
