"""Frames in a form that spreadsheets accept, and as CSV and Excel files.

There is one value per cell; instants have no time zone, and text is never a formula.
"""

from collections.abc import Mapping
from typing import IO, Any, Final

import polars as pl
import xlsxwriter

FORMULA_PATTERN: Final = r"^[=@\t\r\n+-]"
"""The first characters of text that a spreadsheet executes from a CSV file.

Names come from the platforms and may begin with any character.
"""
_NUMBER_PATTERN: Final = r"^[+-]\d+(\.\d+)?$"


def join_lists(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with its lists as text, separated by commas."""
    list_columns = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    return frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(", ") for name in list_columns)


def prepare_for_csv(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with one value per cell, and without text that a spreadsheet could execute.

    Such text gets a single quote (') in front.
    """
    flat = join_lists(frame)
    text_columns = [
        pl.col(name).cast(pl.String)
        for name, dtype in flat.schema.items()
        if isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    ]
    return flat.with_columns(
        pl.when(~column.str.contains(FORMULA_PATTERN) | column.str.contains(_NUMBER_PATTERN))
        .then(column)
        .otherwise(pl.lit("'") + column)
        for column in text_columns
    )


def prepare_for_excel(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with one value per cell; instants are in UTC, which their headings state.

    Excel has no time zones.
    """
    instant_columns = [
        name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone
    ]
    in_utc = (pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None) for name in instant_columns)
    return join_lists(frame).with_columns(in_utc).rename({name: f"{name} (UTC)" for name in instant_columns})


class Rows(pl.DataFrame):
    """A frame whose `write_csv` and `write_excel` also accept lists and instants, and write no formulas.

    Polars operations on it return a plain frame; wrap the result in `Rows` again.
    """

    def write_csv(self, file: Any = None, **options: Any) -> Any:
        """Write as `polars.DataFrame.write_csv` does; if `file` is None, return the text.

        Lists become text, and text that looks like a formula gets a single quote (') in front.
        """
        return prepare_for_csv(pl.DataFrame(self)).write_csv(file, **options)

    def write_excel(self, workbook: Any = None, worksheet: str | None = None, **options: Any) -> Any:
        """Write as `polars.DataFrame.write_excel` does, with lists as text and instants in UTC."""
        return prepare_for_excel(pl.DataFrame(self)).write_excel(workbook, worksheet, **options)


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
