"""Compute one checksum per listing over its rows of a day, and the version of a day.

Checksums are computed in Postgres and from frames. Equal ones mean equal rows. Both sides write each row as the same
text: the columns in order, instants as microseconds since 1970, arrays joined by commas, null as a dash.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..db.copy_frames import read_frame
from ..odds import partitions
from ..odds.change_rows import CAPTURE_SCHEMA, CHANGE_SCHEMA

NULL_TEXT: Final = "-"
CHECKSUMS_SCHEMA: Final[Schema] = {"listing_id": pl.Int32, "n_rows": pl.Int64, "checksum": pl.String}
"""One row per listing that has rows on the day."""


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """A history table to compare: its columns and the sort order of a listing's rows."""

    name: str
    schema: Schema
    order: Sequence[str]


CHANGES_TABLE: Final = ComparedTable("market_changes", dict(CHANGE_SCHEMA), ("line_id", "observed_at"))
CAPTURES_TABLE: Final = ComparedTable("captures", CAPTURE_SCHEMA, ("observed_at",))


def build_day_bounds(day: date) -> dict[str, str]:
    """Return the bounds of a UTC day as query parameters: begins_at (included) and ends_at (excluded)."""
    begins_at = f"{day.isoformat()} 00:00:00+00"
    return {"begins_at": begins_at, "ends_at": f"{date.fromordinal(day.toordinal() + 1).isoformat()} 00:00:00+00"}


def build_select_list(table: ComparedTable) -> str:
    """Return the SELECT list that reads the table's columns as frames have them: a null mask becomes 0."""
    return ", ".join("coalesce(off_mask, 0) as off_mask" if name == "off_mask" else name for name in table.schema)


def compute_postgres_checksums(
    conn: psycopg.Connection[Any], table: ComparedTable, day: date, first: int, last: int
) -> pl.DataFrame:
    """Return the checksums (CHECKSUMS_SCHEMA) of listing ids `first` to `last`, computed in Postgres."""
    text = ", ".join(_build_text_sql(name, kind) for name, kind in table.schema.items())
    query = f"""
    select listing_id, count(*) as n_rows, md5(string_agg(text collate "C", e'\\n'
        order by {", ".join(table.order)})) as checksum
    from (
        select {", ".join(dict.fromkeys(["listing_id", *table.order]))}, concat_ws('|', {text}) as text
        from (select {build_select_list(table)} from core.{table.name} where {DAY_AND_LISTINGS_SQL}) as rows
    ) as texts
    group by listing_id
    """
    return read_frame(conn, query, {**build_day_bounds(day), "first": first, "last": last})


DAY_AND_LISTINGS_SQL: Final = (
    "observed_at >= %(begins_at)s::timestamptz and observed_at < %(ends_at)s::timestamptz "
    "and listing_id between %(first)s and %(last)s"
)


def compute_frame_checksums(table: ComparedTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the checksums (CHECKSUMS_SCHEMA) of `rows`, which have the table's columns."""
    text = pl.concat_str([_build_text_expr(name, kind) for name, kind in table.schema.items()], separator="|")
    joined = (
        rows.sort("listing_id", *table.order)
        .select("listing_id", text=text)
        .group_by("listing_id", maintain_order=True)
        .agg(n_rows=pl.len(), text=pl.col("text").str.join("\n"))
    )
    sums = [hashlib.md5(row_text.encode(), usedforsecurity=False).hexdigest() for row_text in joined["text"]]
    return joined.select("listing_id", "n_rows", checksum=pl.Series(sums, dtype=pl.String)).select(
        pl.col(name).cast(kind) for name, kind in CHECKSUMS_SCHEMA.items()
    )


def compute_digest(changes: pl.DataFrame, captures: pl.DataFrame) -> str:
    """Return one digest over the checksums of all listings of both tables."""
    joined = captures.join(changes, on="listing_id", how="full", coalesce=True, suffix="_changes").sort("listing_id")
    return hashlib.sha256("\n".join("|".join(map(str, row)) for row in joined.iter_rows()).encode()).hexdigest()


def _build_text_sql(name: str, kind: Any) -> str:
    if kind == INSTANT:
        text = f"(extract(epoch from {name}) * 1000000)::bigint::text"
    elif isinstance(kind, pl.List):
        text = f"array_to_string({name}, ',', '{NULL_TEXT}')"
    else:
        text = f"{name}::text"
    return f"coalesce({text}, '{NULL_TEXT}')"


def _build_text_expr(name: str, kind: Any) -> pl.Expr:
    column = pl.col(name)
    if kind == INSTANT:
        column = column.dt.epoch("us")
    elif isinstance(kind, pl.List):
        column = column.cast(pl.List(pl.String)).list.eval(pl.element().fill_null(NULL_TEXT)).list.join(",")
    return column.cast(pl.String).fill_null(NULL_TEXT)


VERSION_SQL: Final = """
select md5(coalesce(string_agg(concat_ws(' ', c.cycle_id, p.product, p.landing_digest, p.parser_version,
    p.mapping_version), e'\\n'
    order by c.cycle_id, p.product collate "C"), ''))
from (
    select distinct cycle_id from core.captures
    where observed_at >= %(begins_at)s::timestamptz and observed_at < %(begins_at)s::timestamptz + interval '24 hours'
) c
left join core.cycle_products p on p.cycle_id = c.cycle_id and starts_with(p.product, 'odds_snapshots/')
"""


def compute_day_version(conn: psycopg.Connection[Any], day: date) -> str:
    """Return a digest of the inputs of all cycles that have captures on the UTC day.

    The inputs of a cycle are the digest of its landed answers and the versions of parser and mapping, as recorded in
    core.cycle_products. The version changes when a cycle is added, removed, or derived from other inputs. A day without
    captures also has a version. Raises MissingPartitionError when Postgres does not have the day.
    """
    partitions.require_partitions(conn, [day])
    row = conn.execute(VERSION_SQL, {"begins_at": f"{day.isoformat()} 00:00:00+00"}).fetchone()
    assert row is not None
    return str(row[0])
