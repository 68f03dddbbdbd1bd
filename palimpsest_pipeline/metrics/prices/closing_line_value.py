"""The closing-line value of prices: how much better they were than the closing prices.

    clv = odds / close_odds - 1        clv_power = odds x fair probability of the close by the power method - 1

Above 0, the price was better for the bettor than the close, at the expense of the seller. Only exact closes count, and
only prices from before kickoff. Takes and returns frames. `metrics.lifecycle.open_close` defines an exact close, and
the view palimpsest.closing_prices has the fair probabilities.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import SuspectCode
from palimpsest_pipeline.domain.schemas import INSTANT

PRICE_LIST_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "line": pl.Int64,
    "sr_id": pl.Int64,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome_key": pl.String,
    "odds": pl.Float64,
    "taken_at": INSTANT,
}
"""Prices to be judged. `line` identifies a price; `taken_at` is null when it is not known."""
CLOSING_LINE_VALUES_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    **PRICE_LIST_SCHEMA,
    "status": pl.String,
    "close_platform": pl.String,
    "is_home": pl.Boolean,
    "close_odds": pl.Float64,
    "close_lag_s": pl.Float64,
    "clv": pl.Float64,
    "clv_multiplicative": pl.Float64,
    "clv_power": pl.Float64,
    "clv_shin": pl.Float64,
}
"""One row per price and platform with an exact close, and one per price without any.

`status` is a value of `ClosingLineStatus`. The later columns are null unless it is `valued`. The values by fair
probabilities are also null when the market had no margin at the close.
"""
CLOSING_LINE_SUMMARY_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "close_platform": pl.String,
    "n_prices": pl.Int64,
    "share_above_close": pl.Float64,
    "mean_clv": pl.Float64,
    "mean_clv_multiplicative": pl.Float64,
    "mean_clv_power": pl.Float64,
    "mean_clv_shin": pl.Float64,
}
_PRICE_KEY: Final = ("sr_id", "market_key", "specifier", "outcome_key")


class ClosingLineStatus(StrEnum):
    """The result of judging a price. If several apply, the first in this order is used."""

    UNKNOWN_FIXTURE = "unknown_fixture"
    """No fixture has this SportRadar id."""
    IN_PLAY = "in_play"
    """The price was taken at or after kickoff."""
    NOT_BEGUN = "not_begun"
    """The fixture has not kicked off, so there is no close yet."""
    SUSPECT = "suspect"
    """The listings of the fixture may offer different bets."""
    NO_EXACT_CLOSE = "no_exact_close"
    """No platform has a close of the outcome with the quality exact."""
    VALUED = "valued"


def compute_closing_line_values(
    prices: pl.DataFrame, fixtures: pl.DataFrame, closes: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Return the value of each price against each exact close, columns `CLOSING_LINE_VALUES_SCHEMA`.

    The rows are sorted by line and close_platform. `prices` has the columns `PRICE_LIST_SCHEMA`. `fixtures` has sr_id,
    kickoff and suspect_code. `closes` has only exact closes, as `storage.marts.closing_prices` reads them; `kickoff` is
    the one for which the close was computed. A fixture that kicks off after `now` has not begun.
    """
    codes = [code.value for code in SuspectCode if code.may_be_two_bets]
    starts = fixtures.select(
        "sr_id", kickoff="kickoff", is_suspect=pl.col("suspect_code").is_in(codes).fill_null(value=False)
    )
    dated = prices.join(starts, on="sr_id", how="left", maintain_order="left").with_columns(
        obstacle=pl.when(pl.col("is_suspect").is_null())
        .then(pl.lit(ClosingLineStatus.UNKNOWN_FIXTURE.value))
        .when(pl.col("taken_at") >= pl.col("kickoff"))
        .then(pl.lit(ClosingLineStatus.IN_PLAY.value))
        .when(pl.col("kickoff") > now)
        .then(pl.lit(ClosingLineStatus.NOT_BEGUN.value))
        .when("is_suspect")
        .then(pl.lit(ClosingLineStatus.SUSPECT.value))
    )
    # A close belongs to the kickoff for which it was computed: the old one, until a moved kickoff is derived.
    valued = (
        dated.filter(pl.col("obstacle").is_null())
        .join(closes.rename({"kickoff": "close_kickoff"}), on=_PRICE_KEY)
        .filter((pl.col("taken_at") < pl.col("close_kickoff")).fill_null(value=True))
        .with_columns(
            status=pl.lit(ClosingLineStatus.VALUED.value),
            close_platform="platform",
            clv=pl.col("odds") / pl.col("close_odds") - 1,
            clv_multiplicative=pl.col("odds") * pl.col("fair_multiplicative") - 1,
            clv_power=pl.col("odds") * pl.col("fair_power") - 1,
            clv_shin=pl.col("odds") * pl.col("fair_shin") - 1,
        )
    )
    no_close = pl.lit(ClosingLineStatus.NO_EXACT_CLOSE.value)
    unvalued = dated.join(valued, on="line", how="anti").with_columns(status=pl.coalesce("obstacle", no_close))
    rows = pl.concat([_select_columns(valued), _select_columns(unvalued)])
    return rows.sort("line", "close_platform")


def summarise_closing_line_values(values: pl.DataFrame) -> pl.DataFrame:
    """Return the means by platform of the close (`CLOSING_LINE_SUMMARY_SCHEMA`).

    The rows are sorted by platform. `values` is the result of `compute_closing_line_values`. Every price counts
    once per platform, whatever its stake.
    """
    figures = ("clv", "clv_multiplicative", "clv_power", "clv_shin")
    summary = (
        values.filter(pl.col("status") == ClosingLineStatus.VALUED.value)
        .group_by("close_platform")
        .agg(
            n_prices=pl.len(),
            share_above_close=(pl.col("clv") > 0).mean(),
            **{f"mean_{name}": pl.col(name).mean() for name in figures},
        )
    )
    return summary.sort("close_platform").select(
        pl.col(name).cast(dtype) for name, dtype in CLOSING_LINE_SUMMARY_SCHEMA.items()
    )


def _select_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `CLOSING_LINE_VALUES_SCHEMA`; those that are missing are null."""
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in CLOSING_LINE_VALUES_SCHEMA.items()
    )
