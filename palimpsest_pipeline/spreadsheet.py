"""Frames in the form that a spreadsheet takes: a cell holds one value, and an instant no time zone.

Belongs here: the form, and frames that are written in it. Does not: which rows, and where they are written to.
"""

from typing import Any

import polars as pl


def with_single_values(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with its lists as text."""
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    return frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(", ") for name in lists)


def for_excel(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with single values, and with instants in UTC, said in their headings: Excel knows no time zones."""
    zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    in_utc = (pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None) for name in zoned)
    return with_single_values(frame).with_columns(in_utc).rename({name: f"{name} (UTC)" for name in zoned})


class Rows(pl.DataFrame):
    """A frame whose `write_csv` and `write_excel` accept lists and instants. Polars computes plain frames from it: wrap them in `Rows` again."""

    def write_csv(self, file: Any = None, **options: Any) -> Any:
        """Write, or return as text without `file`, as `polars.DataFrame.write_csv` does, lists as text."""
        return with_single_values(pl.DataFrame(self)).write_csv(file, **options)

    def write_excel(self, workbook: Any = None, worksheet: str | None = None, **options: Any) -> Any:
        """Write as `polars.DataFrame.write_excel` does, lists as text, instants in UTC."""
        return for_excel(pl.DataFrame(self)).write_excel(workbook, worksheet, **options)
