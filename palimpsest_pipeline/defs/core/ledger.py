"""What the vocabulary said of a batch of answers, as the rows that storage keeps per cycle. Frames in, frames out.

`answers`, for both: capture, platform, sport, listing_id, observed_at of the answers that are kept. The caller adds the cycle.
"""

import polars as pl

from ...markets import Normalised

LISTINGS = pl.col("listing_id")


def unmapped_rows(normal: Normalised, answers: pl.DataFrame) -> pl.DataFrame:
    """Rows of core.unmapped_markets. The samples are those of the first specifier and answer."""
    return (
        normal.unmapped.with_columns(pl.col("platform", "sport").cast(pl.String))
        .join(answers.select("capture", "listing_id", "observed_at"), on="capture")
        .sort("external_market_id", "specifier", "observed_at", "capture")
        .group_by("platform", "sport", "external_market_id", "specifier_schema", "error_class", maintain_order=True)
        .agg(
            pl.col("name").first(),
            pl.col("specifier").first().alias("sample_specifier"),
            pl.col("sample_outcomes").first(),
            pl.len().cast(pl.Int32).alias("occurrences"),
            LISTINGS.unique().sort().alias("listing_ids"),
            pl.col("observed_at").min().alias("first_observed_at"),
            pl.col("observed_at").max().alias("last_observed_at"),
        )
    )


def mapping_counts(normal: Normalised, answers: pl.DataFrame) -> pl.DataFrame:
    """Rows of core.mapping_counts."""
    return (
        normal.coverage.join(answers, on="capture")
        .group_by("platform", "sport", "family", "error_class")
        .agg(pl.col("n_markets").sum().cast(pl.Int32), LISTINGS.filter(pl.col("error_class") != "").unique().sort().alias("listing_ids"))
        .sort("platform", "sport", "family", "error_class")
    )
