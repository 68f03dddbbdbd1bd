"""What a process loads before it does anything: every run, worker and command pays for it.

Names modules, measures nothing.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
HEAVY = ("dagster", "polars", "sqlalchemy", "psycopg", "psycopg2", "httpx", "aiohttp", "uvicorn", "celery")
OF_OTHERS = (
    "httpx",
    "aiohttp",
    "uvicorn",
    "starlette",
    "celery",
    "dagster_celery",
    "dagster_webserver",
    "palimpsest_pipeline.simulator.app",
    "palimpsest_pipeline.operate.backfill.backfill",
)
"""Who derives, checks or decides what is due asks nobody and serves nobody."""


def loaded(statement: str) -> set[str]:
    """Modules that are loaded when a fresh interpreter has executed the statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("from palimpsest_pipeline.definitions import defs; defs.get_repository_def()", OF_OTHERS),
        ("import palimpsest_pipeline.cli.__main__", HEAVY),
        ("from palimpsest_pipeline import connect", HEAVY),
        ("import palimpsest_pipeline.operate.databases", ("dagster", *OF_OTHERS)),
        (
            "import palimpsest_pipeline.notebook",
            (
                "dagster",
                *OF_OTHERS,
                "palimpsest_pipeline.defs",
                "palimpsest_pipeline.pipeline",
                "palimpsest_pipeline.operate",
            ),
        ),
        ("from palimpsest_pipeline.settings import load_settings; load_settings()", HEAVY),
    ],
    ids=["a run", "a command", "the package", "a command on the database", "a notebook", "settings"],
)
def test_it_does_not_load_what_it_does_not_use(statement: str, without: tuple[str, ...]):
    assert not loaded(statement) & set(without)
