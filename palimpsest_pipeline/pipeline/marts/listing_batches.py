"""Groups of listings that are computed together, so that memory stays limited. Imports no Dagster."""

from collections.abc import Iterator
from typing import Final

import polars as pl

ROWS_PER_BATCH: Final = 500_000
"""Maximum number of history rows in a batch, or in those that are computed at the same time.

No result depends on it. Each row takes about 400 bytes at the peak, in addition to the observations of the whole date.
"""


def batch_listings(
    listings: pl.DataFrame, n_rows: pl.DataFrame, tournaments: pl.DataFrame, max_rows: int = ROWS_PER_BATCH
) -> Iterator[pl.DataFrame]:
    """Yield `listings` in groups with at most `max_rows` rows of history, but at least one fixture.

    `n_rows` has the columns listing_id and n_rows. All listings of a fixture are in the same group, and the fixtures of
    a tournament follow one another.
    """
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
