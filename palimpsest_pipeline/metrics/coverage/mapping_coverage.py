"""The share of the platforms' markets that the vocabulary maps, and a ranking of the unmapped markets.

This module only counts; the package `markets` decides which market is mapped.
"""

from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MappingError, TriageStatus
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

UNKNOWN_FAMILY: Final = "unknown"
"""The family of markets that the vocabulary does not know."""
ERROR_BY_COUNT_COLUMN: Final = {f"n_{error}": error.value for error in MappingError}
"""Columns of mapping_coverage to the error class that they count."""
MAPPING_COVERAGE_SCHEMA: Final = get_frame_schema("mart.mapping_coverage", "cycle_id", "mapping_version", "computed_at")
MAPPING_COUNTS_SCHEMA: Final = get_frame_schema("core.mapping_counts", "cycle_id")
UNMAPPED_KEY: Final = ("platform", "sport", "external_market_id", "specifier_schema")
UNMAPPED_MARKET_SCHEMA: Final = get_frame_schema("mart.unmapped_market", "mapping_version", "computed_at")


def build_mapping_coverage(counts: pl.DataFrame, matches: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return one row per platform, sport and family, columns `MAPPING_COVERAGE_SCHEMA`, sorted by these.

    `counts` are the cycle's rows of core.mapping_counts (`MAPPING_COUNTS_SCHEMA`). `matches` has listing_id and match,
    a text that is equal for listings of one match. The caller adds cycle, mapping version and the time of computation.
    """
    key = ["platform", "sport", "family"]
    counts = counts.select(MAPPING_COUNTS_SCHEMA.keys()).with_columns(pl.col("family").replace("", UNKNOWN_FAMILY))
    affected = (
        counts.select(*key, listing_id="listing_ids")
        .explode("listing_id")
        .drop_nulls("listing_id")
        .join(matches.select(pl.col("listing_id").cast(pl.Int32), "match"), on="listing_id", how="left")
        .group_by(key)
        .agg(n_fixtures_affected=pl.coalesce("match", pl.col("listing_id").cast(pl.String)).n_unique())
    )
    error_class = pl.col("error_class")
    return (
        counts.group_by(key)
        .agg(
            pl.col("n_markets").sum().alias("n_markets_seen"),
            pl.col("n_markets").filter(error_class == "").sum().alias("n_mapped"),
            *(
                pl.col("n_markets").filter(error_class == error).sum().alias(name)
                for name, error in ERROR_BY_COUNT_COLUMN.items()
            ),
        )
        .join(affected, on=key, how="left")
        .with_columns(
            pl.lit(as_of, INSTANT).alias("as_of"),
            pl.col("n_fixtures_affected").fill_null(0),
            mapped_rate=pl.col("n_mapped") / pl.col("n_markets_seen"),
        )
        .sort(key)
        .select(pl.col(name).cast(kind) for name, kind in MAPPING_COVERAGE_SCHEMA.items())
    )


def build_unmapped_market(
    ledger: pl.DataFrame, known_markets: pl.DataFrame, triage: pl.DataFrame, proposals: pl.DataFrame
) -> pl.DataFrame:
    """Return the unmapped markets of all cycles with rank, status and proposal.

    The result has the columns `UNMAPPED_MARKET_SCHEMA`, sorted by platform and rank. `ledger` has one row per
    `UNMAPPED_KEY` over all cycles, with the columns that are not added here. `known_markets` has platform, sport and
    external_market_id of the vocabulary's keys; `triage` has these columns with status and reason. `proposals` has
    `UNMAPPED_KEY`, proposed_market_key and proposal_evidence.

    The status is mapped when the market was unknown and the vocabulary knows it now, so that only a replay is missing.
    A known market with an unknown specifier or outcome has the status new until a replay maps it.
    """
    market = list(UNMAPPED_KEY[:3])
    only_unknown = pl.col("error_classes").list.eval(pl.element() == MappingError.UNKNOWN_MARKET.value).list.all()
    order = pl.struct(-pl.col("n_fixtures").cast(pl.Int64), -pl.col("occurrences").cast(pl.Int64), *UNMAPPED_KEY[1:])
    return (
        ledger.join(known_markets.select(market).unique().with_columns(known=pl.lit(value=True)), on=market, how="left")
        .join(triage.select(*market, pl.col("status").alias("triaged"), "reason").unique(market), on=market, how="left")
        .join(proposals, on=UNMAPPED_KEY, how="left")
        .with_columns(
            impact_rank=order.rank("ordinal").over("platform"),
            status=pl.when(pl.col("known") & only_unknown)
            .then(pl.lit(TriageStatus.MAPPED.value))
            .otherwise(pl.coalesce("triaged", pl.lit(TriageStatus.NEW.value))),
        )
        .sort("platform", "impact_rank")
        .select(pl.col(name).cast(kind) for name, kind in UNMAPPED_MARKET_SCHEMA.items())
    )
