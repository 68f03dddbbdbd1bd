"""Margins over time: stretches of a market without a price change, each with its margin.

Takes and returns frames. The columns of the frames are in `lifecycle_frames`.

Prices hold from the answer that shows them until one of these: an answer shows other prices or lacks the market, a
complete discovery lacks the listing, the kickoff, or the end of the silence limit without a look. The first answer of a
UTC day contains all markets: equal prices continue, and markets that are not in it are withdrawn. A failed look ends
nothing.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.buckets import BUCKETS_BY_SCHEME
from palimpsest_pipeline.domain.enums import BucketScheme, LookResult, MarketState
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..history_rows import add_next_keyframes, refuse_orphans
from ..prices.margins import compute_market_margins, expand_outcomes
from .anchors import add_kickoff, select_looks_before_kickoff

MARKET_MARGIN_SCHEMA: Final = get_frame_schema(
    "mart.market_margin", "kickoff_date", "as_of", "mapping_version", "computed_at"
)
"""The columns of market_margin. `odds_vector` is a JSON object: decimal odds by outcome key."""
STRETCH_KEY: Final = ("sr_id", "platform", "market_key", "specifier", "observed_from")

_LINE_COLUMNS: Final = ("listing_id", "market_key", "specifier")
_MARKET_COLUMNS: Final = ("run", "market_id")


def build_margin_stretches(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
    *,
    market_keys: Sequence[str],
    as_of: datetime,
    silence_limit: timedelta,
) -> pl.DataFrame:
    """Return one row per stretch without a price change in one of `market_keys`, sorted by `STRETCH_KEY`.

    The result has the columns `MARKET_MARGIN_SCHEMA`. The frames are as in `lifecycle_frames`; `sets` has market_key
    and the columns `OUTCOME_SETS_SCHEMA`. Only looks strictly before the newest known kickoff are used; kickoffs up to
    `as_of` are in the past. A market that an answer shows suspended or without a price has a stretch without a margin.

    Listings are independent of each other, so a caller may process them in groups.

    Raises ValueError on a market that `sets` lacks, on a market of open outcomes (it has no complete set), on changes
    at an instant without an answer among the looks, on an outcome without a name, and like `add_kickoff`.
    """
    anchored = add_kickoff(listings, kickoffs, as_of)
    answers, watches = _build_watches(select_looks_before_kickoff(looks, anchored), anchored, as_of, silence_limit)
    runs = _build_runs(changes.filter(pl.col("market_key").is_in(list(market_keys))), anchored, answers)
    minutes = (pl.col("kickoff_at") - pl.col("observed_from")).dt.total_minutes(fractional=True)
    return (
        _cut_at_watches(runs, answers, watches)
        .join(_compute_margins(runs, market_keys, outcomes, sets), on="run")
        .join(anchored.select("listing_id", "sr_id", "platform", "kickoff_at"), on="listing_id")
        .with_columns(minutes_to_kickoff=minutes)
        .with_columns(ttk_bucket=_name_bucket(pl.col("minutes_to_kickoff")))
        .select(pl.col(name).cast(dtype) for name, dtype in MARKET_MARGIN_SCHEMA.items())
        .sort(STRETCH_KEY)
    )


def _build_watches(
    looks: pl.DataFrame, anchored: pl.DataFrame, as_of: datetime, silence_limit: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the answers before kickoff, and the watches that they form.

    A watch is a span in which the last answer of a listing always holds. Answers have listing_id, at, their `watch`,
    the previous answer (`previous_at`, `previous_watch`), and the next answer that contains all markets
    (`next_keyframe_at`). Watches have their number `watch`, `watch_from`, `watch_to` (null while the last answer still
    holds) and their last answer (`watched_at`). The numbers of a listing's watches are consecutive.
    """
    if silence_limit <= timedelta(0):
        raise ValueError(f"silence_limit is {silence_limit}: it must be positive")
    is_answer = pl.col("look") == LookResult.ANSWERED.value
    deciding_looks = looks.filter(is_answer | (pl.col("look") == LookResult.ABSENT.value)).sort("listing_id", "at")
    previous_look, previous_at = pl.col("look").shift().over("listing_id"), pl.col("at").shift().over("listing_id")
    continues_watch = (previous_look == LookResult.ANSWERED.value) & (pl.col("at") - previous_at <= silence_limit)
    answers = (
        deciding_looks.with_columns(
            begins=~continues_watch.fill_null(value=False), next_look_at=pl.col("at").shift(-1).over("listing_id")
        )
        .filter(is_answer)
        .select(
            "listing_id",
            "at",
            "next_look_at",
            watch=pl.col("begins").cum_sum().cast(pl.Int64),
        )
        .with_columns(pl.col("at", "watch").shift().over("listing_id").name.prefix("previous_"))
    )
    until = pl.coalesce("next_look_at", pl.min_horizontal("kickoff_at", pl.lit(as_of, INSTANT)))
    silent_at = pl.col("watched_at") + silence_limit
    watches = (
        answers.group_by("listing_id", "watch")
        .agg(watch_from=pl.col("at").min(), watched_at=pl.col("at").max(), next_look_at=pl.col("next_look_at").last())
        .join(anchored.select("listing_id", "kickoff_at", "to_come"), on="listing_id")
        .select(
            "watch",
            "watch_from",
            "watched_at",
            watch_to=pl.when(silent_at < until)
            .then(silent_at)
            .when(pl.col("next_look_at").is_not_null() | ~pl.col("to_come"))
            .then(until),
        )
    )
    return add_next_keyframes(answers).drop("next_look_at"), watches


def _build_runs(changes: pl.DataFrame, anchored: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Return one row (`run`) per line and span in which all answers show the same prices and state.

    The columns are run, the line, its prices and mask, `at` and `watch` of the first answer, `until` (the first answer
    that differs; null when the last answer still agrees), `previous_at` and `previous_watch` (the answer before
    `until`).
    """
    rows = (
        changes.rename({"observed_at": "at"})
        .join(anchored.select("listing_id", "kickoff_at"), on="listing_id")
        .filter(pl.col("at") < pl.col("kickoff_at"))
        .unique([*_LINE_COLUMNS, "outcome", "at"])
        .join(answers.select("listing_id", "at", "watch", "next_keyframe_at"), on=["listing_id", "at"], how="left")
        .sort(*_LINE_COLUMNS, "at")
    )
    refuse_orphans(rows.filter(pl.col("watch").is_null()))
    _refuse(
        rows.filter(pl.col("outcome") != ""),
        "changes are of a market of open outcomes: it has no complete set, and so no margin",
    )
    lines = rows.with_columns(pl.col("off_mask").fill_null(0), line=pl.struct(_LINE_COLUMNS).rle_id())
    next_row_at = pl.when(pl.col("line") == pl.col("line").shift(-1)).then(pl.col("at").shift(-1))
    listed_rows = lines.with_columns(until=pl.min_horizontal(next_row_at, "next_keyframe_at")).filter(
        pl.col("state") != MarketState.WITHDRAWN.value
    )
    continues_run = pl.all_horizontal(
        _equals_previous(name) for name in ("line", "state", "off_mask", "odds_milli")
    ) & (pl.col("at") == pl.col("until").shift())
    previous_answers = answers.select("listing_id", "previous_at", "previous_watch", until="at")
    return (
        listed_rows.with_columns(run=(~continues_run.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col(*_LINE_COLUMNS, "outcome", "at", "watch", "off_mask", "odds_milli").first(), pl.col("until").last())
        .join(previous_answers, on=["listing_id", "until"], how="left")
    )


def _cut_at_watches(runs: pl.DataFrame, answers: pl.DataFrame, watches: pl.DataFrame) -> pl.DataFrame:
    """Return the stretches: each row of `runs` cut into one row per watch that it overlaps.

    The columns are run, the line, observed_from, last_confirmed_at and observed_to.
    """
    last_watch = answers.group_by("listing_id").agg(last_watch=pl.col("watch").max())
    watch_numbers = pl.int_ranges("watch", pl.coalesce("previous_watch", "last_watch") + 1)
    ends_here = pl.col("until").is_not_null() & (pl.col("watch") == pl.col("previous_watch"))
    return (
        runs.select("run", *_LINE_COLUMNS, "at", "watch", "until", "previous_at", "previous_watch")
        .join(last_watch, on="listing_id")
        .with_columns(watch=watch_numbers)
        .explode("watch")
        .join(watches, on="watch")
        .select(
            "run",
            *_LINE_COLUMNS,
            observed_from=pl.max_horizontal("at", "watch_from"),
            last_confirmed_at=pl.when(ends_here).then("previous_at").otherwise("watched_at"),
            observed_to=pl.min_horizontal("until", "watch_to"),
        )
    )


def _compute_margins(
    runs: pl.DataFrame, market_keys: Sequence[str], outcomes: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    """Return the margin of each run, and its odds by outcome key as JSON (`odds_vector`)."""
    ids = sets.select("market_key", "market_id").unique()
    if unknown := sorted(set(market_keys) - set(ids["market_key"])):
        raise ValueError(
            f"no complete set is given for {', '.join(unknown)}: give the sets of every market that is asked for"
        )
    margins = compute_market_margins(
        expand_outcomes(runs.join(ids, on="market_key"), _MARKET_COLUMNS), _MARKET_COLUMNS, sets
    )
    names = (
        outcomes.select("market_key", pl.col("ordinal").cast(pl.Int16), "outcome_key")
        .unique()
        .join(ids, on="market_key")
    )
    labels = names.select(
        "market_id",
        "ordinal",
        label=pl.Series([f"{json.dumps(key)}: " for key in names["outcome_key"]], dtype=pl.String),
    )
    odds = (pl.col("odds_milli") / EVENS_MILLI).round(3).cast(pl.String)
    backable = margins.select(*_MARKET_COLUMNS, "ordinals", "odds_milli").explode("ordinals", "odds_milli").drop_nulls()
    labelled = backable.join(labels, left_on=["market_id", "ordinals"], right_on=["market_id", "ordinal"], how="left")
    unlabelled = labelled.filter(pl.col("label").is_null())
    _refuse(
        unlabelled, "prices are of an outcome without a name: the history knows more than the vocabulary that was given"
    )
    vectors = labelled.sort("run", "ordinals").group_by("run").agg(vector=(pl.col("label") + odds).str.join(", "))
    vector = pl.lit("{") + pl.col("vector").fill_null("") + pl.lit("}")
    return (
        margins.join(vectors, on="run", how="left")
        .with_columns(odds_vector=vector)
        .drop("market_id", "ordinals", "odds_milli", "vector")
    )


def _name_bucket(minutes: pl.Expr) -> pl.Expr:
    """Return the name of the bucket (scheme trader10) for minutes before kickoff."""
    *bounded, last = BUCKETS_BY_SCHEME[BucketScheme.TRADER10]
    return pl.coalesce(
        *(pl.when(minutes >= bucket.min_minutes).then(pl.lit(bucket.name)) for bucket in bounded), pl.lit(last.name)
    )


def _equals_previous(name: str) -> pl.Expr:
    """Return whether the value equals that of the previous row; false in the first row."""
    return pl.col(name).eq_missing(pl.col(name).shift()) & (pl.int_range(pl.len()) > 0)


def _refuse(rows: pl.DataFrame, problem: str) -> None:
    if rows.height:
        raise ValueError(f"{rows.height} {problem}. First: {rows.row(0, named=True)}")
