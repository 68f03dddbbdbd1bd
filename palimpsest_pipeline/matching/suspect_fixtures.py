"""Fixtures that are suspect: their listings may belong to different matches.

Suspect fixtures are flagged, never corrected.
"""

from typing import Final

import polars as pl
from rapidfuzz import fuzz

from palimpsest_pipeline.domain.enums import SuspectCode

from .name_folding import fold_name

KICKOFF_TOLERANCE_S: Final = 3 * 3600
"""Maximum difference in seconds between platforms' kickoffs of one match."""
MIN_ROTATION_POINTS: Final = 40.0
"""Minimum lead in similarity of swapped team names over names in the given order.

The unit is points: 100 for each of two equal names, 200 for both.
"""


def find_suspects(claims: pl.DataFrame, chosen_claims: pl.DataFrame) -> pl.DataFrame:
    """Return for each fixture kickoff_max_delta_s, rotated and suspect_code (null: not suspect).

    `claims` are the primary listings with folded names (`fold_team_names`); `chosen_claims` has for each fixture the
    claim that supplies its names. `rotated` is true when a platform lists home and away team the other way round.
    """
    code = (
        pl.when(pl.col("kickoff_max_delta_s") > KICKOFF_TOLERANCE_S)
        .then(pl.lit(SuspectCode.KICKOFF_MISMATCH.value))
        .when("rotated")
        .then(pl.lit(SuspectCode.HOME_AWAY_SWAPPED.value))
        .when(pl.col("doubled").is_not_null())
        .then(pl.lit(SuspectCode.DUPLICATE_SR_ID.value))
    )
    return (
        _measure_kickoff_spread(claims)
        .join(_find_rotated(claims, chosen_claims), on="fixture_sr_id", how="left")
        .join(_find_duplicates(claims), on="fixture_sr_id", how="left")
        .with_columns(pl.col("rotated").fill_null(value=False))
        .select("fixture_sr_id", "kickoff_max_delta_s", "rotated", suspect_code=code)
    )


def fold_team_names(claims: pl.DataFrame) -> pl.DataFrame:
    """Return `claims` with home_folded and away_folded: the team names in folded form (`name_folding`)."""
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


def _measure_kickoff_spread(claims: pl.DataFrame) -> pl.DataFrame:
    kickoff = pl.col("kickoff_at")
    return claims.group_by("fixture_sr_id").agg(
        (kickoff.max() - kickoff.min()).dt.total_seconds().alias("kickoff_max_delta_s")
    )


def _find_rotated(claims: pl.DataFrame, chosen_claims: pl.DataFrame) -> pl.DataFrame:
    """Return the fixtures for which some platform's teams match the chosen claim better when swapped."""
    pairs = claims.join(
        chosen_claims.select("fixture_sr_id", "platform", h="home_folded", a="away_folded"),
        on="fixture_sr_id",
        how="left",
        suffix="_chosen",
    )
    # Most pairs have equal folded names on one side; they need no comparison.
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
    """Return the fixtures that one platform lists twice, under different SportRadar ids.

    Two such fixtures have equal team names and kickoffs.
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
