"""Frames go to Postgres and come back as they were."""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import copy_rows, copy_to_temp_table, read_frame

SCHEMA = {
    "n": pl.Int64,
    "word": pl.String,
    "flag": pl.Boolean,
    "ratio": pl.Float64,
    "seen_at": INSTANT,
    "numbers": pl.List(pl.Int32),
    "words": pl.List(pl.String),
}
AWKWARD = [
    "plain",
    "",
    None,
    "Ñublense ö 日本",
    'he said "so"',
    "a,b",
    "two\nlines",
    "back\\slash",
    "{brace}",
    "NULL",
    "'",
    "\\N",
    " ",
]


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    with Database(database_url).connect() as connection:
        connection.execute(
            "create table t (n bigint, word text, flag boolean, ratio float8, seen_at timestamptz, numbers int[], words text[], facts jsonb)"
        )
        yield connection
        connection.rollback()


def awkward() -> pl.DataFrame:
    n = len(AWKWARD)
    at = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    return pl.DataFrame(
        {
            "n": [None, *range(n - 1)],
            "word": AWKWARD,
            "flag": [True, False, None] * 4 + [True],
            "ratio": [0.1, None, 1e-9, 1e20] * 3 + [-0.5],
            "seen_at": [at, None, at.replace(microsecond=0)] * 4 + [at],
            "numbers": [[1, None, -3], [], None] * 4 + [[7]],
            "words": [AWKWARD, [], None] * 4 + [[None]],
        },
        schema=SCHEMA,
    )


def test_every_value_comes_back_as_it_went(conn: psycopg.Connection) -> None:
    assert copy_rows(conn, "public.t", awkward()) == len(AWKWARD)
    assert read_frame(conn, f"select {', '.join(SCHEMA)} from t order by ctid").equals(awkward())


def test_a_result_is_bounded_by_its_parameters(conn: psycopg.Connection) -> None:
    copy_rows(conn, "t", awkward())
    found = read_frame(
        conn,
        "select word from t where word = any(%(words)s) or word like 'pl%%'",
        {"words": ['he said "so"', ""]},
    )
    assert sorted(found["word"]) == ["", 'he said "so"', "plain"]


def test_a_lone_null_is_a_row(conn: psycopg.Connection) -> None:
    assert read_frame(conn, "select null::text as word").rows() == [(None,)]


def test_an_empty_frame_writes_nothing_and_an_empty_result_has_its_types(conn: psycopg.Connection) -> None:
    assert copy_rows(conn, "t", awkward().clear()) == 0
    found = read_frame(conn, f"select {', '.join(SCHEMA)} from t")
    assert found.schema == pl.Schema(SCHEMA)
    assert found.is_empty()


def test_structs_texts_and_dicts_become_json_without_keys_that_a_row_lacks(conn: psycopg.Connection) -> None:
    facts = pl.Struct({"a": pl.Int64, "b": pl.String})
    copy_rows(
        conn, "t", pl.DataFrame({"n": [1, 2, 3], "facts": pl.Series([{"a": 1}, {"b": 'q"uote'}, None], dtype=facts)})
    )
    copy_rows(conn, "t", pl.DataFrame({"n": [4], "facts": ['{"c": [1, 2]}']}))
    copy_rows(conn, "t", pl.DataFrame({"n": [5], "facts": pl.Series([{"d": None}], dtype=pl.Object)}))
    assert conn.execute("select facts from t order by n").fetchall() == [
        ({"a": 1},),
        ({"b": 'q"uote'},),
        (None,),
        ({"c": [1, 2]},),
        ({"d": None},),
    ]


def test_a_naive_instant_and_bytes_are_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(TypeError, match="time zone"):
        copy_rows(conn, "t", pl.DataFrame({"seen_at": [datetime(2026, 5, 1)]}))  # noqa: DTZ001
    with pytest.raises(TypeError, match="bytes"):
        copy_rows(conn, "t", pl.DataFrame({"word": [b"x"]}))


def test_what_postgres_refuses_is_raised(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        copy_rows(conn, "t", pl.DataFrame({"unknown": [1]}))


def test_a_staged_frame_has_the_types_of_its_table_and_replaces_the_one_before(conn: psycopg.Connection) -> None:
    copy_to_temp_table(conn, "staged", "public.t", pl.DataFrame({"n": [1], "numbers": [[1, 2]]}))
    copy_to_temp_table(conn, "staged", "public.t", pl.DataFrame({"n": [2], "numbers": [[3]]}))
    assert conn.execute("select n, numbers, pg_typeof(numbers)::text from staged").fetchall() == [(2, [3], "integer[]")]


def test_two_columns_of_one_name_are_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="two columns have one name: a"):
        read_frame(conn, "select 1 as a, 2 as a")
