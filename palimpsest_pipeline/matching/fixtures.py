"""The fixtures: one row per real match, built from its listings each time.

Names, country and kickoff are those of the most trusted platform. Inconsistencies are flagged, never corrected.
Coverage is counted in `metrics`.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
from rapidfuzz import fuzz

from palimpsest_pipeline.domain.enums import Platform, SuspectCode
from palimpsest_pipeline.domain.schemas import INSTANT

from .identify_listings import make_id_sort_keys
from .name_folding import fold_name

FIXTURES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "sport": pl.String(),
    "tournament_key": pl.String(),
    "country": pl.String(),
    "tournament_name": pl.String(),
    "home_team": pl.String(),
    "away_team": pl.String(),
    "metadata_source": pl.String(),
    "effective_kickoff": INSTANT,
    "kickoff_max_delta_s": pl.Int64(),
    "platforms": pl.List(pl.String()),
    "n_platforms": pl.Int16(),
    "n_listings_by_platform": pl.String(),
    "rotated": pl.Boolean(),
    "suspect_code": pl.String(),
}
KICKOFF_TOLERANCE_S: Final = 3 * 3600
"""Platforms whose kickoffs differ by more than this probably list different matches."""
MIN_ROTATION_POINTS: Final = 40.0
"""Minimum lead of the swapped reading of two pairs of names over the direct one.

The unit is points, 200 for two teams.
"""


def build_fixtures(identified: pl.DataFrame, links: pl.DataFrame, trust: Sequence[Platform | str]) -> pl.DataFrame:
    """Return the fixtures of `identified` listings, sorted by SportRadar id.

    Columns are `FIXTURES_SCHEMA`, those of core.fixtures. Only primary listings supply teams and kickoff, so further
    listings of a platform change only their own count. Listings without a kickoff are counted and never chosen.
    `n_listings_by_platform` is JSON text. Raises ValueError when a listing's platform is not in `trust`.
    """
    ranks = pl.DataFrame(
        {"platform": [str(p) for p in trust], "trust_rank": range(len(trust))},
        schema={"platform": pl.String, "trust_rank": pl.Int32},
    )
    listed = identified.filter(pl.col("fixture_sr_id").is_not_null()).join(ranks, on="platform", how="left")
    unknown_platforms = listed.filter(pl.col("trust_rank").is_null())["platform"].unique().sort().to_list()
    if unknown_platforms:
        raise ValueError(f"listings of platforms without a place in the order of trust: {', '.join(unknown_platforms)}")
    claims = _fold_names(listed.filter("is_primary").sort("fixture_sr_id", "trust_rank"))
    dated_claims = claims.filter(pl.col("kickoff_at").is_not_null())
    chosen_claims = dated_claims.unique(subset="fixture_sr_id", keep="first", maintain_order=True)
    fixtures = (
        chosen_claims.drop("tournament_external_id", "tournament_name", "country_raw")
        .join(_choose_tournament(listed, links), on="fixture_sr_id", how="left")
        .join(_measure_kickoff_spread(claims), on="fixture_sr_id", how="left")
        .join(_count_listings(listed), on="fixture_sr_id", how="left")
        .join(_find_rotated(claims, chosen_claims), on="fixture_sr_id", how="left")
        .join(_find_duplicates(claims), on="fixture_sr_id", how="left")
        .with_columns(
            pl.col("rotated").fill_null(value=False),
            sr_id="fixture_sr_id",
            country="country_raw",
            metadata_source="platform",
            effective_kickoff="kickoff_at",
        )
        .with_columns(
            suspect_code=pl.when(pl.col("kickoff_max_delta_s") > KICKOFF_TOLERANCE_S)
            .then(pl.lit(SuspectCode.KICKOFF_MISMATCH.value))
            .when("rotated")
            .then(pl.lit(SuspectCode.HOME_AWAY_SWAPPED.value))
            .when(pl.col("doubled").is_not_null())
            .then(pl.lit(SuspectCode.DUPLICATE_SR_ID.value))
        )
    )
    return fixtures.sort("sr_id").select(pl.col(name).cast(dtype) for name, dtype in FIXTURES_SCHEMA.items())


def _fold_names(claims: pl.DataFrame) -> pl.DataFrame:
    names = pl.concat([claims["home_team"], claims["away_team"]]).unique().to_list()
    spelling = pl.DataFrame(
        {"name": names, "folded": [fold_name(n) for n in names]}, schema={"name": pl.String, "folded": pl.String}
    )
    return claims.join(
        spelling.rename({"name": "home_team", "folded": "home_folded"}),
        on="home_team",
        how="left",
        maintain_order="left",
    ).join(
        spelling.rename({"name": "away_team", "folded": "away_folded"}),
        on="away_team",
        how="left",
        maintain_order="left",
    )


def _choose_tournament(listed: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Return the tournament of each fixture: that of the most trusted platform.

    If that platform has several listings of the fixture, the one with the highest confidence counts, then the one with
    the smallest id, because later listings have larger ids. The number of priced markets does not count, because it
    would let a fixture change its tournament.
    """
    keys = links.select("platform", "tournament_key", "confidence", tournament_external_id="external_id")
    own_key = pl.col("platform") + ":" + pl.col("tournament_external_id")
    return (
        listed.join(keys, on=["platform", "tournament_external_id"], how="left")
        .with_columns(pl.coalesce("tournament_key", own_key), pl.col("confidence").fill_null(1.0))
        .sort("fixture_sr_id", "trust_rank", -pl.col("confidence"), *make_id_sort_keys("external_id"))
        .unique(subset="fixture_sr_id", keep="first", maintain_order=True)
        .select("fixture_sr_id", "tournament_external_id", "tournament_name", "country_raw", "tournament_key")
    )


def _measure_kickoff_spread(claims: pl.DataFrame) -> pl.DataFrame:
    kickoff = pl.col("kickoff_at")
    return claims.group_by("fixture_sr_id").agg(
        (kickoff.max() - kickoff.min()).dt.total_seconds().alias("kickoff_max_delta_s")
    )


def _count_listings(listed: pl.DataFrame) -> pl.DataFrame:
    entry = pl.lit('"') + pl.col("platform") + pl.lit('":') + pl.col("n").cast(pl.String)
    return (
        listed.group_by("fixture_sr_id", "trust_rank", "platform")
        .agg(pl.len().alias("n"))
        .sort("fixture_sr_id", "trust_rank")
        .group_by("fixture_sr_id", maintain_order=True)
        .agg("platform", entry.alias("entries"))
        .select(
            "fixture_sr_id",
            platforms="platform",
            n_platforms=pl.col("platform").list.len(),
            n_listings_by_platform=pl.lit("{") + pl.col("entries").list.join(",") + pl.lit("}"),
        )
    )


def _find_rotated(claims: pl.DataFrame, chosen_claims: pl.DataFrame) -> pl.DataFrame:
    """Return the fixtures on which some platform's teams match the chosen claim better when swapped."""
    pairs = claims.join(
        chosen_claims.select("fixture_sr_id", "platform", h="home_folded", a="away_folded"),
        on="fixture_sr_id",
        how="left",
        suffix="_chosen",
    )
    # Most pairs have the same spelling on one side, which makes a comparison unnecessary.
    doubtful = pairs.filter(
        pl.col("platform") != pl.col("platform_chosen"),
        pl.col("home_folded") != pl.col("h"),
        pl.col("away_folded") != pl.col("a"),
    )
    crossed = [
        fuzz.token_set_ratio(home, a)
        + fuzz.token_set_ratio(away, h)
        - fuzz.token_set_ratio(home, h)
        - fuzz.token_set_ratio(away, a)
        for home, away, h, a in doubtful.select("home_folded", "away_folded", "h", "a").iter_rows()
    ]
    return (
        doubtful.with_columns(pl.Series("crossed", crossed, dtype=pl.Float64))
        .group_by("fixture_sr_id")
        .agg((pl.col("crossed") >= MIN_ROTATION_POINTS).any().alias("rotated"))
    )


def _find_duplicates(claims: pl.DataFrame) -> pl.DataFrame:
    """Return the fixtures that one platform lists twice under different SportRadar ids.

    Such fixtures agree in teams and kickoff.
    """
    pair = ["platform", "sport", "kickoff_at", "one", "other"]
    return (
        claims.filter(pl.col("home_folded") != "", pl.col("away_folded") != "", pl.col("kickoff_at").is_not_null())
        .with_columns(
            one=pl.min_horizontal("home_folded", "away_folded"), other=pl.max_horizontal("home_folded", "away_folded")
        )
        .filter(pl.col("fixture_sr_id").n_unique().over(pair) > 1)
        .select("fixture_sr_id", doubled=pl.lit(True))
        .unique()
    )
