"""What the demo leaves in its home folder: data that are told from real ones, checks that pass, and files that are
closed to others.
"""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.operate.databases import open_databases
from palimpsest_pipeline.pipeline.home_notes import DataSource, read_noted_source
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, assert_one_clear_line, environment, ours

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that has ended. `folder` holds the home folder of real data, and in it the demo's."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    left_running: list[str]
    open_to_others: dict[str, str]
    """Files and folders of the home folder that other users may read, write or enter, with their modes."""

    @property
    def home(self) -> Path:
        return self.folder / "home" / "demo"

    def palimpsest(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the demo's home folder."""
        own = environment(self.folder, **{"PALIMPSEST_HOME_DIR": str(self.home), **settings})
        return subprocess.run(
            [*PALIMPSEST, *words], cwd=self.folder, env=own, capture_output=True, text=True, timeout=240, check=False
        )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    command = [*PALIMPSEST, "demo", "--no-ui", "--json", "--size", "30"]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300, check=False
    )
    yield Demo(folder, done, ours(folder), open_to_others(folder / "home" / "demo"))
    if ours(folder):
        subprocess.run(
            [*PALIMPSEST, "down"], cwd=folder, env=environment(folder), capture_output=True, timeout=60, check=False
        )


def test_the_demo_prints_its_summary_and_leaves_no_process_behind(demo: Demo):
    assert demo.done.returncode == 0, demo.done.stderr
    summary = json.loads(demo.done.stdout)
    assert set(summary) == {
        "fixtures",
        "matched",
        "home_only",
        "competitor_only",
        "overall_match_rate",
        "listings",
        "prices",
        "cycles",
        "skew_ms_p50",
        "skew_ms_p95",
        "wall_s",
    }
    assert summary["cycles"] == 2
    assert summary["matched"] + summary["home_only"] + summary["competitor_only"] == summary["fixtures"] > 0
    assert summary["prices"] > 1000
    assert demo.left_running == []


def test_the_real_sites_are_not_asked_into_the_folder_of_the_demo(demo: Demo):
    assert read_noted_source(demo.home) is DataSource.SIMULATED
    assert_one_clear_line(
        demo.palimpsest("scrape"),
        "holds simulated data",
        "PALIMPSEST_PLATFORM__BETPAWA__BASE_URL leads to the real site https://www.betpawa.ng",
    )
    shown = demo.palimpsest("settings")
    assert shown.returncode == 0
    assert "warning: " in shown.stderr
    assert "holds simulated data" in shown.stderr
    assert demo.palimpsest("coverage").returncode == 0, "reading is not refused"


def test_the_command_that_looks_at_the_demo_again_can_be_pasted(demo: Demo):
    told = demo.done.stderr.partition("look again with: ")[2].strip()
    variable, *words = told.split()
    assert variable == f"PALIMPSEST_HOME_DIR={demo.home}"
    assert words[-2:] == ["palimpsest", "coverage"]


def test_all_checks_of_health_pass_after_a_demo(demo: Demo, monkeypatch: pytest.MonkeyPatch):
    settings = load_settings(home_dir=demo.home, embedded_durable=False)
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_databases(settings) as pipeline, open_instance(settings) as instance:
        job = defs.resolve_job_def("health")
        result = job.execute_in_process(instance=instance, resources={"pipeline": pipeline}, raise_on_error=False)
        evaluated = result.get_asset_check_evaluations()
    failed = {
        one.check_name: one.description
        for one in evaluated
        if not one.passed and one.severity is dg.AssetCheckSeverity.ERROR
    }
    assert "partitions_are_ahead" in {one.check_name for one in evaluated}
    assert failed == {}


def open_to_others(home: Path) -> dict[str, str]:
    found = {}
    for folder, folders, files in os.walk(home):
        if Path(folder) == home:
            folders.remove("postgres")  # Postgres sees to its own
        for path in (Path(folder) / name for name in (*folders, *files)):
            if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077:
                found[str(path)] = oct(mode)
    return found


def test_the_home_folder_is_closed_to_other_users(demo: Demo):
    passable = 0o711 if os.geteuid() == 0 else 0o700  # root's server runs as another user, who passes through
    assert stat.S_IMODE(demo.home.stat().st_mode) == passable
    assert demo.open_to_others == {}
