"""Laws of margins over time and of counts of gaps. Each returns its violations (`domain.schemas.VIOLATIONS_SCHEMA`),
and an empty frame when lawful.

They take rows as written, and know nothing of how these were computed.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarginStatus

from ..coverage.coverage_laws import build_violations, intervals_do_not_overlap
from ..prices.margins import ROUNDING_TOLERANCE

REFERENCE_TOLERANCE: Final = 0.005 + 1e-9
"""What two decimals lose."""
SUM_TOLERANCE: Final = 1e-9
"""What a long sum of floats may lose, as a share of it."""

_HAS_MARGIN: Final = pl.col("margin_status").is_in([MarginStatus.OK.value, MarginStatus.NEGATIVE.value])


def stretches_do_not_overlap(margins: pl.DataFrame) -> pl.DataFrame:
    """market_margin: of one line on one platform each stretch lasts, and ends before the next one begins; only the
    last is open.
    """
    return intervals_do_not_overlap(margins.rename({"observed_from": "valid_from", "observed_to": "valid_to"}))


def margins_follow_their_status(margins: pl.DataFrame) -> pl.DataFrame:
    """market_margin: a margin and a payout exactly where the status is ok or negative, negative exactly where it is
    below nought.
    """
    margin = pl.col("margin")
    lawful = (
        (margin.is_not_null() == _HAS_MARGIN)
        & (margin.is_not_null() == pl.col("payout").is_not_null())
        & (
            (pl.col("margin_status") == MarginStatus.NEGATIVE.value)
            == (margin < -ROUNDING_TOLERANCE).fill_null(value=False)
        )
    )
    sentence = pl.format(
        "is {}, and has the margin {} and the payout {}",
        "margin_status",
        _convert_to_text("margin"),
        _convert_to_text("payout"),
    )
    return build_violations("margins follow their status", margins.filter(~lawful), _describe_stretch(), sentence)


def margins_reconcile(margins: pl.DataFrame) -> pl.DataFrame:
    """market_margin: of a complete set ((margin + 1) k - 1) x 100 is margin_reference_pct, to its two decimals."""
    expected = ((pl.col("margin") + 1) * pl.col("winners_k") - 1) * 100
    far = (expected - pl.col("margin_reference_pct")).abs() > REFERENCE_TOLERANCE
    rows = margins.filter(pl.col("margin").is_not_null(), far.fill_null(value=True))
    sentence = pl.format(
        "the margin {} with k = {} is not the reference figure {}",
        "margin",
        "winners_k",
        _convert_to_text("margin_reference_pct"),
    )
    return build_violations("margins reconcile", rows, _describe_stretch(), sentence)


def bucket_minutes_add_up(margins: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """margin_ttk_bucket of a date: in each scheme the minutes of all buckets are those in which market_margin has a
    margin, up to as_of.
    """
    key = ["platform", "market_key"]
    minutes = (pl.min_horizontal("observed_to", "as_of") - pl.col("observed_from")).dt.total_minutes(fractional=True)
    lasted = margins.filter(pl.col("margin").is_not_null()).with_columns(minutes=minutes).filter(pl.col("minutes") > 0)
    schemes = curves.select("bucket_scheme").unique()
    both = (
        lasted.group_by(key)
        .agg(expected=pl.col("minutes").sum())
        .join(schemes, how="cross")
        .join(
            curves.group_by(*key, "bucket_scheme").agg(found=pl.col("n_observed_minutes").sum()),
            on=[*key, "bucket_scheme"],
            how="full",
            coalesce=True,
        )
        .with_columns(pl.col("expected", "found").fill_null(0.0))
        .sort(*key, "bucket_scheme")
    )
    wrong = both.filter(
        (pl.col("expected") - pl.col("found")).abs() > pl.max_horizontal("expected", "found") * SUM_TOLERANCE
    )
    sentence = pl.format("{} minutes in the buckets of {}, {} in market_margin", "found", "bucket_scheme", "expected")
    missing = lasted.select(key).unique().sort(key) if schemes.is_empty() else lasted.select(key).clear()
    row = pl.format("{} {}", *key)
    return pl.concat(
        [
            build_violations("bucket minutes add up", wrong, row, sentence),
            build_violations("bucket minutes add up", missing, row, pl.lit("has margins and no bucket")),
        ]
    )


def gap_counts_add_up(gaps: pl.DataFrame, offered: pl.DataFrame) -> pl.DataFrame:
    """gap_count: what home offered and what the competitor offered, together, is what is counted: what both did twice,
    all else once.

    `offered`: sr_id, platform, hours_before, n_offered: markets that availability_interval says were offered up to
    then.
    """
    key = ["sr_id", "hours_before"]
    at_home = offered.rename({"platform": "home_platform", "n_offered": "n_home"})
    theirs = offered.rename({"n_offered": "n_theirs"})
    rows = (
        gaps.join(at_home, on=[*key, "home_platform"], how="left")
        .join(theirs, on=[*key, "platform"], how="left")
        .with_columns(pl.col("n_home", "n_theirs").fill_null(0))
        .with_columns(
            counted=2 * pl.col("n_both")
            + pl.sum_horizontal(
                "n_home_missing", "n_platform_missing", "n_home_suspended", "n_platform_suspended", "n_unknown"
            )
        )
        .filter(pl.col("counted") != pl.col("n_home") + pl.col("n_theirs"))
    )
    subject = pl.format("sr_id {}, {}, {} h before kickoff", "sr_id", "platform", "hours_before")
    sentence = pl.format(
        "{} offered by home and {} by the competitor come to {} in the counts", "n_home", "n_theirs", "counted"
    )
    return build_violations("gap counts add up", rows, subject, sentence)


def _convert_to_text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).fill_null("null")


def _describe_stretch() -> pl.Expr:
    return pl.format("sr_id {} on {}, {} {}, from {}", "sr_id", "platform", "market_key", "specifier", "observed_from")
