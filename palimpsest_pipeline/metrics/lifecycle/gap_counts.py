"""How many markets home and a competitor offered so many hours before kickoff, and how many only one of them did.
Frames in, frames out.

Belongs here: counting intervals of availability at given times before kickoff. Does not: the intervals
(`availability`), gaps as they stand (`market_gaps`).
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, AvailabilityState
from palimpsest_pipeline.domain.schemas import INSTANT

from ..lifecycle_frames import FrameSchema
from .anchors import add_kickoff

GAP_COUNT_SCHEMA: Final[FrameSchema] = {
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
GAP_COUNT_KEY: Final = ("sr_id", "platform", "hours_before")
HOURS_BEFORE: Final = (72, 24, 1, 0)

OFFERED: Final = "offered"
LISTED: Final = "listed"
LACKING: Final = "lacking"
UNKNOWN: Final = "unknown"
CLASS_BY_STATE: Final = {
    AvailabilityState.OFFERED.value: OFFERED,
    AvailabilityState.SUSPENDED.value: LISTED,
    AvailabilityState.NO_PRICE.value: LISTED,
    AvailabilityState.WITHDRAWN.value: LACKING,
    AvailabilityState.EVENT_DROPPED.value: LACKING,
    AvailabilityState.NOT_OBSERVED.value: UNKNOWN,
}
"""What a state comes to. Up to the kickoff nothing is closed by it."""

_MARKET_COLUMNS: Final = ("sr_id", "market_key", "specifier")


def count_gaps(
    intervals: pl.DataFrame,
    listings: pl.DataFrame,
    kickoffs: pl.DataFrame,
    tournaments: pl.DataFrame,
    *,
    as_of: datetime,
) -> pl.DataFrame:
    """One row per fixture, competitor and time before kickoff (`HOURS_BEFORE`) at which both had listed it: columns
    `GAP_COUNT_SCHEMA`, sorted by `GAP_COUNT_KEY`.

    `intervals` as `availability.AVAILABILITY_SCHEMA`, all of a fixture; the other frames as in `lifecycle_frames`. What
    counts is the state up to the
    instant: what changes at it, as everything does at the kickoff, comes after it. Instants after `as_of` have no row.
    A market that a listing never had is lacking, or unknown while the listing is not observed.

    Raises ValueError like `add_kickoff`, and when a fixture has no tournament.
    """
    anchored = add_kickoff(listings, kickoffs, as_of).join(tournaments.unique(), on="sr_id", how="left")
    if anchored["tournament_key"].has_nulls():
        nowhere = anchored.filter(pl.col("tournament_key").is_null())["sr_id"].unique().sort()
        raise ValueError(
            f"{len(nowhere)} fixtures have no tournament, first sr_id {nowhere[0]}: give that of every fixture"
        )
    known = intervals.join(anchored.select("sr_id", "platform", "is_home", "kickoff_at"), on=["sr_id", "platform"])
    found = [
        _count_markets(_select_intervals_at(known, hours, as_of)).with_columns(hours_before=pl.lit(hours))
        for hours in HOURS_BEFORE
    ]
    return (
        pl.concat(found)
        .join(tournaments.unique(), on="sr_id")
        .select(pl.col(name).cast(dtype) for name, dtype in GAP_COUNT_SCHEMA.items())
        .sort(GAP_COUNT_KEY)
    )


def _select_intervals_at(intervals: pl.DataFrame, hours_before: int, as_of: datetime) -> pl.DataFrame:
    """The intervals that held up to so many hours before kickoff, with what their state comes to (`stands`); where
    that instant has come.
    """
    then = pl.col("kickoff_at") - timedelta(hours=hours_before)
    holds = (pl.col("valid_from") < then) & (pl.col("valid_to").is_null() | (pl.col("valid_to") >= then))
    return (
        intervals.filter(then <= pl.lit(as_of, INSTANT), holds)
        .select(
            *_MARKET_COLUMNS,
            "platform",
            "is_home",
            stands=pl.col("state").replace_strict(CLASS_BY_STATE, return_dtype=pl.String),
        )
        .unique()
    )


def _count_markets(intervals: pl.DataFrame) -> pl.DataFrame:
    """The columns of `GAP_COUNT_SCHEMA` but for hours and tournament."""
    whole = intervals.filter(pl.col("market_key") == WHOLE_LISTING_KEY).select("sr_id", "platform", "is_home")
    unseen = intervals.group_by("sr_id", "platform").agg(
        default=pl.when((pl.col("stands") == UNKNOWN).any()).then(pl.lit(UNKNOWN))
    )
    books = whole.join(unseen, on=["sr_id", "platform"]).with_columns(pl.col("default").fill_null(LACKING))
    pairs = books.filter(~pl.col("is_home")).join(
        books.filter("is_home").select("sr_id", default_home="default"), on="sr_id"
    )
    markets = intervals.filter(pl.col("market_key") != WHOLE_LISTING_KEY)
    at_home = (
        markets.filter("is_home")
        .select(*_MARKET_COLUMNS, home="stands")
        .join(pairs.select("sr_id", "platform"), on="sr_id")
    )
    theirs = markets.filter(~pl.col("is_home")).select(*_MARKET_COLUMNS, "platform", theirs="stands")
    both = (
        at_home.join(theirs, on=[*_MARKET_COLUMNS, "platform"], how="full", coalesce=True)
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
    n = [name for name in GAP_COUNT_SCHEMA if name.startswith("n_")]
    return (
        pairs.select("sr_id", "platform")
        .join(counts, on=["sr_id", "platform"], how="left")
        .with_columns(pl.col(n).fill_null(0))
    )
