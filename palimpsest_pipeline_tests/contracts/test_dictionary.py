"""The data dictionary has every table, view, function and column, with its meaning."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.operate import data_dictionary
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import migrate
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.revisions import list_view_files, parse_view_name
from palimpsest_pipeline.storage.marts.dictionary import (
    Column,
    Entry,
    Guards,
    find_unit,
    read_entries,
    render_dictionary,
)
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database


@pytest.fixture(scope="module")
def conn(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A migrated database."""
    name = "dictionary_test"
    create_database(postgres, name)
    migrate.upgrade(postgres.build_url(name))
    with Database(postgres.build_url(name)).connect() as connection:
        yield connection
    drop_database(postgres, name)


@pytest.fixture(scope="module")
def found(conn: psycopg.Connection) -> list[Entry]:
    return read_entries(conn)


def test_every_table_view_and_function_is_in_it_with_what_it_means(found: list[Entry]):
    names = {entry.full_name for entry in found}
    views = {f"palimpsest.{parse_view_name(file)}" for file in list_view_files()}
    assert names == {
        *metadata.tables,
        *views,
        "core.natural_id",
        "core.snapshot_id",
        "core.specifier_line",
        "ops.claim_push_sender",
        "ops.due_products",
    }
    for entry in found:
        assert entry.comment, entry.full_name
        assert entry.columns, entry.full_name
        told = {
            column.name: column.meaning for column in entry.columns if column.name
        }  # of a function that returns one value it has none
        assert all(told.values()), f"{entry.full_name}: {[name for name, meaning in told.items() if not meaning]}"


def test_tables_are_in_it_as_the_models_declare_them(found: list[Entry]):
    told = {entry.full_name: entry for entry in found}
    for name, table in metadata.tables.items():
        entry = told[name]
        assert entry.comment == table.comment
        assert {(c.name, c.meaning, c.is_nullable) for c in entry.columns} == {
            (c.name, c.comment, c.nullable) for c in table.columns
        }
        if name != "core.market_changes":  # it has none in Postgres
            assert list(entry.key) == [c.name for c in table.primary_key.columns]


def test_a_view_says_by_which_of_its_columns_rows_differ_and_what_it_reads(found: list[Entry]):
    for entry in found:
        if entry.kind == "view":
            assert set(entry.key) <= {column.name for column in entry.columns}, entry.full_name
            assert entry.key, entry.full_name
            assert entry.sources, entry.full_name


def test_a_function_says_how_it_is_called_and_what_it_tells_itself_before_what_it_reads_says(found: list[Entry]):
    said = {entry.full_name: {column.name: column.meaning for column in entry.columns} for entry in found}
    (history,) = [entry for entry in found if entry.name == "fixture_history"]
    arbitrage, compared = said["palimpsest.arbitrage"], said["palimpsest.price_comparison"]
    assert history.arguments == "fixture bigint, market_key text default null, since timestamptz default null"
    assert said["palimpsest.fixture_history"]["is_active"] == "True when it could be backed."
    assert said["palimpsest.fixture_history"]["market_key"] == "Market of the vocabulary.", (
        "not what it is to be asked for"
    )
    assert arbitrage["profit"] == "Return on all stakes together, less 1."
    assert arbitrage["skew_s"] != compared["skew_s"]
    assert arbitrage["home_team"] == compared["home_team"]
    assert said["palimpsest.find_events"]["tournament_home_only"] == said["palimpsest.find_events"]["tournament_total"]
    assert "of the day" in said["palimpsest.prices_as_of"]["observed_at"]


def test_what_guards_a_table_is_named(found: list[Entry]):
    guards_by_name = data_dictionary.find_guards(found)
    guards = guards_by_name["mart.match_rate_platform"]
    assert guards.assets == ["mart/match_rate_platform"]
    assert guards.blocking_checks
    assert guards_by_name["palimpsest.arbitrage"].example_queries == ["arbitrage_now"]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("observed_at", "timestamp with time zone", "UTC"),
        ("kickoff_date", "date", "UTC date"),
        ("skew_s", "double precision", "s"),
        ("p95_ms", "double precision", "ms"),
        ("minutes_to_kickoff", "double precision", "min"),
        ("gap_minutes", "double precision", "min"),
        ("hours_before", "smallint", "h"),
        ("lead_days_listed", "double precision", "days"),
        ("heap_bytes", "bigint", "bytes"),
        ("best_odds", "numeric(10,3)", "decimal odds"),
        ("odds_milli", "integer[]", "odds × 1000"),
        ("odds_vector", "jsonb", "decimal odds"),
        ("overall_match_rate", "numeric(12,8)", "share of 1"),
        ("margin_tw_mean", "double precision", "share of 1"),
        ("home_margin", "double precision", "share of 1"),
        ("margin_reference_pct", "double precision", "%"),
        ("trend_pp", "double precision", "percentage points"),
        ("n_fixtures", "integer", "count"),
        ("change_ratio", "numeric(12,8)", "share of 1"),
        ("dup_ratio", "numeric(12,8)", ""),
        ("margin_status", "character varying(24)", ""),
        ("comparable", "boolean", ""),
        ("sr_id", "bigint", ""),
    ],
)
def test_the_unit_of_a_column_follows_from_its_type_and_name(name: str, kind: str, said: str):
    assert find_unit(name, kind) == said


def test_the_text_is_markdown_that_survives_any_comment():
    columns = (Column("age_s", "double precision", True, "Age | in\nseconds."),)
    entry = Entry("mart", "ages", "table", "How old things are. Of all ages.", ("age_s",), columns, "", ())
    other = Entry("mart", "other", "view", "Ages again.", ("age_s",), columns, "", ("mart.ages", "core.gone"))
    guards = {"mart.ages": Guards(["mart/ages"], ["ages_hold"], ["ages_are_young"], ["oldest_ages"])}
    text = render_dictionary([entry, other], guards)
    assert "| [`mart.ages`](#martages) | How old things are. |" in text
    assert "| `age_s` | double precision, null | s | Age \\| in seconds. |" in text
    assert "- Blocking checks: `ages_hold`\n- Checks: `ages_are_young`\n- Examples: `oldest_ages`\n" in text
    assert "- Reads: [`mart.ages`](#martages), `core.gone`\n" in text


def test_the_command_prints_it_or_writes_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(data_dictionary, "build_dictionary", lambda: "as it is: [bold]\n")
    call = CliRunner().invoke
    assert call(app, ["db", "dictionary"]).stdout == "as it is: [bold]\n"
    file = tmp_path / "dictionary.md"
    assert call(app, ["db", "dictionary", str(file)]).stdout == f"wrote {file}\n"
    assert file.read_text() == "as it is: [bold]\n"
