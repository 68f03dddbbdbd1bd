"""Laws on margins over time and gap counts: rules that hold whatever the platforms answer.

Each function takes rows as they were written and returns the rows that violate its rule
(`domain.schemas.VIOLATIONS_SCHEMA`), or an empty frame. The functions do not call the code that computes the rows.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarginStatus

from ..coverage.coverage_laws import build_violations, intervals_do_not_overlap
from ..prices.margins import ROUNDING_TOLERANCE

REFERENCE_TOLERANCE: Final = 0.005 + 1e-9
"""The rounding error of a percentage with two decimals."""
SUM_TOLERANCE: Final = 1e-9
"""The rounding error of a long sum of floats, as a fraction of the sum."""

_HAS_MARGIN: Final = pl.col("margin_status").is_in([MarginStatus.OK.value, MarginStatus.NEGATIVE.value])


def stretches_do_not_overlap(margins: pl.DataFrame) -> pl.DataFrame:
    """Return rows of market_margin for one line that end before they begin or overlap the next one.

    Only the last row of a line may have no end.
    """
    return intervals_do_not_overlap(margins.rename({"observed_from": "valid_from", "observed_to": "valid_to"}))


def margins_follow_their_status(margins: pl.DataFrame) -> pl.DataFrame:
    """Return rows of market_margin whose status contradicts their margin or payout.

    A row has a margin and a payout exactly when its status is ok or negative. The status is negative exactly when the
    margin is below 0.
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
    """Return rows of market_margin in which margin and margin_reference_pct contradict each other.

    ((margin + 1) k - 1) x 100 must be margin_reference_pct to two decimals, with k the number of outcomes that win.
    """
    expected = ((pl.col("margin") + 1) * pl.col("winners_k") - 1) * 100
    is_far = (expected - pl.col("margin_reference_pct")).abs() > REFERENCE_TOLERANCE
    rows = margins.filter(pl.col("margin").is_not_null(), is_far.fill_null(value=True))
    sentence = pl.format(
        "the margin {} with k = {} is not the reference figure {}",
        "margin",
        "winners_k",
        _convert_to_text("margin_reference_pct"),
    )
    return build_violations("margins reconcile", rows, _describe_stretch(), sentence)


def bucket_minutes_add_up(margins: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Return markets whose minutes in the buckets of a scheme differ from their minutes in market_margin.

    `curves` are the rows of margin_ttk_bucket of one date. Only minutes with a margin count, up to as_of.
    """
    key = ["platform", "market_key"]
    minutes = (pl.min_horizontal("observed_to", "as_of") - pl.col("observed_from")).dt.total_minutes(fractional=True)
    stretches = (
        margins.filter(pl.col("margin").is_not_null()).with_columns(minutes=minutes).filter(pl.col("minutes") > 0)
    )
    schemes = curves.select("bucket_scheme").unique()
    minutes_by_source = (
        stretches.group_by(key)
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
    mismatches = minutes_by_source.filter(
        (pl.col("expected") - pl.col("found")).abs() > pl.max_horizontal("expected", "found") * SUM_TOLERANCE
    )
    sentence = pl.format("{} minutes in the buckets of {}, {} in market_margin", "found", "bucket_scheme", "expected")
    missing = stretches.select(key).unique().sort(key) if schemes.is_empty() else stretches.select(key).clear()
    row = pl.format("{} {}", *key)
    return pl.concat(
        [
            build_violations("bucket minutes add up", mismatches, row, sentence),
            build_violations("bucket minutes add up", missing, row, pl.lit("has margins and no bucket")),
        ]
    )


def gap_counts_add_up(gaps: pl.DataFrame, offered: pl.DataFrame) -> pl.DataFrame:
    """Return rows of gap_count whose counts do not add up to the markets that both sides offered.

    Markets that both offered count twice, all others once. `offered` has sr_id, platform, hours_before and n_offered:
    the number of markets that availability_interval shows as offered just before that instant.
    """
    key = ["sr_id", "hours_before"]
    home_offered = offered.rename({"platform": "home_platform", "n_offered": "n_home"})
    competitor_offered = offered.rename({"n_offered": "n_theirs"})
    rows = (
        gaps.join(home_offered, on=[*key, "home_platform"], how="left")
        .join(competitor_offered, on=[*key, "platform"], how="left")
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
