"""The board's tables as files: CSV, Excel, or the SQL that returns the same rows."""

import io
from enum import StrEnum
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.report.spreadsheet_files import write_csv, write_xlsx


class FileFormat(StrEnum):
    """The kinds of files, by their suffix."""

    CSV = "csv"
    XLSX = "xlsx"
    SQL = "sql"


MEDIA_TYPES: Final = {
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.SQL: "text/plain; charset=utf-8",
}
SHEET_NAME: Final = "prices"
COLUMN_TYPES: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "bool": pl.Boolean,
    "int2": pl.Int64,
    "int4": pl.Int64,
    "int8": pl.Int64,
    "float8": pl.Float64,
    "numeric": pl.Decimal(12, 3),
    "text": pl.String,
    "timestamptz": INSTANT,
}
"""Types of columns in the board's queries, with those of a frame. A numeric column has decimal odds."""


def read_rows(conn: psycopg.Connection, query: sql.Composed) -> pl.DataFrame:
    """Return the rows of a query of `storage.marts.board_reader`, in its order; decimal odds are floats."""
    cursor = conn.execute(query)
    schema = {column.name: COLUMN_TYPES[column.type_display] for column in cursor.description or ()}
    frame = pl.DataFrame(cursor.fetchall(), schema=schema, orient="row")
    return frame.with_columns(pl.col(name).cast(pl.Float64) for name, kind in schema.items() if kind == pl.Decimal)


def build_sql_text(conn: psycopg.Connection, query: sql.Composed) -> bytes:
    """Return the query as text that a person can run."""
    return f"{query.as_string(conn)};\n".encode()


def write_file(frame: pl.DataFrame, file_format: FileFormat) -> bytes:
    """Return the content of a CSV or Excel file.

    An Excel file of a large table takes seconds, so no database session should be kept for it.
    """
    file = io.BytesIO()
    if file_format is FileFormat.CSV:
        write_csv(frame, file)
    else:
        write_xlsx({SHEET_NAME: frame}, file)
    return file.getvalue()
