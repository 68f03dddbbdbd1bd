"""Simulated data and real ones never meet in one home folder."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Scope, Trigger
from palimpsest_pipeline.operate.doctor.stores import check_data_source
from palimpsest_pipeline.pipeline.home_notes import (
    DATA_SOURCE_FILE,
    DataSource,
    classify_url,
    read_noted_source,
    require_same_source,
)
from palimpsest_pipeline.settings import Settings, SettingsError, load_settings
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS

SIMULATOR = {platform: {"base_url": f"http://127.0.0.1:8400/{platform}"} for platform in PLATFORMS}


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("http://127.0.0.1:8400/betpawa", DataSource.SIMULATED),
        ("http://localhost:8400", DataSource.SIMULATED),
        ("http://[::1]:8400", DataSource.SIMULATED),
        ("http://0.0.0.0:8400", DataSource.SIMULATED),
        ("https://www.betpawa.ng", DataSource.REAL),
        ("https://127.example.com", DataSource.REAL),
    ],
)
def test_an_address_of_this_machine_is_a_simulator(url: str, source: DataSource):
    assert classify_url(url) is source


def at(home: Path, **settings: object) -> Settings:
    return load_settings(home_dir=home, **settings)


def require(settings: Settings, *, has_cycles: bool = False) -> None:
    require_same_source(settings, has_cycles=has_cycles)


def test_a_new_folder_remembers_the_first_platforms_that_were_asked_and_refuses_the_others(tmp_path: Path):
    require(at(tmp_path / "real"))
    require(at(tmp_path / "simulated", platform=SIMULATOR))
    assert read_noted_source(tmp_path / "real") is DataSource.REAL
    assert read_noted_source(tmp_path / "simulated") is DataSource.SIMULATED
    with pytest.raises(
        SettingsError,
        match=r"holds data of the real sites, and PALIMPSEST_PLATFORM__BETPAWA__BASE_URL leads to a simulator at .*8400/betpawa",
    ):
        require(at(tmp_path / "real", platform=SIMULATOR))
    with pytest.raises(
        SettingsError,
        match=r"holds simulated data, and PALIMPSEST_PLATFORM__BETPAWA__BASE_URL leads to the real site https://www\.betpawa\.ng",
    ):
        require(at(tmp_path / "simulated"))


def test_one_platform_of_the_other_kind_is_refused_too(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"PALIMPSEST_PLATFORM__BET9JA__BASE_URL leads to a simulator"):
        require(at(tmp_path, platform={"bet9ja": SIMULATOR["bet9ja"]}))
    assert read_noted_source(tmp_path) is None


def test_a_variable_of_a_platform_that_is_not_active_is_no_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PALIMPSEST_PLATFORM__SPORTPESA__HEADERS", '{"cookie": "a-session"}')
    settings = at(tmp_path, platform=SIMULATOR)
    assert "sportpesa" in settings.platform, "the variable is read"
    require(settings)
    assert read_noted_source(tmp_path) is DataSource.SIMULATED
    active = at(tmp_path, platform=SIMULATOR, platforms=[*PLATFORMS, "sportpesa"])
    with pytest.raises(SettingsError, match=r"PALIMPSEST_PLATFORM__SPORTPESA__BASE_URL leads to the real site"):
        require(active)


def test_a_note_that_says_neither_is_named(tmp_path: Path):
    (tmp_path / DATA_SOURCE_FILE).write_text("perhaps")
    with pytest.raises(SettingsError, match="must hold the word `real` or `simulated`"):
        require(at(tmp_path))


def test_a_folder_that_lost_its_note_is_asked_about_by_the_doctor(make_pipeline: MakePipeline, tmp_path: Path):
    pipeline = make_pipeline()
    assert check_data_source(pipeline.settings).detail == "no platform has been asked yet"
    now = datetime(2026, 6, 26, 18, 5, tzinfo=UTC)
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(
            conn,
            Cycle(20260626180500000, Trigger.MANUAL, Scope.FULL, BETPAWA, now.replace(minute=0), now, None),
        )
        conn.commit()
        assert cycle_ledger.has_cycles(conn)
    require(pipeline.settings, has_cycles=True)
    assert read_noted_source(tmp_path) is None, "nothing is guessed"
    found = check_data_source(pipeline.settings)
    assert not found.ok
    assert f"write the word real or simulated into {tmp_path / DATA_SOURCE_FILE}" in found.detail
    (tmp_path / DATA_SOURCE_FILE).write_text("real\n")
    assert check_data_source(pipeline.settings).detail == f"real data in {tmp_path}"
