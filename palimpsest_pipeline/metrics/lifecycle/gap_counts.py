"""Counts of the markets that home and a competitor offered at given hours before kickoff.

Takes and returns frames. The current gaps are in `market_gaps`.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, AvailabilityState
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .anchors import add_kickoff

GAP_COUNT_SCHEMA: Final = get_frame_schema(
    "mart.gap_count", "home_platform", "kickoff_date", "as_of", "mapping_version", "computed_at"
)
GAP_COUNT_KEY: Final = ("sr_id", "platform", "hours_before")
HOURS_BEFORE: Final = (72, 24, 1, 0)

_OFFERED: Final = "offered"
LISTED: Final = "listed"
LACKING: Final = "lacking"
UNKNOWN: Final = "unknown"
CLASS_BY_STATE: Final = {
    AvailabilityState.OFFERED.value: _OFFERED,
    AvailabilityState.SUSPENDED.value: LISTED,
    AvailabilityState.NO_PRICE.value: LISTED,
    AvailabilityState.WITHDRAWN.value: LACKING,
    AvailabilityState.EVENT_DROPPED.value: LACKING,
    AvailabilityState.NOT_OBSERVED.value: UNKNOWN,
}
"""The class of each availability state. Before kickoff no interval is closed_at_kickoff."""

_MARKET_COLUMNS: Final = ("sr_id", "market_key", "specifier")


def count_gaps(
    intervals: pl.DataFrame,
    listings: pl.DataFrame,
    kickoffs: pl.DataFrame,
    tournaments: pl.DataFrame,
    *,
    as_of: datetime,
) -> pl.DataFrame:
    """Count the markets that home, a competitor or both offered at each of `HOURS_BEFORE` kickoff.

    There is one row per fixture, competitor and number of hours, if home and the competitor both listed the fixture at
    that time. The result has the columns `GAP_COUNT_SCHEMA` and is sorted by `GAP_COUNT_KEY`. `intervals` has the
    columns `availability.AVAILABILITY_SCHEMA` and contains all intervals of a fixture; the other frames are as in
    `lifecycle_frames`. The state just before the instant is counted: a change exactly at the instant, such as the
    kickoff, has no influence. Instants after `as_of` have no row. A market without an interval on a listing counts as
    lacking while the listing is observed, and as unknown while it is not.

    Raises ValueError like `add_kickoff`, and when a fixture has no tournament.
    """
    anchored = add_kickoff(listings, kickoffs, as_of).join(tournaments.unique(), on="sr_id", how="left")
    if anchored["tournament_key"].has_nulls():
        fixtures = anchored.filter(pl.col("tournament_key").is_null())["sr_id"].unique().sort()
        raise ValueError(
            f"{len(fixtures)} fixtures have no tournament, first sr_id {fixtures[0]}: give that of every fixture"
        )
    listed_intervals = intervals.join(
        anchored.select("sr_id", "platform", "is_home", "kickoff_at"), on=["sr_id", "platform"]
    )
    counts = [
        _count_markets(_select_intervals_at(listed_intervals, hours, as_of)).with_columns(hours_before=pl.lit(hours))
        for hours in HOURS_BEFORE
    ]
    return (
        pl.concat(counts)
        .join(tournaments.unique(), on="sr_id")
        .select(pl.col(name).cast(dtype) for name, dtype in GAP_COUNT_SCHEMA.items())
        .sort(GAP_COUNT_KEY)
    )


def _select_intervals_at(intervals: pl.DataFrame, hours_before: int, as_of: datetime) -> pl.DataFrame:
    """Return the intervals that held just before `hours_before` kickoff, with their `state_class`.

    Fixtures for which that instant is after `as_of` are left out.
    """
    instant = pl.col("kickoff_at") - timedelta(hours=hours_before)
    holds = (pl.col("valid_from") < instant) & (pl.col("valid_to").is_null() | (pl.col("valid_to") >= instant))
    return (
        intervals.filter(instant <= pl.lit(as_of, INSTANT), holds)
        .select(
            *_MARKET_COLUMNS,
            "platform",
            "is_home",
            state_class=pl.col("state").replace_strict(CLASS_BY_STATE, return_dtype=pl.String),
        )
        .unique()
    )


def _count_markets(intervals: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `GAP_COUNT_SCHEMA` without hours and tournament."""
    listings = intervals.filter(pl.col("market_key") == WHOLE_LISTING_KEY).select("sr_id", "platform", "is_home")
    defaults = intervals.group_by("sr_id", "platform").agg(
        default=pl.when((pl.col("state_class") == UNKNOWN).any()).then(pl.lit(UNKNOWN))
    )
    books = listings.join(defaults, on=["sr_id", "platform"]).with_columns(pl.col("default").fill_null(LACKING))
    pairs = books.filter(~pl.col("is_home")).join(
        books.filter("is_home").select("sr_id", default_home="default"), on="sr_id"
    )
    markets = intervals.filter(pl.col("market_key") != WHOLE_LISTING_KEY)
    home_markets = (
        markets.filter("is_home")
        .select(*_MARKET_COLUMNS, home="state_class")
        .join(pairs.select("sr_id", "platform"), on="sr_id")
    )
    competitor_markets = markets.filter(~pl.col("is_home")).select(*_MARKET_COLUMNS, "platform", theirs="state_class")
    market_pairs = (
        home_markets.join(competitor_markets, on=[*_MARKET_COLUMNS, "platform"], how="full", coalesce=True)
        .join(pairs.select("sr_id", "platform", "default", "default_home"), on=["sr_id", "platform"])
        .with_columns(home=pl.coalesce("home", "default_home"), theirs=pl.coalesce("theirs", "default"))
    )
    home, competitor = pl.col("home"), pl.col("theirs")
    counts = market_pairs.group_by("sr_id", "platform").agg(
        n_both=((home == _OFFERED) & (competitor == _OFFERED)).sum(),
        n_home_missing=((home == LACKING) & (competitor == _OFFERED)).sum(),
        n_platform_missing=((home == _OFFERED) & (competitor == LACKING)).sum(),
        n_home_suspended=((home == LISTED) & (competitor == _OFFERED)).sum(),
        n_platform_suspended=((home == _OFFERED) & (competitor == LISTED)).sum(),
        n_unknown=(
            ((home == _OFFERED) & (competitor == UNKNOWN)) | ((home == UNKNOWN) & (competitor == _OFFERED))
        ).sum(),
    )
    count_columns = [name for name in GAP_COUNT_SCHEMA if name.startswith("n_")]
    return (
        pairs.select("sr_id", "platform")
        .join(counts, on=["sr_id", "platform"], how="left")
        .with_columns(pl.col(count_columns).fill_null(0))
    )
