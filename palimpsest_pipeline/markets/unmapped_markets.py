"""The mapped and unmapped occurrences of books, each counted once, unmapped ones with the reason."""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MappingError

from .numbered_texts import EncodedBatch, pack_numbers, unpack_numbers
from .platform_books import RawBooks
from .specifiers import ERROR_CLASS_TYPE, build_schemas

MAX_SAMPLE_OUTCOMES: Final = 5

UNMAPPED_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.String(),
    "sport": pl.String(),
    "external_market_id": pl.String(),
    "name": pl.String(),
    "specifier": pl.String(),
    "specifier_schema": pl.String(),
    "error_class": pl.String(),
    "sample_outcomes": pl.List(pl.String()),
}
COVERAGE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "family": pl.String(),
    "error_class": pl.String(),
    "n_markets": pl.Int32(),
}

_OCCURRENCE_KEY: Final = ("capture", "instance")


def classify_occurrences(batch: EncodedBatch, verdicts: pl.DataFrame, missed: pl.DataFrame) -> pl.DataFrame:
    """Return every occurrence of the books: capture, instance, family, error_class ('' when mapped).

    `verdicts` is the result of `specifiers.judge_instances`. `missed` has capture and instance of the unmapped
    outcomes.
    """
    capture, instance = unpack_numbers("occurrence")
    failing = missed.select(occurrence=pack_numbers(*_OCCURRENCE_KEY)).unique().with_columns(fails=pl.lit(value=True))
    return (
        batch.rows.select(occurrence=pack_numbers(*_OCCURRENCE_KEY))
        .unique()
        .join(failing, on="occurrence", how="left")
        .select(capture=capture, instance=instance, fails="fails")
        .join(verdicts, on="instance", how="left")
        .with_columns(
            error_class=pl.when(pl.col("fails") & (pl.col("error_class") == ""))
            .then(pl.lit(MappingError.NO_MATCHING_OUTCOMES.value, ERROR_CLASS_TYPE))
            .otherwise("error_class")
        )
        .drop("fails")
    )


def count_coverage(occurrences: pl.DataFrame) -> pl.DataFrame:
    """Return the numbers of occurrences, as sorted rows of `COVERAGE_SCHEMA`."""
    key = ("capture", "family", "error_class")
    counts = occurrences.group_by(key).agg(n_markets=pl.len().cast(pl.Int32))
    return counts.with_columns(pl.col("family", "error_class").cast(pl.String)).sort(key)


def report_unmapped(
    raw: RawBooks, batch: EncodedBatch, occurrences: pl.DataFrame, missed: pl.DataFrame, given_parts: pl.DataFrame
) -> pl.DataFrame:
    """Return rows of `UNMAPPED_SCHEMA`, one per unmapped occurrence, in order.

    `missed` has capture, instance, distinct and position of the unmapped outcomes. `given_parts` has the parts of the
    instances' specifiers.
    """
    unmapped = occurrences.filter(pl.col("error_class") != "")
    if unmapped.is_empty():
        return pl.DataFrame(schema=UNMAPPED_SCHEMA)
    names = (
        batch.rows.join(unmapped, on=_OCCURRENCE_KEY, how="semi")
        .group_by(_OCCURRENCE_KEY)
        .agg(name=pl.col("market_name").min())
    )
    return (
        unmapped.join(names, on=_OCCURRENCE_KEY, how="left")
        .join(batch.instances, on="instance", how="left")
        .join(build_schemas(given_parts), on="instance", how="left")
        .join(_sample_outcomes(raw, batch, missed), on=_OCCURRENCE_KEY, how="left")
        .rename({"market_id": "external_market_id"})
        .with_columns(
            pl.col("specifier_schema").fill_null(""),
            pl.col("error_class").cast(pl.String),
            pl.col("sample_outcomes").fill_null(pl.lit([], UNMAPPED_SCHEMA["sample_outcomes"])),
        )
        .select(*UNMAPPED_SCHEMA)
        .sort("capture", "platform", "sport", "external_market_id", "specifier")
    )


def _sample_outcomes(raw: RawBooks, batch: EncodedBatch, missed: pl.DataFrame) -> pl.DataFrame:
    """Return capture, instance, sample_outcomes: the first unmapped outcomes by id, as `id=name`."""
    # Ranks follow the order of the ids, so that only the few sampled ids become text.
    ids = (
        batch.distinct_outcomes.join(missed, on="distinct", how="semi")
        .join(batch.outcome_ids, on="code")
        .select("distinct", "outcome_id", rank=pl.col("outcome_id").rank("dense"))
    )
    ranked = missed.join(ids, on="distinct").select(*_OCCURRENCE_KEY, "rank", "position")
    sampled = (
        ranked.select(occurrence=pack_numbers(*_OCCURRENCE_KEY), rank="rank")
        .unique()
        .sort("occurrence", "rank")
        .filter(pl.int_range(pl.len()).over("occurrence") < MAX_SAMPLE_OUTCOMES)
        .select(
            *(number.alias(name) for number, name in zip(unpack_numbers("occurrence"), _OCCURRENCE_KEY, strict=True)),
            "rank",
        )
    )
    sampled_outcomes = ranked.join(sampled, on=(*_OCCURRENCE_KEY, "rank"))
    outcome_id, name = pl.col("outcome_id"), pl.col("name")
    return (
        sampled_outcomes.hstack(
            [raw.outcomes["outcome_name"].gather(sampled_outcomes["position"]).fill_null("").alias("name")]
        )
        .group_by(*_OCCURRENCE_KEY, "rank")
        .agg(name.min())
        .join(ids.unique("rank").select("rank", "outcome_id"), on="rank")
        .sort(*_OCCURRENCE_KEY, "rank")
        .with_columns(
            sample=pl.when((name != "") & (name != outcome_id)).then(outcome_id + "=" + name).otherwise(outcome_id)
        )
        .group_by(_OCCURRENCE_KEY, maintain_order=True)
        .agg(sample_outcomes="sample")
    )
