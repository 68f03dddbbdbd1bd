"""The rows of odds_alert: one per episode of a fixture before kickoff. No I/O.

The columns of the frames are in `lifecycle_frames`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, LookResult, OddsAlertLevel, OddsAlertType
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..history_rows import PLACES_PER_LINE
from ..lifecycle.anchors import add_kickoff, select_looks_before_kickoff
from .book_comparisons import find_disagreements, find_outliers
from .disappearances import find_disappearances, find_drops, find_returns
from .episodes import SIZE_DECIMALS, find_episodes
from .price_moves import compute_move_sizes, compute_moves
from .prices_over_time import PriceTimeline, build_price_timeline

ODDS_ALERTS_SCHEMA: Final = get_frame_schema("mart.odds_alert", "status", "mapping_version", "computed_at")
EPISODE_KEY: Final = ("alert_type", "platform", "competitor", "sr_id", "market_key", "specifier")
"""The columns that identify the subject of an episode. Episodes with equal values never overlap.

Together with `opened_at` they determine the alert's id.
"""
ODDS_COLUMN_BY_MILLI: Final = {
    "odds_milli": "current_odds",
    "baseline_milli": "baseline_odds",
    "other_odds_milli": "competitor_odds",
}
ID_HEX_DIGITS: Final = 15
"""Number of hex digits in an alert's id: 15 x 4 = 60 bits, as many as core.natural_id returns."""
LOW, MEDIUM, HIGH = (level.value for level in OddsAlertLevel)
RETURN_SEVERITY: Final = LOW
"""Severity of a market that returns."""
DROP_SEVERITY: Final = HIGH
"""Severity of a listing that a platform drops before kickoff."""


@dataclass(frozen=True, slots=True)
class OddsAlertRules:
    """The thresholds of alerts. Shares are fractions of 1, not percentages."""

    levels: tuple[float, float, float]
    """Changes of the implied probability (1 / odds) from which severity is low, medium and high.

    An episode begins at the first level.
    """
    calm_share: float
    """An episode ends when every change is below this share of the first level; a fraction of 1."""
    window: timedelta
    """The time over which a price move is measured."""
    max_skew: timedelta
    """Maximum time between the answers of two platforms whose prices are compared."""
    silence_limit: timedelta
    """How long an answer holds. Afterwards the prices are unknown until the next answer."""
    watch_before_kickoff: timedelta
    """How long before kickoff alerts begin."""
    max_odds: float
    """Two prices of an outcome are compared only if at least one of them is not above these decimal odds."""
    main_markets: Sequence[str] = ()
    """Keys of the markets whose disappearance has severity medium instead of low."""
    markets: Sequence[str] | None = None
    """Keys of the markets to examine. None means all markets."""

    @property
    def lookback(self) -> timedelta:
        """How long before kickoff data begins to influence an alert."""
        return self.watch_before_kickoff + self.window + self.max_skew + self.silence_limit


def find_odds_alerts(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    outcomes: pl.DataFrame,
    rules: OddsAlertRules,
    *,
    as_of: datetime,
    suspects: Sequence[int] = (),
) -> pl.DataFrame:
    """Return one row per episode, columns `ODDS_ALERTS_SCHEMA`, sorted by kickoff date, opened_at and id.

    The frames have the columns of `lifecycle_frames` and contain all listings of a fixture. Kickoffs up to `as_of` are
    in the past and close open episodes. Data from before the UTC day on which `OddsAlertRules.lookback` begins has no
    influence, so a caller may leave it out. `suspects` are fixtures whose listings may not offer the same bets: their
    prices are not compared between platforms.

    Raises ValueError like `build_price_timeline` and `add_kickoff`, and when `outcomes` lacks an outcome of an alert.
    """
    anchored = add_kickoff(listings, kickoffs, as_of).with_columns(
        watch_from=pl.col("kickoff_at") - rules.watch_before_kickoff,
        since=(pl.col("kickoff_at") - rules.lookback).dt.truncate("1d"),
    )
    if rules.markets is not None:
        changes = changes.filter(pl.col("market_key").is_in(list(rules.markets)))
    timeline = build_price_timeline(looks, changes, anchored, rules.silence_limit)
    counted_looks = (
        select_looks_before_kickoff(looks, anchored)
        .join(anchored.select("listing_id", "since"), on="listing_id")
        .filter(pl.col("at") >= pl.col("since"))
    )
    moves = compute_moves(timeline, anchored, rules.window, rules.levels[0] / 2, rules.max_odds)
    comparable_listings = anchored.filter(~pl.col("sr_id").is_in(list(suspects)))
    episodes = [
        _find_price_moves(timeline, moves, outcomes, rules),
        _find_disagreements(timeline, moves, comparable_listings, outcomes, rules),
        _find_outliers(timeline, comparable_listings, outcomes, rules),
        *_find_disappearances(timeline, anchored, rules),
        _find_drops(counted_looks, anchored),
    ]
    last_looks = (
        counted_looks.join(anchored.select("listing_id", "sr_id"), on="listing_id")
        .group_by("sr_id")
        .agg(as_of=pl.col("at").max())
    )
    alerts = (
        pl.concat(episodes, how="diagonal_relaxed")
        .join(anchored.select("listing_id", "sr_id", "platform", "kickoff_at", "to_come"), on="listing_id")
        .join(last_looks, on="sr_id")
        .join(anchored.select(other_listing_id="listing_id", competitor="platform"), on="other_listing_id", how="left")
    )
    return _build_rows(alerts).sort("kickoff_date", "opened_at", "alert_id")


def _find_price_moves(
    timeline: PriceTimeline, moves: pl.DataFrame, outcomes: pl.DataFrame, rules: OddsAlertRules
) -> pl.DataFrame:
    episodes = _build_episodes(compute_move_sizes(moves), moves.rename({"place": "part"}), rules).rename(
        {"part": "place"}
    )
    return _add_units(
        timeline, timeline.add_outcome_keys(episodes, outcomes), "unit", OddsAlertType.PRICE_MOVE
    ).with_columns(_count_minutes(rules.window).alias("window_minutes"), baseline_at=pl.col("peak_at") - rules.window)


def _find_disagreements(
    timeline: PriceTimeline, moves: pl.DataFrame, anchored: pl.DataFrame, outcomes: pl.DataFrame, rules: OddsAlertRules
) -> pl.DataFrame:
    disagreements = find_disagreements(timeline, moves, anchored, rules.max_skew)
    episodes = _add_ordinal_places(timeline, _build_episodes(disagreements, disagreements, rules), "home_unit")
    other_units = timeline.units.select(other_unit="unit", other_listing_id="listing_id")
    return (
        _add_units(
            timeline, timeline.add_outcome_keys(episodes, outcomes), "home_unit", OddsAlertType.DIRECTION_DISAGREEMENT
        )
        .join(other_units, on="other_unit")
        .with_columns(
            _count_minutes(rules.window).alias("window_minutes"), baseline_at=pl.col("peak_at") - rules.window
        )
    )


def _find_outliers(
    timeline: PriceTimeline, anchored: pl.DataFrame, outcomes: pl.DataFrame, rules: OddsAlertRules
) -> pl.DataFrame:
    outliers = find_outliers(timeline, anchored, rules.max_skew, rules.levels[0], rules.max_odds)
    episodes = _add_ordinal_places(timeline, _build_episodes(outliers, outliers, rules), "unit")
    return _add_units(
        timeline, timeline.add_outcome_keys(episodes, outcomes), "unit", OddsAlertType.HOME_OUTLIER
    ).with_columns(baseline_at=pl.col("peak_at"))


def _find_disappearances(timeline: PriceTimeline, anchored: pl.DataFrame, rules: OddsAlertRules) -> list[pl.DataFrame]:
    disappearances = find_disappearances(timeline, anchored)
    return [
        _add_units(timeline, disappearances, "unit", OddsAlertType.MARKET_DISAPPEARED).with_columns(
            severity=rate_disappearance(pl.col("market_key"), rules.main_markets)
        ),
        _add_units(
            timeline, find_returns(timeline, disappearances, rules.window), "unit", OddsAlertType.MARKET_RETURNED
        ).with_columns(_count_minutes(rules.window).alias("window_minutes"), severity=pl.lit(RETURN_SEVERITY)),
    ]


def _find_drops(looks: pl.DataFrame, anchored: pl.DataFrame) -> pl.DataFrame:
    is_here = (
        pl.when(pl.col("look").is_in([LookResult.ANSWERED.value, LookResult.LISTED.value]))
        .then(pl.lit(value=True))
        .when(pl.col("look") == LookResult.ABSENT.value)
        .then(pl.lit(value=False))
    )
    return find_drops(looks.select("listing_id", "at", here=is_here), anchored).with_columns(
        alert_type=pl.lit(OddsAlertType.EVENT_DROPPED.value),
        market_key=pl.lit(WHOLE_LISTING_KEY),
        specifier=pl.lit(""),
        severity=pl.lit(DROP_SEVERITY),
    )


def _build_episodes(sizes: pl.DataFrame, figures: pl.DataFrame, rules: OddsAlertRules) -> pl.DataFrame:
    """Return the episodes of `sizes` with their peak, opening change and severity.

    The column `part` is the part with the peak.
    """
    episodes = find_episodes(sizes.select("unit", "part", "at", "size"), rules.levels[0], rules.calm_share)
    peak_key, opening = ["unit", "part", "at"], {"part": "opened_by", "at": "opened_at", "change": "change_rel"}
    return (
        episodes.join(
            figures.rename({"part": "peak_part", "at": "peak_at"}),
            on=["unit", "peak_part", "peak_at"],
            how="left",
            suffix="_there",
        )
        .join(figures.select(*peak_key, "change").rename(opening), on=["unit", "opened_by", "opened_at"], how="left")
        .rename({"peak_part": "part", "change": "peak_change_rel"})
        .with_columns(severity=rate_size(pl.col("peak_size"), rules.levels))
    )


def _add_ordinal_places(timeline: PriceTimeline, episodes: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Return `episodes` with the `place` of their part (see `prices_over_time.PriceTimeline`).

    The part is an ordinal in the market `unit`, which has exactly one line because it has no open outcomes.
    """
    lines = timeline.lines.select(pl.col("unit").alias(unit), "line")
    return (
        episodes.join(lines, on=unit, how="left")
        .with_columns(place=pl.col("line") * PLACES_PER_LINE + pl.col("part"))
        .drop("line")
    )


def _add_units(timeline: PriceTimeline, episodes: pl.DataFrame, unit: str, alert_type: OddsAlertType) -> pl.DataFrame:
    """Return `episodes` with the alert type, and with listing and market of the unit."""
    units = timeline.units.rename({"unit": unit})
    return episodes.join(units, on=unit).with_columns(alert_type=pl.lit(alert_type.value))


def _count_minutes(span: timedelta) -> pl.Expr:
    return pl.lit(span / timedelta(minutes=1), pl.Float64)


def _build_rows(episodes: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `ODDS_ALERTS_SCHEMA`; episodes still open at a past kickoff are closed by it."""
    rows = episodes.with_columns(
        closed_at=pl.when(pl.col("to_come")).then("closed_at").otherwise(pl.coalesce("closed_at", "kickoff_at")),
        outcome_key=pl.col("outcome_key").fill_null(""),
        kickoff_date=pl.col("kickoff_at").dt.date(),
        minutes_to_kickoff=(pl.col("kickoff_at") - pl.col("opened_at")).dt.total_minutes(fractional=True),
        competitor_change_rel=pl.col("other_change"),
        # Polars divides by a constant by multiplying with its inverse: 1900 / 1000 is 1.9000000000000001 unless it is
        # rounded.
        **{name: (pl.col(milli) / EVENS_MILLI).round(3) for milli, name in ODDS_COLUMN_BY_MILLI.items()},
    )
    ids = [_make_alert_id(*row) for row in rows.select(*EPISODE_KEY, "opened_at").iter_rows()]
    return rows.with_columns(alert_id=pl.Series(ids, dtype=pl.Int64)).select(
        pl.col(name).cast(dtype) for name, dtype in ODDS_ALERTS_SCHEMA.items()
    )


def _make_alert_id(*key: object) -> int:
    """Return an id computed only from `key`: the values of `EPISODE_KEY` and opened_at."""
    text = "|".join(
        part.isoformat() if isinstance(part, datetime) else "" if part is None else str(part) for part in key
    )
    return int(md5(text.encode(), usedforsecurity=False).hexdigest()[:ID_HEX_DIGITS], 16)


def rate_size(size: pl.Expr, levels: Sequence[float]) -> pl.Expr:
    """Return the severity of a change of the implied probability (1 / odds).

    `levels` are the changes from which the severity is low, medium and high.
    """
    _, medium, high = (round(level, SIZE_DECIMALS) for level in levels)
    return pl.when(size >= high).then(pl.lit(HIGH)).when(size >= medium).then(pl.lit(MEDIUM)).otherwise(pl.lit(LOW))


def rate_disappearance(market_key: pl.Expr, main_markets: Iterable[str]) -> pl.Expr:
    """Return the severity of a market that disappears: medium for a main market, low for any other."""
    return pl.when(market_key.is_in(list(main_markets))).then(pl.lit(MEDIUM)).otherwise(pl.lit(LOW))
