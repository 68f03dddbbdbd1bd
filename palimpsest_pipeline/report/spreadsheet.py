"""Frames in the form that a spreadsheet takes: a cell holds one value, and an instant no time zone.

Belongs here: the form, and frames that are written in it. Does not: which rows, and where they are written to.
"""

from typing import Any, Final

import polars as pl

FORMULA_PATTERN: Final = r"^[=@\t\r\n+-]"
"""How text begins that a spreadsheet executes when it opens a CSV file: names come from outside."""
NUMBER_PATTERN: Final = r"^[+-]\d+(\.\d+)?$"


def join_lists(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with its lists as text."""
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    return frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(", ") for name in lists)


def prepare_for_csv(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with single values, and with a quote before text that a spreadsheet would execute."""
    single = join_lists(frame)
    text = [
        pl.col(name).cast(pl.String)
        for name, dtype in single.schema.items()
        if isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    ]
    return single.with_columns(
        pl.when(~column.str.contains(FORMULA_PATTERN) | column.str.contains(NUMBER_PATTERN))
        .then(column)
        .otherwise(pl.lit("'") + column)
        for column in text
    )


def prepare_for_excel(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with single values, and with instants in UTC, said in their headings: Excel knows no time
    zones.
    """
    zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    in_utc = (pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None) for name in zoned)
    return join_lists(frame).with_columns(in_utc).rename({name: f"{name} (UTC)" for name in zoned})


class Rows(pl.DataFrame):
    """A frame whose `write_csv` and `write_excel` take lists and instants too, and write no formulas.

    What Polars computes from it is a plain frame: `Rows(frame)` again.
    """

    def write_csv(self, file: Any = None, **options: Any) -> Any:
        """Write, or return as text without `file`, as `polars.DataFrame.write_csv` does, lists as text, a quote
        before what looks like a formula.
        """
        return prepare_for_csv(pl.DataFrame(self)).write_csv(file, **options)

    def write_excel(self, workbook: Any = None, worksheet: str | None = None, **options: Any) -> Any:
        """Write as `polars.DataFrame.write_excel` does, lists as text, instants in UTC."""
        return prepare_for_excel(pl.DataFrame(self)).write_excel(workbook, worksheet, **options)
