"""The fixtures: one row per real match, built from its listings each time.

Names, country and kickoff are those of the most trusted platform. Contradictions between platforms are flagged
(`suspect_fixtures`), never corrected. Coverage is counted in `metrics`.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .identify_listings import make_id_sort_keys
from .suspect_fixtures import find_suspects, fold_team_names

FIXTURES_SCHEMA: Final = get_frame_schema("core.fixtures")


def build_fixtures(identified: pl.DataFrame, links: pl.DataFrame, trust: Sequence[Platform | str]) -> pl.DataFrame:
    """Return the fixtures of `identified` listings, sorted by SportRadar id.

    The columns are `FIXTURES_SCHEMA`, those of core.fixtures. `links` is a result of `build_crosswalk`. Teams
    and kickoff come only from primary listings; other listings of a platform only change the number of its listings. A
    listing without a kickoff is counted, and its teams are not used. `n_listings_by_platform` is JSON text. Raises
    ValueError when a listing's platform is not in `trust`.
    """
    ranks = pl.DataFrame(
        {"platform": [str(p) for p in trust], "trust_rank": range(len(trust))},
        schema={"platform": pl.String, "trust_rank": pl.Int32},
    )
    listed = identified.filter(pl.col("fixture_sr_id").is_not_null()).join(ranks, on="platform", how="left")
    unknown_platforms = listed.filter(pl.col("trust_rank").is_null())["platform"].unique().sort().to_list()
    if unknown_platforms:
        raise ValueError(f"listings of platforms without a place in the order of trust: {', '.join(unknown_platforms)}")
    claims = fold_team_names(listed.filter("is_primary").sort("fixture_sr_id", "trust_rank"))
    dated_claims = claims.filter(pl.col("kickoff_at").is_not_null())
    chosen_claims = dated_claims.unique(subset="fixture_sr_id", keep="first", maintain_order=True)
    fixtures = (
        chosen_claims.drop("tournament_external_id", "tournament_name", "country_raw")
        .join(_choose_tournament(listed, links), on="fixture_sr_id", how="left")
        .join(_count_listings(listed), on="fixture_sr_id", how="left")
        .join(find_suspects(claims, chosen_claims), on="fixture_sr_id", how="left")
        .with_columns(
            sr_id="fixture_sr_id",
            country="country_raw",
            metadata_source="platform",
            effective_kickoff="kickoff_at",
        )
    )
    return fixtures.sort("sr_id").select(pl.col(name).cast(dtype) for name, dtype in FIXTURES_SCHEMA.items())


def _choose_tournament(listed: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Return the tournament of each fixture: that of the most trusted platform.

    If that platform has several listings of the fixture, the tournament with the highest confidence is used, then the
    one with the smallest id, because later listings have larger ids. The number of priced markets has no influence,
    because a fixture would change its tournament with it.
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
