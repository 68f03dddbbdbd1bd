"""Laws of alerts to traders. Each returns its violations (`domain.schemas.VIOLATIONS`), and an empty frame when lawful.

They take rows as written, and know nothing of how these were computed.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import OddsAlertLevel, OddsAlertStatus, OddsAlertType

from ..coverage.coverage_laws import violations
from .odds_alerts import KEY

ROUNDING: Final = 0.0005 + 1e-9
"""What odds lose as they are written: a median of two has four decimals."""
SUMMING: Final = 1e-9
DISAGREEMENT: Final = OddsAlertType.DIRECTION_DISAGREEMENT.value
OF_PRICES: Final = (OddsAlertType.PRICE_MOVE.value, DISAGREEMENT, OddsAlertType.HOME_OUTLIER.value)


def episodes_do_not_overlap(alerts: pl.DataFrame) -> pl.DataFrame:
    """odds_alert: of one thing no two episodes last at the same time."""
    following = pl.col("opened_at").shift(-1).over(KEY)
    rows = alerts.sort(*KEY, "opened_at").with_columns(following=following).filter(pl.col("following").is_not_null())
    wrong = rows.filter((pl.col("closed_at") > pl.col("following")).fill_null(value=True))
    return violations("episodes do not overlap", wrong, _alert(), pl.format("lasts until {}, the next is from {}", _text("closed_at"), "following"))


def episodes_end_after_they_begin(alerts: pl.DataFrame) -> pl.DataFrame:
    """odds_alert: what is closed has an end, after its begin; what is not has none."""
    closed = pl.col("status") == OddsAlertStatus.CLOSED.value
    lawful = (closed == pl.col("closed_at").is_not_null()) & (pl.col("closed_at") > pl.col("opened_at")).fill_null(value=True)
    sentence = pl.format("is {}, from {} to {}", "status", "opened_at", _text("closed_at"))
    return violations("episodes end after they begin", alerts.filter(~lawful), _alert(), sentence)


def peaks_reach_their_level(alerts: pl.DataFrame, levels: tuple[float, float, float]) -> pl.DataFrame:
    """odds_alert: of prices the peak is as large as its severity says, no larger, and what its prices make.

    An episode opens with a change of the odds above the lowest level: they change by more than their implied probability does.
    """
    half = pl.when(pl.col("alert_type") == DISAGREEMENT).then(0.5).otherwise(1.0)
    # 1 / now - 1 / then is (1 - now / then) / now.
    shift, other_shift = (
        pl.col(c).abs() / pl.col(odds) for c, odds in (("peak_change_rel", "current_odds"), ("competitor_change_rel", "competitor_odds"))
    )
    size = pl.when(pl.col("alert_type") == DISAGREEMENT).then(2 * pl.min_horizontal(shift, other_shift)).otherwise(shift)
    bounds = {level.value: bound for level, bound in zip(OddsAlertLevel, levels, strict=True)}
    least = pl.col("severity").replace_strict(bounds, return_dtype=pl.Float64)
    above = pl.col("severity").replace_strict(dict(zip(bounds, (*levels[1:], float("inf")), strict=True)), return_dtype=pl.Float64)
    times = 1 + pl.col("peak_change_rel")
    lawful = (
        (size > least - SUMMING)
        & (size < above + SUMMING)
        & (pl.col("change_rel").abs() > levels[0] * half - SUMMING)
        & ((pl.col("baseline_odds") * times - pl.col("current_odds")).abs() <= ROUNDING * (1 + times))
    )
    wrong = alerts.filter(pl.col("alert_type").is_in(OF_PRICES), ~lawful.fill_null(value=False))
    sentence = pl.format(
        "is {} with a peak of {}, from {} to {}", "severity", *(_text(n) for n in ("peak_change_rel", "baseline_odds", "current_odds"))
    )
    return violations("peaks reach their level", wrong, _alert(), sentence)


def begun_fixtures_are_closed(open_though_begun: pl.DataFrame) -> pl.DataFrame:
    """odds_alert: of a fixture that has begun nothing is open. Takes the rows that are."""
    return violations("begun fixtures are closed", open_though_begun, _alert(), pl.lit("is open, and the fixture has begun"))


def _alert() -> pl.Expr:
    return pl.format("{} {} of sr_id {} on {}, {} {}", "alert_type", "alert_id", "sr_id", "platform", "market_key", "specifier").str.strip_chars_end()


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).fill_null("none")
