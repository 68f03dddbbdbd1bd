"""The Polars types of Postgres' types, and the schemas of frames that have the columns of a table."""

import re
from collections.abc import Mapping
from typing import Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from palimpsest_pipeline.domain.schemas import INSTANT

from . import metadata

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

FRAME_TYPES: Final[dict[str, pl.DataType]] = {
    "boolean": pl.Boolean(),
    "smallint": pl.Int16(),
    "integer": pl.Int32(),
    "bigint": pl.Int64(),
    "real": pl.Float32(),
    "double precision": pl.Float64(),
    "numeric": pl.Float64(),
    "date": pl.Date(),
    "timestamp with time zone": INSTANT,
    "text": pl.String(),
    "character varying": pl.String(),
}
"""Polars types by the name of the Postgres type. An array of one of these is a list.

All other types, such as JSON and enums, are read as text.
"""


def get_frame_type(postgres_type: str) -> pl.DataType:
    """Return the Polars type of a Postgres type, which is named as `format_type` names it: `integer[]`."""
    name, brackets, _ = postgres_type.partition("[]")
    if brackets and name in FRAME_TYPES:
        return pl.List(FRAME_TYPES[name])
    return FRAME_TYPES.get(postgres_type, pl.String())


def get_frame_schema(table: str, *without: str) -> dict[str, pl.DataType]:
    """Return the Polars types of the columns of a table, such as "mart.odds_alert", but for some columns."""
    return {
        column.name: _find_column_type(column.type)
        for column in metadata.tables[table].columns
        if column.name not in without
    }


def require_table_columns(table: str, frame: pl.DataFrame) -> None:
    """Raise ValueError when the columns of `frame` are not those of `table`."""
    if differing := sorted(set(frame.columns) ^ {column.name for column in metadata.tables[table].columns}):
        raise ValueError(f"{table}: the frame's columns and the table's differ in {', '.join(differing)}")


def _find_column_type(declared: sa.types.TypeEngine[object]) -> pl.DataType:
    if isinstance(declared, postgresql.ARRAY):
        return pl.List(_find_column_type(declared.item_type))
    name = declared.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
    return get_frame_type(re.sub(r"\(.*\)", "", name))
