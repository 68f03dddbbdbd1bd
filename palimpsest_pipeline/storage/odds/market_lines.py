"""Numbers of markets on a line: `ops.market_lines`, by which every row of the odds history names its market.

Belongs here: giving and resolving these numbers. Does not: what a market means (`markets`), or who asks.
A number is given once and never changes, so no replay and no dropped table can give history rows another meaning.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import psycopg

from ..db.copy_frames import read_frame

LINE_KEY_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "market_id": pl.Int16,
    "specifier": pl.String,
    "outcome": pl.String,
}
"""Key of a market on a line; never null. `outcome` is '' but where a market has open outcomes."""

NUMBERS_SQL: Final = """
select l.line_id, l.market_id, l.specifier, l.outcome
from unnest(%(market_ids)s::smallint[], %(specifiers)s::text[], %(outcomes)s::text[]) as asked (market_id, specifier, outcome)
join ops.market_lines l using (market_id, specifier, outcome)
"""

NAMES_SQL: Final = """
select line_id, market_id, specifier, outcome from ops.market_lines where line_id = any(%(lines)s::int[])
"""

ADD_SQL: Final = """
insert into ops.market_lines (market_id, specifier, outcome)
select market_id, specifier, outcome
from unnest(%(market_ids)s::smallint[], %(specifiers)s::text[], %(outcomes)s::text[]) as new (market_id, specifier, outcome)
order by 1, 2, 3
on conflict do nothing
"""


def number_lines(conn: psycopg.Connection[Any], frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with `line_id` Int32 in place of the columns of MARKET, its rows as they were; markets not seen before
    get numbers.

    New numbers are committed at once, on a connection of their own: two long transactions that need the same new lines
    would wait for each other.
    They are read on it, too: a transaction that sees the database as of its first question does not see them.
    """
    keys = frame.select(pl.col(name).cast(kind) for name, kind in LINE_KEY_SCHEMA.items()).unique()
    known = _read_numbers(conn, keys)
    new = keys.join(known, on=list(LINE_KEY_SCHEMA), how="anti")
    if new.height:
        with psycopg.connect(conn.info.dsn, password=conn.info.password) as own:
            own.execute(ADD_SQL, _build_params(new))
            known = pl.concat([known, _read_numbers(own, new)])
    return (
        frame.cast({"market_id": pl.Int16})
        .join(known, on=list(LINE_KEY_SCHEMA), how="left", maintain_order="left")
        .drop(list(LINE_KEY_SCHEMA))
    )


def name_lines(conn: psycopg.Connection[Any], frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the columns of MARKET in place of `line_id`, its rows as they were.

    Raises LookupError on a number that was never given.
    """
    schema = {"line_id": pl.Int32, **LINE_KEY_SCHEMA}
    names = read_frame(conn, NAMES_SQL, {"lines": frame.get_column("line_id").unique().to_list()}, schema)
    strangers = frame.join(names, on="line_id", how="anti").get_column("line_id").unique().sort()
    if strangers.len():
        raise LookupError(
            f"no market line {', '.join(map(str, strangers.head(5)))} in ops.market_lines: these rows are of another database"
        )
    return frame.join(names, on="line_id", how="left", maintain_order="left").drop("line_id")


def read_lines_of_markets(conn: psycopg.Connection[Any], market_keys: Sequence[str]) -> list[int]:
    """Return the numbers of all lines of these markets that were ever given, ascending."""
    query = "select l.line_id from ops.market_lines l join core.markets m using (market_id) where m.market_key = any(%s) order by 1"
    return [line_id for (line_id,) in conn.execute(query, [list(market_keys)]).fetchall()]


def _read_numbers(conn: psycopg.Connection[Any], keys: pl.DataFrame) -> pl.DataFrame:
    """line_id and MARKET of those keys that have a number."""
    return read_frame(conn, NUMBERS_SQL, _build_params(keys), {"line_id": pl.Int32, **LINE_KEY_SCHEMA})


def _build_params(keys: pl.DataFrame) -> dict[str, Any]:
    return {
        "market_ids": keys.get_column("market_id").to_list(),
        "specifiers": keys.get_column("specifier").to_list(),
        "outcomes": keys.get_column("outcome").to_list(),
    }
