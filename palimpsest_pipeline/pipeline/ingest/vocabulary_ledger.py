"""The counts of mapped and unmapped markets in a group of answers, as rows for storage.

Pure functions of frames. Both functions take `answers` with the columns capture, platform, sport, listing_id and
observed_at of the stored answers. The caller adds the cycle's id.
"""

from typing import Final

import polars as pl

from .books import Books

LISTING_ID = pl.col("listing_id")
MAX_ID_CHARACTERS: Final = 200
"""Maximum length of a platform's id in the ledger.

The id is part of the key, and Postgres refuses keys of some thousand characters. The longest known id has 30.
"""


def count_unmapped_markets(books: Books, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of core.unmapped_markets, with samples from the first specifier and answer."""
    return (
        books.unmapped.with_columns(
            pl.col("platform", "sport").cast(pl.String),
            pl.col("external_market_id", "specifier_schema").str.head(MAX_ID_CHARACTERS),
        )
        .join(answers.select("capture", "listing_id", "observed_at"), on="capture")
        .sort("external_market_id", "specifier", "observed_at", "capture")
        .group_by("platform", "sport", "external_market_id", "specifier_schema", "error_class", maintain_order=True)
        .agg(
            pl.col("name").first(),
            pl.col("specifier").first().alias("sample_specifier"),
            pl.col("sample_outcomes").first(),
            pl.len().cast(pl.Int32).alias("occurrences"),
            LISTING_ID.unique().sort().alias("listing_ids"),
            pl.col("observed_at").min().alias("first_observed_at"),
            pl.col("observed_at").max().alias("last_observed_at"),
        )
    )


def count_markets(books: Books, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of core.mapping_counts."""
    return (
        books.coverage.join(answers, on="capture")
        .group_by("platform", "sport", "family", "error_class")
        .agg(
            pl.col("n_markets").sum().cast(pl.Int32),
            LISTING_ID.filter(pl.col("error_class") != "").unique().sort().alias("listing_ids"),
        )
        .sort("platform", "sport", "family", "error_class")
    )
