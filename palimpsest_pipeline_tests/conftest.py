"""Fixtures of the whole suite, one module per real thing the tests run on."""

import os

from hypothesis import settings

pytest_plugins = [
    "palimpsest_pipeline_tests.fixtures.samples",
    "palimpsest_pipeline_tests.fixtures.postgres",
    "palimpsest_pipeline_tests.fixtures.simulator",
    "palimpsest_pipeline_tests.fixtures.pipeline",
    "palimpsest_pipeline_tests.fixtures.commands",
    "palimpsest_pipeline_tests.fixtures.in_process",
]

# Before the definitions are imported: tests use days of every year since the first recorded answers.
os.environ.setdefault("PALIMPSEST_FIRST_DAY", "2025-01-01")

# Cores are shared with other tests: how long an example takes says nothing of what is tested.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
