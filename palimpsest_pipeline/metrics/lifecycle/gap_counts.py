"""How many markets home and a competitor offered so many hours before kickoff, and how many only one of them did. Frames in, frames out.

Belongs here: counting intervals of availability at given times before kickoff. Does not: the intervals (`availability`), gaps as they stand
(`market_gaps`).
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import WHOLE_LISTING, AvailabilityState
from palimpsest_pipeline.domain.schemas import INSTANT

from ..lifecycle_frames import Types
from .anchors import with_kickoff

GAP_COUNT: Final[Types] = {
    "sr_id": pl.Int64,
    "platform": pl.String,
    "hours_before": pl.Int16,
    "tournament_key": pl.String,
    "n_both": pl.Int32,
    "n_home_missing": pl.Int32,
    "n_platform_missing": pl.Int32,
    "n_home_suspended": pl.Int32,
    "n_platform_suspended": pl.Int32,
    "n_unknown": pl.Int32,
}
KEY: Final = ("sr_id", "platform", "hours_before")
HOURS_BEFORE: Final = (72, 24, 1, 0)

OFFERED: Final = "offered"
LISTED: Final = "listed"
LACKING: Final = "lacking"
UNKNOWN: Final = "unknown"
STANDING: Final = {
    AvailabilityState.OFFERED.value: OFFERED,
    AvailabilityState.SUSPENDED.value: LISTED,
    AvailabilityState.NO_PRICE.value: LISTED,
    AvailabilityState.WITHDRAWN.value: LACKING,
    AvailabilityState.EVENT_DROPPED.value: LACKING,
    AvailabilityState.NOT_OBSERVED.value: UNKNOWN,
}
"""What a state comes to. Up to the kickoff nothing is closed by it."""

_MARKET: Final = ("sr_id", "market_key", "specifier")


def gap_counts(
    intervals: pl.DataFrame, listings: pl.DataFrame, kickoffs: pl.DataFrame, tournaments: pl.DataFrame, *, as_of: datetime
) -> pl.DataFrame:
    """One row per fixture, competitor and time before kickoff (`HOURS_BEFORE`) at which both had listed it: columns `GAP_COUNT`, sorted by `KEY`.

    `intervals` as `availability.AVAILABILITY`, all of a fixture; the other frames as in `lifecycle_frames`. What counts is the state up to the
    instant: what
    changes at it, as everything does at the kickoff, comes after it. Instants after `as_of` have no row. A market that a listing never had is
    lacking, or unknown while the listing is not observed.

    Raises ValueError like `with_kickoff`, and when a fixture has no tournament.
    """
    anchored = with_kickoff(listings, kickoffs, as_of).join(tournaments.unique(), on="sr_id", how="left")
    if anchored["tournament_key"].has_nulls():
        nowhere = anchored.filter(pl.col("tournament_key").is_null())["sr_id"].unique().sort()
        raise ValueError(f"{len(nowhere)} fixtures have no tournament, first sr_id {nowhere[0]}: give that of every fixture")
    known = intervals.join(anchored.select("sr_id", "platform", "is_home", "kickoff_at"), on=["sr_id", "platform"])
    found = [_counted(_standing(known, hours, as_of)).with_columns(hours_before=pl.lit(hours)) for hours in HOURS_BEFORE]
    return pl.concat(found).join(tournaments.unique(), on="sr_id").select(pl.col(name).cast(dtype) for name, dtype in GAP_COUNT.items()).sort(KEY)


def _standing(known: pl.DataFrame, hours: int, as_of: datetime) -> pl.DataFrame:
    """The intervals that held up to so many hours before kickoff, with what their state comes to (`stands`); where that instant has come."""
    then = pl.col("kickoff_at") - timedelta(hours=hours)
    holds = (pl.col("valid_from") < then) & (pl.col("valid_to").is_null() | (pl.col("valid_to") >= then))
    return (
        known.filter(then <= pl.lit(as_of, INSTANT), holds)
        .select(*_MARKET, "platform", "is_home", stands=pl.col("state").replace_strict(STANDING, return_dtype=pl.String))
        .unique()
    )


def _counted(standing: pl.DataFrame) -> pl.DataFrame:
    """The columns of `GAP_COUNT` but for hours and tournament."""
    whole = standing.filter(pl.col("market_key") == WHOLE_LISTING).select("sr_id", "platform", "is_home")
    unseen = standing.group_by("sr_id", "platform").agg(default=pl.when((pl.col("stands") == UNKNOWN).any()).then(pl.lit(UNKNOWN)))
    books = whole.join(unseen, on=["sr_id", "platform"]).with_columns(pl.col("default").fill_null(LACKING))
    pairs = books.filter(~pl.col("is_home")).join(books.filter("is_home").select("sr_id", default_home="default"), on="sr_id")
    markets = standing.filter(pl.col("market_key") != WHOLE_LISTING)
    at_home = markets.filter("is_home").select(*_MARKET, home="stands").join(pairs.select("sr_id", "platform"), on="sr_id")
    theirs = markets.filter(~pl.col("is_home")).select(*_MARKET, "platform", theirs="stands")
    both = (
        at_home.join(theirs, on=[*_MARKET, "platform"], how="full", coalesce=True)
        .join(pairs.select("sr_id", "platform", "default", "default_home"), on=["sr_id", "platform"])
        .with_columns(home=pl.coalesce("home", "default_home"), theirs=pl.coalesce("theirs", "default"))
    )
    home, them = pl.col("home"), pl.col("theirs")
    counts = both.group_by("sr_id", "platform").agg(
        n_both=((home == OFFERED) & (them == OFFERED)).sum(),
        n_home_missing=((home == LACKING) & (them == OFFERED)).sum(),
        n_platform_missing=((home == OFFERED) & (them == LACKING)).sum(),
        n_home_suspended=((home == LISTED) & (them == OFFERED)).sum(),
        n_platform_suspended=((home == OFFERED) & (them == LISTED)).sum(),
        n_unknown=(((home == OFFERED) & (them == UNKNOWN)) | ((home == UNKNOWN) & (them == OFFERED))).sum(),
    )
    n = [name for name in GAP_COUNT if name.startswith("n_")]
    return pairs.select("sr_id", "platform").join(counts, on=["sr_id", "platform"], how="left").with_columns(pl.col(n).fill_null(0))
