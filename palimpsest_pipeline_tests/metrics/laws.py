"""Laws on derived rows, which hold whatever the platforms answer: each function returns the rows that break its law.

They do not call the code that computes the rows.
"""

from typing import Final

import polars as pl

LINE_KEY: Final = ("sr_id", "platform", "market_key", "specifier")


def find_overlaps(intervals: pl.DataFrame) -> pl.DataFrame:
    """Intervals of one market on one platform that do not end after their begin, or end after the next one begins."""
    begin, end, following = pl.col("valid_from"), pl.col("valid_to"), pl.col("next_from")
    return _add_next_begin(intervals).filter(
        (end <= begin) | (begin == following) | (end > following) | (end.is_null() & following.is_not_null())
    )


def find_holes(intervals: pl.DataFrame) -> pl.DataFrame:
    """Intervals of one market on one platform that end before the next one begins, and a last one that ends."""
    end, following = pl.col("valid_to"), pl.col("next_from")
    return _add_next_begin(intervals).filter((end < following) | (end.is_not_null() & following.is_null()))


def _add_next_begin(intervals: pl.DataFrame) -> pl.DataFrame:
    in_order = intervals.sort(*LINE_KEY, "valid_from", "valid_to", nulls_last=True)
    return in_order.with_columns(next_from=pl.col("valid_from").shift(-1).over(LINE_KEY))


def find_contradicting_margins(margins: pl.DataFrame) -> pl.DataFrame:
    """Rows of market_margin whose margin contradicts their status, payout or reference figure.

    The margin m and the payout exist exactly with the statuses ok and negative, and negative is a margin below 0. The
    reference figure is 100 ((m + 1) k - 1), rounded to two decimals, with k outcomes that win.
    """
    margin, status = pl.col("margin"), pl.col("margin_status")
    reference = ((margin + 1) * pl.col("winners_k") - 1) * 100
    lawful = (
        (margin.is_not_null() == status.is_in(["ok", "negative"]))
        & (margin.is_null() == pl.col("payout").is_null())
        & ((status == "negative") == (margin < -1e-9).fill_null(value=False))
        & (margin.is_null() | ((reference - pl.col("margin_reference_pct")).abs() < 0.005 + 1e-9))
    )
    return margins.filter(~lawful.fill_null(value=False))


def find_lost_minutes(margins: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Markets whose minutes with a margin differ from those in the buckets of a scheme of margin_ttk_bucket."""
    key = ["platform", "market_key", "bucket_scheme"]
    minutes = (pl.min_horizontal("observed_to", "as_of") - pl.col("observed_from")).dt.total_minutes(fractional=True)
    expected = (
        margins.filter(pl.col("margin").is_not_null())
        .with_columns(minutes=minutes)
        .filter(pl.col("minutes") > 0)
        .join(pl.DataFrame({"bucket_scheme": ["reference4", "trader10"]}), how="cross")
        .group_by(key)
        .agg(expected=pl.col("minutes").sum())
    )
    found = curves.group_by(key).agg(found=pl.col("n_observed_minutes").sum())
    both = expected.join(found, on=key, how="full", coalesce=True).with_columns(
        pl.col("expected", "found").fill_null(0.0)
    )
    return both.filter((pl.col("expected") - pl.col("found")).abs() > pl.max_horizontal("expected", "found") * 1e-9)


def find_rates_beyond_one(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with a rate, a ratio or a share that is neither null nor in [0, 1]; dup_ratio has no bound."""
    names = [name for name in frame.columns if name.endswith(("_rate", "_ratio", "_share", "_accuracy"))]
    return frame.filter(~pl.all_horizontal(pl.col(set(names) - {"dup_ratio"}).is_between(0, 1).fill_null(value=True)))
