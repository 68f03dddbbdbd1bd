"""Create and read line numbers: the ids by which the odds history refers to lines.

The table is `ops.market_lines`. A number is created once and never changes, so a replay or a dropped table cannot
change the meaning of history rows.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..db.copy_frames import read_frame
from ..db.reference_rows import write_line_names

LINE_KEY_SCHEMA: Final = get_frame_schema("ops.market_lines", "line_id")
"""Key of a line, without nulls. `outcome` is '' except for markets with open outcomes (players)."""
LINE_SCHEMA: Final = get_frame_schema("ops.market_lines")
"""The number of a line and its key."""

NUMBERS_SQL: Final = """
select l.line_id, l.market_id, l.specifier, l.outcome
from unnest(%(market_ids)s::smallint[], %(specifiers)s::text[], %(outcomes)s::text[]) as asked (market_id,
    specifier, outcome)
join ops.market_lines l using (market_id, specifier, outcome)
"""

NAMES_SQL: Final = """
select line_id, market_id, specifier, outcome from ops.market_lines where line_id = any(%(lines)s::int[])
"""

ADD_SQL: Final = """
insert into ops.market_lines (market_id, specifier, outcome)
select market_id, specifier, outcome
from unnest(%(market_ids)s::smallint[], %(specifiers)s::text[], %(outcomes)s::text[]) as new (market_id, specifier,
    outcome)
order by 1, 2, 3
on conflict do nothing
"""


class LineCache:
    """Lines that a caller has already read, so that each line is read only once.

    A line number never changes, so the cache is never outdated. It is not safe for several threads.
    """

    def __init__(self) -> None:
        self.lines = pl.DataFrame(schema=LINE_SCHEMA)

    def add(self, lines: pl.DataFrame) -> None:
        """Add lines (LINE_SCHEMA) that are not in the cache yet."""
        self.lines = pl.concat([self.lines, lines])


def number_lines(conn: psycopg.Connection[Any], frame: pl.DataFrame, cache: LineCache | None = None) -> pl.DataFrame:
    """Replace the columns of LINE_KEY_SCHEMA by `line_id` (Int32), with rows in the same order.

    New lines get numbers, and their names are stored with them. Both are written on a separate connection and committed
    at once, because two long transactions that create the same lines would wait for each other. They are also read on
    that connection, because a transaction with a fixed snapshot would not see them. `cache` keeps the lines for the
    next call.
    """
    cache = cache or LineCache()
    keys = frame.select(pl.col(name).cast(kind) for name, kind in LINE_KEY_SCHEMA.items()).unique()
    unread = keys.join(cache.lines, on=list(LINE_KEY_SCHEMA), how="anti")
    if unread.height:
        cache.add(_read_numbers(conn, unread))
        new = unread.join(cache.lines, on=list(LINE_KEY_SCHEMA), how="anti")
        if new.height:
            with psycopg.connect(conn.info.dsn, password=conn.info.password) as number_conn:
                number_conn.execute(ADD_SQL, _build_params(new))
                numbers = _read_numbers(number_conn, new)
                write_line_names(number_conn, numbers.get_column("line_id").to_list())
                cache.add(numbers)
    return (
        frame.cast({"market_id": pl.Int16})
        .join(cache.lines, on=list(LINE_KEY_SCHEMA), how="left", maintain_order="left")
        .drop(list(LINE_KEY_SCHEMA))
    )


def name_lines(conn: psycopg.Connection[Any], frame: pl.DataFrame, cache: LineCache | None = None) -> pl.DataFrame:
    """Replace `line_id` by the columns of LINE_KEY_SCHEMA, with rows in the same order.

    `cache` keeps the lines for the next call. Raises LookupError for an unknown number.
    """
    cache = cache or LineCache()
    ids = frame.select(pl.col("line_id").unique())
    unread = ids.join(cache.lines, on="line_id", how="anti")
    if unread.height:
        cache.add(read_frame(conn, NAMES_SQL, {"lines": unread.get_column("line_id").to_list()}))
        unknown = unread.join(cache.lines, on="line_id", how="anti").get_column("line_id").sort()
        if unknown.len():
            raise LookupError(
                f"no market line {', '.join(map(str, unknown.head(5)))} in ops.market_lines: these rows are from "
                "another database"
            )
    return frame.join(cache.lines, on="line_id", how="left", maintain_order="left").drop("line_id")


def read_lines_of_markets(conn: psycopg.Connection[Any], market_keys: Sequence[str]) -> list[int]:
    """Return the numbers of all lines of these markets, ascending."""
    query = (
        "select l.line_id from ops.market_lines l join core.markets m using (market_id) "
        "where m.market_key = any(%s) order by 1"
    )
    return [line_id for (line_id,) in conn.execute(query, [list(market_keys)]).fetchall()]


def _read_numbers(conn: psycopg.Connection[Any], keys: pl.DataFrame) -> pl.DataFrame:
    """Return the lines (LINE_SCHEMA) of the keys that already have a number."""
    return read_frame(conn, NUMBERS_SQL, _build_params(keys))


def _build_params(keys: pl.DataFrame) -> dict[str, Any]:
    return {
        "market_ids": keys.get_column("market_id").to_list(),
        "specifiers": keys.get_column("specifier").to_list(),
        "outcomes": keys.get_column("outcome").to_list(),
    }
