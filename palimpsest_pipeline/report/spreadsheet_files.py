"""Tables as CSV and Excel files.

Cells have the form of `spreadsheet_cells`.
"""

from collections.abc import Mapping
from typing import IO, Final

import polars as pl
import xlsxwriter

from .spreadsheet_cells import prepare_for_csv, prepare_for_excel

MAX_EXCEL_ROWS: Final = 1_048_575
"""Maximum number of rows of an Excel worksheet, without the headings."""


def write_csv(frame: pl.DataFrame, file: IO[bytes]) -> None:
    """Write a frame with all columns as CSV in UTF-8."""
    prepare_for_csv(frame).write_csv(file, include_bom=True)  # without a BOM, Excel does not read the file as UTF-8


def write_xlsx(tables: Mapping[str, pl.DataFrame], file: IO[bytes]) -> None:
    """Write one worksheet per table, with the table's name.

    Raises ValueError when a table has more rows than a worksheet can have.
    """
    if oversized := [name for name, frame in tables.items() if frame.height > MAX_EXCEL_ROWS]:
        raise ValueError(
            f"{', '.join(oversized)} has more rows than a worksheet ({MAX_EXCEL_ROWS}): filter them, or write CSV"
        )
    with xlsxwriter.Workbook(file, {"strings_to_formulas": False, "strings_to_urls": False}) as workbook:
        for name, frame in tables.items():
            prepare_for_excel(frame).write_excel(workbook, worksheet=name, autofit=True)
