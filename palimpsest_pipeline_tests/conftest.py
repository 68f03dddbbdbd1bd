"""Fixtures of the whole suite, one module per real thing the tests run on."""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from palimpsest_pipeline_tests.fixtures.examples import count_examples

pytest_plugins = [
    "palimpsest_pipeline_tests.fixtures.samples",
    "palimpsest_pipeline_tests.fixtures.postgres",
    "palimpsest_pipeline_tests.fixtures.simulator",
    "palimpsest_pipeline_tests.fixtures.pipeline",
    "palimpsest_pipeline_tests.fixtures.commands",
    "palimpsest_pipeline_tests.fixtures.in_process",
    "palimpsest_pipeline_tests.fixtures.snapshots",
    "palimpsest_pipeline_tests.fixtures.chromium",
]

# Where no bytecode may be written, as in many containers, each process that a test starts compiles all that it imports:
# half of its start. The tests write it to a folder of their own, and nothing beside a source. Workers and processes
# inherit the environment.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"]
    sys.dont_write_bytecode = False

# Imports, definitions and collected tests stay for the whole session. By Python's thresholds the search for cycles among
# them takes a sixth of the processor time of a run of Dagster.
gc.set_threshold(50_000, 20, 50)

# Before the definitions are imported: tests use days of every year since the first recorded answers.
os.environ.setdefault("PALIMPSEST_FIRST_DAY", "2025-01-01")

# Cores are shared with other tests: how long an example takes says nothing of what is tested.
settings.register_profile("tests", deadline=None, max_examples=count_examples(100))
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the recorded texts anew")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules without a marked test when only marked tests run: each worker saves their imports."""
    marks = config.option.markexpr.split(" or ")
    if not {"slow", "browser", "nightly"}.issuperset(marks) or not collection_path.name.startswith("test_"):
        return None
    source = collection_path.read_text()
    return None if any(f"mark.{mark}" in source for mark in marks) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the modules that take minutes before all others, so that no worker is alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Keep what has been imported and collected out of all later searches for cycles."""
    gc.collect()
    gc.freeze()
