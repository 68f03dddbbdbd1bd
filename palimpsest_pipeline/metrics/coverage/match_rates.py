"""Match rates per platform and overall, each with its denominator in its name. Fixtures are counted as in `fixture_coverage`; here listings come in
too."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Completeness, Platform
from palimpsest_pipeline.domain.schemas import INSTANT

from .fixture_coverage import COUNTS, constants, in_universes, pair_counts, ratio
from .universe import ANY, PARTIAL_RANK, Universe, evidence_rank, evidence_word

ALL: Final = "all"
"""The union of all platforms."""
MATCH_RATE_PLATFORM: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "include_started": pl.Boolean(),
    "as_of": INSTANT,
    "home_platform": pl.String(),
    "n_listings": pl.Int32(),
    "n_listings_with_sr": pl.Int32(),
    "n_fixtures": pl.Int32(),
    "n_matched_fixtures": pl.Int32(),
    "n_matched_listings": pl.Int32(),
    "listing_match_rate": pl.Float64(),
    "fixture_match_rate": pl.Float64(),
    "home_covered_rate": pl.Float64(),
    "overall_match_rate": pl.Float64(),
    "link_accuracy": pl.Float64(),
    "n_home": pl.Int32(),
    "n_home_only": pl.Int32(),
    "n_competitor_only": pl.Int32(),
    "n_undetermined": pl.Int32(),
    "n_union": pl.Int32(),
    "dup_ratio": pl.Float64(),
    "completeness": pl.String(),
    "evidence": pl.String(),
    "delta_vs_prev": pl.Float64(),
}
PREVIOUS: Final[dict[str, pl.DataType]] = {"platform": pl.String(), "include_started": pl.Boolean(), "n_fixtures": pl.Int32()}
_KEY: Final = ["platform", "include_started"]


def match_rate_platform(
    universe: Universe, *, completeness: Mapping[Platform, Completeness] | None = None, previous: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Rows for every platform and `all`, for both universes (columns `MATCH_RATE_PLATFORM`), platforms by name.

    `completeness`: how this cycle's own discovery of each platform went; one that is not named was not discovered, which is failed.
    `previous`: the frame of the cycle before, at least columns `PREVIOUS`; None or empty for the first.
    """
    names = [*universe.platforms, ALL]
    grid = pl.DataFrame({"platform": names}, schema={"platform": pl.String}).join(pl.DataFrame({"include_started": [False, True]}), how="cross")
    before = pl.DataFrame(schema=PREVIOUS) if previous is None else previous
    rows = (
        grid.join(_fixture_counts(universe), on=_KEY, how="left")
        .join(_listing_counts(universe), on=_KEY, how="left")
        .with_columns(pl.selectors.starts_with("n_", "linked_").fill_null(0))
        .join(_evidence(universe), on="platform", how="left")
        .join(_completeness(universe, completeness or {}), on="platform", how="left")
        .join(before.select(*_KEY, n_before="n_fixtures"), on=_KEY, how="left")
    )
    rows = rows.with_columns(
        *constants(universe),
        listing_match_rate=ratio("n_matched_listings", "n_listings"),
        fixture_match_rate=ratio("n_matched_fixtures", "n_fixtures"),
        home_covered_rate=ratio("n_matched_fixtures", "n_home"),
        overall_match_rate=pl.when(pl.col("platform") == ALL).then(ratio("n_matched_fixtures", "n_union")),
        link_accuracy=ratio("linked_to_home", "linked_expected"),
        dup_ratio=ratio("n_listings_with_sr", "n_fixtures"),
        delta_vs_prev=pl.when(pl.col("n_before") > 0).then((pl.col("n_fixtures").cast(pl.Int64) - pl.col("n_before")) / pl.col("n_before")),
    )
    return rows.sort(_KEY).select(pl.col(name).cast(dtype) for name, dtype in MATCH_RATE_PLATFORM.items())


def _fixture_counts(universe: Universe) -> pl.DataFrame:
    """Home against each competitor; the union against `any`; and home's own row, which is the part of the union that home lists."""
    home = universe.home.value
    together = universe.pairs.filter(pl.col("platform") == ANY)
    own = together.filter("on_home").with_columns(platform=pl.lit(home), on_platform=pl.lit(value=True))
    union = together.with_columns(platform=pl.lit(ALL), on_platform=pl.lit(value=True))
    pairs = pl.concat([universe.pairs.filter(pl.col("platform") != ANY), own, union])
    counted = in_universes(pairs).group_by(_KEY).agg(*pair_counts(), pl.col("outcome").is_not_null().sum().alias("n_union"))
    return counted.select(
        *_KEY,
        *(name for name in COUNTS if name in MATCH_RATE_PLATFORM),
        n_fixtures="n_platform",
        n_matched_fixtures="n_matched",
        n_competitor_only="n_platform_only",
        n_union="n_union",
    )


def _listing_counts(universe: Universe) -> pl.DataFrame:
    """Listings, also those that belong to no fixture. Whether one should be linked to home is asked of the id it states itself."""
    pairs = universe.pairs
    matched = pairs.filter(pl.col("platform") == ANY, pl.col("outcome") == "matched").select(fixture_sr_id="sr_id", in_union=pl.lit(value=True))
    with_home = pairs.filter(pl.col("outcome") == "matched", pl.col("platform") != ANY).select(
        "platform", fixture_sr_id="sr_id", with_home=pl.lit(value=True)
    )
    at_home = universe.listings.filter(pl.col("platform") == universe.home)
    home_fixtures = at_home["fixture_sr_id"].drop_nulls().unique().implode()
    stated_at_home = at_home["sr_id"].drop_nulls().unique().implode()
    listings = (
        universe.listings.join(matched, on="fixture_sr_id", how="left")
        .join(with_home, on=["platform", "fixture_sr_id"], how="left")
        .with_columns(
            is_matched=pl.when(pl.col("platform") == universe.home).then(pl.col("in_union")).otherwise(pl.col("with_home")).fill_null(value=False),
            expected=pl.col("sr_id").is_in(stated_at_home).fill_null(value=False),
            linked=pl.col("fixture_sr_id").is_in(home_fixtures).fill_null(value=False),
        )
    )
    union = listings.with_columns(platform=pl.lit(ALL), is_matched=pl.col("in_union").fill_null(value=False))
    return (
        in_universes(pl.concat([listings, union]))
        .group_by(_KEY)
        .agg(
            pl.len().alias("n_listings"),
            pl.col("fixture_sr_id").is_not_null().sum().alias("n_listings_with_sr"),
            pl.col("is_matched").sum().alias("n_matched_listings"),
            pl.col("expected").sum().alias("linked_expected"),
            (pl.col("expected") & pl.col("linked")).sum().alias("linked_to_home"),
        )
    )


def _evidence(universe: Universe) -> pl.DataFrame:
    """A platform's row compares it with home and rests on the weaker of the two; the union on the weakest of all."""
    whole = universe.looked.filter(pl.col("tournament_external_id") == "*").select("platform", rank=evidence_rank(pl.col("evidence")))
    ranks = dict(whole.iter_rows())
    parts = {p.value: max(ranks.get(p.value, PARTIAL_RANK), ranks.get(universe.home.value, PARTIAL_RANK)) for p in universe.platforms}
    parts[ALL] = max(parts.values())
    frame = pl.DataFrame({"platform": list(parts), "rank": list(parts.values())}, schema={"platform": pl.String, "rank": pl.Int8})
    return frame.select("platform", evidence=evidence_word(pl.col("rank")))


def _completeness(universe: Universe, given: Mapping[Platform, Completeness]) -> pl.DataFrame:
    parts = {p.value: given.get(p, Completeness.FAILED).value for p in universe.platforms}
    kinds = set(parts.values())
    parts[ALL] = kinds.pop() if len(kinds) == 1 else Completeness.PARTIAL.value
    return pl.DataFrame({"platform": list(parts), "completeness": list(parts.values())}, schema={"platform": pl.String, "completeness": pl.String})
