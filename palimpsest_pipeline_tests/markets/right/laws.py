"""What must hold between the prices of one book, whatever the match: bets that are made of other bets, bets within other bets, lines in order.

All checks take canonical prices (see `captures.canonical`) and return a frame of what they compared or of what does not hold.

The inverse odds q of a bet are its chance p and some margin, and a book sells nothing below its chance. If the q of a market of exclusive bets that
leave nothing out sum to 1+m, then q-m <= p <= q for each of its bets and each union of them. The same chance read off two markets gives two such
intervals, and they must meet: that is `within`. `close` is narrower: with each market's margin taken out in proportion, the two chances differ by at
most SHARE of the two margins and a rounding. Books load longshots more, which is why the first allows any distribution of the margin.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Final

import polars as pl

from palimpsest_pipeline.markets import Vocabulary

from .meaning import Bet, Worlds, meaning, space

ROUNDING: Final = 0.005
"""Of inverse odds: two decimals of odds near 1.4."""
SHARE: Final = 0.3
ALLOWED: Final = 0.01
BOOK: Final = ["capture", "platform", "sport"]
MARKET: Final = ["market_key", "specifier"]

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Offer:
    name: Name
    outcome: str
    bet: Bet
    inverse: float


@dataclass(frozen=True, slots=True)
class Offers:
    """A market row of a book. `winners`: how many of its bets win in every world; 0 when that varies or a stake can be returned."""

    name: Name
    offers: tuple[Offer, ...]
    winners: int

    @property
    def margin(self) -> float:
        return sum(offer.inverse for offer in self.offers) - self.winners

    @property
    def conditional(self) -> bool:
        """Two sides that return the stake in the same worlds: their chances are those given that it is not returned."""
        return len(self.offers) == 2 and any(self.offers[0].bet.returned) and self.offers[0].bet.returned == self.offers[1].bet.returned


@cache
def _meaning(market_key: str, specifier: str, outcome: str) -> Bet | None:
    return meaning(market_key, specifier, outcome)


@cache
def _winners(bets: tuple[tuple[Worlds, Worlds, int], ...], everything: Worlds) -> int:
    once = twice = thrice = 0
    for wins, same, returned in bets:
        if wins != same or returned:
            return 0
        thrice |= twice & wins
        twice |= once & wins
        once |= wins
    if once == everything and not twice:
        return 1
    return 2 if twice == everything and not thrice else 0


def books(prices: pl.DataFrame) -> Iterator[tuple[str, list[Offers]]]:
    """Per capture of football its backable markets whose bets have a meaning."""
    wanted = prices.filter((pl.col("sport") == "football") & pl.col("backable")).sort("capture", *MARKET, "outcome")
    rows = wanted.select("capture", *MARKET, "outcome", 1000 / pl.col("odds_milli")).iter_rows()
    for capture, book in groupby(rows, key=itemgetter(0)):
        markets = []
        for name, market in groupby(book, key=itemgetter(1, 2)):
            offers = tuple(Offer(name, outcome, bet, inverse) for *_, outcome, inverse in market if (bet := _meaning(*name, outcome)) is not None)
            if offers:
                everything = space(offers[0].bet.quantity).all
                markets.append(Offers(name, offers, _winners(tuple((*o.bet.wins, any(o.bet.returned)) for o in offers), everything)))
        yield capture, markets


def _share(parts: list[tuple[Worlds, float]], halves: tuple[Worlds, Worlds]) -> float | None:
    """Inverse odds of the parts that make up each half of a stake; None when a part lies across its edge."""
    total = 0.0
    for worlds in halves:
        for part, inverse in parts:
            common = part & worlds
            if common == part:
                total += inverse / 2
            elif common:
                return None
    return total


def sums(prices: pl.DataFrame) -> pl.DataFrame:
    """Every offer that is a union of bets of another market of its book: the interval and the fair chance by its own market and by those parts.

    Columns: capture, part_market, part_specifier, market_key, specifier, outcome, low, high (by the parts), own_low, own_high, fair, own_fair,
    margins, within, close. `close` is true where it is not asked: stakes that can be returned, markets that are not complete.
    """
    rows = []
    for capture, markets in books(prices):
        for whole in markets:
            rows += [(capture, *row) for row in _sums(whole, markets)]
    text = dict.fromkeys(("capture", "part_market", "part_specifier", "market_key", "specifier", "outcome"), pl.String)
    numbers = dict.fromkeys(("low", "high", "own_low", "own_high", "fair", "own_fair", "margins"), pl.Float64)
    found = pl.DataFrame(rows, schema={**text, **numbers}, orient="row")
    away = (pl.col("fair") - pl.col("own_fair")).abs() > SHARE * pl.col("margins") + ALLOWED
    return found.with_columns(
        within=(pl.col("own_high") >= pl.col("low") - ROUNDING) & (pl.col("own_low") <= pl.col("high") + ROUNDING), close=~away.fill_null(value=False)
    )


def _sums(whole: Offers, markets: list[Offers]) -> Iterator[tuple[object, ...]]:
    """Offers of other markets that are unions of bets of `whole`, a market whose bets exclude each other and leave nothing out."""
    if whole.winners != 1:
        return
    parts = [(offer.bet.wins[0], offer.inverse) for offer in whole.offers if offer.bet.wins[0]]
    quantity, everything = whole.offers[0].bet.quantity, 1 + whole.margin
    for market in markets:
        if market.name == whole.name or market.offers[0].bet.quantity != quantity:
            continue
        for offer in market.offers:
            won = _share(parts, offer.bet.wins)
            returned = None if won is None else _share(parts, offer.bet.returned)
            if won is None or returned is None:
                continue
            lost = everything - won - returned
            least_won, least_lost = max(won - whole.margin, 0), max(lost - whole.margin, 0)
            yield (
                *whole.name,
                *market.name,
                offer.outcome,
                least_won / (least_won + lost) if least_won + lost else 0.0,
                won / (won + least_lost) if won else 0.0,
                *_own(market, offer),
                won / everything,
                offer.inverse * market.winners / (market.winners + market.margin) if market.winners else None,
                whole.margin + market.margin,
            )


def _own(market: Offers, offer: Offer) -> tuple[float, float]:
    if market.winners or market.conditional:
        margin = market.margin if market.winners else market.margin - 1
        return offer.inverse - margin, offer.inverse
    return 0.0, offer.inverse


OVERLAP_MARGIN: Final = 0.16
"""Most that a book loads on one bet of a market whose margin does not show because its bets overlap (several ranges of goals)."""
SAME_MARKET: Final = 0.04
"""Most that neighbouring lines of one market contradict each other."""


def inclusions(prices: pl.DataFrame) -> pl.DataFrame:
    """Pairs of offers of one book where who wins the first wins the second too. The first must not be the likelier one by more than its market's margin.

    Columns: capture, market_key, specifier, outcome, outer_market, outer_specifier, outer_outcome, excess (of inverse odds), allowed.
    """
    rows = [(capture, *row) for capture, markets in books(prices) for row in _inclusions(markets)]
    text = dict.fromkeys(("capture", "market_key", "specifier", "outcome", "outer_market", "outer_specifier", "outer_outcome"), pl.String)
    counted = pl.DataFrame(rows, schema={**text, "excess": pl.Float64, "allowed": pl.Float64}, orient="row")
    return pl.concat([counted, _told(prices)])


def _inclusions(markets: list[Offers]) -> Iterator[tuple[object, ...]]:
    plain = [(market, offer) for market in markets for offer in market.offers if not any(offer.bet.returned) and offer.bet.wins[0]]
    for market, inner in plain:
        worlds, quantity = inner.bet.wins[0], inner.bet.quantity
        margin = market.margin + ROUNDING if market.winners else OVERLAP_MARGIN
        for other, outer in plain:
            if worlds & outer.bet.wins[0] == worlds and outer is not inner and outer.bet.quantity == quantity:
                allowed = min(margin, SAME_MARKET) if other.name[0] == market.name[0] else margin
                yield *inner.name, inner.outcome, *outer.name, outer.outcome, inner.inverse - outer.inverse, allowed


UP_TO_FULL_TIME: Final = r"^((?:home_|away_)?(?:total_\w+|sending_off))_1h$"
WITHIN: Final = [
    # inner market, inner outcome, outer market, outer outcome; a group of the first may stand in the others
    (UP_TO_FULL_TIME, "^(over|yes)$", "$1", "$1"),
    (r"^(?:home|away)_((?:total_|lead_by_|score_|sending_off)[a-z_]*\d*\w*)$", "^over$", "$1", "over"),
    (r"^(?:home|away)_((?:lead_by_\d)|(?:score_\d_in_a_row)|(?:win_from_behind))$", "^yes$", "any_team_$1", "yes"),
    (r"^(?:home|away)_(sending_off(?:_1h)?)$", "^yes$", "$1", "yes"),
    (r"^(\w+)_lead_by_3$", "^yes$", "${1}_lead_by_2", "yes"),
    (r"^(\w+)_lead_by_2$", "^yes$", "${1}_lead_by_1", "yes"),
    (r"^(\w+)_score_3_in_a_row$", "^yes$", "${1}_score_2_in_a_row", "yes"),
    (r"^match_result$", "^(home|away)$", "match_result_2up", "$1"),
    (r"^match_result_2up$", "^(home|away)$", "match_result_1up", "$1"),
    (r"^match_result_never_down$", "^(home|away)$", "match_result", "$1"),
    (r"^double_chance$", "^(.*)$", "double_chance_1up", "$1"),
    (r"^home_lead_by_1$", "^yes$", "match_result_1up", "home"),
    (r"^away_lead_by_1$", "^yes$", "match_result_1up", "away"),
    (r"^home_lead_by_2$", "^yes$", "match_result_2up", "home"),
    (r"^away_lead_by_2$", "^yes$", "match_result_2up", "away"),
    (r"^home_win_from_behind$", "^yes$", "match_result", "home"),
    (r"^away_win_from_behind$", "^yes$", "match_result", "away"),
]
"""Inclusions of bets that counts per half do not tell: order of goals, early payouts, and statistics of a team and of a half."""


def _told(prices: pl.DataFrame) -> pl.DataFrame:
    offered = prices.filter(pl.col("backable") & (pl.col("sport") == "football")).with_columns(inverse=1000 / pl.col("odds_milli"))
    key = ["capture", "specifier", "outer_market", "outer_outcome"]
    outer = offered.select("capture", "specifier", outer_market="market_key", outer_outcome="outcome", outer_inverse="inverse")
    found = []
    for market, outcome, wider_market, wider_outcome in WITHIN:
        inner = offered.filter(pl.col("market_key").str.contains(market) & pl.col("outcome").str.contains(outcome)).with_columns(
            outer_market=pl.col("market_key").str.replace(market, wider_market), outer_outcome=pl.col("outcome").str.replace(outcome, wider_outcome)
        )
        found.append(inner.join(outer, on=key))
    return pl.concat(found).select(
        "capture",
        "market_key",
        "specifier",
        "outcome",
        "outer_market",
        outer_specifier="specifier",
        outer_outcome="outer_outcome",
        excess=pl.col("inverse") - pl.col("outer_inverse"),
        allowed=pl.lit(ROUNDING),
    )


RISING: Final = {"total": {"over": -1, "under": 1}, "hcp": {"home": 1, "away": -1}, "minute": {"over": 1, "under": -1, "draw": -1}}
"""Which way the chance of an outcome goes when this part of the specifier grows and the others stay."""


def order(prices: pl.DataFrame) -> pl.DataFrame:
    """Neighbouring lines of one market of one book, of any sport: whole and quarter lines among the half ones. `rise` is the step of the inverse odds
    in the direction in which the chance goes, and must not be below zero by more than a rounding.
    """
    found = []
    offered = prices.filter("backable").with_columns(inverse=1000 / pl.col("odds_milli"))
    for part, ways in RISING.items():
        pattern = rf"(?:^|\|){part}=(-?\d+(?:\.\d+)?)"
        lines = offered.filter(pl.col("outcome").is_in(list(ways))).with_columns(
            line=pl.col("specifier").str.extract(pattern).cast(pl.Float64), rest=pl.col("specifier").str.replace(pattern, "")
        )
        place = [*BOOK, "market_key", "rest", "outcome"]
        found.append(
            lines.filter(pl.col("line").is_not_null())
            .sort(*place, "line")
            .with_columns(
                before=pl.col("line").shift().over(place),
                rise=pl.col("inverse").diff().over(place) * pl.col("outcome").replace_strict(ways, return_dtype=pl.Float64),
            )
            .filter(pl.col("before").is_not_null())
            .select("capture", "market_key", "specifier", "outcome", "before", "line", "rise")
        )
    return pl.concat(found)


def margins(prices: pl.DataFrame, words: Vocabulary) -> pl.DataFrame:
    """Markets with all the outcomes of the vocabulary backable, and of known fair sum: sum of inverse odds over fair sum, less one."""
    known = words.markets.with_columns(pl.col("fair_sum").cast(pl.Float64, strict=False)).filter(pl.col("fair_sum").is_not_null())
    listed = words.outcomes.group_by("market_id").agg(n_listed=pl.len())
    return (
        prices.filter("backable")
        .group_by("capture", *MARKET)
        .agg(n=pl.len(), total=(1000 / pl.col("odds_milli")).sum())
        .join(known.select("market_id", "market_key", "fair_sum").join(listed, on="market_id"), on="market_key")
        .filter(pl.col("n") == pl.col("n_listed"))
        .select("capture", *MARKET, "n", margin=pl.col("total") / pl.col("fair_sum") - 1)
        .sort("capture", *MARKET)
    )
