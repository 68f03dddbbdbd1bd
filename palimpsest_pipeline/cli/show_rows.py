"""Show the rows that a command found: as a table for people, as JSON, as a CSV file, as an Excel file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import fail, print_json, say

if TYPE_CHECKING:
    import polars as pl

CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows, with all columns, to this CSV file.")
]
XlsxOption = Annotated[
    Path | None, typer.Option("--xlsx", metavar="FILE", help="Write the rows, with all columns, to this Excel file.")
]


def show(
    tables: "Mapping[str, pl.DataFrame]",
    print_text: Callable[[], object],
    *,
    as_json: bool,
    report: Any = None,
    csv: Path | None = None,
    xlsx: Path | None = None,
) -> None:
    """Print `report` as JSON and write `tables` to files, as chosen; without both, call `print_text`.

    Frames in `report` become lists of rows; without a report, `tables` are printed. Raises typer.Exit as `write_files`.
    """
    write_files(tables, csv, xlsx)
    if as_json:
        print_json(tables if report is None else report)
    elif csv is None and xlsx is None:
        print_text()


def write_files(tables: "Mapping[str, pl.DataFrame]", csv: Path | None, xlsx: Path | None) -> None:
    """Write `tables` to the given files.

    A CSV file gets the first table; an Excel file gets one worksheet per table, with the table's name. Raises
    typer.Exit when a file cannot be written, or when a table has more rows than a worksheet can have.
    """
    from palimpsest_pipeline.report.spreadsheets import write_csv, write_xlsx

    first_table = next(iter(tables.values()))
    for path, frames in ((csv, [first_table]), (xlsx, tables.values())):
        if path is None:
            continue
        try:
            with path.open("wb") as file:
                write_csv(first_table, file) if path is csv else write_xlsx(tables, file)
        except (OSError, ValueError) as error:
            raise fail(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
        say(f"{path}: {sum(frame.height for frame in frames)} rows")
