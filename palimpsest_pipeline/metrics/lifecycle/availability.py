"""The availability of each market of a fixture on each platform, as intervals without overlap or hole.

Two time series are combined: the state of the market in each answer, and the state of its listing (answered, missing
from a complete discovery, not observed). Each entry of a series (called a mark in this module) holds until the next
one. An interval is a span with one state and one reason. The listing as a whole is treated as one more market, with the
key '*'. Markets that were never in an answer have no interval.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, AvailabilityState, LookResult, MarketState
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..history_rows import add_next_keyframes, equals_previous, refuse_orphans
from ..prices.margins import expand_outcomes
from .anchors import add_kickoff, select_looks_before_kickoff

AVAILABILITY_SCHEMA: Final = get_frame_schema(
    "mart.availability_interval", "kickoff_date", "as_of", "mapping_version", "computed_at"
)

_OFFERED: Final = MarketState.OFFERED.value
_SUSPENDED: Final = MarketState.SUSPENDED.value
_NO_PRICE: Final = MarketState.NO_PRICE.value
_WITHDRAWN: Final = MarketState.WITHDRAWN.value
ANSWER_STATES: Final = [state.value for state in MarketState]
"""The states that come from an answer."""
DROPPED: Final = AvailabilityState.EVENT_DROPPED.value
CLOSED: Final = AvailabilityState.CLOSED_AT_KICKOFF.value
NOT_OBSERVED: Final = AvailabilityState.NOT_OBSERVED.value
REASON_BY_LOOK: Final = {
    LookResult.ABSENT.value: "not in a complete discovery",
    LookResult.FAILED.value: "no usable answer",
    LookResult.UNKNOWN.value: "discovery failed",
}
ANSWER_HOLDS: Final = "known"
"""State of a listing while its last answer holds.

Its other states are values of AvailabilityState: dropped, closed, not observed.
"""
UNIT_COLUMNS: Final = ("listing_id", "market_key", "specifier")
_COUNT_COLUMNS: Final = ("n_outcomes", "n_outcomes_active")
STRETCH_COLUMNS: Final = ("listing_id", "of_whole", "listing_state")
"""Columns that identify a stretch: a span in which the state of a listing does not change.

`of_whole` is true for the state of the listing itself, and false for the state that its markets use. A discovery that
still shows the listing changes only the former.
"""
AVAILABILITY_LISTINGS_AT_ONCE: Final = 50
"""Number of listings that are computed together: about 100 MB if every market changes all day."""


def build_availability_intervals(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    *,
    as_of: datetime,
    silence_limit: timedelta,
) -> pl.DataFrame:
    """Return the intervals of every market that any answer showed, and of every listing that was seen.

    The result has the columns `AVAILABILITY_SCHEMA` and is sorted by key. The frames are as in `lifecycle_frames`; rows
    of listings that are not in `listings` are left out. Kickoffs up to `as_of` are in the past. `silence_limit` is how
    long a look holds without another look, at most until `as_of`. Only looks before the newest known kickoff are used;
    a listing without one has no interval. In a cycle with an answer, only the answers are used.

    Raises ValueError on a limit that is not positive, an answer without its number of markets, changes at an instant
    without an answer among the looks, and like `add_kickoff`.
    """
    if silence_limit <= timedelta(0):
        raise ValueError(f"silence_limit is {silence_limit}: it must be positive")
    anchors = add_kickoff(listings, kickoffs, as_of).select("listing_id", "sr_id", "platform", "kickoff_at", "to_come")
    counted_looks = _select_counted_looks(looks, anchors)
    base_names = {"market_key": {WHOLE_LISTING_KEY}, "specifier": {""}, "outcome": {""}}
    names = {
        name: pl.Enum(sorted(texts.union(changes.get_column(name).unique()))) for name, texts in base_names.items()
    }
    parts = [pl.DataFrame(schema=AVAILABILITY_SCHEMA)]
    for batch in anchors.iter_slices(AVAILABILITY_LISTINGS_AT_ONCE):
        batch_changes = changes.join(batch.select("listing_id", "kickoff_at"), on="listing_id")
        rows = batch_changes.cast(names)  # type: ignore[arg-type]
        batch_looks = counted_looks.join(batch.select("listing_id"), on="listing_id", maintain_order="left")
        parts.append(_build_intervals(batch, batch_looks, rows, as_of, silence_limit))
    return pl.concat(parts)


def _build_intervals(
    anchors: pl.DataFrame, looks: pl.DataFrame, changes: pl.DataFrame, as_of: datetime, silence_limit: timedelta
) -> pl.DataFrame:
    """Return the intervals of some listings from their looks and changes.

    Market keys and specifiers become Enums, which sort like their texts, but faster.
    """
    news = _build_listing_news(looks)
    market_marks = _build_market_marks(_build_outcome_marks(changes, looks))
    if news.is_empty():
        return pl.DataFrame(schema=AVAILABILITY_SCHEMA)
    marks = pl.concat([market_marks, _build_listing_marks(looks, market_marks)])
    intervals = _compose_intervals(marks, _build_stretches(news, anchors, as_of, silence_limit), anchors)
    minutes = (pl.col("kickoff_at") - pl.col("valid_from")).dt.total_minutes(fractional=True)
    return (
        _add_confirmations(intervals, news)
        .join(anchors, on="listing_id", maintain_order="left")
        .with_columns(minutes_to_kickoff_at_start=minutes)
        .select(pl.col(name).cast(dtype) for name, dtype in AVAILABILITY_SCHEMA.items())
    )


def _select_counted_looks(looks: pl.DataFrame, anchors: pl.DataFrame) -> pl.DataFrame:
    """Return the looks before kickoff, beginning with the first one that shows the listing.

    The rows are sorted by listing and instant. There is one look per listing and instant. Added columns: `shown`, the
    last result among answered, listed and absent up to this look; `asked`, the last one among answered and absent.
    """
    before = select_looks_before_kickoff(looks, anchors)
    look = pl.col("look")
    uncounted = before.filter(look == LookResult.ANSWERED.value, pl.col("n_markets_priced").is_null())
    if uncounted.height:
        raise ValueError(f"{uncounted.height} answers without n_markets_priced, e.g. {uncounted.row(0, named=True)}")
    seen_at = (
        pl.col("at").filter(look.is_in([LookResult.ANSWERED.value, LookResult.LISTED.value])).min().over("listing_id")
    )
    is_asked = look.is_in([LookResult.ANSWERED.value, LookResult.ABSENT.value])
    return before.filter(pl.col("at") >= seen_at).with_columns(
        shown=pl.when(is_asked | (look == LookResult.LISTED.value)).then(look).forward_fill().over("listing_id"),
        asked=pl.when(is_asked).then(look).forward_fill().over("listing_id"),
    )


def _build_outcome_marks(changes: pl.DataFrame, looks: pl.DataFrame) -> pl.DataFrame:
    """Return the state of each row of a book at each answer that changes it, sorted by row and instant.

    A row is a whole line, or one open outcome. The columns are row (a number), `UNIT_COLUMNS`, at, state and
    `_COUNT_COLUMNS`. A row that is not in the first answer of a later day is withdrawn from that answer on.
    """
    answers = looks.filter(pl.col("look") == LookResult.ANSWERED.value).select("listing_id", "at")
    rows = (
        changes.filter(pl.col("observed_at") < pl.col("kickoff_at"))
        .rename({"observed_at": "at"})
        .unique([*UNIT_COLUMNS, "outcome", "at"])
    )
    refuse_orphans(rows.join(answers, on=["listing_id", "at"], how="anti"))
    states = (
        _add_counts(rows)
        .select(*UNIT_COLUMNS, "outcome", "at", "state", *_COUNT_COLUMNS)
        .join(add_next_keyframes(answers), on=["listing_id", "at"], how="left")
        .sort(*UNIT_COLUMNS, "outcome", "at")
        .with_columns(row=pl.struct(*UNIT_COLUMNS, "outcome").rle_id())
    )
    last_of_day = (pl.col("row") != pl.col("row").shift(-1)) | (pl.col("at").shift(-1) > pl.col("next_keyframe_at"))
    is_lacking = (
        last_of_day.fill_null(value=True) & (pl.col("state") != _WITHDRAWN) & pl.col("next_keyframe_at").is_not_null()
    )
    states = states.with_columns(lacking=is_lacking)
    is_repeat = equals_previous("row", "state", *_COUNT_COLUMNS) & ~pl.col("lacking").shift(1)
    withdrawn_values = [
        pl.lit(_WITHDRAWN).alias("state"),
        *(pl.lit(0, pl.Int32).alias(name) for name in _COUNT_COLUMNS),
    ]
    differing = states.filter(is_repeat.not_().fill_null(value=True)).select(
        "row", *UNIT_COLUMNS, "at", "state", *_COUNT_COLUMNS
    )
    withdrawals = states.filter("lacking").select(
        "row", *UNIT_COLUMNS, pl.col("next_keyframe_at").alias("at"), *withdrawn_values
    )
    return pl.concat([differing, withdrawals]).sort("row", "at")


def _equals_next(name: str) -> pl.Expr:
    """Return whether the value equals that of the next row; null in the last row."""
    return pl.col(name) == pl.col(name).shift(-1)


def _subtract_previous(value: pl.Expr, key: str) -> pl.Expr:
    """Return the difference to the previous row if it has the same key, else the value itself."""
    return value - pl.when(equals_previous(key)).then(value.shift(1)).otherwise(0)


def _add_counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `rows` with the number of listed outcomes and the number of outcomes that can be backed.

    Listed outcomes have a price or are suspended.
    """
    numbered = rows.with_row_index("nth_row")
    masked = numbered.filter(pl.col("off_mask") != 0)
    by_mask = (
        expand_outcomes(masked, ["nth_row"])
        .group_by("nth_row")
        .agg(listed=(pl.col("state") != _NO_PRICE).sum(), backable=(pl.col("state") == _OFFERED).sum())
    )
    n_priced = pl.col("odds_milli").list.agg(pl.element().count())
    return numbered.join(by_mask, on="nth_row", how="left").with_columns(
        n_outcomes=pl.when(pl.col("state") == _WITHDRAWN)
        .then(0)
        .otherwise(pl.coalesce("listed", n_priced))
        .cast(pl.Int32),
        n_outcomes_active=pl.when(pl.col("state") == _OFFERED)
        .then(pl.coalesce("backable", n_priced))
        .otherwise(0)
        .cast(pl.Int32),
    )


def _build_market_marks(outcome_marks: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a book combined by market: the best of their states, the sums of their counts.

    The result is sorted by market and instant, with the columns `UNIT_COLUMNS`, at, state and `_COUNT_COLUMNS`.
    `outcome_marks` is the result of `_build_outcome_marks`. The current counts are running sums of the differences
    between consecutive entries of each row.
    """
    summed_columns = [pl.col(name) for name in (_OFFERED, _SUSPENDED, _NO_PRICE, *_COUNT_COLUMNS)]
    best_state = (
        pl.when(pl.col(_OFFERED) > 0).then(pl.lit(_OFFERED)).when(pl.col(_SUSPENDED) > 0).then(pl.lit(_SUSPENDED))
    )
    return (
        outcome_marks.with_columns(
            (pl.col("state") == state).cast(pl.Int32).alias(state) for state in (_OFFERED, _SUSPENDED, _NO_PRICE)
        )
        .with_columns(_subtract_previous(n, "row") for n in summed_columns)
        .group_by(*UNIT_COLUMNS, "at")
        .agg(n.sum() for n in summed_columns)
        .sort(*UNIT_COLUMNS, "at")
        .with_columns(market=pl.struct(UNIT_COLUMNS).rle_id())
        .with_columns(n.cum_sum().over("market") for n in summed_columns)
        .select(
            *UNIT_COLUMNS,
            "at",
            best_state.when(pl.col(_NO_PRICE) > 0).then(pl.lit(_NO_PRICE)).otherwise(pl.lit(_WITHDRAWN)).alias("state"),
            *_COUNT_COLUMNS,
        )
    )


def _build_listing_marks(looks: pl.DataFrame, market_marks: pl.DataFrame) -> pl.DataFrame:
    """Return the state of the whole listing at each answer, in the columns of `market_marks`.

    A listing is offered when any of its markets is, else suspended when it has any market, else without a price.
    """
    markets = market_marks.with_columns(
        market=pl.struct(UNIT_COLUMNS).rle_id(), there=(pl.col("state") != _WITHDRAWN).cast(pl.Int32)
    )
    n_markets = (
        markets.select("listing_id", "at", more=_subtract_previous(pl.col("there"), "market"))
        .group_by("listing_id", "at")
        .agg(pl.col("more").sum())
        .sort("listing_id", "at")
        .select("listing_id", "at", n_markets=pl.col("more").cum_sum().over("listing_id"))
    )
    answers = looks.filter(pl.col("look") == LookResult.ANSWERED.value).sort("at")
    state = (
        pl.when(pl.col("n_markets_priced") > 0)
        .then(pl.lit(_OFFERED))
        .when(pl.col("n_markets") > 0)
        .then(pl.lit(_SUSPENDED))
    )
    return answers.join_asof(n_markets.sort("at"), on="at", by="listing_id", check_sortedness=False).select(
        "listing_id",
        pl.lit(WHOLE_LISTING_KEY).cast(market_marks.schema["market_key"]).alias("market_key"),
        pl.lit("").cast(market_marks.schema["specifier"]).alias("specifier"),
        "at",
        state.otherwise(pl.lit(_NO_PRICE)).alias("state"),
        *(pl.lit(None, pl.Int32).alias(name) for name in _COUNT_COLUMNS),
    )


def _build_listing_news(looks: pl.DataFrame) -> pl.DataFrame:
    """Return the state of the listing at each look, once for the whole listing and once for its markets.

    The columns are `STRETCH_COLUMNS`, at, cycle_id, reason and shown, sorted by of_whole, listing and instant. A
    discovery that still shows the listing counts only for the whole listing. A discovery that shows it again after a
    drop ends the drop for its markets too.
    """
    look, detail = pl.col("look"), pl.col("detail")
    listed_since_answer = (look == LookResult.LISTED.value) & (pl.col("asked") == LookResult.ANSWERED.value).fill_null(
        value=False
    )
    was_asked = pl.col("asked").is_not_null()
    reason = (
        pl.when(look == LookResult.ANSWERED.value)
        .then(pl.lit(""))
        .when(listed_since_answer)
        .then(pl.lit("still listed, not requested again"))
        .when(look == LookResult.LISTED.value)
        .then(
            pl.when(was_asked)
            .then(pl.lit("listed again, not yet requested"))
            .otherwise(pl.lit("listed, not yet requested"))
        )
        .otherwise(
            look.replace_strict(REASON_BY_LOOK, default=None, return_dtype=pl.String)
            + pl.when(detail.fill_null("") == "").then(pl.lit("")).otherwise(pl.lit(": ") + detail)
        )
    )
    listing_state = (
        pl.when((look == LookResult.ANSWERED.value) | listed_since_answer)
        .then(pl.lit(ANSWER_HOLDS))
        .when(look == LookResult.ABSENT.value)
        .then(pl.lit(DROPPED))
        .otherwise(pl.lit(NOT_OBSERVED))
    )
    states = looks.with_columns(listing_state=listing_state, reason=reason, idle=listed_since_answer)
    all_states = pl.concat(
        [
            states.with_columns(of_whole=pl.lit(value=True)),
            states.filter(~pl.col("idle")).with_columns(of_whole=pl.lit(value=False)),
        ]
    )
    return all_states.sort("of_whole", "listing_id", "at").select(*STRETCH_COLUMNS, "at", "cycle_id", "reason", "shown")


def _build_stretches(
    news: pl.DataFrame, anchors: pl.DataFrame, as_of: datetime, silence_limit: timedelta
) -> pl.DataFrame:
    """Return the spans with one state of each listing: `STRETCH_COLUMNS`, at (the begin) and reason.

    A span begins at a look, at the end of `silence_limit` after a look, or at the kickoff. Neighbouring spans have
    different states.
    """
    subject = ["of_whole", "listing_id"]
    until = pl.coalesce(pl.col("at").shift(-1).over(subject), pl.min_horizontal("kickoff_at", pl.lit(as_of, INSTANT)))
    silence_at = pl.col("at") + silence_limit
    silences = (
        news.join(anchors.select("listing_id", "kickoff_at"), on="listing_id", maintain_order="left")
        .filter((silence_at < until) & (pl.col("listing_state") != NOT_OBSERVED))
        .with_columns(
            at=silence_at,
            listing_state=pl.lit(NOT_OBSERVED),
            reason=pl.lit(f"no look for {silence_limit / timedelta(minutes=1):g} minutes"),
        )
    )
    is_dropped = pl.col("shown") == LookResult.ABSENT.value
    closings = (
        news.unique(subject, keep="last", maintain_order=True)
        .join(anchors.filter(~pl.col("to_come")).select("listing_id", "kickoff_at"), on="listing_id")
        .with_columns(
            at="kickoff_at",
            listing_state=pl.when(is_dropped).then(pl.lit(DROPPED)).otherwise(pl.lit(CLOSED)),
            reason=pl.when(is_dropped).then(pl.lit("dropped before the kickoff")).otherwise(pl.lit("kickoff")),
        )
    )
    columns = [*STRETCH_COLUMNS, "at", "reason"]
    return (
        pl.concat([news.select(columns), silences.select(columns), closings.select(columns)])
        .sort(*subject, "at")
        .filter((pl.col("listing_state") != pl.col("listing_state").shift(1).over(subject)).fill_null(value=True))
    )


def _compose_intervals(marks: pl.DataFrame, stretches: pl.DataFrame, anchors: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals, combined from `marks` of markets and `stretches` of listings, in final order.

    The columns are `UNIT_COLUMNS`, of_whole, state, valid_from, valid_to, `_COUNT_COLUMNS` and reason_detail. The state
    of the listing is used instead of the state of the market, except while the listing's last answer holds.
    """
    is_whole = pl.col("market_key") == WHOLE_LISTING_KEY
    market_begins = marks.filter(~is_whole).group_by(UNIT_COLUMNS).agg(begins_at=pl.col("at").min())
    listing_begins = stretches.filter("of_whole").group_by("listing_id").agg(begins_at=pl.col("at").min())
    names = {
        name: pl.lit(text).cast(marks.schema[name])
        for name, text in (("market_key", WHOLE_LISTING_KEY), ("specifier", ""))
    }
    units = (
        pl.concat([market_begins, listing_begins.with_columns(**names).select(market_begins.columns)])
        .join(anchors.select("listing_id", "sr_id", "platform"), on="listing_id")
        .sort("sr_id", "platform", "market_key", "specifier")
        .select(*UNIT_COLUMNS, "begins_at", of_whole=is_whole)
        .with_row_index("unit")
    )
    listing_events = (
        stretches.join(units, on=["listing_id", "of_whole"])
        .filter(pl.col("at") >= pl.col("begins_at"))
        .select("unit", "at", "listing_state", "reason")
    )
    market_events = marks.join(units, on=UNIT_COLUMNS).select(
        "unit", "at", "state", *_COUNT_COLUMNS, listing_state=pl.lit(ANSWER_HOLDS), reason=pl.lit("")
    )
    is_answered = pl.col("listing_state") == ANSWER_HOLDS
    still_withdrawn = (pl.col("listing_state") == CLOSED) & (pl.col("state") == _WITHDRAWN)
    state = pl.when(is_answered | still_withdrawn).then("state").otherwise("listing_state")
    reason = pl.when(still_withdrawn).then(pl.lit("not in the last answer before the kickoff")).otherwise("reason")
    is_answer_state = pl.col("state").is_in(ANSWER_STATES)
    return (
        pl.concat([listing_events, market_events], how="diagonal")
        .sort("unit", "at")
        .with_columns(pl.col("state", *_COUNT_COLUMNS).forward_fill().over("unit"))
        .filter((_equals_next("unit") & _equals_next("at")).not_().fill_null(value=True))
        .with_columns(state.alias("state"), reason_detail=reason)
        .filter(~equals_previous("unit", "state"))
        .with_columns(pl.when(is_answer_state).then(pl.col(name)).alias(name) for name in _COUNT_COLUMNS)
        .select(
            "unit",
            "state",
            *_COUNT_COLUMNS,
            "reason_detail",
            valid_from="at",
            valid_to=pl.when(_equals_next("unit")).then(pl.col("at").shift(-1)),
        )
        .join(units.drop("begins_at"), on="unit", maintain_order="left")
    )


def _add_confirmations(intervals: pl.DataFrame, news: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals, in their order, with counts of the looks that confirm their state.

    Added columns: first_cycle, last_cycle, n_confirmations, last_confirmed_at. All looks are sorted by stretch and
    instant; the looks of an interval lie between the positions of its two ends.
    """
    looks = news.sort(*STRETCH_COLUMNS, "at").with_columns(place=pl.struct(STRETCH_COLUMNS).rle_id().cast(pl.Int64))
    origin, latest = looks.select(pl.col("at").min(), latest=pl.col("at").max()).row(0)
    span: int = (latest - origin) // timedelta(microseconds=1) + 2

    def place(at: pl.Expr) -> pl.Expr:
        """Return stretch and instant as one number; instants outside the range of all looks are clipped."""
        return pl.col("place") * span + (at - pl.lit(origin, INSTANT)).dt.total_microseconds().clip(0, span - 1)

    listing_state = pl.when(pl.col("state").is_in(ANSWER_STATES)).then(pl.lit(ANSWER_HOLDS)).otherwise("state")
    positions = looks.select(place(pl.col("at"))).to_series()
    ends = (
        intervals.with_columns(listing_state=listing_state)
        .join(looks.select(*STRETCH_COLUMNS, "place").unique(), on=STRETCH_COLUMNS, how="left", maintain_order="left")
        .select(
            begin=place(pl.col("valid_from")),
            end=place(pl.col("valid_to").fill_null(latest + timedelta(microseconds=1))),
        )
    )
    n_before, n_until = (
        pl.lit(positions.search_sorted(ends.get_column(name), side="left")).cast(pl.Int32) for name in ("begin", "end")
    )
    cycles, instants = pl.lit(looks.get_column("cycle_id")), pl.lit(looks.get_column("at"))
    has_looks = (n_until > n_before).fill_null(value=False) & ends.get_column("begin").is_not_null()
    first, last = pl.when(has_looks).then(n_before), pl.when(has_looks).then(n_until - 1)
    return intervals.with_columns(
        first_cycle=cycles.gather(first),
        last_cycle=cycles.gather(last),
        n_confirmations=pl.when(has_looks).then(n_until - n_before).otherwise(0),
        last_confirmed_at=instants.gather(last),
    )
