"""The built wheel works alone, outside the checkout: schema, views and vocabulary are inside."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(CHECKOUT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own, as an installer lays them out."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the installed package, with the dependencies of this environment and none of the checkout's
    files.
    """
    settings = {
        name: value for name, value in os.environ.items() if not name.startswith(("PALIMPSEST_", "DAGSTER_", "PYTHON"))
    }
    settings |= {
        "PYTHONPATH": str(installed),
        "PALIMPSEST_HOME_DIR": str(folder / "home"),
        "PALIMPSEST_EMBEDDED_DURABLE": "false",
    }
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=settings, capture_output=True, text=True, timeout=300, check=False
    )


def test_it_holds_schema_views_vocabulary_and_page_and_no_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert any(n.startswith("palimpsest_pipeline/_sql/views/") for n in names)
    assert any(n.startswith("palimpsest_pipeline/_sql/queries/") for n in names)
    assert {
        f"palimpsest_pipeline/_sql/{name}"
        for name in ("roles.sql", "grants.sql", "before_tables.sql", "after_tables.sql")
    } <= set(names)
    assert "palimpsest_pipeline/markets/vocabulary/markets.csv" in names
    parts = ("page.html.jinja", "style.css", "main.js", "uplot/uPlot.iife.min.js", "uplot/LICENSE")
    assert {f"palimpsest_pipeline/report/page/{part}" for part in parts} <= set(names)
    assert not any("palimpsest_pipeline_tests" in n for n in names)


def test_the_demo_runs_from_it_outside_the_checkout(installed: Path, tmp_path: Path):
    where = run(installed, tmp_path, "-c", "import palimpsest_pipeline; print(palimpsest_pipeline.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed), where.stderr
    done = run(installed, tmp_path, "-m", "palimpsest_pipeline.cli", "demo", "--no-ui", "--json", "--size", "12")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cycles"] == 2


def test_its_schema_is_as_declared(installed: Path, tmp_path: Path):
    assert run(installed, tmp_path, "-m", "palimpsest_pipeline.cli", "db", "upgrade").returncode == 0
    checked = run(installed, tmp_path, "-m", "palimpsest_pipeline.cli", "db", "check")
    assert run(installed, tmp_path, "-m", "palimpsest_pipeline.cli", "down").returncode == 0
    assert checked.returncode == 0, checked.stdout + checked.stderr
