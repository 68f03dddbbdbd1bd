"""Prices as they stood on listings over time, for whoever asks what a price was at an instant. Frames in, frames out;
shapes in `lifecycle_frames`.

A price is what can be backed: the market is offered, the outcome has odds above 1.00 and is not held off. It stands
from the answer that shows it until an answer shows another, holds it off or lacks it; the first answer of a UTC day
names every market, so what it does not name is gone.

Belongs here: lines, the rows and prices that stood on them, when listings were looked at. Does not: what a change of a
price means.
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
"""More than an array has places."""
_LINE_COLUMNS: Final = ("listing_id", "market_key", "specifier", "outcome")


@dataclass(frozen=True, slots=True)
class PriceTimeline:
    """What answers said, numbered: a unit is a market on a listing, a line one of its rows in the history, a place an
    outcome on a line.

    `units`: unit, listing_id, market_key, specifier. `lines`: line, unit, outcome. `rows`: line, unit, at, until, state
    of all but withdrawn rows.
    `prices`: place, unit, at, until, odds_milli. `until` is the answer that no longer said so, null where the last
    answer before kickoff still does.
    `moments`: listing_id, at, answered, of answers and of discoveries that lack the listing. `known`: listing_id, at,
    until, when an answer held.
    """

    units: pl.DataFrame
    lines: pl.DataFrame
    rows: pl.DataFrame
    prices: pl.DataFrame
    moments: pl.DataFrame
    known_spans: pl.DataFrame

    def add_outcome_keys(self, places: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
        """`places` with the `outcome_key` of each.

        Raises ValueError when `outcomes` (`domain.schemas.OUTCOME_NAMES`) lacks one.
        """
        names = outcomes.select(pl.col("ordinal").alias("nth"), "outcome_key", market="market_key").unique()
        markets = self.lines.join(self.units.select("unit", market="market_key"), on="unit").select(
            "line", "market", "outcome"
        )
        found = (
            places.with_columns(
                line=(pl.col("place") // PLACES_PER_LINE).cast(pl.UInt32),
                nth=(pl.col("place") % PLACES_PER_LINE).cast(pl.Int16),
            )
            .join(markets, on="line")
            .join(names, on=["market", "nth"], how="left")
            .with_columns(outcome_key=pl.when(pl.col("outcome") != "").then("outcome").otherwise("outcome_key"))
        )
        nameless = found.filter(pl.col("outcome_key").is_null())
        if nameless.height:
            market, ordinal = nameless.select("market", "nth").sort("market", "nth").row(0)
            raise ValueError(
                f"no name is given for outcome {ordinal} of market {market}: the history knows more than the vocabulary that was given"
            )
        return found.select(*places.columns, "outcome_key")


def build_price_timeline(
    looks: pl.DataFrame, changes: pl.DataFrame, anchored_listings: pl.DataFrame, silence_limit: timedelta
) -> PriceTimeline:
    """What stood on the listings of `anchored` (`add_kickoff`, and `since`: the begin of a UTC day, before which
    nothing counts) before kickoff.

    Raises ValueError on a limit that is not positive, and when a change has no answer among the looks.
    """
    if silence_limit <= timedelta(0):
        raise ValueError(f"silence_limit is {silence_limit}: it must be positive")
    since = anchored_listings.select("listing_id", "kickoff_at", "since")
    seen = (
        select_looks_before_kickoff(looks, anchored_listings)
        .join(since, on="listing_id")
        .filter(pl.col("at") >= pl.col("since"))
        .sort("listing_id", "at")
    )
    answered = pl.col("look") == LookResult.ANSWERED.value
    moments = seen.filter(pl.col("look").is_in([LookResult.ANSWERED.value, LookResult.ABSENT.value])).select(
        "listing_id", "at", answered=answered
    )
    ours = (
        changes.join(since, on="listing_id")
        .filter(pl.col("observed_at") >= pl.col("since"), pl.col("observed_at") < pl.col("kickoff_at"))
        .rename({"observed_at": "at"})
        .unique([*_LINE_COLUMNS, "at"])
    )
    units = ours.select("listing_id", "market_key", "specifier").unique().sort(pl.all()).with_row_index("unit")
    lines = (
        ours.select(_LINE_COLUMNS)
        .unique()
        .sort(pl.all())
        .with_row_index("line")
        .join(units, on=["listing_id", "market_key", "specifier"])
    )
    rows = _build_rows(ours, lines, moments.filter("answered").select("listing_id", "at"))
    return PriceTimeline(
        units,
        lines.select("line", "unit", "outcome"),
        rows.select("line", "unit", "at", "until", "state"),
        _build_prices(rows),
        moments,
        _find_known_spans(seen, silence_limit),
    )


def _build_rows(changes: pl.DataFrame, lines: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Rows of lines that are not withdrawn, by line and time, each with the answer that no longer said so."""
    days = answers.group_by("listing_id", day=pl.col("at").dt.date()).agg(pl.col("at").min()).sort("listing_id", "day")
    following = days.select("listing_id", "day", next_day_at=pl.col("at").shift(-1).over("listing_id"))
    told = (
        changes.join(lines.select("line", "unit", *_LINE_COLUMNS), on=_LINE_COLUMNS)
        .with_columns(day=pl.col("at").dt.date())
        .join(following, on=["listing_id", "day"], how="left")
        .join(answers.with_columns(answer=pl.lit(value=True)), on=["listing_id", "at"], how="left")
        .sort("line", "at")
    )
    strangers = told.filter(pl.col("answer").is_null())
    if strangers.height:
        listing_id, at = strangers.select("listing_id", "at").row(0)
        raise ValueError(
            f"{strangers.height} changes have no answer among the looks, first of listing {listing_id} at {at}: give all its answers"
        )
    follows = pl.when(pl.col("line") == pl.col("line").shift(-1)).then(pl.col("at").shift(-1))
    return told.with_columns(until=pl.min_horizontal(follows, "next_day_at")).filter(
        pl.col("state") != MarketState.WITHDRAWN.value
    )


def _build_prices(rows: pl.DataFrame) -> pl.DataFrame:
    """What could be backed, as long as it cost the same, by place and time."""
    offered = rows.filter(pl.col("state") == MarketState.OFFERED.value).with_columns(pl.col("off_mask").fill_null(0))
    backable = (
        expand_outcomes(offered.with_columns(outcome=pl.lit("")), ("line", "unit", "at", "until"))
        .filter(pl.col("state") == MarketState.OFFERED.value, pl.col("odds_milli") > EVENS_MILLI)
        .select("unit", "at", "until", "odds_milli", place=pl.col("line") * PLACES_PER_LINE + pl.col("ordinal"))
        .sort("place", "at")
    )
    before = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("place", "odds_milli")) & (
        pl.col("at") == pl.col("until").shift()
    )
    return (
        backable.with_columns(run=(~before.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("place", "unit", "at").first(), pl.col("until").last(), pl.col("odds_milli").first())
        .drop("run")
    )


def _find_known_spans(looks: pl.DataFrame, silence_limit: timedelta) -> pl.DataFrame:
    """When the last answer of a listing held: no look since that got none, no discovery that lacks it, no silence.

    That it is listed is no news.
    """
    telling = looks.filter(pl.col("look") != LookResult.LISTED.value)
    answered = pl.col("look") == LookResult.ANSWERED.value
    next_at = pl.col("at").shift(-1).over("listing_id")
    held = telling.with_columns(until=pl.min_horizontal(next_at, pl.col("at") + silence_limit)).filter(answered)
    goes_on = (pl.col("listing_id") == pl.col("listing_id").shift()) & (pl.col("at") == pl.col("until").shift())
    return (
        held.with_columns(run=(~goes_on.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("listing_id", "at").first(), pl.col("until").last())
        .drop("run")
    )


def find_price_at(queries: pl.DataFrame, prices: pl.DataFrame, instant: str) -> pl.DataFrame:
    """`asked` (place, and an instant in the column of that name) with `odds_milli`: the price that stood then; null
    when none did. Any order.
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
