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

from ..history_rows import PLACES_PER_LINE, add_next_keyframes, equals_previous, name_places, refuse_orphans
from ..lifecycle.anchors import select_looks_before_kickoff
from ..prices.margins import expand_outcomes

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
        lines = self.lines.join(self.units.select("unit", "market_key"), on="unit")
        named_places = name_places(places.select("place").unique(), lines, outcomes)
        return places.join(named_places.select("place", "outcome_key"), on="place")


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
    rows = (
        changes.join(lines.select("line", "unit", *_LINE_COLUMNS), on=_LINE_COLUMNS)
        .join(add_next_keyframes(answers.with_columns(answer=pl.lit(value=True))), on=["listing_id", "at"], how="left")
        .sort("line", "at")
    )
    refuse_orphans(rows.filter(pl.col("answer").is_null()))
    next_row_at = pl.when(pl.col("line") == pl.col("line").shift(-1)).then(pl.col("at").shift(-1))
    return rows.with_columns(until=pl.min_horizontal(next_row_at, "next_keyframe_at")).filter(
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
    return _merge_touching(backable, "place", "odds_milli")


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
    return _merge_touching(answers.select("listing_id", "at", "until"), "listing_id")


def _merge_touching(spans: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Return `spans` with touching neighbours merged.

    Two successive spans touch when the columns `names` are equal and the second begins at the first one's `until`.
    """
    touches = (pl.col("at") == pl.col("until").shift()).fill_null(value=False)
    return (
        spans.with_columns(run=(~(equals_previous(*names) & touches)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.exclude("until").first(), pl.col("until").last())
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
