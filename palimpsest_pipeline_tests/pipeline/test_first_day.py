"""The first day of an installation: settled once, lowered by older answers, the same for all partitions."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.home_notes import (
    FIRST_DAY_FILE,
    lower_first_day,
    note_day,
    read_first_day,
    read_noted_day,
    settle_first_day,
)
from palimpsest_pipeline.settings import Settings, SettingsError, load_settings
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

DAY = date(2026, 3, 4)
EARLIER, LATER = DAY - timedelta(days=1), DAY + timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a home folder without a note, and no PALIMPSEST_FIRST_DAY."""
    return load_settings(home_dir=tmp_path / "home", first_day=None)


def test_a_new_home_begins_today(settings: Settings) -> None:
    before = datetime.now(UTC).date()
    assert before <= read_first_day(settings) <= datetime.now(UTC).date()
    assert not settings.home.exists(), "reading makes nothing"


def test_the_setting_goes_before_the_note(settings: Settings) -> None:
    note_day(settings, DAY)
    assert read_first_day(settings) == DAY
    assert read_first_day(settings.model_copy(update={"first_day": LATER})) == LATER


def test_a_first_day_in_the_future_is_refused(settings: Settings) -> None:
    """Today would have no partition."""
    with pytest.raises(SettingsError, match="PALIMPSEST_FIRST_DAY: 9999-01-01 lies in the future; give today"):
        read_first_day(settings.model_copy(update={"first_day": date(9999, 1, 1)}))


@pytest.mark.parametrize("content", ["", "yesterday", "2026-13-01", "\x00"])
def test_a_note_that_cannot_be_read_is_named_with_what_it_must_hold(content: str, settings: Settings) -> None:
    note_day(settings, DAY)
    (settings.home / FIRST_DAY_FILE).write_text(content)
    with pytest.raises(
        SettingsError, match=rf"{settings.home / FIRST_DAY_FILE} must hold one date, such as 2026-06-26: "
    ):
        read_first_day(settings)


def test_a_note_is_lowered_and_never_raised(settings: Settings) -> None:
    assert [note_day(settings, day) for day in (DAY, LATER, DAY, EARLIER)] == [True, False, False, True]
    assert read_noted_day(settings.home) == EARLIER


def test_whoever_lowers_the_first_day_hears_what_to_do(settings: Settings) -> None:
    said: list[str] = []
    note_day(settings, DAY)
    lower_first_day(settings, LATER, said.append)
    lower_first_day(settings, DAY, said.append)
    assert said == []
    lower_first_day(settings, EARLIER, said.append)
    assert said == [
        f"the first day is now {EARLIER} (before: {DAY}): restart running servers with `palimpsest down` and `palimpsest up`"
    ]
    lower_first_day(settings.model_copy(update={"first_day": DAY}), EARLIER, said.append)
    assert said[1:] == [
        f"PALIMPSEST_FIRST_DAY is {DAY}: days before it have no partition in Dagster. To derive them set it to {EARLIER}"
    ]


def test_a_new_home_beside_existing_data_begins_with_the_first_landed_stored_or_exported_day(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def settled(pipeline: Pipeline) -> date | None:
        (pipeline.settings.home / FIRST_DAY_FILE).unlink(missing_ok=True)
        settle_first_day(pipeline)
        return read_noted_day(pipeline.settings.home)

    pipeline = make_pipeline(first_day=None)
    today = pipeline.clock.now().date()
    assert settled(pipeline) == today
    begin = "insert into ops.scrape_batches (cycle_id, trigger, scope, home_platform, partition_hour, status, started_at, heartbeat_at)"
    values = " values (1, 'manual', 'full', 'betpawa', '2026-03-04 05:00Z', 'completed', now(), now())"
    with pipeline.connect() as conn:
        conn.execute((begin + values).encode())
    assert settled(pipeline) == DAY, "stored"
    monkeypatch.setattr(type(pipeline.archive), "read_catalogue", lambda _: {EARLIER: None, LATER: None})
    assert settled(pipeline) == EARLIER, "exported"
    monkeypatch.setattr(
        type(pipeline.landing),
        "list_hours",
        lambda _: [datetime(2026, 3, 2, 23, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)],
    )
    assert settled(pipeline) == date(2026, 3, 2), "landed"
    monkeypatch.setattr(type(pipeline.landing), "list_hours", lambda _: [datetime(2026, 1, 1, tzinfo=UTC)])
    settle_first_day(pipeline)
    assert read_noted_day(pipeline.settings.home) == date(2026, 3, 2), "a note that is there stays"


COMMANDS = """
import sys
from palimpsest_pipeline.cli import __main__ as cli
from palimpsest_pipeline.operate import databases

class Upgraded(Exception): pass

def upgrade(_):
    assert "palimpsest_pipeline.defs.asset_partitions" not in sys.modules, "the first day was read before it was settled"
    raise Upgraded

databases.upgrade_schema = upgrade
for words in (["scrape"], ["refresh", "1"], ["backfill", "2026-03-04", "2026-03-04"], ["export"]):
    try:
        cli.app(words, standalone_mode=False)
    except Upgraded:
        continue
    sys.exit(f"{words} does not settle the first day")
"""


def test_commands_settle_the_first_day_before_they_read_it(tmp_path: Path) -> None:
    """Else the first command of a new home beside existing data refuses the days of those data."""
    home = load_settings(
        home_dir=tmp_path,
        database_url="postgresql://me@127.0.0.1:1/x",
        dagster_database_url="postgresql://me@127.0.0.1:1/y",
    )
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        env=home.to_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
