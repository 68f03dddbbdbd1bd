"""What traders are told of: episodes in the life of fixtures before kickoff, one row each. Frames in, frames out;
shapes in `lifecycle_frames`.

Belongs here: the rows, put together from what `price_moves`, `book_comparisons` and `disappearances` find; severities
and ids. Does not: those, when an episode begins and ends (`episodes`), who has seen an alert (`storage`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, LookResult, OddsAlertLevel, OddsAlertType
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.domain.schemas import INSTANT

from ..lifecycle.anchors import add_kickoff, select_looks_before_kickoff
from ..lifecycle_frames import FrameSchema
from .book_comparisons import find_disagreements, find_outliers
from .disappearances import find_disappearances, find_drops, find_returns
from .episodes import SIZE_DECIMALS, find_episodes
from .price_moves import compute_moves, compute_sizes
from .prices_over_time import PLACES_PER_LINE, PriceTimeline, build_price_timeline

ODDS_ALERTS_SCHEMA: Final[FrameSchema] = {
    "alert_id": pl.Int64,
    "alert_type": pl.String,
    "severity": pl.String,
    "platform": pl.String,
    "sr_id": pl.Int64,
    "kickoff_date": pl.Date,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome_key": pl.String,
    "baseline_at": INSTANT,
    "baseline_odds": pl.Float64,
    "current_odds": pl.Float64,
    "change_rel": pl.Float64,
    "window_minutes": pl.Float64,
    "competitor": pl.String,
    "competitor_odds": pl.Float64,
    "competitor_change_rel": pl.Float64,
    "opened_at": INSTANT,
    "peak_at": INSTANT,
    "peak_change_rel": pl.Float64,
    "closed_at": INSTANT,
    "minutes_to_kickoff": pl.Float64,
    "as_of": INSTANT,
}
EPISODE_KEY: Final = ("alert_type", "platform", "competitor", "sr_id", "market_key", "specifier")
"""What an episode is about. With `opened_at` it makes the id; no two episodes of one key overlap."""
ODDS_COLUMN_BY_MILLI: Final = {
    "odds_milli": "current_odds",
    "baseline_milli": "baseline_odds",
    "other_odds_milli": "competitor_odds",
}
ID_HEX_DIGITS: Final = 15
"""Of 16 bits' worth each: 60 bits, as core.natural_id gives them."""
LOW, MEDIUM, HIGH = (level.value for level in OddsAlertLevel)


@dataclass(frozen=True, slots=True)
class OddsAlertRules:
    """When something is worth telling. Shares of 1."""

    levels: tuple[float, float, float]
    """Changes of the implied probability (1 / odds) that are low, medium, high; from the first on there is an
    episode.
    """
    calm_share: float
    """It is over when no change is as large as this share of the first level."""
    window: timedelta
    """Over which prices move."""
    max_skew: timedelta
    """Answers of two platforms are compared when no further apart."""
    silence_limit: timedelta
    """How long an answer holds; after that nothing is known, until the next one."""
    watch_before_kickoff: timedelta
    """From how long before kickoff on."""
    max_odds: float
    """Two prices of an outcome are compared when at least one of them is not above this."""
    main_markets: Sequence[str] = ()
    """Markets whose disappearing weighs more."""
    markets: Sequence[str] | None = None
    """Keys of the markets to look at; None: all markets."""

    @property
    def lookback(self) -> timedelta:
        """How much earlier than that a value can lie that is compared with."""
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
    """One row per episode, columns `ODDS_ALERTS_SCHEMA`, sorted by kickoff, opened_at and id.

    Frames as in `lifecycle_frames`: all listings of a fixture together. `as_of`: kickoffs until then have happened;
    what is open then is over. Nothing that was seen earlier than the UTC day on which `Rules.lookback` begins counts,
    so a caller may leave it out. `suspects`: fixtures whose listings may not
    offer the same bets: prices of different books are not compared.

    Raises ValueError like `standing` and `add_kickoff`, and when `outcomes` lacks the name of one that is told of.
    """
    anchored = add_kickoff(listings, kickoffs, as_of).with_columns(
        watch_from=pl.col("kickoff_at") - rules.watch_before_kickoff,
        since=(pl.col("kickoff_at") - rules.lookback).dt.truncate("1d"),
    )
    if rules.markets is not None:
        changes = changes.filter(pl.col("market_key").is_in(list(rules.markets)))
    stood = build_price_timeline(looks, changes, anchored, rules.silence_limit)
    seen = (
        select_looks_before_kickoff(looks, anchored)
        .join(anchored.select("listing_id", "since"), on="listing_id")
        .filter(pl.col("at") >= pl.col("since"))
    )
    moved = compute_moves(stood, anchored, rules.window, rules.levels[0] / 2, rules.max_odds)
    compared = anchored.filter(~pl.col("sr_id").is_in(list(suspects)))
    found = [
        _find_price_moves(stood, moved, outcomes, rules),
        _find_disagreements(stood, moved, compared, outcomes, rules),
        _find_outliers(stood, compared, outcomes, rules),
        *_find_disappearances(stood, anchored, rules),
        _find_drops(seen, anchored),
    ]
    last = (
        seen.join(anchored.select("listing_id", "sr_id"), on="listing_id")
        .group_by("sr_id")
        .agg(as_of=pl.col("at").max())
    )
    told = (
        pl.concat(found, how="diagonal_relaxed")
        .join(anchored.select("listing_id", "sr_id", "platform", "kickoff_at", "to_come"), on="listing_id")
        .join(last, on="sr_id")
        .join(anchored.select(other_listing_id="listing_id", competitor="platform"), on="other_listing_id", how="left")
    )
    return _build_rows(told).sort("kickoff_date", "opened_at", "alert_id")


def _find_price_moves(
    timeline: PriceTimeline, moves: pl.DataFrame, outcomes: pl.DataFrame, rules: OddsAlertRules
) -> pl.DataFrame:
    found = _build_episodes(compute_sizes(moves), moves.rename({"place": "part"}), rules).rename({"part": "place"})
    return _add_units(
        timeline, timeline.add_outcome_keys(found, outcomes), "unit", OddsAlertType.PRICE_MOVE
    ).with_columns(_count_minutes(rules.window).alias("window_minutes"), baseline_at=pl.col("peak_at") - rules.window)


def _find_disagreements(
    timeline: PriceTimeline, moves: pl.DataFrame, anchored: pl.DataFrame, outcomes: pl.DataFrame, rules: OddsAlertRules
) -> pl.DataFrame:
    compared = find_disagreements(timeline, moves, anchored, rules.max_skew)
    found = _add_ordinal_places(timeline, _build_episodes(compared, compared, rules), "home_unit")
    others = timeline.units.select(other_unit="unit", other_listing_id="listing_id")
    return (
        _add_units(
            timeline, timeline.add_outcome_keys(found, outcomes), "home_unit", OddsAlertType.DIRECTION_DISAGREEMENT
        )
        .join(others, on="other_unit")
        .with_columns(
            _count_minutes(rules.window).alias("window_minutes"), baseline_at=pl.col("peak_at") - rules.window
        )
    )


def _find_outliers(
    timeline: PriceTimeline, anchored: pl.DataFrame, outcomes: pl.DataFrame, rules: OddsAlertRules
) -> pl.DataFrame:
    compared = find_outliers(timeline, anchored, rules.max_skew, rules.levels[0], rules.max_odds)
    found = _add_ordinal_places(timeline, _build_episodes(compared, compared, rules), "unit")
    return _add_units(
        timeline, timeline.add_outcome_keys(found, outcomes), "unit", OddsAlertType.HOME_OUTLIER
    ).with_columns(baseline_at=pl.col("peak_at"))


def _find_disappearances(timeline: PriceTimeline, anchored: pl.DataFrame, rules: OddsAlertRules) -> list[pl.DataFrame]:
    gone = find_disappearances(timeline, anchored)
    main = pl.col("market_key").is_in(list(rules.main_markets))
    return [
        _add_units(timeline, gone, "unit", OddsAlertType.MARKET_DISAPPEARED).with_columns(
            severity=pl.when(main).then(pl.lit(MEDIUM)).otherwise(pl.lit(LOW))
        ),
        _add_units(
            timeline, find_returns(timeline, gone, rules.window), "unit", OddsAlertType.MARKET_RETURNED
        ).with_columns(_count_minutes(rules.window).alias("window_minutes"), severity=pl.lit(LOW)),
    ]


def _find_drops(looks: pl.DataFrame, anchored: pl.DataFrame) -> pl.DataFrame:
    here = (
        pl.when(pl.col("look").is_in([LookResult.ANSWERED.value, LookResult.LISTED.value]))
        .then(pl.lit(value=True))
        .when(pl.col("look") == LookResult.ABSENT.value)
        .then(pl.lit(value=False))
    )
    return find_drops(looks.select("listing_id", "at", here=here), anchored).with_columns(
        alert_type=pl.lit(OddsAlertType.EVENT_DROPPED.value),
        market_key=pl.lit(WHOLE_LISTING_KEY),
        specifier=pl.lit(""),
        severity=pl.lit(HIGH),
    )


def _build_episodes(sizes: pl.DataFrame, figures: pl.DataFrame, rules: OddsAlertRules) -> pl.DataFrame:
    """Episodes of these sizes with the figures of their peak, `part` (the one at the peak), the change they opened
    with, and their severity.
    """
    found = find_episodes(sizes.select("unit", "part", "at", "size"), rules.levels[0], rules.calm_share)
    on, opening = ["unit", "part", "at"], {"part": "opened_by", "at": "opened_at", "change": "change_rel"}
    return (
        found.join(
            figures.rename({"part": "peak_part", "at": "peak_at"}),
            on=["unit", "peak_part", "peak_at"],
            how="left",
            suffix="_there",
        )
        .join(figures.select(*on, "change").rename(opening), on=["unit", "opened_by", "opened_at"], how="left")
        .rename({"peak_part": "part", "change": "peak_change_rel"})
        .with_columns(severity=_choose_severity(pl.col("peak_size"), rules))
    )


def _choose_severity(size: pl.Expr, rules: OddsAlertRules) -> pl.Expr:
    _, medium, high = (round(level, SIZE_DECIMALS) for level in rules.levels)
    return pl.when(size >= high).then(pl.lit(HIGH)).when(size >= medium).then(pl.lit(MEDIUM)).otherwise(pl.lit(LOW))


def _add_ordinal_places(timeline: PriceTimeline, episodes: pl.DataFrame, unit: str) -> pl.DataFrame:
    """`found`, whose part is an ordinal, with the `place` of it in `unit`, a market of enumerated outcomes: one
    line.
    """
    lines = timeline.lines.select(pl.col("unit").alias(unit), "line")
    return (
        episodes.join(lines, on=unit, how="left")
        .with_columns(place=pl.col("line") * PLACES_PER_LINE + pl.col("part"))
        .drop("line")
    )


def _add_units(timeline: PriceTimeline, episodes: pl.DataFrame, unit: str, alert_type: OddsAlertType) -> pl.DataFrame:
    """`found` with the listing and the market that its units stand for."""
    named = timeline.units.rename({"unit": unit})
    return episodes.join(named, on=unit).with_columns(alert_type=pl.lit(alert_type.value))


def _count_minutes(span: timedelta) -> pl.Expr:
    return pl.lit(span / timedelta(minutes=1), pl.Float64)


def _build_rows(episodes: pl.DataFrame) -> pl.DataFrame:
    """The columns of `ODDS_ALERTS_SCHEMA`. What is open at a kickoff that has been is over with it."""
    rows = episodes.with_columns(
        closed_at=pl.when(pl.col("to_come")).then("closed_at").otherwise(pl.coalesce("closed_at", "kickoff_at")),
        outcome_key=pl.col("outcome_key").fill_null(""),
        kickoff_date=pl.col("kickoff_at").dt.date(),
        minutes_to_kickoff=(pl.col("kickoff_at") - pl.col("opened_at")).dt.total_minutes(fractional=True),
        competitor_change_rel=pl.col("other_change"),
        # Polars divides by a literal through its inverse: 1900 / 1000 is 1.9000000000000001 unless it is rounded.
        **{name: (pl.col(milli) / EVENS_MILLI).round(3) for milli, name in ODDS_COLUMN_BY_MILLI.items()},
    )
    ids = [_make_alert_id(*row) for row in rows.select(*EPISODE_KEY, "opened_at").iter_rows()]
    return rows.with_columns(alert_id=pl.Series(ids, dtype=pl.Int64)).select(
        pl.col(name).cast(dtype) for name, dtype in ODDS_ALERTS_SCHEMA.items()
    )


def _make_alert_id(*key: object) -> int:
    """Of KEY and opened_at: the same on every machine and whenever it is derived."""
    text = "|".join(
        part.isoformat() if isinstance(part, datetime) else "" if part is None else str(part) for part in key
    )
    return int(md5(text.encode(), usedforsecurity=False).hexdigest()[:ID_HEX_DIGITS], 16)
