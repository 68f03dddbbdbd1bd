"""Coverage per fixture and per tournament.

`universe` decides whether a fixture is listed, missing or unknown on a platform. This module classifies and counts.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import FixtureClass
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .universe import ANY_COMPETITOR, CoverageUniverse, name_evidence

COVERAGE_FIXTURE_SCHEMA: Final = get_frame_schema("mart.coverage_fixture", "cycle_id", "mapping_version", "computed_at")
COVERAGE_TOURNAMENT_SCHEMA: Final = get_frame_schema(
    "mart.coverage_tournament", "cycle_id", "mapping_version", "computed_at"
)
PAIR_COUNT_COLUMNS: Final = ("n_home", "n_platform", "n_matched", "n_home_only", "n_platform_only", "n_undetermined")


def build_coverage_fixture(universe: CoverageUniverse) -> pl.DataFrame:
    """Return one row per fixture, started or not, sorted by SportRadar id.

    The result has the columns `COVERAGE_FIXTURE_SCHEMA`. `stale_since` is the oldest earlier discovery that is used as
    evidence for a platform, or null when all evidence is of this cycle. The caller adds cycle, mapping version and the
    time of computation.
    """
    classes = universe.pairs.filter(pl.col("platform") == ANY_COMPETITOR).select(
        "sr_id", fixture_class=pl.col("outcome").replace({"platform_only": FixtureClass.COMPETITOR_ONLY.value})
    )
    evidence = universe.cells.group_by("sr_id").agg(
        name_evidence(pl.col("evidence_rank").max()).alias("evidence"),
        pl.col("stale_since").min(),
        (pl.col("listed") & (pl.col("platform") != universe.home)).sum().alias("n_competitors"),
    )
    rows = (
        universe.fixtures.join(classes, on="sr_id")
        .join(evidence, on="sr_id")
        .with_columns(*build_constant_columns(universe), kickoff_source="metadata_source")
        .sort("sr_id")
    )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in COVERAGE_FIXTURE_SCHEMA.items())


def build_coverage_tournament(universe: CoverageUniverse) -> pl.DataFrame:
    """Return one row per tournament, competitor (and `any`), with and without started fixtures.

    The result has the columns `COVERAGE_TOURNAMENT_SCHEMA`, sorted by tournament, platform and include_started. Every
    tournament with a fixture, or with a listing without fixture, has a row for every competitor, if need be with counts
    of 0.
    """
    key = ["include_started", "tournament_key", "platform"]
    pairs = repeat_per_universe(universe.pairs)
    pair_counts = pairs.group_by(key).agg(*count_pairs(), *_build_missing_columns())
    unidentified = count_unidentified(universe)
    scopes = pl.DataFrame({"platform": [*universe.competitors, ANY_COMPETITOR]}, schema={"platform": pl.String})
    grid = pl.concat([pairs.select(key[:2]), unidentified.select(key[:2])]).unique().join(scopes, how="cross")
    rows = (
        grid.join(pair_counts, on=key, how="left")
        .join(unidentified, on=key, how="left")
        .with_columns(
            pl.col(*PAIR_COUNT_COLUMNS, "n_unidentified").fill_null(0),
            pl.col("missing_sr_ids").fill_null(pl.lit([], dtype=pl.List(pl.Int64))),
        )
        .join(universe.tournaments, on="tournament_key", how="left")
        .with_columns(
            *build_constant_columns(universe),
            platform_gap=(pl.col("n_platform") > 0) & (pl.col("n_home") == 0),
            home_gap=(pl.col("n_home") > 0) & (pl.col("n_platform") == 0),
            home_covered_rate=divide_or_null("n_matched", "n_home"),
            fixture_match_rate=divide_or_null("n_matched", "n_platform"),
        )
        .sort("tournament_key", "platform", "include_started")
    )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in COVERAGE_TOURNAMENT_SCHEMA.items())


def repeat_per_universe(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` twice: all rows, and the rows of fixtures that have not started.

    `include_started` is true in the first copy and false in the second.
    """
    return pl.concat(
        [
            frame.with_columns(include_started=pl.lit(value=True)),
            frame.filter(~pl.col("started")).with_columns(include_started=pl.lit(value=False)),
        ]
    )


def count_pairs() -> tuple[pl.Expr, ...]:
    """Return the aggregations for `PAIR_COUNT_COLUMNS`, for groups of `CoverageUniverse.pairs`."""
    outcome = pl.col("outcome")
    return (
        pl.col("on_home").sum().alias("n_home"),
        pl.col("on_platform").sum().alias("n_platform"),
        (outcome == "matched").sum().alias("n_matched"),
        (outcome == "home_only").sum().alias("n_home_only"),
        (outcome == "platform_only").sum().alias("n_platform_only"),
        (outcome == "undetermined").sum().alias("n_undetermined"),
    )


def count_unidentified(universe: CoverageUniverse) -> pl.DataFrame:
    """Return the number of listings without a fixture, by include_started, tournament and platform.

    The columns are include_started, tournament_key, platform and n_unidentified. The platform `any` counts all
    platforms.
    """
    listings = repeat_per_universe(universe.listings.filter(pl.col("fixture_sr_id").is_null())).select(
        "include_started", "tournament_key", "platform"
    )
    return (
        pl.concat([listings, listings.with_columns(platform=pl.lit(ANY_COMPETITOR))])
        .group_by("include_started", "tournament_key", "platform")
        .agg(pl.len().alias("n_unidentified"))
    )


def divide_or_null(numerator: str, denominator: str) -> pl.Expr:
    """Return the ratio of two columns, or null when the denominator is not positive."""
    return pl.when(pl.col(denominator) > 0).then(pl.col(numerator) / pl.col(denominator))


def build_constant_columns(universe: CoverageUniverse) -> tuple[pl.Expr, pl.Expr]:
    """Return the columns with equal values in all rows of a universe: as_of and home_platform."""
    return pl.lit(universe.as_of, INSTANT).alias("as_of"), pl.lit(universe.home).alias("home_platform")


def _build_missing_columns() -> tuple[pl.Expr, pl.Expr]:
    is_missing_at_home = pl.col("outcome") == "platform_only"
    return (
        pl.col("effective_kickoff")
        .filter(is_missing_at_home & ~pl.col("started"))
        .min()
        .alias("earliest_missing_kickoff"),
        pl.col("sr_id").filter(is_missing_at_home).sort().alias("missing_sr_ids"),
    )
