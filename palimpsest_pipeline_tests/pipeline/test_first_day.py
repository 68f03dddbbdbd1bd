"""The first day of an installation: settled once, lowered by older answers, the same for all partitions, and
compared between machines.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from palimpsest_pipeline.defs import run_heartbeat
from palimpsest_pipeline.defs.partitions import FIRST_DAY, day_partitions, ended_day_partitions, kickoff_date_partitions
from palimpsest_pipeline.operate.doctor import stores
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.first_day import (
    NOTE_FILE,
    lower_first_day,
    note_day,
    read_first_day,
    read_noted_day,
    settle_first_day,
)
from palimpsest_pipeline.settings import Settings, SettingsError, load_settings
from palimpsest_pipeline.storage.db.connection import Database
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
    (settings.home / NOTE_FILE).write_text(content)
    with pytest.raises(SettingsError, match=rf"{settings.home / NOTE_FILE} must hold one date, such as 2026-06-26: "):
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
        (pipeline.settings.home / NOTE_FILE).unlink(missing_ok=True)
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


def test_days_export_days_and_kickoff_dates_begin_with_the_first_day() -> None:
    assert {
        each.get_first_partition_key() for each in (day_partitions, ended_day_partitions, kickoff_date_partitions)
    } == {str(FIRST_DAY)}


COMMANDS = """
import sys
from palimpsest_pipeline.cli import __main__ as cli
from palimpsest_pipeline.operate import databases

class Upgraded(Exception): pass

def upgrade(_):
    assert "palimpsest_pipeline.defs.partitions" not in sys.modules, "the first day was read before it was settled"
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


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Iterator[Pipeline]:
    yield make_pipeline(first_day=DAY)


def test_the_doctor_names_machines_whose_runs_had_another_first_day(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_on(host: str, day: date | None) -> None:
        monkeypatch.setattr(run_heartbeat.socket, "gethostname", lambda: host)
        with run_heartbeat.start_run_heartbeat(pipeline, f"{host} {day}", "full_cycle", day):
            pass

    def look() -> tuple[bool, str]:
        monkeypatch.setattr(stores.socket, "gethostname", lambda: "here")
        found = stores.check_first_days(pipeline.settings)
        assert found.name == "first day"
        return found.ok, found.detail

    run_on("old", None)
    run_on("one", LATER)
    run_on("one", DAY)
    assert look() == (True, f"{DAY}, also in the runs of the last day"), "a machine whose last run agrees is fine"
    for host in ("b", "a", "c", "d"):
        run_on(host, EARLIER)
    ok, detail = look()
    assert not ok
    assert detail.startswith(
        f"{DAY} here, but {EARLIER} in the last run of a, b, c and 1 more: give all machines the same PALIMPSEST_FIRST_DAY"
    )
    with Database(pipeline.database.url).connect() as conn:
        conn.execute("update ops.run_heartbeats set heartbeat_at = heartbeat_at - interval '25 hours'")
    assert look()[0], "runs of long ago say nothing of now"


def test_the_doctor_asks_for_servers_here_to_be_started_again_only_where_a_run_had_another_day_after_the_note_was_written(
    pipeline: Pipeline,
) -> None:
    settings = pipeline.settings.model_copy(update={"first_day": None})

    (settings.home / NOTE_FILE).unlink(missing_ok=True)
    note_day(settings, LATER)
    with run_heartbeat.start_run_heartbeat(pipeline, "run", "full_cycle", LATER):
        pass
    assert stores.check_first_days(settings).detail == f"{LATER}, also in the runs of the last day"
    lower_first_day(settings, DAY, lambda _: None)
    found = stores.check_first_days(settings)
    assert (found.ok, found.detail) == (True, f"{DAY}, also in the runs of the last day"), (
        "the run began before the note was lowered"
    )
    with Database(pipeline.database.url).connect() as conn:
        conn.execute("update ops.run_heartbeats set started_at = clock_timestamp() + interval '1 second'")
    found = stores.check_first_days(settings)
    mend = f"run `palimpsest down`, then `palimpsest up`; its next run then has {DAY}"
    assert (found.ok, found.detail) == (False, f"{DAY} here, but {LATER} in the last run on this machine: {mend}")
    other = stores.check_first_days(settings.model_copy(update={"first_day": DAY}))
    assert (other.ok, other.detail) == (False, found.detail), "no note says when a setting was changed"


def test_the_doctor_tells_of_a_note_that_cannot_be_read(pipeline: Pipeline) -> None:
    pipeline = replace(pipeline, settings=pipeline.settings.model_copy(update={"first_day": None}))
    (pipeline.settings.home / NOTE_FILE).write_text("soon")
    found = stores.check_first_days(pipeline.settings)
    assert (found.ok, "must hold one date" in found.detail) == (False, True)
