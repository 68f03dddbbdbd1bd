"""Fixtures of the whole suite, one module per real thing the tests run on."""

pytest_plugins = [
    "palimpsest_pipeline_tests.fixtures.samples",
    "palimpsest_pipeline_tests.fixtures.postgres",
    "palimpsest_pipeline_tests.fixtures.simulator",
    "palimpsest_pipeline_tests.fixtures.pipeline",
    "palimpsest_pipeline_tests.fixtures.commands",
]
