"""Rows that differ are written, all others stay as they are, and rows of other fixtures are not looked at."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.db import row_differences
from palimpsest_pipeline.storage.db.copy_frames import copy_rows
from palimpsest_pipeline.storage.db.row_differences import WriteCounts, write_differences
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..table_rows import insert

Write = Callable[[psycopg.Connection, str, pl.DataFrame, Sequence[int]], WriteCounts]
TABLE: Final = "mart.price_comparison"
LINE: Final = {"sr_id": 7, "line_id": 1, "platform": "bet9ja", "home_state": "offered", "platform_state": "offered"}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    schema = get_frame_schema(TABLE)
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")


@pytest.fixture(params=[False, True], ids=["rows", "grouped rows"])
def write(request: pytest.FixtureRequest) -> Write:
    """`write_differences` with each way to read the stored rows."""
    return partial(write_differences, read_grouped=request.param)


def versions(conn: psycopg.Connection) -> dict[tuple[int, int], str]:
    """The stored version of each row, by fixture and line."""
    return {
        (sr_id, line): str(ctid)
        for sr_id, line, ctid in conn.execute(f"select sr_id, line_id, ctid::text from {TABLE}".encode())
    }


def test_only_rows_that_differ_are_written(conn: psycopg.Connection, write: Write) -> None:
    prices = {"home_odds_milli": [2100, None], "best_platform": ["betpawa", None], "home_margin": 0.05}
    first = frame({**LINE, **prices}, {**LINE, "line_id": 2}, {**LINE, "line_id": 3})
    insert(conn, TABLE, {**LINE, "sr_id": 8})
    assert write(conn, TABLE, first, [7]) == WriteCounts(inserted=3)
    before = versions(conn)
    assert write(conn, TABLE, first, [7]) == WriteCounts()
    assert versions(conn) == before
    second = frame({**LINE, **prices, "home_odds_milli": [2100, 3000]}, {**LINE, "line_id": 2}, {**LINE, "line_id": 4})
    assert write(conn, TABLE, second, [7]) == WriteCounts(inserted=1, updated=1, deleted=1)
    after = versions(conn)
    assert after.keys() == {(7, 1), (7, 2), (7, 4), (8, 1)}
    assert {key for key in before if after.get(key) == before[key]} == {(7, 2), (8, 1)}
    query = f"select home_odds_milli, best_platform::text[], home_margin from {TABLE} where (sr_id, line_id) = (7, 1)"
    assert conn.execute(query.encode()).fetchall() == [([2100, 3000], ["betpawa", None], 0.05)]


def test_what_was_a_value_and_is_none_any_more_differs(conn: psycopg.Connection, write: Write) -> None:
    write(conn, TABLE, frame({**LINE, "arb": False}), [7])
    assert write(conn, TABLE, frame(LINE), [7]) == WriteCounts(updated=1)
    assert conn.execute(f"select arb from {TABLE}".encode()).fetchall() == [(None,)]


def test_fixtures_without_rows_lose_theirs(conn: psycopg.Connection, write: Write) -> None:
    write(conn, TABLE, frame(LINE, {**LINE, "sr_id": 8}), [7, 8])
    assert write(conn, TABLE, frame(LINE), [7, 8]) == WriteCounts(deleted=1)


def test_a_frame_with_other_columns_than_the_table_is_refused(conn: psycopg.Connection, write: Write) -> None:
    with pytest.raises(
        ValueError, match=r"mart\.price_comparison: the frame's columns and the table's differ in arb, extra"
    ):
        write(conn, TABLE, frame(LINE).drop("arb").with_columns(extra=1), [7])


def test_a_row_that_is_gone_when_it_is_written_is_an_error(
    conn: psycopg.Connection, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(conn, TABLE, frame(LINE), [7])

    def copy_late(conn: psycopg.Connection, table: str, rows: pl.DataFrame) -> int:
        conn.execute(f"delete from {TABLE}".encode())
        return copy_rows(conn, table, rows)

    monkeypatch.setattr(row_differences, "copy_rows", copy_late)
    with pytest.raises(RuntimeError, match=r"mart\.price_comparison: 0 of 1 rows changed"):
        write(conn, TABLE, frame({**LINE, "arb": True}), [7])
