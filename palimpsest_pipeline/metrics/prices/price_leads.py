"""Price leads: pairs of events on two platforms, the earlier one first. No I/O.

The columns of the frames are in `lifecycle_frames`. An event is one of two things in a main market of a listing:

move        the fair probability of an outcome rises between two successive books (a fall is a rise of other outcomes)
suspension  an answer no longer offers a market that the answer before offered

An event happened after the last answer with the old state and not after the first answer with the new state. The middle
of this interval is the estimated instant of the event. Events on two platforms can make a pair when they are about the
same market (for moves: the same outcome) and their middles are at most `window` apart. The lag is the distance of the
middles; it lies between two bounds that follow from the four answers.

Two events are a pair when each was the other's nearest at the time of the later answer. Events that come later have no
influence, so a pair stays once it is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import LagLimit, LookResult, MarketState, PriceLeadType
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..history_rows import add_next_keyframes, equals_previous, refuse_orphans, refuse_unnamed
from ..lifecycle.anchors import add_kickoff, select_looks_before_kickoff
from .fair_prices import compute_multiplicative_share
from .margins import compute_margin_figures, expand_outcomes

PRICE_LEADS_SCHEMA: Final = get_frame_schema("mart.price_lead", "mapping_version")
"""The columns of price_lead, without what the caller adds."""
LEAD_KEY: Final = ("sr_id", "lead_type", "market_key", "specifier", "leader", "follower", "leader_at")
PROBABILITY_DECIMALS: Final = 9
"""Number of decimals to which probabilities are rounded.

Otherwise the order in which a sum is computed could decide whether a rise reaches the threshold.
"""
_WHOLE_MARKET: Final = 0
"""The ordinal of a suspension, which is not about one outcome."""
_EVENT_COLUMNS: Final = (
    "sr_id",
    "market",
    "ordinal",
    "platform",
    "after",
    "at",
    "is_observed",
    "probability_before",
    "probability",
)
"""The columns of events.

The event happened after the instant `after`, and not after `at`. `market` is a number for market_key and specifier.
`is_observed` is true when the listing's last answer held at every instant in between.
"""
_SUBJECT: Final = ("sr_id", "market", "ordinal")
_MARKET: Final = ("sr_id", "market", "is_suspension")
_ENDS: Final = ("leader", "follower")
_PAIR: Final = (*_MARKET, *(f"{end}_{name}" for end in _ENDS for name in ("platform", "at")))


@dataclass(frozen=True, slots=True)
class PriceLeadRules:
    """The thresholds of pairs. Probabilities are fractions of 1."""

    min_rise: float
    """Rise of an outcome's fair probability from which it is a move."""
    window: timedelta
    """Maximum distance of two events that make a pair."""
    steam_window: timedelta
    """Maximum time from the begin of a move's interval to the end of another one's in the same steam.

    So the two moves lie within it, wherever in their intervals they happened.
    """
    steam_platforms: int
    """Number of platforms that must move the same way to make a steam."""
    silence_limit: timedelta
    """How long an answer holds. Afterwards the listing is not observed until the next answer."""
    watch_before_kickoff: timedelta
    """Time before kickoff in which events count."""
    main_markets: Sequence[str]
    """Keys of the markets whose events count."""

    @property
    def max_interval(self) -> timedelta:
        """Maximum length of an event's interval.

        It is more than `silence_limit`, so an event that follows a short silence still makes a pair.
        """
        return self.silence_limit + self.window

    @property
    def lookback(self) -> timedelta:
        """Time before kickoff in which data can influence a pair."""
        return self.watch_before_kickoff + self.max_interval


def find_price_leads(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
    rules: PriceLeadRules,
    *,
    as_of: datetime,
    suspects: Sequence[int] = (),
) -> pl.DataFrame:
    """Return one row per pair of events, columns `PRICE_LEADS_SCHEMA`, sorted by `LEAD_KEY`.

    The frames have the columns of `lifecycle_frames` and contain all listings of a fixture; `sets` has market_key and
    the columns `OUTCOME_SETS_SCHEMA`. Only data before kickoff counts. Data from before the UTC day on which
    `PriceLeadRules.lookback` begins has no influence, so a caller may leave it out. `suspects` are fixtures whose
    listings may not offer the same bets: they have no rows.

    - leader, follower: the platform of the event whose middle is earlier, and the other one. Of equal middles, the
      platform whose name comes first in the alphabet leads.
    - leader_after, leader_at, follower_after, follower_at: the interval of each event.
    - lag_s: the distance of the middles, seconds. lag_min_s is follower_after - leader_at: if it is not negative, the
      order is proven. lag_max_s is follower_at - leader_after.
    - lag_limited_by: not_observed if a listing was not observed during a part of its interval, otherwise polling.
    - outcome_key and the probabilities before and after: of the outcome of the steam, otherwise of the one that rose
      most on both; '' and null for a suspension.
    - steam_at, steam_platforms: the first answer of the steam to which both moves belong, and its number of platforms:
      those of its rows.

    Of each other platform, an event has at most one leader and one follower. An event whose interval is longer than
    `PriceLeadRules.max_interval` makes no pair.

    Raises ValueError like `add_kickoff`, when a change has no answer among the looks, and when `outcomes` lacks an
    outcome.
    """
    anchored = (
        add_kickoff(listings, kickoffs, as_of)
        .filter(~pl.col("sr_id").is_in(list(suspects)))
        .with_columns(
            watch_from=pl.col("kickoff_at") - rules.watch_before_kickoff,
            since=(pl.col("kickoff_at") - rules.lookback).dt.truncate("1d"),
        )
    )
    answers = _number_answers(looks, anchored, rules.silence_limit)
    main_changes = changes.filter(pl.col("market_key").is_in(list(rules.main_markets)), pl.col("outcome") == "")
    markets = main_changes.select("market_key", "specifier").unique().sort(pl.all()).with_row_index("market")
    spans = _build_spans(main_changes.join(markets, on=["market_key", "specifier"]), answers, anchored)
    market_ids = sets.select("market_key", "market_id").unique().join(markets, on="market_key")
    moves = _find_moves(spans.join(market_ids, on="market", maintain_order="left"), sets, rules.min_rise)
    events = (
        pl.concat([moves, _find_suspensions(spans)])
        .join(anchored.select("listing_id", "sr_id", "platform", "watch_from"), on="listing_id")
        .filter(pl.col("at") >= pl.col("watch_from"), pl.col("at") - pl.col("after") <= rules.max_interval)
        .select(_EVENT_COLUMNS)
        .sort(*_SUBJECT, "at", "platform")
        .with_row_index("event")
    )
    pairs = _select_outcomes(_select_first_pairs(_pair_events(events, rules)), _find_steams(events, rules), rules)
    return _build_rows(pairs.join(markets, on="market"), anchored, outcomes)


def _number_answers(looks: pl.DataFrame, anchored: pl.DataFrame, silence_limit: timedelta) -> pl.DataFrame:
    """Return the answers before kickoff, from `since` on, by listing and instant.

    The columns are listing_id, at, watch, previous_at and previous_watch (of the listing's previous answer), and
    next_keyframe_at (the first answer of the next day with answers). A watch is the number of a series of answers, each
    of which held until the next one. A failed look, a discovery without the listing, or a longer silence ends it.
    """
    deciding_looks = (
        select_looks_before_kickoff(looks, anchored)
        .join(anchored.select("listing_id", "since"), on="listing_id")
        .filter(pl.col("at") >= pl.col("since"), pl.col("look") != LookResult.LISTED.value)
        .sort("listing_id", "at")
    )
    is_answer = pl.col("look") == LookResult.ANSWERED.value
    continues = (
        (pl.col("listing_id") == pl.col("listing_id").shift())
        & is_answer.shift()
        & (pl.col("at") - pl.col("at").shift() <= silence_limit)
    )
    answers = deciding_looks.select(
        "listing_id", "at", is_answer.alias("is_answer"), watch=(~continues.fill_null(value=False)).cum_sum()
    ).filter("is_answer")
    previous = pl.col("at", "watch").shift().over("listing_id").name.prefix("previous_")
    return add_next_keyframes(answers.select("listing_id", "at", "watch", previous))


def _build_spans(changes: pl.DataFrame, answers: pl.DataFrame, anchored: pl.DataFrame) -> pl.DataFrame:
    """Return the spans in which all answers show the same prices and state, by line and time.

    A line is a market of a listing. A withdrawn market has no span. The columns are span and line (numbers),
    listing_id, market, state, off_mask, odds_milli, `at` and `watch` (of the first answer), `until` and `until_watch`
    (of the first answer that differs; null when the last answer agrees), and `last_at` and `last_watch` (of the answer
    before `until`).
    """
    rows = (
        changes.join(anchored.select("listing_id", "since", "kickoff_at"), on="listing_id")
        .filter(pl.col("observed_at") >= pl.col("since"), pl.col("observed_at") < pl.col("kickoff_at"))
        .select("listing_id", "market", "state", pl.col("off_mask").fill_null(0), "odds_milli", at="observed_at")
        .join(answers.select("listing_id", "at", "watch", "next_keyframe_at"), on=["listing_id", "at"], how="left")
        .sort("listing_id", "market", "at")
    )
    refuse_orphans(rows.filter(pl.col("watch").is_null()))
    is_same_line = equals_previous("listing_id", "market")
    next_row_at = pl.when(pl.col("line") == pl.col("line").shift(-1)).then(pl.col("at").shift(-1))
    listed_rows = (
        rows.filter(~(is_same_line & equals_previous("at")))
        .with_columns(line=(~is_same_line).cum_sum())
        .with_columns(until=pl.min_horizontal(next_row_at, "next_keyframe_at"))
        .filter(pl.col("state") != MarketState.WITHDRAWN.value)
    )
    continues_span = (
        equals_previous("line", "state", "off_mask") & (pl.col("at") == pl.col("until").shift())
    ).fill_null(value=False) & pl.col("odds_milli").eq_missing(pl.col("odds_milli").shift())
    marked_rows = listed_rows.with_columns(begins=~continues_span)
    ends = marked_rows.filter(pl.col("begins").shift(-1, fill_value=True)).select("until")
    spans = pl.concat(
        [marked_rows.filter("begins").drop("begins", "until", "next_keyframe_at"), ends], how="horizontal"
    )
    following = answers.select(
        "listing_id", until="at", until_watch="watch", last_at="previous_at", last_watch="previous_watch"
    )
    return spans.join(following, on=["listing_id", "until"], how="left", maintain_order="left").with_row_index("span")


def _find_moves(spans: pl.DataFrame, sets: pl.DataFrame, min_rise: float) -> pl.DataFrame:
    """Return the rises of fair probabilities of at least `min_rise`, as events.

    The column listing_id stands for the fixture and the platform. The fair probability is the multiplicative one.
    `spans` has also the market_id. A market without a margin, such as a suspended one, has no fair probability; then
    the books before and after it are compared.
    """
    offered = spans.filter(pl.col("state") == MarketState.OFFERED.value)
    repriced = offered.filter(pl.len().over("line") > 1)
    prices = expand_outcomes(repriced.with_columns(outcome=pl.lit("")), ("span", "market_id"))
    books = (
        compute_margin_figures(prices, ("span", "market_id"), sets)
        .select("span", share=compute_multiplicative_share())
        .filter(pl.col("share").is_not_null())
        .join(repriced.select("span", "line", "at", "watch", "last_at", "last_watch"), on="span", maintain_order="left")
        .with_row_index("book")
    )
    probabilities = (
        prices.filter(pl.col("odds_milli") > EVENS_MILLI)
        .select("span", "ordinal", "odds_milli")
        .join(books, on="span")
        .with_columns(probability=(EVENS_MILLI / pl.col("odds_milli") * pl.col("share")).round(PROBABILITY_DECIMALS))
        .sort("line", "ordinal", "book")
    )
    follows = equals_previous("line", "ordinal") & (pl.col("book") == pl.col("book").shift() + 1)
    rise = (pl.col("probability") - pl.col("probability_before")).round(PROBABILITY_DECIMALS)
    return (
        probabilities.with_columns(
            after=pl.col("last_at").shift(),
            is_observed=pl.col("watch") == pl.col("last_watch").shift(),
            probability_before=pl.col("probability").shift(),
        )
        .filter(follows, rise >= min_rise)
        .join(repriced.select("span", "listing_id", "market"), on="span")
        .select("listing_id", *(name for name in _EVENT_COLUMNS if name not in {"sr_id", "platform"}))
    )


def _find_suspensions(spans: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that no longer offer a market that the answer before offered.

    The columns are those of `_find_moves`.
    """
    is_offered = pl.col("state") == MarketState.OFFERED.value
    stays_offered = (
        (pl.col("line") == pl.col("line").shift(-1))
        & (pl.col("until") == pl.col("at").shift(-1))
        & is_offered.shift(-1)
    ).fill_null(value=False)
    return spans.filter(is_offered, pl.col("until").is_not_null(), ~stays_offered).select(
        "listing_id",
        "market",
        ordinal=pl.lit(_WHOLE_MARKET, pl.Int16),
        after="last_at",
        at="until",
        is_observed=pl.col("until_watch") == pl.col("last_watch"),
        probability_before=pl.lit(None, pl.Float64),
        probability=pl.lit(None, pl.Float64),
    )


def _pair_events(events: pl.DataFrame, rules: PriceLeadRules) -> pl.DataFrame:
    """Return the pairs of events, one row per outcome that makes the pair.

    `events` is sorted by subject and answer. The columns are sr_id, market, is_suspension, ordinal, `lag` (twice its
    value, in us) and, with the prefixes `leader_` and `follower_`, the other columns of the events.

    Of two platforms' events about a subject, in the order of the answers, an event makes a pair with the one just
    before it, if that is of the other platform, at most `window` away, and nearer to it than to any earlier event. Only
    the latest earlier event of the other platform counts.
    """
    numbered = events.select(
        "event",
        "at",
        subject=(~equals_previous(*_SUBJECT)).cum_sum(),
        platform=pl.col("platform").rank("dense"),
        middle=pl.col("after").to_physical() + pl.col("at").to_physical(),
    )
    counterparts = numbered.select("subject", other="platform").unique()
    is_low = pl.col("platform") == pl.col("low")
    earlier_middle = (
        pl.when(is_low)
        .then(pl.when(~is_low).then("middle").forward_fill().over("series"))
        .otherwise(pl.when(is_low).then("middle").forward_fill().over("series"))
    )
    series = (
        numbered.join(counterparts, on="subject")
        .filter(pl.col("platform") != pl.col("other"))
        .with_columns(low=pl.min_horizontal("platform", "other"), high=pl.max_horizontal("platform", "other"))
        .sort("subject", "low", "high", "at", "platform")
        .with_columns(series=(~equals_previous("subject", "low", "high")).cum_sum())
        .with_columns(
            lag=pl.col("middle") - pl.col("middle").shift(),
            earlier_lag=(pl.col("middle") - earlier_middle).abs(),
            previous_event=pl.col("event").shift(),
        )
    )
    is_pair = (
        equals_previous("series")
        & ~equals_previous("platform")
        & (pl.col("lag").abs() <= 2 * (rules.window // timedelta(microseconds=1)))
        & (pl.col("lag").abs() < pl.col("earlier_lag").shift()).fill_null(value=True)
    )
    is_leader = (pl.col("lag") < 0) | ((pl.col("lag") == 0) & (pl.col("platform") < pl.col("other")))
    numbers = series.filter(is_pair).select(
        leader_event=pl.when(is_leader).then("event").otherwise("previous_event"),
        follower_event=pl.when(is_leader).then("previous_event").otherwise("event"),
        lag=pl.col("lag").abs(),
    )
    leaders = events.select(*_SUBJECT, pl.exclude(_SUBJECT).name.prefix("leader_"))
    followers = events.select(pl.exclude(_SUBJECT).name.prefix("follower_"))
    return (
        numbers.join(leaders, on="leader_event")
        .join(followers, on="follower_event")
        .with_columns(is_suspension=pl.col("ordinal") == _WHOLE_MARKET)
    )


def _select_first_pairs(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the pairs that are the first ones of the leader's and of the follower's event.

    The outcomes of a market can make different pairs of its events, and an event can lead an earlier answer and a later
    one. A pair is first when it was complete first; of pairs that the same answer completed, the shorter lag is first.
    """
    ranked = (
        pairs.unique(_PAIR, keep="any")
        .select(*_PAIR, "lag", first_at=pl.min_horizontal("leader_at", "follower_at"))
        .sort(pl.max_horizontal("leader_at", "follower_at"), "lag", "first_at", "leader_platform")
        .with_row_index("pair")
    )
    ends = [
        ranked.select(
            *_MARKET, "pair", end=pl.lit(end), platform=f"{end}_platform", at=f"{end}_at", other=f"{other}_platform"
        )
        for end, other in (_ENDS, _ENDS[::-1])
    ]
    firsts = pl.concat(ends).sort("pair").unique([*_MARKET, "end", "platform", "at", "other"], keep="first")
    mutual = firsts.group_by("pair").len().filter(pl.col("len") == len(ends))
    return pairs.join(ranked.join(mutual, on="pair", how="semi"), on=_PAIR, how="semi")


def _find_steams(events: pl.DataFrame, rules: PriceLeadRules) -> pl.DataFrame:
    """Return the moves that belong to a steam: columns event and steam (a number).

    An answer in which several outcomes of a market rose belongs to one steam at most: to the one that had enough
    platforms first, then to the one that rose more until then. An answer that comes later does not change this.
    """
    moves = events.filter(
        pl.col("ordinal") != _WHOLE_MARKET, pl.col("at") - pl.col("after") <= rules.steam_window
    ).select(
        [*_SUBJECT, "event", "platform", "after", "at"],
        rise=((pl.col("probability") - pl.col("probability_before")) * 10**PROBABILITY_DECIMALS).round().cast(pl.Int64),
    )
    runs = _number_runs(moves, rules.steam_window)
    first_moves = runs.sort("at", "platform").unique(["run", "platform"], keep="first", maintain_order=True)
    steams = (
        first_moves.group_by("run", maintain_order=True)
        .agg(
            pl.col("at").get(rules.steam_platforms - 1, null_on_oob=True),
            pl.col("rise").head(rules.steam_platforms).sum(),
        )
        .select("run", "rise", reached_at="at")
        .filter(pl.col("reached_at").is_not_null())
    )
    steam_moves = (
        runs.drop("rise")
        .join(steams, on="run")
        .sort("reached_at", "rise", "ordinal", descending=[False, True, False])
        .unique(["sr_id", "market", "platform", "at"], keep="first", maintain_order=True)
        .drop("run")
    )
    return _number_runs(steam_moves, rules.steam_window).select("event", steam="run")


def _number_runs(moves: pl.DataFrame, steam_window: timedelta) -> pl.DataFrame:
    """Return `moves` with the column `run`, the number of the run of moves to which each one belongs.

    Two moves of an outcome are neighbours when both intervals together are at most `steam_window` long. A run is a set
    of moves that neighbours connect. `steam_window` is not shorter than any of the intervals.
    """
    # Sorted by the begin of the interval: if any move before a place is a neighbour of any move behind it, then so are
    # the last one before it and the move behind it whose interval ends first.
    is_far = pl.col("first_end") - pl.col("after").shift() > steam_window
    return (
        moves.sort(*_SUBJECT, "after", "at", "platform")
        .with_columns(first_end=pl.col("at").cum_min(reverse=True).over(_SUBJECT))
        .with_columns(run=(~equals_previous(*_SUBJECT) | is_far.fill_null(value=False)).cum_sum())
        .drop("first_end")
    )


def _select_outcomes(pairs: pl.DataFrame, steams: pl.DataFrame, rules: PriceLeadRules) -> pl.DataFrame:
    """Return one row per pair, with steam_at and steam_platforms.

    The row is about the outcome of a steam to which both moves belong, otherwise about the outcome that rose most on
    both platforms. The platforms of a steam are those of its pairs; with too few of them it is none.
    """
    for end in _ENDS:
        pairs = pairs.join(steams.select(pl.all().name.prefix(f"{end}_")), on=f"{end}_event", how="left")
    pairs = pairs.with_columns(
        steam=pl.when(pl.col("leader_steam") == pl.col("follower_steam")).then("leader_steam"),
        rise=pl.min_horizontal(
            pl.col(f"{end}_probability") - pl.col(f"{end}_probability_before") for end in _ENDS
        ).round(PROBABILITY_DECIMALS),
    )
    sides = [pairs.select("steam", platform=f"{end}_platform", steam_at=f"{end}_at") for end in _ENDS]
    steam_figures = (
        pl.concat(sides)
        .group_by("steam")
        .agg(pl.col("steam_at").min(), steam_platforms=pl.col("platform").n_unique().cast(pl.Int16))
        .filter(pl.col("steam").is_not_null(), pl.col("steam_platforms") >= rules.steam_platforms)
    )
    return (
        pairs.join(steam_figures, on="steam", how="left")
        .sort("steam_platforms", "rise", "ordinal", descending=[True, True, False], nulls_last=True)
        .unique(_PAIR, keep="first", maintain_order=True)
    )


def _build_rows(pairs: pl.DataFrame, anchored: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `PRICE_LEADS_SCHEMA`, sorted by `LEAD_KEY`."""
    names = outcomes.select("market_key", pl.col("ordinal").cast(pl.Int16), "outcome_key").unique()
    dates = anchored.select("sr_id", kickoff_date=pl.col("kickoff_at").dt.date()).unique()
    rows = pairs.join(names, on=["market_key", "ordinal"], how="left").with_columns(
        outcome_key=pl.when("is_suspension").then(pl.lit("")).otherwise("outcome_key")
    )
    refuse_unnamed(rows)
    is_observed = pl.col("leader_is_observed") & pl.col("follower_is_observed")
    return (
        rows.join(dates, on="sr_id")
        .with_columns(
            leader="leader_platform",
            follower="follower_platform",
            lead_type=pl.when("is_suspension")
            .then(pl.lit(PriceLeadType.SUSPENSION.value))
            .otherwise(pl.lit(PriceLeadType.MOVE.value)),
            lag_s=pl.col("lag") / 2e6,
            lag_min_s=_count_seconds(pl.col("follower_after") - pl.col("leader_at")),
            lag_max_s=_count_seconds(pl.col("follower_at") - pl.col("leader_after")),
            lag_limited_by=pl.when(is_observed)
            .then(pl.lit(LagLimit.POLLING.value))
            .otherwise(pl.lit(LagLimit.NOT_OBSERVED.value)),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in PRICE_LEADS_SCHEMA.items())
        .sort(LEAD_KEY)
    )


def _count_seconds(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / 1e6
