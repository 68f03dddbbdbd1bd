"""The table as a file: CSV, Excel, or the SQL that returns the same rows."""

import io
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.report.spreadsheet_files import write_csv, write_xlsx
from palimpsest_pipeline.storage.marts.board_reader import build_table_query


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


def read_table(
    conn: psycopg.Connection, platforms: Sequence[str], market: str, line: str, sr_ids: Sequence[int]
) -> pl.DataFrame:
    """Return the rows of `build_table_query`, in its order."""
    rows = conn.execute(build_table_query(platforms, market, line, sr_ids)).fetchall()
    schema = {
        "kickoff": INSTANT,
        **dict.fromkeys(("country", "tournament", "home_team", "away_team"), pl.String),
        "sr_id": pl.Int64,
        **dict.fromkeys(("market", "line", "outcome"), pl.String),
        **{
            f"{platform}_{value}": kind
            for platform in platforms
            for value, kind in (("odds", pl.Decimal(12, 3)), ("state", pl.String), ("margin", pl.Float64))
        },
        "last_confirmed_at": INSTANT,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.col(f"{platform}_odds").cast(pl.Float64) for platform in platforms)


def build_file(
    conn: psycopg.Connection,
    file_format: FileFormat,
    platforms: Sequence[str],
    market: str,
    line: str,
    sr_ids: Sequence[int],
) -> bytes:
    """Return the content of the file."""
    if file_format is FileFormat.SQL:
        return f"{build_table_query(platforms, market, line, sr_ids).as_string(conn)};\n".encode()
    frame, file = read_table(conn, platforms, market, line, sr_ids), io.BytesIO()
    if file_format is FileFormat.CSV:
        write_csv(frame, file)
    else:
        write_xlsx({SHEET_NAME: frame}, file)
    return file.getvalue()
