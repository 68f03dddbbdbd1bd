"""What prices and leads are measured against: the kickoff in force, in the place of all that were claimed before,
and which looks count.
"""

from datetime import datetime

import polars as pl

from palimpsest_pipeline.domain.enums import LookResult
from palimpsest_pipeline.domain.schemas import INSTANT


def add_kickoff(listings: pl.DataFrame, kickoffs: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """`listings` (life.LISTINGS), each once, with `kickoff_at`, `kickoff_version` and `kickoff_since` (when that
    version was first seen) of the last version in `kickoffs` (life.KICKOFFS), and whether it is `to_come` after
    `as_of`. Sorted by sr_id and platform.

    Raises ValueError on a naive `as_of`, when a fixture has no kickoff, when two listings speak for one platform on one
    fixture, and when one listing speaks twice.
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
    for key, what in (
        (("sr_id", "platform"), "listings that speak for one platform on one fixture"),
        (("listing_id",), "rows of one listing"),
    ):
        twice = rows.filter(rows.select(key).is_duplicated())
        if twice.height:
            raise ValueError(
                f"{twice.height} {what}, first {twice.select('sr_id', 'platform', 'listing_id').row(0, named=True)}: give one"
            )
    if rows["kickoff_at"].has_nulls():
        fixtures = rows.filter(pl.col("kickoff_at").is_null())["sr_id"].unique().sort()
        raise ValueError(
            f"{len(fixtures)} fixtures have no kickoff, first sr_id {fixtures[0]}: give at least one version of each"
        )
    return rows


def select_looks_before_kickoff(looks: pl.DataFrame, anchored_listings: pl.DataFrame) -> pl.DataFrame:
    """Rows of `looks` (life.LOOKS) at the listings of `anchored` (`add_kickoff`) strictly before kickoff, by listing
    and instant: one an instant, and of a cycle that got an answer only its answers."""
    before = (
        looks.join(anchored_listings.select("listing_id", "kickoff_at"), on="listing_id")
        .filter(pl.col("at") < pl.col("kickoff_at"))
        .drop("kickoff_at")
    )
    is_answer = pl.col("look") == LookResult.ANSWERED.value
    others = before.filter(~is_answer).join(before.filter(is_answer), on=["listing_id", "cycle_id"], how="anti")
    order = pl.col("look").cast(pl.Enum(LookResult))
    return (
        pl.concat([before.filter(is_answer), others])
        .sort("listing_id", "at", order, "cycle_id", "n_markets_priced", "detail")
        .unique(["listing_id", "at"], keep="first", maintain_order=True)
    )
