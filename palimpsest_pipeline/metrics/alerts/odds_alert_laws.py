"""Laws on rows of odds_alert: rules that hold whatever the platforms answer.

Each function takes rows as they were written and returns the rows that violate its rule
(`domain.schemas.VIOLATIONS_SCHEMA`), or an empty frame. The functions do not call the code that computes the rows.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import OddsAlertLevel, OddsAlertStatus, OddsAlertType

from ..coverage.coverage_laws import build_violations
from .odds_alerts import EPISODE_KEY

ROUNDING_TOLERANCE: Final = 0.0005 + 1e-9
"""The rounding error of stored odds: they have three decimals, and a median of two prices has four."""
SUM_TOLERANCE: Final = 1e-9
DISAGREEMENT_TYPE: Final = OddsAlertType.DIRECTION_DISAGREEMENT.value
PRICE_ALERT_TYPES: Final = (OddsAlertType.PRICE_MOVE.value, DISAGREEMENT_TYPE, OddsAlertType.HOME_OUTLIER.value)


def episodes_do_not_overlap(alerts: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of episodes with the same `EPISODE_KEY` that overlap in time."""
    following = pl.col("opened_at").shift(-1).over(EPISODE_KEY)
    rows = (
        alerts.sort(*EPISODE_KEY, "opened_at")
        .with_columns(following=following)
        .filter(pl.col("following").is_not_null())
    )
    overlaps = rows.filter((pl.col("closed_at") > pl.col("following")).fill_null(value=True))
    return build_violations(
        "episodes do not overlap",
        overlaps,
        _describe_alert(),
        pl.format("lasts until {}, the next is from {}", _convert_to_text("closed_at"), "following"),
    )


def episodes_end_after_they_begin(alerts: pl.DataFrame) -> pl.DataFrame:
    """Return closed episodes whose end is missing or not after their begin, and open ones with an end."""
    closed = pl.col("status") == OddsAlertStatus.CLOSED.value
    lawful = (closed == pl.col("closed_at").is_not_null()) & (pl.col("closed_at") > pl.col("opened_at")).fill_null(
        value=True
    )
    sentence = pl.format("is {}, from {} to {}", "status", "opened_at", _convert_to_text("closed_at"))
    return build_violations("episodes end after they begin", alerts.filter(~lawful), _describe_alert(), sentence)


def peaks_reach_their_level(alerts: pl.DataFrame, levels: tuple[float, float, float]) -> pl.DataFrame:
    """Return price alerts whose peak does not fit their severity, their odds or the lowest level.

    The peak must lie within the bounds of the severity, and must follow from baseline and current odds. The opening
    change of the odds must be above the lowest level, because odds change by more than their implied probability.
    """
    level_share = pl.when(pl.col("alert_type") == DISAGREEMENT_TYPE).then(0.5).otherwise(1.0)
    # the relation used below: 1 / now - 1 / then is (1 - now / then) / now
    shift, other_shift = (
        pl.col(c).abs() / pl.col(odds)
        for c, odds in (("peak_change_rel", "current_odds"), ("competitor_change_rel", "competitor_odds"))
    )
    size = (
        pl.when(pl.col("alert_type") == DISAGREEMENT_TYPE)
        .then(2 * pl.min_horizontal(shift, other_shift))
        .otherwise(shift)
    )
    bounds = {level.value: bound for level, bound in zip(OddsAlertLevel, levels, strict=True)}
    lower_bound = pl.col("severity").replace_strict(bounds, return_dtype=pl.Float64)
    upper_bound = pl.col("severity").replace_strict(
        dict(zip(bounds, (*levels[1:], float("inf")), strict=True)), return_dtype=pl.Float64
    )
    ratio = 1 + pl.col("peak_change_rel")
    lawful = (
        (size > lower_bound - SUM_TOLERANCE)
        & (size < upper_bound + SUM_TOLERANCE)
        & (pl.col("change_rel").abs() > levels[0] * level_share - SUM_TOLERANCE)
        & ((pl.col("baseline_odds") * ratio - pl.col("current_odds")).abs() <= ROUNDING_TOLERANCE * (1 + ratio))
    )
    violations = alerts.filter(pl.col("alert_type").is_in(PRICE_ALERT_TYPES), ~lawful.fill_null(value=False))
    sentence = pl.format(
        "is {} with a peak of {}, from {} to {}",
        "severity",
        *(_convert_to_text(n) for n in ("peak_change_rel", "baseline_odds", "current_odds")),
    )
    return build_violations("peaks reach their level", violations, _describe_alert(), sentence)


def begun_fixtures_are_closed(open_alerts: pl.DataFrame) -> pl.DataFrame:
    """Return all `open_alerts` as violations: a fixture that has begun must have no open alert."""
    return build_violations(
        "begun fixtures are closed", open_alerts, _describe_alert(), pl.lit("is open, and the fixture has begun")
    )


def _describe_alert() -> pl.Expr:
    return pl.format(
        "{} {} of sr_id {} on {}, {} {}", "alert_type", "alert_id", "sr_id", "platform", "market_key", "specifier"
    ).str.strip_chars_end()


def _convert_to_text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).fill_null("none")
