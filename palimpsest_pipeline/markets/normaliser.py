"""The mapping of platforms' prices to canonical prices and market rows, by joins on the vocabulary.

Ids are joined, never labels or positions, and no loop runs over prices. An occurrence is one (capture, raw market, raw
specifier). It is mapped when each of its outcomes is mapped to a canonical outcome. Otherwise it is reported as
unmapped, with the reason and the unmapped outcomes, while its other outcomes keep their prices.

A market row is one line of a market, with the prices of its outcomes as an array: the form in which the odds history
stores them.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.price_numbers import MASK_BITS

from . import named_players, outcome_targets, specifiers, unmapped_markets
from .numbered_texts import SUSPENDED, EncodedBatch, encode_books
from .platform_books import RawBooks, repeat_places
from .vocabulary import Vocabulary

NORMALISED_PRICES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "market_id": pl.Int16(),
    "specifier": pl.String(),
    "line": pl.Decimal(9, 2),
    "outcome": pl.String(),
    "ordinal": pl.Int16(),
    "odds_milli": pl.Int32(),
    "state": pl.String(),
}
MARKET_ROWS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "market_id": pl.Int16(),
    "specifier": pl.String(),
    "outcome": pl.String(),
    "state": pl.String(),
    "off_mask": pl.Int64(),
    "odds_milli": pl.List(pl.Int32()),
}
MERGED_SCHEMA: Final[dict[str, pl.DataType]] = {"capture": pl.UInt32(), "n_prices": pl.Int32()}

STATE_NAMES: Final = pl.Series(
    "state", [MarketState.OFFERED.value, MarketState.NO_PRICE.value, MarketState.SUSPENDED.value]
)
"""Names of states, by the state numbers of `EncodedBatch`."""
_ROW_KEY: Final = ("capture", "market_id", "specifier", "outcome")
_BITS: Final = pl.Series([1 << n for n in range(MASK_BITS)], dtype=pl.Int64)
"""Powers of two, because computed powers would be floats, which cannot hold the highest bits."""
_STATES_BY_PRECEDENCE: Final = pl.Series(
    "state", [MarketState.NO_PRICE.value, MarketState.SUSPENDED.value, MarketState.OFFERED.value]
)
"""States in ascending precedence: a row has the last of these states that one of its outcomes has."""


@dataclass(frozen=True, slots=True)
class NormalisedBatch:
    """Several books with keys of the vocabulary.

    All frames have a fixed order, which does not depend on the order of markets, rows and outcomes in the answers.

    - `prices`: one row per (capture, market_id, specifier, outcome, ordinal). `specifier` is canonical, `line` is its
      number if it has one. `outcome` is '' for an outcome that the vocabulary lists, otherwise its text (and the
      ordinal is 1). `state` is offered, suspended (by the platform; the odds are kept) or no_price.
    - `unmapped`: one row per unmapped occurrence.
    - `coverage`: occurrences per capture, family ('' when the market is unknown) and error_class ('' when mapped).
    - `merged`: per capture the number of priced outcomes that are not in `prices`, because the answer has the same bet
      twice or the market also from another feed.
    - `players`: one row per capture and player among the outcomes of `prices`.
    """

    prices: pl.DataFrame
    unmapped: pl.DataFrame
    coverage: pl.DataFrame
    merged: pl.DataFrame
    players: pl.DataFrame


def normalise(raw: RawBooks, vocabulary: Vocabulary) -> NormalisedBatch:
    """Return the canonical prices of several books.

    Unknown markets, specifiers and outcomes raise no error; they are reported in `unmapped`.
    """
    batch = encode_books(raw)
    given_parts = specifiers.split_parts(batch.instances, vocabulary)
    candidates = specifiers.find_candidate_keys(batch.instances, given_parts, vocabulary)
    verdicts = specifiers.judge_instances(batch.instances, candidates, vocabulary)
    choices, places, player_texts = outcome_targets.resolve_outcomes(batch, candidates, vocabulary)
    target = choices["target"].gather(batch.outcomes["distinct"])
    missed_outcomes = (
        batch.outcomes.select("capture", "instance", "distinct").with_row_index("position").filter(target.is_null())
    )
    occurrences = unmapped_markets.classify_occurrences(batch, verdicts, missed_outcomes)
    prices, merged = _build_prices(
        batch, target, places, choices.with_columns(feed=_find_feed_places(choices["key_id"], vocabulary))
    )
    return NormalisedBatch(
        prices=prices,
        unmapped=unmapped_markets.report_unmapped(raw, batch, occurrences, missed_outcomes, given_parts),
        coverage=unmapped_markets.count_coverage(occurrences),
        merged=merged,
        players=named_players.list_named_players(raw, batch, choices, player_texts),
    )


def _build_prices(
    batch: EncodedBatch, target: pl.Series, places: pl.DataFrame, choices: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the frames `prices` and `merged` of `NormalisedBatch`."""
    order = _order_outcomes(batch.outcomes["capture"], target, places.height)
    other_feeds = _find_other_feeds(batch, target, places, choices)
    order = order.filter(~order["position"].is_in(other_feeds.implode()))
    is_repeated = order["bet"] == order["bet"].shift(1)
    contested = order.filter(is_repeated | is_repeated.shift(-1))
    excluded = pl.concat([other_feeds, _find_displaced(contested, batch, choices)])
    order = order.filter(~order["position"].is_in(excluded.implode()))
    merged = (
        batch.outcomes.select("capture", "odds_milli")[excluded]
        .drop_nulls("odds_milli")
        .group_by("capture")
        .agg(n_prices=pl.len().cast(pl.Int32))
        .sort("capture")
        .select(*MERGED_SCHEMA)
    )
    outcomes = batch.outcomes.select("capture", "odds_milli", "state")[order["position"]]
    places = places.select(pl.exclude("target"))[target.gather(order["position"])]
    prices = places.hstack(outcomes.select("capture", "odds_milli", STATE_NAMES.gather(outcomes["state"])))
    return prices.select(*NORMALISED_PRICES_SCHEMA), merged


def _order_outcomes(captures: pl.Series, target: pl.Series, n_targets: int) -> pl.DataFrame:
    """Return position and bet of the outcomes with a target, in the order of `prices`.

    `bet` is one number made of capture and target (a canonical outcome). Sorting one number made of capture, target and
    position is much faster than sorting by columns.
    """
    n = len(captures)
    position_bits, target_bits = n.bit_length(), n_targets.bit_length()
    bits = int(str(captures.max() or 0)).bit_length() + target_bits + position_bits
    number = pl.UInt64 if bits <= 64 else pl.Int128
    bet = captures.cast(number) * 2**target_bits + target
    order = (bet * 2**position_bits + pl.int_range(n, dtype=pl.UInt32, eager=True)).drop_nulls().sort()
    return pl.DataFrame({"position": (order % 2**position_bits).cast(pl.UInt32), "bet": order // 2**position_bits})


def _find_feed_places(key_ids: pl.Series, vocabulary: Vocabulary) -> pl.Series:
    """Return the position of each key among its market's feeds; null if the market has only one feed."""
    feeds = vocabulary.feeds
    return key_ids.replace_strict(feeds["key_id"], feeds["place"], default=None, return_dtype=pl.Int16)


def _find_other_feeds(batch: EncodedBatch, target: pl.Series, places: pl.DataFrame, choices: pl.DataFrame) -> pl.Series:
    """Return the positions of outcomes that are not from the first feed of their market in this answer.

    Feeds disagree, so all lines of a market must come from one feed. It is the first feed that lists the market, even
    without prices: if another feed's price replaced a suspended one, the price would seem to jump, and back again.
    """
    feed = choices["feed"].gather(batch.outcomes["distinct"])
    outcome_feeds = pl.DataFrame([batch.outcomes["capture"], target.alias("target"), feed]).with_row_index("position")
    with_feed = outcome_feeds.filter(pl.col("feed").is_not_null())
    markets = with_feed.with_columns(places["market_id"].gather(with_feed["target"]))
    return markets.filter(pl.col("feed") > pl.col("feed").min().over("capture", "market_id"))["position"]


def _find_displaced(contested: pl.DataFrame, batch: EncodedBatch, choices: pl.DataFrame) -> pl.Series:
    """Return the positions of outcomes that another outcome of the same bet replaces.

    Of two platform markets the first one in keys.csv is kept: the choice must not depend on which of them is open for
    bets. Within one platform market, an outcome with a price is preferred, then one that is not suspended; then the
    platform's ids and the odds decide.
    """
    ids = ("market_id", "specifier", "outcome_id")
    return (
        contested.hstack(batch.outcomes[contested["position"]])
        .join(batch.distinct_outcomes.select("distinct", "code", choices["key_id"]), on="distinct", how="left")
        .join(batch.outcome_ids, on="code", how="left")
        .join(batch.instances.select("instance", "market_id", "specifier"), on="instance", how="left")
        .sort(
            "bet",
            "key_id",
            pl.col("odds_milli").is_null(),
            pl.col("state") == SUSPENDED,
            *ids,
            "odds_milli",
            "position",
        )
        .filter(~pl.col("bet").is_first_distinct())["position"]
    )


def build_market_rows(prices: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return rows of `MARKET_ROWS_SCHEMA`, sorted by (capture, market_id, specifier, outcome).

    `odds_milli` has one element per outcome of the vocabulary: decimal odds x 1000, null without a price. For a market
    of open outcomes (players) each row is one outcome and the array has one element. Bit i-1 of `off_mask` is set when
    outcome i is listed but suspended. The state is offered when an outcome has a price and is open for bets; else
    suspended when an outcome is suspended; else no_price.
    """
    sizes = vocabulary.outcomes.group_by("market_id").agg(n=pl.len().cast(pl.Int16))
    outcome_rows = (
        _split_large(prices, sizes, vocabulary)
        .select(
            *_ROW_KEY,
            "odds_milli",
            place=pl.col("ordinal").cast(pl.Int64) - 1,
            off=pl.col("state") == MarketState.SUSPENDED,
        )
        .sort(*_ROW_KEY)
        .with_columns(begins=pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in _ROW_KEY))
        .with_columns(row=pl.col("begins").cum_sum() - 1)
    )
    offers = pl.col("odds_milli").is_not_null() & ~pl.col("off")
    rows = outcome_rows.filter("begins").select(_ROW_KEY)
    facts = (
        outcome_rows.select(
            "row",
            off_mask=pl.when("off").then(_BITS.gather(outcome_rows["place"])).otherwise(0),
            state=pl.when(offers).then(2).otherwise("off"),
        )
        .group_by("row")
        .agg(pl.col("off_mask").sum(), pl.col("state").max())
        .sort("row")
    )
    # One series with the elements of all rows: each row has as many as its market has outcomes.
    n_places = rows.join(sizes, on="market_id", how="left", maintain_order="left").select(
        n=pl.when(pl.col("outcome") == "").then("n").otherwise(1).cast(pl.UInt32)
    )["n"]
    starts = n_places.cum_sum() - n_places
    odds = pl.Series([None], dtype=pl.Int32).new_from_index(0, int(n_places.sum()))
    odds = odds.scatter(starts.gather(outcome_rows["row"]) + outcome_rows["place"], outcome_rows["odds_milli"])
    arrays = (
        pl.DataFrame({"row": repeat_places(n_places), "odds_milli": odds})
        .group_by("row", maintain_order=True)
        .agg("odds_milli")
    )
    return rows.hstack([_STATES_BY_PRECEDENCE.gather(facts["state"]), facts["off_mask"], arrays["odds_milli"]]).select(
        *MARKET_ROWS_SCHEMA
    )


def _split_large(prices: pl.DataFrame, sizes: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the prices, with markets of too many outcomes for the mask changed to one row per outcome.

    The key of the outcome becomes its text, as for open outcomes.
    """
    large = sizes.filter(pl.col("n") > MASK_BITS)
    if large.is_empty():
        return prices
    names = vocabulary.outcomes.join(large, on="market_id", how="semi").select("market_id", "ordinal", "outcome_key")
    is_large = pl.col("outcome_key").is_not_null()
    return prices.join(names, on=("market_id", "ordinal"), how="left").with_columns(
        outcome=pl.when(is_large).then("outcome_key").otherwise("outcome"),
        ordinal=pl.when(is_large).then(1).otherwise("ordinal"),
    )
