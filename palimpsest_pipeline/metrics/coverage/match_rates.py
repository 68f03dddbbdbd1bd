"""Match rates per platform and overall. Each rate is named after its denominator.

Fixtures are counted as in `fixture_coverage`; this module counts listings too.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ALL_PLATFORMS, Completeness, Platform
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .fixture_coverage import (
    PAIR_COUNT_COLUMNS,
    build_constant_columns,
    count_pairs,
    divide_or_null,
    repeat_per_universe,
)
from .universe import ANY_COMPETITOR, PARTIAL_RANK, CoverageUniverse, name_evidence, rank_evidence

MATCH_RATE_PLATFORM_SCHEMA: Final = get_frame_schema(
    "mart.match_rate_platform", "cycle_id", "mapping_version", "computed_at"
)
PREVIOUS_COUNTS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "include_started": pl.Boolean(),
    "n_fixtures": pl.Int32(),
}
_RATE_KEY: Final = ["platform", "include_started"]


def build_match_rate_platform(
    universe: CoverageUniverse,
    *,
    completeness: Mapping[Platform, Completeness] | None = None,
    previous_counts: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one row per platform (and `all`), with and without started fixtures, sorted by these.

    The result has the columns `MATCH_RATE_PLATFORM_SCHEMA`. `completeness` maps each platform to the completeness of
    its discovery in this cycle; a platform that is not in it was not discovered and counts as failed. `previous_counts`
    is the result for the previous cycle, with at least the columns `PREVIOUS_COUNTS_SCHEMA`; it is None or empty for
    the first cycle.
    """
    names = [*universe.platforms, ALL_PLATFORMS]
    grid = pl.DataFrame({"platform": names}, schema={"platform": pl.String}).join(
        pl.DataFrame({"include_started": [False, True]}), how="cross"
    )
    previous = pl.DataFrame(schema=PREVIOUS_COUNTS_SCHEMA) if previous_counts is None else previous_counts
    rows = (
        grid.join(_count_fixtures(universe), on=_RATE_KEY, how="left")
        .join(_count_listings(universe), on=_RATE_KEY, how="left")
        .with_columns(pl.selectors.starts_with("n_", "linked_").fill_null(0))
        .join(_find_weakest_evidence(universe), on="platform", how="left")
        .join(_build_completeness(universe, completeness or {}), on="platform", how="left")
        .join(previous.select(*_RATE_KEY, n_before="n_fixtures"), on=_RATE_KEY, how="left")
    )
    rows = rows.with_columns(
        *build_constant_columns(universe),
        listing_match_rate=divide_or_null("n_matched_listings", "n_listings"),
        fixture_match_rate=divide_or_null("n_matched_fixtures", "n_fixtures"),
        home_covered_rate=divide_or_null("n_matched_fixtures", "n_home"),
        overall_match_rate=pl.when(pl.col("platform") == ALL_PLATFORMS).then(
            divide_or_null("n_matched_fixtures", "n_union")
        ),
        link_accuracy=divide_or_null("linked_to_home", "linked_expected"),
        dup_ratio=divide_or_null("n_listings_with_sr", "n_fixtures"),
        delta_vs_prev=pl.when(pl.col("n_before") > 0).then(
            (pl.col("n_fixtures").cast(pl.Int64) - pl.col("n_before")) / pl.col("n_before")
        ),
    )
    return rows.sort(_RATE_KEY).select(pl.col(name).cast(dtype) for name, dtype in MATCH_RATE_PLATFORM_SCHEMA.items())


def _count_fixtures(universe: CoverageUniverse) -> pl.DataFrame:
    """Return the numbers of fixtures per platform, with and without started fixtures.

    A competitor's row compares the competitor with home. The row `all` counts the fixtures of all platforms. Home's row
    counts those of them that home lists.
    """
    home = universe.home
    union_pairs = universe.pairs.filter(pl.col("platform") == ANY_COMPETITOR)
    home_pairs = union_pairs.filter("on_home").with_columns(platform=pl.lit(home), on_platform=pl.lit(value=True))
    all_pairs = union_pairs.with_columns(platform=pl.lit(ALL_PLATFORMS), on_platform=pl.lit(value=True))
    pairs = pl.concat([universe.pairs.filter(pl.col("platform") != ANY_COMPETITOR), home_pairs, all_pairs])
    counts = (
        repeat_per_universe(pairs)
        .group_by(_RATE_KEY)
        .agg(*count_pairs(), pl.col("outcome").is_not_null().sum().alias("n_union"))
    )
    return counts.select(
        *_RATE_KEY,
        *(name for name in PAIR_COUNT_COLUMNS if name in MATCH_RATE_PLATFORM_SCHEMA),
        n_fixtures="n_platform",
        n_matched_fixtures="n_matched",
        n_competitor_only="n_platform_only",
        n_union="n_union",
    )


def _count_listings(universe: CoverageUniverse) -> pl.DataFrame:
    """Return the numbers of listings per platform, with and without started ones.

    Listings without a fixture are included. A listing of a competitor should have a counterpart on home when a listing
    of home has the same SportRadar id.
    """
    pairs = universe.pairs
    matched_in_union = pairs.filter(pl.col("platform") == ANY_COMPETITOR, pl.col("outcome") == "matched").select(
        fixture_sr_id="sr_id", in_union=pl.lit(value=True)
    )
    matched_with_home = pairs.filter(pl.col("outcome") == "matched", pl.col("platform") != ANY_COMPETITOR).select(
        "platform", fixture_sr_id="sr_id", with_home=pl.lit(value=True)
    )
    home_listings = universe.listings.filter(pl.col("platform") == universe.home)
    home_fixtures = home_listings["fixture_sr_id"].drop_nulls().unique().implode()
    stated_at_home = home_listings["sr_id"].drop_nulls().unique().implode()
    listings = (
        universe.listings.join(matched_in_union, on="fixture_sr_id", how="left")
        .join(matched_with_home, on=["platform", "fixture_sr_id"], how="left")
        .with_columns(
            is_matched=pl.when(pl.col("platform") == universe.home)
            .then(pl.col("in_union"))
            .otherwise(pl.col("with_home"))
            .fill_null(value=False),
            expected=pl.col("sr_id").is_in(stated_at_home).fill_null(value=False),
            linked=pl.col("fixture_sr_id").is_in(home_fixtures).fill_null(value=False),
        )
    )
    all_listings = listings.with_columns(
        platform=pl.lit(ALL_PLATFORMS), is_matched=pl.col("in_union").fill_null(value=False)
    )
    return (
        repeat_per_universe(pl.concat([listings, all_listings]))
        .group_by(_RATE_KEY)
        .agg(
            pl.len().alias("n_listings"),
            pl.col("fixture_sr_id").is_not_null().sum().alias("n_listings_with_sr"),
            pl.col("is_matched").sum().alias("n_matched_listings"),
            pl.col("expected").sum().alias("linked_expected"),
            (pl.col("expected") & pl.col("linked")).sum().alias("linked_to_home"),
        )
    )


def _find_weakest_evidence(universe: CoverageUniverse) -> pl.DataFrame:
    """Return for each platform the weaker one of its evidence and home's.

    The row for all platforms has the weakest evidence of all.
    """
    platform_ranks = universe.looked_tournaments.filter(pl.col("tournament_external_id") == "*").select(
        "platform", rank=rank_evidence(pl.col("evidence"))
    )
    ranks = dict(platform_ranks.iter_rows())
    rank_by_platform: dict[str, int] = {
        p: max(ranks.get(p, PARTIAL_RANK), ranks.get(universe.home, PARTIAL_RANK)) for p in universe.platforms
    }
    rank_by_platform[ALL_PLATFORMS] = max(rank_by_platform.values())
    frame = pl.DataFrame(
        {"platform": list(rank_by_platform), "rank": list(rank_by_platform.values())},
        schema={"platform": pl.String, "rank": pl.Int8},
    )
    return frame.select("platform", evidence=name_evidence(pl.col("rank")))


def _build_completeness(
    universe: CoverageUniverse, completeness_by_platform: Mapping[Platform, Completeness]
) -> pl.DataFrame:
    completeness: dict[str, str] = {
        p: completeness_by_platform.get(p, Completeness.FAILED).value for p in universe.platforms
    }
    values = set(completeness.values())
    completeness[ALL_PLATFORMS] = values.pop() if len(values) == 1 else Completeness.PARTIAL.value
    return pl.DataFrame(
        {"platform": list(completeness), "completeness": list(completeness.values())},
        schema={"platform": pl.String, "completeness": pl.String},
    )
