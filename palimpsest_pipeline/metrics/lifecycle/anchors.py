"""The kickoff to which prices and lead times refer, and the looks before this kickoff."""

from datetime import datetime

import polars as pl

from palimpsest_pipeline.domain.enums import LookResult
from palimpsest_pipeline.domain.schemas import INSTANT


def add_kickoff(listings: pl.DataFrame, kickoffs: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return the distinct `listings` with the newest known kickoff, sorted by sr_id and platform.

    `listings` and `kickoffs` are as in `lifecycle_frames`; the last version of a fixture's kickoff is used.
    Added columns: `kickoff_at`, `kickoff_version`, `kickoff_since` (the instant at which the version was first seen)
    and `to_come` (the kickoff is after `as_of`).

    Raises ValueError when `as_of` has no time zone, when a fixture has no kickoff, when a fixture has two listings of
    one platform, and when one listing has two rows.
    """
    if as_of.tzinfo is None:
        raise ValueError(f"naive datetime {as_of!r}: instants carry a time zone here")
    in_force = (
        kickoffs.sort("version", "observed_from")
        .unique("sr_id", keep="last", maintain_order=True)
        .select("sr_id", "kickoff_at", kickoff_version="version", kickoff_since="observed_from")
    )
    rows = (
        listings.unique()
        .join(in_force, on="sr_id", how="left")
        .with_columns(to_come=pl.col("kickoff_at") > pl.lit(as_of, INSTANT))
        .sort("sr_id", "platform", "listing_id")
    )
    for key, problem in (
        (("sr_id", "platform"), "primary listings of one platform on one fixture"),
        (("listing_id",), "rows of one listing"),
    ):
        duplicates = rows.filter(rows.select(key).is_duplicated())
        if duplicates.height:
            raise ValueError(
                f"{duplicates.height} {problem}, "
                f"first {duplicates.select('sr_id', 'platform', 'listing_id').row(0, named=True)}: give one"
            )
    if rows["kickoff_at"].has_nulls():
        fixtures = rows.filter(pl.col("kickoff_at").is_null())["sr_id"].unique().sort()
        raise ValueError(
            f"{len(fixtures)} fixtures have no kickoff, first sr_id {fixtures[0]}: give at least one version of each"
        )
    return rows


def select_looks_before_kickoff(looks: pl.DataFrame, anchored_listings: pl.DataFrame) -> pl.DataFrame:
    """Return the looks at `anchored_listings` strictly before kickoff, sorted by listing and instant.

    `anchored_listings` is the result of `add_kickoff`. There is one look per listing and instant. If a cycle got an
    answer for the listing, its other looks at the listing are left out.
    """
    before = (
        looks.join(anchored_listings.select("listing_id", "kickoff_at"), on="listing_id")
        .filter(pl.col("at") < pl.col("kickoff_at"))
        .drop("kickoff_at")
    )
    is_answer = pl.col("look") == LookResult.ANSWERED.value
    other_looks = before.filter(~is_answer).join(before.filter(is_answer), on=["listing_id", "cycle_id"], how="anti")
    order = pl.col("look").cast(pl.Enum(LookResult))
    return (
        pl.concat([before.filter(is_answer), other_looks])
        .sort("listing_id", "at", order, "cycle_id", "n_markets_priced", "detail")
        .unique(["listing_id", "at"], keep="first", maintain_order=True)
    )
