"""The board's tables as files: CSV, Excel, or the SQL that returns the same rows."""

import io
from enum import StrEnum
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.report.spreadsheets import write_csv, write_xlsx


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
