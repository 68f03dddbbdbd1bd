"""The opening and closing price of every outcome before kickoff, each with its quality.

Takes and returns frames. The columns of the frames are in `lifecycle_frames`. A price can be backed if the market is
offered, and the outcome has odds above 1.00 and is not suspended. A price holds from the answer that shows it until an
answer shows another price, suspends the outcome or lacks it. The first answer of a UTC day contains all markets, so a
market that is not in it is withdrawn. Failed looks and drops of the whole listing end no price, but they lower the
quality of opening and closing prices.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import CloseQuality, LookResult, MarketState, OpenQuality
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..history_rows import PLACES_PER_LINE, add_next_keyframes, name_places, refuse_orphans
from ..prices.margins import compute_market_margins, expand_outcomes
from .anchors import add_kickoff, select_looks_before_kickoff

OPEN_CLOSE_SCHEMA: Final = get_frame_schema(
    "mart.open_close", "kickoff_date", "as_of", "mapping_version", "computed_at"
)
OPEN_CLOSE_LISTINGS_AT_ONCE: Final = 100
"""Number of listings that are computed together. Larger groups take more memory and are not faster.

Measured with 7,000 changes per listing.
"""
OPEN_CLOSE_KEY: Final = ("sr_id", "platform", "market_key", "specifier", "outcome_key")

_LINE_COLUMNS: Final = ("listing_id", "market_key", "specifier", "outcome")


def find_open_close(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
    *,
    as_of: datetime,
    exact_s: float,
    silence_limit: timedelta,
) -> pl.DataFrame:
    """Return one row per outcome that an answer showed priced or suspended, columns `OPEN_CLOSE_SCHEMA`.

    The rows are sorted by `OPEN_CLOSE_KEY`. The frames are as in `lifecycle_frames`; `sets` has market_key and the
    columns `OUTCOME_SETS_SCHEMA`. Only looks strictly before the newest known kickoff are used. An outcome that was
    seen only later has a row without prices, whose close quality is missing. Before that kickoff there is no closing
    price. A closing price confirmed at most `exact_s` seconds before kickoff is exact. A look holds for
    `silence_limit`.

    Listings are independent of each other, so a caller may process them in groups. The computation takes about 400 MB
    in addition to its arguments and its result.

    Raises ValueError when a change has no answer among the looks, when `outcomes` lacks the name of an offered outcome,
    and like `add_kickoff`.
    """
    anchored = add_kickoff(listings, kickoffs, as_of)
    counted_looks = select_looks_before_kickoff(looks, anchored)
    answers, last_answers = _list_answers(counted_looks, silence_limit), _find_last_answers(counted_looks)
    parts = [
        _build_open_close(batch, changes, answers, last_answers, outcomes, sets)
        for batch in anchored.sort("listing_id").iter_slices(OPEN_CLOSE_LISTINGS_AT_ONCE)
    ]
    return (
        _build_columns(pl.concat(parts), exact_s).sort(OPEN_CLOSE_KEY)
        if parts
        else pl.DataFrame(schema=OPEN_CLOSE_SCHEMA)
    )


def _build_open_close(
    anchored: pl.DataFrame,
    changes: pl.DataFrame,
    answers: pl.DataFrame,
    last_answers: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
) -> pl.DataFrame:
    """Return the outcomes of some listings by name, with their first and last price and the rows of both."""
    lines, rows = _build_market_rows(changes, anchored, answers)
    places = _expand_places(rows)
    open_close = (
        name_places(
            _select_shown_places(places, rows).join(_find_price_lives(places, rows), on="place", how="left"),
            lines,
            outcomes,
        )
        .join(anchored, on="listing_id")
        .join(last_answers, on="listing_id", how="left")
        .join(
            answers.select("listing_id", "open_quality", "prev_absent_cycle", open_at="at"),
            on=["listing_id", "open_at"],
            how="left",
        )
        .join(
            answers.select("listing_id", confirmed_at="previous_at", gone_at="at"),
            on=["listing_id", "gone_at"],
            how="left",
        )
        .with_columns(
            confirmed_at=pl.when(pl.col("close_row").is_not_null()).then(pl.coalesce("confirmed_at", "last_answer_at"))
        )
    )
    margins = _compute_margins(rows, lines, pl.concat([open_close["open_row"], open_close["close_row"]]), sets)
    for end in ("open", "close"):
        open_close = open_close.join(margins.select(pl.all().name.prefix(f"{end}_")), on=f"{end}_row", how="left")
    return open_close


def _list_answers(looks: pl.DataFrame, silence_limit: timedelta) -> pl.DataFrame:
    """Return the answers before kickoff, with the quality that an opening price in each of them has.

    The columns are listing_id, at, the previous answer (`previous_at`), the next answer that contains all markets
    (`next_keyframe_at`), `open_quality` and `prev_absent_cycle`.
    """
    is_conclusive = pl.col("look").is_in([LookResult.ANSWERED.value, LookResult.ABSENT.value])
    is_recent = pl.col("at") - pl.col("look_at") <= silence_limit
    quality = (
        pl.when(pl.col("prev_absent_cycle").is_null())
        .then(pl.lit(OpenQuality.LEFT_CENSORED.value))
        .when(pl.col("look_proves") & is_recent)
        .then(pl.lit(OpenQuality.EXACT.value))
        .otherwise(pl.lit(OpenQuality.LATE_DISCOVERY.value))
    )
    answers = (
        looks.with_columns(
            look_at=pl.col("at").shift().over("listing_id"),
            look_proves=is_conclusive.shift().over("listing_id"),
            prev_absent_cycle=pl.when(is_conclusive).then("cycle_id").forward_fill().shift().over("listing_id"),
        )
        .filter(pl.col("look") == LookResult.ANSWERED.value)
        .select(
            "listing_id",
            "at",
            "prev_absent_cycle",
            open_quality=quality,
            previous_at=pl.col("at").shift().over("listing_id"),
        )
    )
    return add_next_keyframes(answers)


def _find_last_answers(looks: pl.DataFrame) -> pl.DataFrame:
    """Return each listing's last answer before kickoff, and whether the listing was dropped afterwards.

    A complete discovery without the listing means that it was dropped.
    """
    last_at = {
        look: pl.col("at").filter(pl.col("look") == look.value).max()
        for look in (LookResult.ANSWERED, LookResult.ABSENT)
    }
    return looks.group_by("listing_id").agg(
        last_answer_at=last_at[LookResult.ANSWERED], dropped=last_at[LookResult.ABSENT] > last_at[LookResult.ANSWERED]
    )


def _build_market_rows(
    changes: pl.DataFrame, anchored: pl.DataFrame, answers: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines (`line` and its names), and their rows numbered by `row`, sorted by line and time.

    A row begins at `at` and ends at `until`: the first answer that differs, or null when the last answer before kickoff
    still agrees. `early` is true for rows from before kickoff; other rows only show that the line existed.
    """
    listing_changes = changes.join(anchored.select("listing_id", "kickoff_at"), on="listing_id")
    lines = listing_changes.select(_LINE_COLUMNS).unique().with_row_index("line")
    rows = (
        listing_changes.join(lines, on=_LINE_COLUMNS)
        .select(
            "line",
            "listing_id",
            "outcome",
            "state",
            "off_mask",
            "odds_milli",
            at="observed_at",
            early=pl.col("observed_at") < pl.col("kickoff_at"),
        )
        .join(
            answers.select("listing_id", "at", "next_keyframe_at", answer=pl.lit(value=True)),
            on=["listing_id", "at"],
            how="left",
        )
        .sort("line", "at")
    )
    refuse_orphans(rows.filter("early", pl.col("answer").is_null()))
    # Of two equal rows the first one ends where it begins, so it has no effect.
    has_next_row = (pl.col("line") == pl.col("line").shift(-1)) & pl.col("early").shift(-1)
    until = pl.min_horizontal(pl.when(has_next_row).then(pl.col("at").shift(-1)), "next_keyframe_at")
    return lines, rows.select(
        pl.row_index("row"), "line", "at", "early", "outcome", "state", "off_mask", "odds_milli", until=until
    )


def _expand_places(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes of every row: row, odds_milli, place, can, has, shown.

    `place` combines line and ordinal. `can` is true when the outcome can be backed, `has` when the answer may list it,
    and `shown` when the answer certainly lists it: in an array, an outcome without a price and one that is not listed
    look the same.
    """
    is_unpriced = pl.col("state_of_row") == MarketState.NO_PRICE.value
    is_listed = pl.col("state") != MarketState.NO_PRICE.value
    return expand_outcomes(rows.rename({"state": "state_of_row"}), ("row", "line", "state_of_row")).select(
        "row",
        "odds_milli",
        place=pl.col("line") * PLACES_PER_LINE + pl.col("ordinal"),
        can=(pl.col("state") == MarketState.OFFERED.value) & (pl.col("odds_milli") > EVENS_MILLI),
        has=is_listed | is_unpriced,
        shown=is_listed | (is_unpriced & (pl.col("outcome") != "")),
    )


def _select_shown_places(places: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return every place that an answer showed, and whether it may be in the last answer before kickoff."""
    last_rows = rows.select("row", last=pl.col("early") & pl.col("until").is_null())
    return (
        places.filter("has")
        .join(last_rows, on="row")
        .group_by("place")
        .agg(pl.col("shown").any(), has=pl.col("last").any())
        .filter("shown")
        .drop("shown")
    )


def _find_price_lives(places: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the first and the last price of every place that had a price before kickoff.

    Further columns are the rows of both prices, the begin of the last price (`close_at`), and the first answer without
    that price (`gone_at`; null when the price held until kickoff).
    """
    is_first = pl.col("place").ne_missing(pl.col("place").shift())
    has_returned = pl.col("at").ne_missing(pl.col("until").shift())
    has_moved = pl.col("odds_milli").ne_missing(pl.col("odds_milli").shift())
    return (
        places.filter("can")
        .join(rows.filter("early").select("row", "at", "until"), on="row")
        .sort("place", "row")
        .with_columns(
            began_at=pl.when(is_first | has_returned | has_moved).then("at"),
            # A return counts as two changes, the withdrawal and the return, even at an equal price.
            n_changes=pl.when(is_first).then(0).when(has_returned).then(2).otherwise(has_moved.cast(pl.Int32)),
        )
        .group_by("place", maintain_order=True)
        .agg(
            open_row=pl.col("row").first(),
            open_at=pl.col("at").first(),
            open_milli=pl.col("odds_milli").first(),
            close_row=pl.col("row").last(),
            close_at=pl.col("began_at").max(),
            close_milli=pl.col("odds_milli").last(),
            gone_at=pl.col("until").last(),
            n_changes=pl.col("n_changes").sum() + pl.col("until").last().is_not_null(),
            min_milli=pl.col("odds_milli").min(),
            max_milli=pl.col("odds_milli").max(),
        )
    )


def _compute_margins(
    rows: pl.DataFrame, lines: pl.DataFrame, row_numbers: pl.Series, sets: pl.DataFrame
) -> pl.DataFrame:
    """Return row and margin of the market, for each row in `row_numbers`."""
    ids = sets.select("market_key", "market_id").unique()
    markets = (
        rows.join(row_numbers.drop_nulls().unique().to_frame("row"), on="row", how="semi")
        .join(lines.select("line", "market_key"), on="line")
        .join(ids, on="market_key")
    )
    group_keys = ("row", "market_id")
    return compute_market_margins(expand_outcomes(markets, group_keys), group_keys, sets).select("row", "margin")


def _build_columns(outcomes: pl.DataFrame, exact_s: float) -> pl.DataFrame:
    """Return the columns of `OPEN_CLOSE_SCHEMA`."""
    lag = pl.col("kickoff_at") - pl.col("confirmed_at")
    # Polars divides by a constant by multiplying with its inverse: 1900 / 1000 is 1.9000000000000001 unless it is
    # rounded.
    odds = {name: (pl.col(f"{name}_milli") / EVENS_MILLI).round(3) for name in ("open", "close", "min", "max")}
    quality = (
        pl.when(pl.col("close_milli").is_null())
        .then(pl.lit(CloseQuality.MISSING.value))
        .when((pl.col("kickoff_version") > 1) & (pl.col("kickoff_since") > pl.col("last_answer_at")))
        .then(pl.lit(CloseQuality.ANCHOR_STALE.value))
        .when(pl.col("dropped").fill_null(value=False) | (pl.col("gone_at").is_not_null() & ~pl.col("has")))
        .then(pl.lit(CloseQuality.WITHDRAWN_BEFORE_CLOSE.value))
        .when(pl.col("gone_at").is_not_null())
        .then(pl.lit(CloseQuality.SUSPENDED_AT_CLOSE.value))
        .when(lag > timedelta(seconds=exact_s))
        .then(pl.lit(CloseQuality.LATE.value))
        .otherwise(pl.lit(CloseQuality.EXACT.value))
    )
    close = {
        "close_odds": odds["close"],
        "close_observed_at": pl.col("close_at"),
        "close_last_confirmed_at": pl.col("confirmed_at"),
        "close_lag_s": lag.dt.total_seconds(fractional=True),
        "close_quality": quality,
        "move_rel": odds["close"] / odds["open"] - 1,
        "close_margin": pl.col("close_margin"),
    }
    return (
        outcomes.with_columns(pl.when(~pl.col("to_come")).then(value).alias(name) for name, value in close.items())
        .with_columns(
            pl.col("n_changes").fill_null(0),
            open_odds=odds["open"],
            open_observed_at="open_at",
            open_minutes_to_kickoff=(pl.col("kickoff_at") - pl.col("open_at")).dt.total_minutes(fractional=True),
            effective_kickoff="kickoff_at",
            min_odds=odds["min"],
            max_odds=odds["max"],
        )
        .select(pl.col(name).cast(dtype) for name, dtype in OPEN_CLOSE_SCHEMA.items())
    )
