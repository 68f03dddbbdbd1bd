"""The options `--csv FILE` and `--xlsx FILE` of the commands that print tables.

The files contain the same rows as `--json`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import fail, say

if TYPE_CHECKING:
    import polars as pl

CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows, with all columns, to this CSV file.")
]
XlsxOption = Annotated[
    Path | None, typer.Option("--xlsx", metavar="FILE", help="Write the rows, with all columns, to this Excel file.")
]


def write_files(tables: "Mapping[str, pl.DataFrame]", csv: Path | None, xlsx: Path | None) -> bool:
    """Write `tables` to the given files; return whether a file was given.

    A CSV file gets the first table; an Excel file gets one worksheet per table, with the table's name. Raises
    typer.Exit when a file cannot be written, or when a table has more rows than a worksheet can have.
    """
    for path, write in ((csv, _write_csv), (xlsx, _write_xlsx)):
        if path is None:
            continue
        try:
            n_rows = write(tables, path)
        except (OSError, ValueError) as error:
            raise fail(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
        say(f"{path}: {n_rows} rows")
    return csv is not None or xlsx is not None


def _write_csv(tables: "Mapping[str, pl.DataFrame]", path: Path) -> int:
    from palimpsest_pipeline.report.spreadsheet_files import write_csv

    frame = next(iter(tables.values()))
    with path.open("wb") as file:
        write_csv(frame, file)
    return frame.height


def _write_xlsx(tables: "Mapping[str, pl.DataFrame]", path: Path) -> int:
    from palimpsest_pipeline.report.spreadsheet_files import write_xlsx

    with path.open("wb") as file:
        write_xlsx(tables, file)
    return sum(frame.height for frame in tables.values())
