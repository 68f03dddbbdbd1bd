"""The checks by name: each takes what the vocabulary makes of the captures and says in words what is wrong. With the
right vocabulary nothing is.

What the books themselves get wrong is listed with reasons, in `outside.csv` and `swaps.csv` and below. A line that is
no longer so is wrong too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from palimpsest_pipeline.markets import Vocabulary

from ..captures import canonical
from . import laws, pairs
from .facts import FACTS, NOT_A_MARKET, misread

HERE: Final = Path(__file__).parent

LEAST_PAIRS: Final = 1_900
LEAST_MARKETS: Final = 190
"""Compared on two platforms at least, of the one fixture."""
MOST_OUTSIDE: Final = 0.015
MOST_BETTER: Final = 0.002
LEAST_SUMS: Final = 10_600
"""Of parts that make up the whole exactly."""
LEAST_INCLUSIONS: Final = 215_000
MARGIN: Final = (0.0, 0.25)
"""Of a complete market of two outcomes."""
MARGIN_OF_MANY: Final = (0.0, 0.85)

SAME_FEED: Final = 1.1
OTHER_FEED: Final = 2.1
"""Most by which odds of one bet at one book differ: where it has the bet from one feed, and where a ladder of `n+`
is of another.
"""

LOADED: Final = {
    ("bet9ja_qatar_sudan", "winning_margin"): "40 % of overround on the seven margins, nearly all on the outsider's",
}
"""Markets whose prices say something else than their parts, once margins are taken out in proportion."""
TWO_FEEDS: Final = {("bet9ja_norway_france", "total_goals"): "half lines and quarter lines are two markets of the book"}
"""Markets with lines that are not in order."""
FEED_ERROR: Final = {
    (
        "betpawa_norway_france",
        "double_chance_and_total_goals",
        "total=3.5",
    ): "all six prices are near half of the other books'",
}
"""Markets whose sum is no margin."""


PLAYERS: Final = {
    f"{capture} {market}": 40
    for capture in ("betpawa_norway_france", "sportybet_norway_france")
    for market in ("anytime_goalscorer", "last_goalscorer", "nth_goalscorer", "player_to_score_or_assist")
} | {"betpawa_norway_france player_booked": 40, "sportybet_norway_france player_yellow_card_only": 40}
"""Least number of players."""


@dataclass(frozen=True)
class Reading:
    """What a vocabulary makes of the captured answers."""

    prices: pl.DataFrame
    words: Vocabulary
    samples: Path

    @cached_property
    def pairs(self) -> pl.DataFrame:
        return pairs.pairs(self.prices)

    @cached_property
    def swaps(self) -> pl.DataFrame:
        return pairs.swaps(self.pairs)

    @cached_property
    def sums(self) -> pl.DataFrame:
        return laws.sums(self.prices)


def known(name: str) -> pl.DataFrame:
    """A committed list. Its last column is the reason."""
    return pl.read_csv(HERE / f"{name}.csv", infer_schema=False).fill_null("")


def _lines(frame: pl.DataFrame, prefix: str = "") -> list[str]:
    return [prefix + " ".join(str(value) for value in row) for row in frame.iter_rows()]


def _apart(found: pl.DataFrame, name: str) -> list[str]:
    """Where what was found and the committed list differ."""
    listed = known(name)
    key = [column for column in listed.columns if column != "reason"]
    new = found.select(key).join(listed, on=key, how="anti")
    gone = listed.select(key).join(found.select(key), on=key, how="anti")
    return _lines(new) + _lines(gone, "listed, and no longer so: ")


def _few(name: str, have: int, least: int) -> Iterable[str]:
    return [f"{have} {name}, of at least {least}"] if have < least else []


def same_bet_same_price(reading: Reading) -> list[str]:
    found = reading.pairs
    return [
        *_apart(found.filter("outside"), "outside"),
        *_few("pairs compared", found.height, LEAST_PAIRS),
        *_few("markets compared", found["market_key"].n_unique(), LEAST_MARKETS),
    ]


def what_was_compared_still_is(reading: Reading) -> list[str]:
    """Markets with as many pairs on two platforms as `compared.csv` has; what leads elsewhere, or nowhere, is
    missing here.
    """
    place = ["platform", "other_platform", "market_key"]
    now = reading.pairs.group_by(place).agg(have=pl.len())
    listed = known("compared").with_columns(pl.col("pairs").cast(pl.UInt32))
    fewer = (
        listed.join(now, on=place, how="left")
        .with_columns(pl.col("have").fill_null(0))
        .filter(pl.col("have") < pl.col("pairs"))
    )
    return _lines(fewer, "compared, pairs, and now: ")


def no_exchange_fits_better(reading: Reading) -> list[str]:
    return _apart(reading.swaps.filter(pl.col("verdict") == "better"), "swaps")


def parts_sum_to_the_whole(reading: Reading) -> list[str]:
    found = reading.sums
    name = ["capture", "part_market", "part_specifier", "market_key", "specifier", "outcome"]
    apart = found.filter(~pl.col("close")).filter(
        ~pl.struct("capture", "part_market").is_in(_pairs(LOADED))
        & ~pl.struct("capture", part_market="market_key").is_in(_pairs(LOADED))
    )
    broken = pl.concat([found.filter(~pl.col("within")), apart]).select(name).unique(maintain_order=True)
    return [*_lines(broken), *_few("sums", found.filter(pl.col("across") == 0).height, LEAST_SUMS)]


def _pairs(listed: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"capture": capture, "part_market": market} for capture, market in listed]


def the_narrower_bet_is_dearer(reading: Reading) -> list[str]:
    compared, broken = laws.inclusions(reading.prices)
    return [*_lines(broken), *_few("inclusions", compared, LEAST_INCLUSIONS)]


def lines_are_in_order(reading: Reading) -> list[str]:
    steps = laws.order(reading.prices).filter(pl.col("rise") < -laws.ROUNDING)
    found = set(steps.select("capture", "market_key").iter_rows())
    new = [
        f"{row['capture']} {row['market_key']} {row['specifier']} {row['outcome']}"
        for row in steps.iter_rows(named=True)
        if (row["capture"], row["market_key"]) not in TWO_FEEDS
    ]
    return new + [f"listed, and no longer so: {' '.join(market)}" for market in TWO_FEEDS if market not in found]


def margins_are_margins(reading: Reading) -> list[str]:
    found = []
    for capture, market, specifier, n, margin in laws.margins(reading.prices, reading.words).iter_rows():
        low, high = MARGIN if n == 2 else MARGIN_OF_MANY
        if not low < margin < high and (capture, market, specifier) not in FEED_ERROR:
            found.append(f"{capture} {market} {specifier}: {margin:.3f}")
    return found


def what_is_sold_twice_costs_the_same(reading: Reading) -> list[str]:
    """Where one book names a bet twice, one of the prices is left out.

    With the order of preference reversed it is the other one.
    """
    key = ["capture", "market_key", "specifier", "outcome"]
    other = canonical(reading.samples, reversed_preference(reading.words)).select(
        *key, "backable", other_odds="odds_milli"
    )
    fed = reading.words.keys.join(reading.words.feeds, on="key_id", how="semi")
    feeds = fed.join(reading.words.markets, on="market_id").select("platform", "market_key").unique()
    twice = reading.prices.join(other, on=[*key, "backable"]).filter(
        pl.col("backable") & (pl.col("odds_milli") != pl.col("other_odds"))
    )
    factor = pl.max_horizontal(pl.col("odds_milli") / pl.col("other_odds"), pl.col("other_odds") / pl.col("odds_milli"))
    one_feed = twice.join(feeds, on=["platform", "market_key"], how="anti").filter(factor > SAME_FEED)
    two_feeds = twice.join(feeds, on=["platform", "market_key"], how="semi").filter(factor > OTHER_FEED)
    return _lines(pl.concat([one_feed, two_feeds]).select(*key, "odds_milli", "other_odds"))


def reversed_preference(words: Vocabulary) -> Vocabulary:
    """The vocabulary with the rows of keys.csv and of feeds.csv from last to first."""
    last = words.keys["key_id"].max()
    feeds = words.feeds.with_columns(-pl.col("place"))
    frames = {
        "keys": words.keys,
        "parts": words.parts,
        "added_parts": words.added_parts,
        "outcome_keys": words.outcome_keys,
        "feeds": feeds,
    }
    turned = {
        name: frame.with_columns((pl.lit(last) - pl.col("key_id")).cast(pl.UInt32).alias("key_id")).sort(
            "key_id", maintain_order=True
        )
        for name, frame in frames.items()
    }
    return replace(words, **turned)


def books_sell_players(reading: Reading) -> list[str]:
    """Markets of players have as many as the books name."""
    players = reading.prices.filter(pl.col("outcome").str.contains(r"^(sr:player:)?\d+$"))
    have = dict(
        players.group_by(["capture", "market_key"])
        .len()
        .select(pl.concat_str("capture", "market_key", separator=" "), "len")
        .iter_rows()
    )
    return [line for name, least in PLAYERS.items() for line in _few(f"players of {name}", have.get(name, 0), least)]


def labels_are_where_they_belong(reading: Reading) -> list[str]:
    return [line for facts in FACTS.values() for line in misread(reading.prices, reading.samples, facts)]


def fair_sums_are_winners(reading: Reading) -> list[str]:
    """By what the bets mean: how many of a football market's outcomes, or of a complete set of them, win in every
    world.
    """
    words = reading.words
    whole = words.outcomes.join(words.complete_sets, on="market_id", how="anti").with_columns(set=pl.lit("all"))
    grids = words.outcomes.join(words.complete_sets, on=["market_id", "ordinal"])
    sets = pl.concat([frame.group_by("market_id", "set").agg("outcome_key") for frame in (whole, grids)])
    football = words.markets.filter((pl.col("sport") == "football") & pl.col("fair_sum").is_in(["1", "2"])).join(
        sets, on="market_id"
    )
    found = []
    for market, kind, fair_sum, name, outcomes in football.select(
        "market_key", "line_kind", "fair_sum", "set", "outcome_key"
    ).iter_rows():
        winners = laws.winners(market, EXAMPLES.get(kind, ""), outcomes)
        if winners is not None and winners != int(fair_sum):
            found.append(f"{market}, {name}: fair sum {fair_sum}, and {winners} win")
    return sorted(found)


EXAMPLES: Final = {"total": "total=2.5", "handicap": "hcp=-0.5", "goal_number": "goalnr=1"}
"""A specifier of each kind of line without which a bet says nothing."""
NOT_CAPTURED: Final = {("betpawa", "4746"): "home no bet", ("betpawa", "4613062"): "total and both score"}


def what_is_sold_is_named(reading: Reading) -> list[str]:
    """Platform markets that must be in the vocabulary although no price of the captures says so, and those that no
    platform has.
    """
    keys = set(reading.words.keys.select("platform", "external_market_id").iter_rows())
    return [
        *(
            f"{platform} {market}: {name} is not named"
            for (platform, market), name in NOT_CAPTURED.items()
            if (platform, market) not in keys
        ),
        *(f"bet9ja {market} does not exist" for market in NOT_A_MARKET if ("bet9ja", market) in keys),
    ]


CHECKS: Final[dict[str, Callable[[Reading], list[str]]]] = {
    check.__name__: check
    for check in (
        same_bet_same_price,
        what_was_compared_still_is,
        no_exchange_fits_better,
        parts_sum_to_the_whole,
        the_narrower_bet_is_dearer,
        lines_are_in_order,
        margins_are_margins,
        what_is_sold_twice_costs_the_same,
        books_sell_players,
        labels_are_where_they_belong,
        fair_sums_are_winners,
        what_is_sold_is_named,
    )
}
