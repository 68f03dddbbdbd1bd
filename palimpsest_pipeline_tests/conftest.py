"""Fixtures of the whole suite, one module per real thing the tests run on."""

from typing import Final

import pytest
from hypothesis import settings

pytest_plugins = [
    "palimpsest_pipeline_tests.fixtures.samples",
    "palimpsest_pipeline_tests.fixtures.postgres",
    "palimpsest_pipeline_tests.fixtures.simulator",
    "palimpsest_pipeline_tests.fixtures.pipeline",
    "palimpsest_pipeline_tests.fixtures.commands",
]

# Cores are shared with other tests: how long an example takes says nothing of what is tested.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

TAKE_MINUTES: Final = ("test_at_full_size", "test_backfill_killed", "test_retention_year", "test_celery", "test_benchmarks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that take minutes go first: one that began last would keep a single worker busy long after the others are done."""
    items.sort(key=lambda item: TAKE_MINUTES.index(item.path.stem) if item.path.stem in TAKE_MINUTES else len(TAKE_MINUTES))
