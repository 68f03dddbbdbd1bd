"""What must hold between the prices of one book, whatever the match: bets that are made of other bets, bets within
other bets, lines in order.

All checks take canonical prices (see `captures.canonical`) and return a frame of what they compared or of what does not
hold.

The inverse odds q of a bet are its chance p and some margin, and a book sells nothing below its chance. If the q of a
market of exclusive bets that leave nothing out sum to 1+m, then q-m <= p <= q for each of its bets and each union of
them. The same chance read off two markets gives two such
intervals, and they must meet: that is `within`. `close` is narrower: with each market's margin taken out in proportion,
the two chances differ by at most SHARE of the two margins and a rounding. Books load longshots more, which is why the
first allows any distribution of the margin.
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
MOST_ACROSS: Final = 0.2
"""Inverse odds of the parts across the edge of a bet, beyond which their sum says little."""
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
    """A market row of a book.

    `winners`: how many of its bets win in every world; 0 when that varies or a stake can be returned.
    """

    name: Name
    offers: tuple[Offer, ...]
    winners: int

    @property
    def margin(self) -> float:
        return sum(offer.inverse for offer in self.offers) - self.winners

    @property
    def conditional(self) -> bool:
        """Two sides that return the stake in the same worlds: their chances are those given that it is not returned."""
        return (
            len(self.offers) == 2
            and any(self.offers[0].bet.returned)
            and self.offers[0].bet.returned == self.offers[1].bet.returned
        )


@cache
def _meaning(market_key: str, specifier: str, outcome: str) -> Bet | None:
    return meaning(market_key, specifier, outcome)


@cache
def _winners(bets: tuple[tuple[Worlds, Worlds, bool], ...], everything: Worlds) -> int:
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


def winners(market_key: str, specifier: str, outcomes: list[str]) -> int | None:
    """How many of these bets win in every world; 0 when that varies.

    None when a bet has no meaning, or can return the stake.
    """
    bets = [_meaning(market_key, specifier, outcome) for outcome in outcomes]
    known = [bet for bet in bets if bet is not None and not any(bet.returned)]
    if not known or len(known) < len(bets):
        return None
    return _winners(tuple((*bet.wins, False) for bet in known), space(known[0].quantity).all)


Priced = tuple[tuple[str, str, str, float], ...]
"""Of one capture: market, specifier, outcome, inverse odds, in order."""


def _books(prices: pl.DataFrame) -> Iterator[tuple[str, Priced]]:
    """Backable prices of football per capture."""
    wanted = prices.filter((pl.col("sport") == "football") & pl.col("backable")).sort("capture", *MARKET, "outcome")
    rows = wanted.select("capture", *MARKET, "outcome", 1000 / pl.col("odds_milli")).iter_rows()
    for capture, book in groupby(rows, key=itemgetter(0)):
        yield capture, tuple(row[1:] for row in book)


def _markets(book: Priced) -> list[Offers]:
    """The markets whose bets have a meaning."""
    markets = []
    for name, market in groupby(book, key=itemgetter(0, 1)):
        offers = tuple(
            Offer(name, outcome, bet, inverse)
            for *_, outcome, inverse in market
            if (bet := _meaning(*name, outcome)) is not None
        )
        if offers:
            everything = space(offers[0].bet.quantity).all
            markets.append(
                Offers(name, offers, _winners(tuple((*o.bet.wins, any(o.bet.returned)) for o in offers), everything))
            )
    return markets


def _share(
    parts: list[tuple[Worlds, float]], halves: tuple[Worlds, Worlds], most_across: float
) -> tuple[float, float] | None:
    """Inverse odds of the parts that lie in each half of a stake, and of those that lie across its edge; None when
    these are more than that.
    """
    inside = across = 0.0
    for worlds in halves:
        for part, inverse in parts:
            common = part & worlds
            if common == part:
                inside += inverse / 2
            elif common:
                across += inverse / 2
                if across > most_across:
                    return None
    return inside, across


def sums(prices: pl.DataFrame) -> pl.DataFrame:
    """Every offer that is a union of bets of another market of its book: the interval and the fair chance by its own
    market and by those parts.

    One part may lie across the edge of the offer, such as every other score of 1X2: between nothing and all of it is
    won.

    Columns: capture, part_market, part_specifier, market_key, specifier, outcome, low, high (by the parts), own_low,
    own_high, fair, across, own_fair, margins, within, close. `close` is true where it is not asked: stakes that can be
    returned, markets that are not complete.
    """
    rows = [(capture, *row) for capture, book in _books(prices) for row in _sums(book)]
    text = dict.fromkeys(("capture", "part_market", "part_specifier", "market_key", "specifier", "outcome"), pl.String)
    numbers = dict.fromkeys(("low", "high", "own_low", "own_high", "fair", "across", "own_fair", "margins"), pl.Float64)
    found = pl.DataFrame(rows, schema={**text, **numbers}, orient="row")
    apart = pl.max_horizontal(
        pl.col("fair") - pl.col("own_fair"), pl.col("own_fair") - pl.col("fair") - pl.col("across")
    )
    away = apart > SHARE * pl.col("margins") + ALLOWED
    return found.with_columns(
        within=(pl.col("own_high") >= pl.col("low") - ROUNDING) & (pl.col("own_low") <= pl.col("high") + ROUNDING),
        close=~away.fill_null(value=False),
    )


@cache
def _sums(book: Priced) -> list[tuple[object, ...]]:
    markets = _markets(book)
    return [row for whole in markets for row in _unions(whole, markets)]


def _unions(whole: Offers, markets: list[Offers]) -> Iterator[tuple[object, ...]]:
    """Offers of other markets that are unions of bets of `whole`, a market whose bets exclude each other and leave
    nothing out.
    """
    if whole.winners != 1:
        return
    parts = [(offer.bet.wins[0], offer.inverse) for offer in whole.offers if offer.bet.wins[0]]
    quantity, everything = whole.offers[0].bet.quantity, 1 + whole.margin
    for market in markets:
        if market.name == whole.name or market.offers[0].bet.quantity != quantity:
            continue
        for offer in market.offers:
            conditional = any(offer.bet.returned)
            wins = _share(parts, offer.bet.wins, 0 if conditional else MOST_ACROSS)
            returns = _share(parts, offer.bet.returned, 0) if conditional else (0.0, 0.0)
            if wins is None or returns is None:
                continue
            (won, edge), (returned, _) = wins, returns
            lost = everything - won - edge - returned
            least_won, least_lost = max(won - whole.margin, 0), max(lost - whole.margin, 0)
            yield (
                *whole.name,
                *market.name,
                offer.outcome,
                least_won / (least_won + lost + edge) if least_won + lost + edge else 0.0,
                (won + edge) / (won + edge + least_lost) if won + edge else 0.0,
                *_own(market, offer),
                won / everything,
                edge / everything,
                offer.inverse * market.winners / (market.winners + market.margin) if market.winners else None,
                whole.margin + market.margin,
            )


def _own(market: Offers, offer: Offer) -> tuple[float, float]:
    if market.winners or market.conditional:
        margin = market.margin if market.winners else market.margin - 1
        return offer.inverse - margin, offer.inverse
    return 0.0, offer.inverse


OVERLAP_MARGIN: Final = 0.16
"""Most that a book loads on one bet of a market whose margin does not show because its bets overlap (several ranges
of goals).
"""
SAME_MARKET: Final = 0.04
"""Most that neighbouring lines of one market contradict each other."""


def inclusions(prices: pl.DataFrame) -> tuple[int, pl.DataFrame]:
    """Pairs of offers of one book where who wins the first wins the second too: how many, and those whose first is too
    likely.

    Columns: capture, market_key, specifier, outcome, outer_market, outer_specifier, outer_outcome.
    """
    compared, rows = 0, []
    for capture, book in _books(prices):
        number, broken = _inclusions(book)
        compared += number
        rows += [(capture, *row) for row in broken]
    text = ("capture", "market_key", "specifier", "outcome", "outer_market", "outer_specifier", "outer_outcome")
    counted = pl.DataFrame(rows, schema=dict.fromkeys(text, pl.String), orient="row")
    told = _told(prices)
    return compared + told.height, pl.concat([counted, told.filter(pl.col("excess") > ROUNDING).select(text)])


@cache
def _inclusions(book: Priced) -> tuple[int, list[tuple[str, ...]]]:
    compared, broken = 0, []
    by_quantity: dict[str, list[tuple[Worlds, Offers, Offer]]] = {}
    for market in _markets(book):
        for offer in market.offers:
            if not any(offer.bet.returned) and offer.bet.wins[0]:
                by_quantity.setdefault(offer.bet.quantity, []).append((offer.bet.wins[0], market, offer))
    for offers in by_quantity.values():
        for worlds, market, inner in offers:
            margin = market.margin + ROUNDING if market.winners else OVERLAP_MARGIN
            for outer_worlds, other, outer in offers:
                if worlds & outer_worlds != worlds or outer is inner:
                    continue
                compared += 1
                if inner.inverse - outer.inverse > (
                    min(margin, SAME_MARKET) if other.name[0] == market.name[0] else margin
                ):
                    broken.append((*inner.name, inner.outcome, *outer.name, outer.outcome))
    return compared, broken


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
"""Inclusions of bets that counts per half do not tell: order of goals, early payouts, and statistics of a team and
of a half.
"""


def _told(prices: pl.DataFrame) -> pl.DataFrame:
    offered = prices.filter(pl.col("backable") & (pl.col("sport") == "football")).with_columns(
        inverse=1000 / pl.col("odds_milli")
    )
    key = ["capture", "specifier", "outer_market", "outer_outcome"]
    outer = offered.select(
        "capture", "specifier", outer_market="market_key", outer_outcome="outcome", outer_inverse="inverse"
    )
    found = []
    for market, outcome, wider_market, wider_outcome in WITHIN:
        inner = offered.filter(
            pl.col("market_key").str.contains(market) & pl.col("outcome").str.contains(outcome)
        ).with_columns(
            outer_market=pl.col("market_key").str.replace(market, wider_market),
            outer_outcome=pl.col("outcome").str.replace(outcome, wider_outcome),
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
    )


RISING: Final = {
    "total": {"over": -1, "under": 1},
    "hcp": {"home": 1, "away": -1},
    "minute": {"over": 1, "under": -1, "draw": -1},
}
"""Which way the chance of an outcome goes when this part of the specifier grows and the others stay."""


def order(prices: pl.DataFrame) -> pl.DataFrame:
    """Neighbouring lines of one market of one book, of any sport: whole and quarter lines among the half ones. `rise`
    is the step of the inverse odds in the direction in which the chance goes, and must not be below zero by more than a
    rounding.
    """
    found = []
    offered = prices.filter("backable").with_columns(inverse=1000 / pl.col("odds_milli"))
    for part, ways in RISING.items():
        pattern = rf"(?:^|\|){part}=(-?\d+(?:\.\d+)?)"
        lines = offered.filter(pl.col("outcome").is_in(list(ways))).with_columns(
            line=pl.col("specifier").str.extract(pattern).cast(pl.Float64),
            rest=pl.col("specifier").str.replace(pattern, ""),
        )
        place = [*BOOK, "market_key", "rest", "outcome"]
        found.append(
            lines.filter(pl.col("line").is_not_null())
            .sort(*place, "line")
            .with_columns(
                before=pl.col("line").shift().over(place),
                rise=pl.col("inverse").diff().over(place)
                * pl.col("outcome").replace_strict(ways, return_dtype=pl.Float64),
            )
            .filter(pl.col("before").is_not_null())
            .select("capture", "market_key", "specifier", "outcome", "before", "line", "rise")
        )
    return pl.concat(found)


def margins(prices: pl.DataFrame, words: Vocabulary) -> pl.DataFrame:
    """Markets with all the outcomes of the vocabulary backable, and of known fair sum: sum of inverse odds over fair
    sum, less one.
    """
    known = words.markets.with_columns(pl.col("fair_sum").cast(pl.Float64, strict=False)).filter(
        pl.col("fair_sum").is_not_null()
    )
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
