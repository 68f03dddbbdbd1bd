"""The share of the platforms' markets that the vocabulary maps.

An occurrence is one market of a platform with one specifier for one event. Takes and returns frames.
"""

from dataclasses import replace
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MappingError, Sport

from .normaliser import normalise
from .platform_books import RawBooks
from .vocabulary import Vocabulary, assign_to_platforms

OCCURRENCES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "sport": pl.String(),
    "external_market_id": pl.String(),
    "name": pl.String(),
    "specifier": pl.String(),
    "error_class": pl.String(),
    "sample_outcomes": pl.List(pl.String()),
    "comparable": pl.Boolean(),
    "occurrences": pl.Int64(),
}
"""The columns of occurrences.

`error_class` is '' for a mapped occurrence, otherwise the reason. `comparable` is true when the occurrence is mapped to
a canonical market that at least two platforms have in the vocabulary.
"""

COUNTED_COLUMNS: Final = ("platform", "external_market_id", "name", "sample_outcomes", "occurrences")
"""The columns of a table with counts of the platforms' market ids."""

_OCCURRENCE_KEY: Final = ("event", "platform", "sport", "market_id", "specifier")


def list_occurrences(raw: RawBooks, events: pl.Series, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return one row per occurrence of these books: `event` and the columns of `OCCURRENCES_SCHEMA`.

    `events` names the event of each row of `raw.markets`. Several answers about one event count as one book: an
    occurrence that is in several of them has one row.
    """
    rows = raw.markets.with_columns(events.cast(pl.String).alias("event"), pl.col(pl.String).fill_null(""))
    distinct_rows = (
        rows.group_by(_OCCURRENCE_KEY)
        .agg(pl.col("market_name").min().alias("name"))
        .sort(_OCCURRENCE_KEY)
        .with_row_index("occurrence")
    )
    # Each occurrence gets its own capture number, so that the normaliser's results name the occurrence.
    numbers = rows.join(distinct_rows, on=_OCCURRENCE_KEY, how="left", maintain_order="left")["occurrence"]
    batch = normalise(replace(raw, markets=raw.markets.with_columns(numbers.alias("capture"))), vocabulary)
    mapped_to = batch.prices.join(_select_shared_markets(vocabulary), on="market_id", how="semi")["capture"].unique()
    reasons = batch.unmapped.unique("capture", keep="first", maintain_order=True).select(
        "capture", "error_class", "sample_outcomes"
    )
    return (
        distinct_rows.join(reasons, left_on="occurrence", right_on="capture", how="left", maintain_order="left")
        .with_columns(
            pl.col("error_class").fill_null(""),
            pl.col("sample_outcomes").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        )
        .with_columns(
            comparable=(pl.col("error_class") == "") & pl.col("occurrence").is_in(mapped_to.implode()),
            occurrences=pl.lit(1, pl.Int64),
            external_market_id=pl.col("market_id"),
        )
        .select("event", *(pl.col(name).cast(kind) for name, kind in OCCURRENCES_SCHEMA.items()))
    )


def expand_counted_markets(
    counted_markets: pl.DataFrame, vocabulary: Vocabulary, sport: Sport = Sport.FOOTBALL
) -> pl.DataFrame:
    """Return rows of `OCCURRENCES_SCHEMA` for counted market ids (columns `COUNTED_COLUMNS`).

    The counts do not contain specifiers, so an id counts as mapped when the vocabulary has at least one key for it.
    """
    keys = vocabulary.keys.filter(pl.col("sport") == sport).join(
        _select_shared_markets(vocabulary).with_columns(shared=pl.lit(value=True)), on="market_id", how="left"
    )
    known_markets = (
        assign_to_platforms(keys, counted_markets["platform"])
        .group_by("platform", "external_market_id")
        .agg(comparable=pl.col("shared").any())
    )
    return (
        counted_markets.select(COUNTED_COLUMNS)
        .join(known_markets, on=("platform", "external_market_id"), how="left", maintain_order="left")
        .with_columns(
            sport=pl.lit(sport.value),
            specifier=pl.lit(""),
            error_class=pl.when(pl.col("comparable").is_null())
            .then(pl.lit(MappingError.UNKNOWN_MARKET.value))
            .otherwise(pl.lit("")),
            comparable=pl.col("comparable").fill_null(value=False),
        )
        .select(pl.col(name).cast(kind) for name, kind in OCCURRENCES_SCHEMA.items())
    )


def _select_shared_markets(vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the market_id of each market that at least two platforms have in the vocabulary."""
    return (
        vocabulary.keys.group_by("market_id")
        .agg(pl.col("platform").n_unique())
        .filter(pl.col("platform") >= 2)
        .select("market_id")
    )


def count_by_platform(occurrences: pl.DataFrame) -> pl.DataFrame:
    """Return one row per platform, by its key.

    Columns: platform, occurrences, mapped, comparable, mapped_share, comparable_share.
    """
    count = pl.col("occurrences")
    return (
        occurrences.group_by("platform")
        .agg(
            count.sum(),
            mapped=count.filter(pl.col("error_class") == "").sum(),
            comparable=count.filter("comparable").sum(),
        )
        .filter(count > 0)
        .with_columns(mapped_share=pl.col("mapped") / count, comparable_share=pl.col("comparable") / count)
        .sort("platform")
    )


def rank_unmapped(occurrences: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the unmapped occurrences grouped by market id and reason, most frequent first.

    There is one row per (platform, sport, external_market_id, error_class), with a sample name, specifier and outcomes,
    the number of occurrences, and `triage`: the status in the vocabulary's list of knowingly unmapped markets, or ''.
    """
    identity = ("platform", "sport", "external_market_id")
    triage = assign_to_platforms(vocabulary.triage, occurrences["platform"]).select(
        *identity, pl.col("status").alias("triage")
    )
    return (
        occurrences.filter(pl.col("error_class") != "")
        .sort(*identity, "specifier", "name")
        .group_by(*identity, "error_class", maintain_order=True)
        .agg(pl.col("name", "specifier", "sample_outcomes").first(), pl.col("occurrences").sum())
        .join(triage, on=identity, how="left", maintain_order="left")
        .with_columns(pl.col("triage").fill_null(""))
        .sort("platform", "occurrences", *identity[1:], descending=(False, True, False, False))
    )
