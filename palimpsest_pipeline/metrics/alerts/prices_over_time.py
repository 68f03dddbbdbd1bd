"""The prices of listings over time, and the price at any instant. No I/O.

The columns of the frames are in `lifecycle_frames`. A price can be backed if the market is offered, and the outcome has
odds above 1.00 and is not suspended. A price holds from the answer that shows it until an answer shows another price,
suspends the outcome or lacks it. The first answer of a UTC day contains all markets, so a market that is not in it is
withdrawn.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import LookResult, MarketState
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from ..lifecycle.anchors import select_looks_before_kickoff
from ..prices.margins import expand_outcomes

PLACES_PER_LINE: Final = pl.lit(1 << 16, pl.Int64)
"""A number above the length of any price array. A place is line x this number + ordinal."""
_LINE_COLUMNS: Final = ("listing_id", "market_key", "specifier", "outcome")


@dataclass(frozen=True, slots=True)
class PriceTimeline:
    """The content of all answers before kickoff, numbered by unit, line and place.

    A unit is a market of a listing, a line is one of its rows in the history (one specifier, or one open outcome), a
    place is an outcome of a line.

    - `units`: unit, listing_id, market_key and specifier.
    - `lines`: line, unit and outcome.
    - `rows`: line, unit, at, until and state, without withdrawn rows.
    - `prices`: place, unit, at, until and odds_milli (decimal odds x 1000).
    - `moments`: listing_id, at and answered, of answers and of discoveries without the listing.
    - `known_spans`: listing_id, at and until of the spans in which the listing's last answer holds.

    In rows and prices, `until` is the first answer that differs, or null if the last answer before kickoff still
    agrees.
    """

    units: pl.DataFrame
    lines: pl.DataFrame
    rows: pl.DataFrame
    prices: pl.DataFrame
    moments: pl.DataFrame
    known_spans: pl.DataFrame

    def add_outcome_keys(self, places: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
        """Return `places` with the `outcome_key` of each place.

        Raises ValueError when `outcomes` (`domain.schemas.OUTCOME_NAMES`) lacks a key.
        """
        names = outcomes.select(pl.col("ordinal").alias("nth"), "outcome_key", market="market_key").unique()
        markets = self.lines.join(self.units.select("unit", market="market_key"), on="unit").select(
            "line", "market", "outcome"
        )
        named_places = (
            places.with_columns(
                line=(pl.col("place") // PLACES_PER_LINE).cast(pl.UInt32),
                nth=(pl.col("place") % PLACES_PER_LINE).cast(pl.Int16),
            )
            .join(markets, on="line")
            .join(names, on=["market", "nth"], how="left")
            .with_columns(outcome_key=pl.when(pl.col("outcome") != "").then("outcome").otherwise("outcome_key"))
        )
        unnamed_places = named_places.filter(pl.col("outcome_key").is_null())
        if unnamed_places.height:
            market, ordinal = unnamed_places.select("market", "nth").sort("market", "nth").row(0)
            raise ValueError(
                f"no name is given for outcome {ordinal} of market {market}: "
                "the history knows more than the vocabulary that was given"
            )
        return named_places.select(*places.columns, "outcome_key")


def build_price_timeline(
    looks: pl.DataFrame, changes: pl.DataFrame, anchored_listings: pl.DataFrame, silence_limit: timedelta
) -> PriceTimeline:
    """Return the rows and prices of `anchored_listings` before kickoff.

    `anchored_listings` is the result of `add_kickoff` with the column `since`: the begin of a UTC day, before which
    data has no influence. `silence_limit` is how long an answer holds without another look.

    Raises ValueError on a limit that is not positive, and when a change has no answer among the looks.
    """
    if silence_limit <= timedelta(0):
        raise ValueError(f"silence_limit is {silence_limit}: it must be positive")
    since = anchored_listings.select("listing_id", "kickoff_at", "since")
    counted_looks = (
        select_looks_before_kickoff(looks, anchored_listings)
        .join(since, on="listing_id")
        .filter(pl.col("at") >= pl.col("since"))
        .sort("listing_id", "at")
    )
    answered = pl.col("look") == LookResult.ANSWERED.value
    moments = counted_looks.filter(pl.col("look").is_in([LookResult.ANSWERED.value, LookResult.ABSENT.value])).select(
        "listing_id", "at", answered=answered
    )
    counted_changes = (
        changes.join(since, on="listing_id")
        .filter(pl.col("observed_at") >= pl.col("since"), pl.col("observed_at") < pl.col("kickoff_at"))
        .rename({"observed_at": "at"})
        .unique([*_LINE_COLUMNS, "at"])
    )
    units = (
        counted_changes.select("listing_id", "market_key", "specifier").unique().sort(pl.all()).with_row_index("unit")
    )
    lines = (
        counted_changes.select(_LINE_COLUMNS)
        .unique()
        .sort(pl.all())
        .with_row_index("line")
        .join(units, on=["listing_id", "market_key", "specifier"])
    )
    rows = _build_rows(counted_changes, lines, moments.filter("answered").select("listing_id", "at"))
    return PriceTimeline(
        units,
        lines.select("line", "unit", "outcome"),
        rows.select("line", "unit", "at", "until", "state"),
        _build_prices(rows),
        moments,
        _find_known_spans(counted_looks, silence_limit),
    )


def _build_rows(changes: pl.DataFrame, lines: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that are not withdrawn, by line and time, each with the first answer that differs."""
    days = answers.group_by("listing_id", day=pl.col("at").dt.date()).agg(pl.col("at").min()).sort("listing_id", "day")
    following = days.select("listing_id", "day", next_day_at=pl.col("at").shift(-1).over("listing_id"))
    rows = (
        changes.join(lines.select("line", "unit", *_LINE_COLUMNS), on=_LINE_COLUMNS)
        .with_columns(day=pl.col("at").dt.date())
        .join(following, on=["listing_id", "day"], how="left")
        .join(answers.with_columns(answer=pl.lit(value=True)), on=["listing_id", "at"], how="left")
        .sort("line", "at")
    )
    orphans = rows.filter(pl.col("answer").is_null())
    if orphans.height:
        listing_id, at = orphans.select("listing_id", "at").row(0)
        raise ValueError(
            f"{orphans.height} changes have no answer among the looks, "
            f"first of listing {listing_id} at {at}: give all its answers"
        )
    next_row_at = pl.when(pl.col("line") == pl.col("line").shift(-1)).then(pl.col("at").shift(-1))
    return rows.with_columns(until=pl.min_horizontal(next_row_at, "next_day_at")).filter(
        pl.col("state") != MarketState.WITHDRAWN.value
    )


def _build_prices(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the spans in which an outcome could be backed at the same price, by place and time."""
    offered = rows.filter(pl.col("state") == MarketState.OFFERED.value).with_columns(pl.col("off_mask").fill_null(0))
    backable = (
        expand_outcomes(offered.with_columns(outcome=pl.lit("")), ("line", "unit", "at", "until"))
        .filter(pl.col("state") == MarketState.OFFERED.value, pl.col("odds_milli") > EVENS_MILLI)
        .select("unit", "at", "until", "odds_milli", place=pl.col("line") * PLACES_PER_LINE + pl.col("ordinal"))
        .sort("place", "at")
    )
    is_repeat = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("place", "odds_milli")) & (
        pl.col("at") == pl.col("until").shift()
    )
    return (
        backable.with_columns(run=(~is_repeat.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("place", "unit", "at").first(), pl.col("until").last(), pl.col("odds_milli").first())
        .drop("run")
    )


def _find_known_spans(looks: pl.DataFrame, silence_limit: timedelta) -> pl.DataFrame:
    """Return the spans in which the last answer of a listing holds.

    A failed look, a discovery without the listing, or a time without looks longer than `silence_limit` ends a span. A
    discovery that shows the listing changes nothing.
    """
    deciding_looks = looks.filter(pl.col("look") != LookResult.LISTED.value)
    is_answer = pl.col("look") == LookResult.ANSWERED.value
    next_at = pl.col("at").shift(-1).over("listing_id")
    answers = deciding_looks.with_columns(until=pl.min_horizontal(next_at, pl.col("at") + silence_limit)).filter(
        is_answer
    )
    is_repeat = (pl.col("listing_id") == pl.col("listing_id").shift()) & (pl.col("at") == pl.col("until").shift())
    return (
        answers.with_columns(run=(~is_repeat.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("listing_id", "at").first(), pl.col("until").last())
        .drop("run")
    )


def find_price_at(queries: pl.DataFrame, prices: pl.DataFrame, instant: str) -> pl.DataFrame:
    """Return `queries` with `odds_milli`, the price of their place at their instant, or null.

    `instant` is the name of the column of `queries` with the instant. The rows of the result have no defined order.
    """
    return (
        queries.sort(instant)
        .join_asof(
            prices.select("place", "at", "until", "odds_milli").sort("at"),
            left_on=instant,
            right_on="at",
            by="place",
            check_sortedness=False,
        )
        .with_columns(
            odds_milli=pl.when(pl.col("until").is_null() | (pl.col(instant) < pl.col("until"))).then("odds_milli")
        )
        .select(*queries.columns, "odds_milli")
    )
