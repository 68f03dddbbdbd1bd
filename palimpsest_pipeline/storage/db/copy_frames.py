"""Copy Polars frames to Postgres and back in bulk with COPY.

This is the only module that knows how Polars and Postgres write values as text.

Callers commit.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.tables.frame_types import get_frame_type

QueryParams = Sequence[Any] | Mapping[str, Any] | None

_CHUNK_ROWS: Final = 200_000
"""Rows per CSV buffer. The limit keeps the memory of a large copy small."""


def quote_identifier(table: str) -> sql.Identifier:
    """Return `schema.table` or `table` as an identifier for psycopg's SQL composition."""
    return sql.Identifier(*table.split("."))


def copy_rows(conn: psycopg.Connection, table: str, frame: pl.DataFrame) -> int:
    """Append `frame` to `table` with COPY and return the number of rows.

    Columns are matched by name. Lists become arrays. Structs and Python dicts become JSON. Null fields of a struct are
    left out, because Polars adds such fields to rows without the key. Null stays null and '' stays ''. Raises TypeError
    for a column type that cannot be written as text, and psycopg's errors when Postgres refuses a value.
    """
    texts = [_build_text_expr(name, dtype) for name, dtype in frame.schema.items()]
    if frame.is_empty():
        return 0
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        quote_identifier(table), sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in frame.iter_slices(_CHUNK_ROWS):
            buffer = io.BytesIO()
            chunk.select(texts).write_csv(buffer, include_header=False)
            copy.write(buffer.getbuffer())
    return frame.height


def copy_to_temp_table(conn: psycopg.Connection, name: str, template: str, frame: pl.DataFrame) -> None:
    """Copy `frame` into a new temporary table `name`, which is dropped at the end of the transaction.

    `template` is the table whose column types are used, or column definitions in parentheses: "(platform text,
    external_id text)".
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    conn.execute(sql.SQL("drop table if exists pg_temp.{}").format(sql.Identifier(name)))
    if template.startswith("("):
        conn.execute(
            sql.SQL("create temporary table {} {} on commit drop").format(sql.Identifier(name), sql.SQL(template))
        )
    else:
        conn.execute(
            sql.SQL("create temporary table {} on commit drop as select {} from {} with no data").format(
                sql.Identifier(name), columns, quote_identifier(template)
            )
        )
    copy_rows(conn, name, frame)
    conn.execute(sql.SQL("analyze {}").format(sql.Identifier(name)))


def read_frame(conn: psycopg.Connection[Any], query: str | sql.Composed, params: QueryParams = None) -> pl.DataFrame:
    """Return the result of a SELECT with its column names and the types of `frame_types.FRAME_TYPES`.

    Also an empty result has these types. Instants have the type Datetime("us", "UTC"), arrays become lists, and JSON
    comes as text. Raises Postgres' errors, and ValueError when two columns have one name.
    """
    with psycopg.ClientCursor(conn) as cursor:
        # A semicolon is not allowed inside the outer statement. The line break is needed when a query ends with a
        # comment.
        source = sql.SQL("({}\n) as q").format(sql.SQL(cursor.mogrify(query, params).rstrip("; \n\t")))
        schema = _read_schema(conn, source)
        selected = sql.SQL(", ").join(
            sql.SQL("to_json({0}) as {0}").format(sql.Identifier(name))
            if _is_text_list(dtype)
            else sql.Identifier(name)
            for name, dtype in schema.items()
        )
        # The constant 1 is needed because a row with one null column would be an empty line, which CSV readers skip.
        statement = sql.SQL("copy (select {}, 1 from {}) to stdout (format csv)").format(selected, source)
        body = io.BytesIO()
        with cursor.copy(statement) as copy:
            for block in copy:
                body.write(block)
    textual = {**{name: _choose_csv_type(dtype) for name, dtype in schema.items()}, "": pl.Int8()}
    if not body.tell():
        return pl.DataFrame(schema=schema)
    body.seek(0)
    rows = pl.read_csv(body, has_header=False, schema=textual)
    return rows.select(_parse_text_expr(name, dtype) for name, dtype in schema.items())


def _read_schema(conn: psycopg.Connection[Any], source: sql.Composed) -> dict[str, pl.DataType]:
    described = conn.execute(sql.SQL("select * from {} limit 0").format(source)).description or []
    names = [column.name for column in described]
    if len(set(names)) < len(names):
        raise ValueError(
            f"two columns have one name: {', '.join(sorted({name for name in names if names.count(name) > 1}))}"
        )
    types = [conn.adapters.types.get(column.type_code) for column in described]
    return {
        # a type of this database, such as an enum, is not among psycopg's types
        column.name: pl.String()
        if kind is None
        else get_frame_type(kind.regtype + ("[]" if column.type_code == kind.array_oid else ""))
        for column, kind in zip(described, types, strict=True)
    }


def build_array_text(name: str, inner: pl.DataType) -> pl.Expr:
    """Return a list column (elements of type `inner`) as the text form of a Postgres array.

    For numbers the text equals Postgres's own output.
    """
    column = pl.col(name)
    element = pl.element().cast(pl.String)
    if inner == pl.String:
        element = (
            pl.lit('"')
            + pl.element().str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
            + pl.lit('"')
        )
    elif inner.is_nested():
        raise TypeError(f"column {name}: List({inner}) has no Postgres array form")
    body = column.list.eval(element.fill_null(pl.lit("NULL"))).list.join(",")
    return pl.when(column.is_not_null()).then(pl.lit("{") + body + pl.lit("}")).alias(name)


def parse_array_text(name: str, dtype: pl.List) -> pl.Expr:
    """Return a column with the text form of a Postgres array of numbers as a list column of type `dtype`."""
    numbers = pl.col(name).str.strip_chars("{}")
    items = numbers.str.split(",").list.eval(pl.element().replace("NULL", None).cast(dtype.inner))
    return pl.when(numbers == "").then(pl.lit([], dtype=dtype)).otherwise(items).alias(name)


def _build_text_expr(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.List):
        return build_array_text(name, dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner())
    if isinstance(dtype, pl.Struct):
        return column.map_batches(lambda values: _encode_json(values, drop_nulls=True), return_dtype=pl.String).alias(
            name
        )
    if dtype == pl.Object:
        return column.map_batches(lambda values: _encode_json(values, drop_nulls=False), return_dtype=pl.String).alias(
            name
        )
    if dtype == pl.Binary:
        raise TypeError(f"column {name}: bytes belong in the landing, not in Postgres")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        raise TypeError(f"column {name}: instants must have a time zone")
    return column


def _encode_json(values: pl.Series, *, drop_nulls: bool) -> pl.Series:
    def text(value: Any) -> str | None:
        if value is None:
            return None
        fields = {k: v for k, v in value.items() if v is not None} if drop_nulls else value
        return json.dumps(fields, ensure_ascii=False, sort_keys=True)

    return pl.Series(values.name, [text(value) for value in values.to_list()], dtype=pl.String)


def _is_text_list(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.List) and dtype.inner == pl.String


def _choose_csv_type(dtype: pl.DataType) -> pl.DataType:
    """Return the type with which the CSV reader reads a column: numbers as they are, all else as text."""
    return dtype if dtype.is_numeric() else pl.String()


def _parse_text_expr(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Boolean:
        return column == "t"
    if isinstance(dtype, pl.Datetime):
        # Sessions are in UTC, so every instant ends in +00; any other offset must fail here.
        return (
            column.str.replace(r"\+00$", "Z")
            .str.to_datetime("%Y-%m-%d %H:%M:%S%.fZ", time_unit="us", strict=True)
            .dt.replace_time_zone("UTC")
        )
    if dtype == pl.Date:
        return column.str.to_date("%Y-%m-%d", strict=True)
    if _is_text_list(dtype):
        return column.str.json_decode(pl.List(pl.String))
    if isinstance(dtype, pl.List):
        return parse_array_text(name, dtype)
    return column
