"""Listings in pieces that are computed at once, so that memory stays flat. Knows no Dagster."""

from collections.abc import Iterator
from typing import Final

import polars as pl

ROWS_PER_BATCH: Final = 500_000
"""Rows of history whose lives are computed together: some 400 bytes each at the peak, beside the looks of the whole
date. No result depends on it.
"""


def batch_listings(
    listings: pl.DataFrame, n_rows: pl.DataFrame, tournaments: pl.DataFrame, max_rows: int = ROWS_PER_BATCH
) -> Iterator[pl.DataFrame]:
    """`listings` in pieces of at most so many rows of history (`n_rows`: listing_id, n_rows), but of one fixture at
    least. Fixtures are whole, and those of a tournament follow one another."""
    fixtures = (
        listings.join(n_rows, on="listing_id", how="left")
        .join(tournaments, on="sr_id")
        .group_by("tournament_key", "sr_id")
        .agg(pl.col("n_rows").sum(), pl.col("listing_id").sort())
        .sort("tournament_key", "sr_id")
    )
    begin, weight = 0, 0
    for place, rows in enumerate(fixtures["n_rows"]):
        if place > begin and weight + rows > max_rows:
            yield _select_listings(fixtures[begin:place], listings)
            begin, weight = place, 0
        weight += rows
    if begin < fixtures.height:
        yield _select_listings(fixtures[begin:], listings)


def _select_listings(fixtures: pl.DataFrame, listings: pl.DataFrame) -> pl.DataFrame:
    return fixtures.select("listing_id").explode("listing_id").join(listings, on="listing_id", maintain_order="left")
