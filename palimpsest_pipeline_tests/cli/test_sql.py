"""`palimpsest sql` as a user meets it: psql on our database, with our views in reach, and nothing secret in its
words.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli import sql
from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import build_libpq_environment
from palimpsest_pipeline_tests.fixtures.pipeline import NO_DAGSTER
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database


@pytest.fixture(scope="module")
def url(postgres: EmbeddedPostgres) -> Iterator[str]:
    with migrated_database(postgres) as made:
        yield made


@pytest.fixture
def settings(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME_DIR": str(tmp_path), "DATABASE_URL": url, "DAGSTER_DATABASE_URL": NO_DAGSTER}.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)


@pytest.mark.usefixtures("settings")
def test_psql_answers_from_the_pipelines_database_with_views_by_their_names(capfd: pytest.CaptureFixture[str]) -> None:
    query = "select current_database() = current_catalog, count(*) from best_prices"
    done = CliRunner().invoke(app, ["sql", "-X", "-A", "-t", "-c", query])
    assert (done.exit_code, capfd.readouterr().out.strip()) == (0, "t|0"), done.output


@pytest.mark.usefixtures("settings")
def test_the_exit_code_is_psql_s(capfd: pytest.CaptureFixture[str]) -> None:
    assert CliRunner().invoke(app, ["sql", "-X", "-c", "select * from there_is_no_such_view"]).exit_code == 1
    assert "there_is_no_such_view" in capfd.readouterr().err


@pytest.mark.usefixtures("settings")
def test_without_psql_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_find_shipped_psql", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    done = CliRunner().invoke(app, ["sql"])
    assert done.exit_code == 1


def test_a_password_is_no_word_of_the_command() -> None:
    told = build_libpq_environment("postgresql://ada:s%40cret@db.example.com:6432/ours?sslmode=require")
    assert told == {
        "PGUSER": "ada",
        "PGPASSWORD": "s@cret",
        "PGHOST": "db.example.com",
        "PGPORT": "6432",
        "PGDATABASE": "ours",
        "PGSSLMODE": "require",
    }
