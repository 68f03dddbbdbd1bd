"""Recorded answers in play: they are refused and kept as rejects."""

import json
from pathlib import Path

from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.recordings import REFUSED, write_recordings


def test_answers_in_play_are_refused_and_kept_as_rejects(
    samples: Path, tmp_path: Path, make_pipeline: MakePipeline
) -> None:
    folder = write_recordings(samples, tmp_path / "recordings")
    entries = json.loads((folder / "manifest.json").read_text())
    names = {file.replace("/", "_") for file in REFUSED}
    (folder / "manifest.json").write_text(json.dumps([entry for entry in entries if entry["file"] in names]))
    pipeline = make_pipeline()
    for day in sorted({manifest.partition_hour.date() for manifest in import_recorded(pipeline, folder, BETPAWA)}):
        outcome = run_here(pipeline, "replay", day)
        assert outcome.success, outcome.error
    with pipeline.connect() as conn:
        reasons = [reason for (reason,) in conn.execute("select reason from core.rejects where whole_answer")]
        assert conn.execute("select count(*) from core.captures").fetchone() == (0,)
    assert len(reasons) == len(REFUSED)
    assert all("in play" in reason for reason in reasons), reasons
