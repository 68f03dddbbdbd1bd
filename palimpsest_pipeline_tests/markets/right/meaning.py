"""What the canonical football bets mean, written down a second time and apart from the vocabulary's ids: in which
worlds a bet wins.

A world is a course of a match that tells all the bets here apart: the count of each team in each half (goals, corners
or bookings), and of goals also who scored first. A set of worlds is an int, one bit per world.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, reduce
from itertools import product
from operator import and_, or_
from typing import Final

Worlds = int
Score = tuple[int, int]

MOST: Final = {"goals": 4, "corners": 7, "bookings": 5}
"""Greatest count per team and half: the bounds of the bets lie below, so what holds of them in these worlds holds in
all.
"""
PERIODS: Final = ("ft", "1h", "2h")


@dataclass(frozen=True, slots=True)
class Space:
    """All worlds of a quantity: which have this score at the end of a period, and which have home (1), away (-1) or
    nobody (0) first.
    """

    scores: dict[str, dict[Score, Worlds]]
    first: dict[int, Worlds]
    all: Worlds


@dataclass(frozen=True, slots=True)
class Bet:
    """The worlds in which each half of the stake wins, and in which it is returned; the halves differ on quarter
    lines only.
    """

    quantity: str
    wins: tuple[Worlds, Worlds]
    returned: tuple[Worlds, Worlds]


@cache
def space(quantity: str) -> Space:
    scores: dict[str, dict[Score, Worlds]] = {period: {} for period in PERIODS}
    first: dict[int, Worlds] = {1: 0, -1: 0, 0: 0}
    bit = 1
    for h1, a1, h2, a2 in product(range(MOST[quantity] + 1), repeat=4):
        early = [team for team, goals in ((1, h1), (-1, a1)) if goals]
        openers = early or [team for team, goals in ((1, h2), (-1, a2)) if goals] or [0]
        for opener in openers if quantity == "goals" else [0]:
            first[opener] |= bit
            for period, score in (("ft", (h1 + h2, a1 + a2)), ("1h", (h1, a1)), ("2h", (h2, a2))):
                scores[period][score] = scores[period].get(score, 0) | bit
            bit <<= 1
    return Space(scores, first, bit - 1)


def union(sets: Iterable[Worlds]) -> Worlds:
    return reduce(or_, sets, 0)


@dataclass(frozen=True, slots=True)
class View:
    """One quantity in one period, of one team (`side` home or away) or of both ("")."""

    quantity: str
    period: str
    side: str
    parts: dict[str, str]
    """Of the specifier."""

    def where(self, holds: Callable[[int, int], bool], period: str = "") -> Worlds:
        """Worlds whose score of the period satisfies `holds(home, away)`."""
        return union(
            mask for score, mask in space(self.quantity).scores[period or self.period].items() if holds(*score)
        )

    def own(self, holds: Callable[[int, int], bool], period: str = "") -> Worlds:
        """As `where`, of the score as the bet's team sees it: `holds(own, other)`."""
        return self.where(holds if self.side == "home" else lambda home, away: holds(away, home), period)

    def count(self, holds: Callable[[int], bool], period: str = "") -> Worlds:
        """As `where`, of the count of the bet's team, or of both teams together."""
        return (
            self.own(lambda own, _: holds(own), period)
            if self.side
            else self.where(lambda home, away: holds(home + away), period)
        )

    def unless(self, worlds: Worlds) -> Worlds:
        return space(self.quantity).all ^ worlds

    def answer(self, outcome: str, worlds: Worlds) -> Worlds:
        return {"yes": worlds, "no": self.unless(worlds)}[outcome]

    def result(self, outcome: str, period: str = "", hcp: float = 0) -> Worlds:
        """`home`, `draw`, `away`, or several of them joined by `_or_`."""
        wanted = {{"home": 1, "draw": 0, "away": -1}[name] for name in outcome.split("_or_")}
        return self.where(lambda home, away: _sign(home - away + hcp) in wanted, period)

    def over(self, outcome: str, period: str = "") -> Worlds:
        wanted = {"over": 1, "under": -1}[outcome]
        return self.count(lambda count: _sign(count - float(self.parts["total"])) == wanted, period)

    def both(self, outcome: str = "yes", period: str = "", least: int = 1) -> Worlds:
        return self.answer(outcome, self.where(lambda home, away: min(home, away) >= least, period))

    def within(self, band: str) -> Worlds:
        """`3`, `2_4`, `7_plus`, `no_goal`."""
        if band == "no_goal":
            return self.count(lambda count: count == 0)
        low, _, high = band.partition("_")
        return self.count(lambda count: count >= int(low) and (high == "plus" or count <= int(high or low)))

    def first(self, outcome: str) -> Worlds:
        return space(self.quantity).first[{"home": 1, "away": -1, "none": 0}[outcome]]


Stakes = tuple[tuple[Worlds, Worlds], tuple[Worlds, Worlds]]
Reader = Callable[[View, str], Worlds]


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def _asian(view: View, line: float, wanted: int, difference: Callable[[View, Callable[[int], bool]], Worlds]) -> Stakes:
    """A stake on `difference + line` having the sign `wanted`: a quarter line is half a stake on each neighbour, and
    zero returns the stake.
    """
    low, high = [line, line] if line * 2 % 1 == 0 else [line - 0.25, line + 0.25]

    def at(half: float, sign: int) -> Worlds:
        return difference(view, lambda number: _sign(number + half) == sign)

    return (at(low, wanted), at(high, wanted)), (at(low, 0), at(high, 0))


def _total(view: View, outcome: str) -> Stakes:
    return _asian(view, -float(view.parts["total"]), {"over": 1, "under": -1}[outcome], View.count)


def _handicap(view: View, outcome: str) -> Stakes:
    line = float(view.parts["hcp"])
    return _asian(
        view,
        line,
        {"home": 1, "away": -1}[outcome],
        lambda view, holds: view.where(lambda home, away: holds(home - away)),
    )


def _no_bet(returned: str) -> Callable[[View, str], Stakes]:
    return lambda view, outcome: ((view.result(outcome),) * 2, (view.result(returned),) * 2)


def _yes(truth: Callable[[View], Worlds]) -> Reader:
    return lambda view, outcome: view.answer(outcome, truth(view))


def _joined(*readers: Reader) -> Reader:
    """An outcome of as many words as readers, the last ones single: all hold."""

    def read(view: View, outcome: str) -> Worlds:
        return reduce(
            and_,
            (reader(view, word) for reader, word in zip(readers, outcome.rsplit("_", len(readers) - 1), strict=True)),
        )

    return read


SQUARE_4: Final = list(product(range(5), repeat=2))
UP_TO_6_GOALS: Final = [score for score in product(range(7), repeat=2) if sum(score) <= 6]
SQUARE_2: Final = list(product(range(3), repeat=2))
GRIDS: Final = {"other_beyond_4_4": SQUARE_4, "other_beyond_28_grid": UP_TO_6_GOALS, "other": SQUARE_2}


def _correct_score(view: View, outcome: str, period: str = "") -> Worlds:
    if outcome in GRIDS:
        return view.where(lambda home, away: (home, away) not in GRIDS[outcome], period)
    if outcome == "4plus":
        return view.where(lambda home, away: home + away >= 4, period)
    wanted = tuple(int(goals) for goals in outcome.split("_"))
    return view.where(lambda home, away: (home, away) == wanted, period)


def _half_time_full_time_score(view: View, outcome: str) -> Worlds:
    half, full = outcome.split("__")
    return _correct_score(view, half, "1h") & _correct_score(view, full, "ft")


NAMED_SCORES: Final = {
    "home_1_2_3_nil": "10 20 30",
    "home_4_5_6_nil": "40 50 60",
    "home_2_1_3_1_4_1": "21 31 41",
    "home_3_2_4_2_4_3_5_1": "32 42 43 51",
    "away_1_2_3_nil": "01 02 03",
    "away_4_5_6_nil": "04 05 06",
    "away_1_2_1_3_1_4": "12 13 14",
    "away_2_3_2_4_3_4_1_5": "23 24 34 15",
}


def _multi_score(view: View, outcome: str) -> Worlds:
    if outcome in NAMED_SCORES:
        return view.where(lambda home, away: f"{home}{away}" in NAMED_SCORES[outcome].split())
    listed = " ".join(NAMED_SCORES.values()).split()
    rest = {"draw": "draw", "other_home_win": "home", "other_away_win": "away"}[outcome]
    return view.result(rest) & view.where(lambda home, away: home == away or f"{home}{away}" not in listed)


def _margin(view: View, outcome: str) -> Worlds:
    if outcome == "draw":
        return view.result("draw")
    side, least, *more = outcome.split("_")
    sign = {"home": 1, "away": -1}[side]
    return view.where(
        lambda home, away: (home - away) * sign == int(least) or (bool(more) and (home - away) * sign > int(least))
    )


def _multigoals(view: View, outcome: str) -> Worlds:
    return view.result(outcome) & view.within(view.parts["goals"].replace("-", "_"))


def _none(view: View, outcome: str) -> Worlds:
    """Of who is first or last, only that there is nobody is a matter of counts."""
    return {"none": view.count(lambda count: count == 0)}[outcome]


def _first_goal_and_result(view: View, outcome: str) -> Worlds:
    if outcome == "no_goal":
        return view.first("none")
    first, _, result = outcome.split("_")
    return view.first(first) & view.result(result)


def _best_half(view: View, outcome: str) -> Worlds:
    wanted = {"first_half": 1, "equal": 0, "second_half": -1}[outcome]
    counts = range(2 * MOST[view.quantity] + 1)
    pairs = [(first, second) for first, second in product(counts, repeat=2) if _sign(first - second) == wanted]
    by_period = {period: [view.count(count.__eq__, period) for count in counts] for period in ("1h", "2h")}
    return union(by_period["1h"][first] & by_period["2h"][second] for first, second in pairs)


def _btts_or_total(view: View, outcome: str) -> Worlds:
    scored, _, over = outcome.rpartition("_or_")
    return view.both({"btts": "yes", "no_btts": "no"}[scored]) | view.over(over)


def _half_then_full(view: View, outcome: str) -> Worlds:
    half, full = outcome.split("_")
    return view.result(half, "1h") & view.result(full, "ft")


def _halves(truth: Callable[[View, str], Worlds], join: Callable[[Worlds, Worlds], Worlds] = and_) -> Reader:
    return _yes(lambda view: join(truth(view, "1h"), truth(view, "2h")))


def _chance_mix(side: str) -> dict[str, Reader]:
    return {
        f"{side}_or_btts": _yes(lambda view: view.result(side) | view.both("yes")),
        f"{side}_or_no_btts": _yes(lambda view: view.result(side) | view.both("no")),
        f"{side}_or_over": _yes(lambda view: view.result(side) | view.over("over")),
        f"{side}_or_under": _yes(lambda view: view.result(side) | view.over("under")),
    }


def _at_half_and_end(view: View, outcome: str) -> Worlds:
    half, full = outcome.split("__")
    return view.result(half, "1h") & view.result(full, "ft")


def _half_then_full_and_count(view: View, outcome: str) -> Worlds:
    half, full, band = outcome.split("_", 2)
    return view.result(half, "1h") & view.result(full, "ft") & view.within(band)


def _listed_only(view: View, outcome: str) -> Stakes:
    """Returned when the score is none of those on the list."""
    return (_correct_score(view, outcome),) * 2, (_correct_score(view, "other_beyond_28_grid"),) * 2


def _several_scores(view: View, outcome: str) -> Worlds:
    return union(_correct_score(view, {"other": "other_beyond_4_4"}.get(score, score)) for score in outcome.split("__"))


def _counts_of_halves(view: View, outcome: str) -> Worlds:
    """`1_or_more__2_or_less__yes`: the first half's count and the second half's."""
    *bounds, answer = outcome.split("__")
    both = view.unless(0)
    for period, bound in zip(("1h", "2h"), bounds, strict=True):
        number, way = int(bound.split("_")[0]), bound.rpartition("_")[2]
        both &= view.count({"more": number.__le__, "less": number.__ge__}[way], period)
    return view.answer(answer, both)


def _half_of_first(side: str) -> Reader:
    def read(view: View, outcome: str) -> Worlds:
        goals = View(view.quantity, view.period, side, view.parts)
        early, late = (goals.count(lambda count: count > 0, period) for period in ("1h", "2h"))
        return {"first_half": early, "second_half": late & view.unless(early), "no_goal": view.unless(early | late)}[
            outcome
        ]

    return read


def _any_of(view: View, outcome: str) -> Worlds:
    """`under_1_5_2h__or__btts_2h`."""
    return union(_one_of(view, *chance.rsplit("_", 1)) for chance in outcome.split("__or__"))


def _one_of(view: View, chance: str, period: str) -> Worlds:
    if chance in ("btts", "no_btts"):
        return view.both({"btts": "yes", "no_btts": "no"}[chance], period)
    if chance in ("no_goal", "under_1_5"):
        return view.count(lambda count: count <= {"no_goal": 0, "under_1_5": 1}[chance], period)
    return view.result(chance, period)


def _result_or_btts_or_total(view: View, outcome: str) -> Worlds:
    side, scored, over = outcome.split("_or_")
    return _one_of(view, side, "ft") | _one_of(view, scored, "ft") | view.over(over)


def _both_halves_and_total(view: View, outcome: str) -> Worlds:
    scored, over = outcome.split("_")
    match = View(view.quantity, view.period, "", view.parts)
    return ONE_TEAM["score_both_halves"](view, scored) & match.over(over)  # type: ignore[operator]


def _wins_both_halves_to_nil(view: View, outcome: str) -> Worlds:
    team = View(view.quantity, view.period, outcome, view.parts)
    return team.own(lambda own, other: own > other == 0, "1h") & team.own(lambda own, other: own > other == 0, "2h")


COUNTS: Final[dict[str, Callable[[View, str], Worlds | Stakes]]] = {
    "total": _total,
    "exact": View.within,
    "range": View.within,
    "multigoals": View.within,
    "odd_even": lambda view, outcome: view.count(lambda count: count % 2 == {"odd": 1, "even": 0}[outcome]),
    "highest_scoring_half": _best_half,
    "half_with_most": _best_half,
    "bounds": View.within,
    "excluded": lambda view, outcome: view.unless(view.within(outcome.removeprefix("not_"))),
}
"""Bets on the count of one team or of both."""

ONE_TEAM: Final[dict[str, Callable[[View, str], Worlds | Stakes]]] = {
    "to_score": _yes(lambda view: view.own(lambda own, _: own > 0)),
    "clean_sheet": _yes(lambda view: view.own(lambda _, other: other == 0)),
    "win_to_nil": _yes(lambda view: view.own(lambda own, other: own > other == 0)),
    "win_both_halves": _halves(lambda view, period: view.own(int.__gt__, period)),
    "win_either_half": _halves(lambda view, period: view.own(int.__gt__, period), or_),
    "score_both_halves": _halves(lambda view, period: view.own(lambda own, _: own > 0, period)),
    "score_both_halves_and_total": _both_halves_and_total,
}

BOTH_TEAMS: Final[dict[str, Callable[[View, str], Worlds | Stakes]]] = {
    "result": View.result,
    "double_chance": View.result,
    "draw_no_bet": _no_bet("draw"),
    "home_no_bet": _no_bet("home"),
    "away_no_bet": _no_bet("away"),
    "asian_handicap": _handicap,
    "european_handicap_3way": lambda view, outcome: view.result(outcome, hcp=float(view.parts["hcp"])),
    "both_teams_to_score": View.both,
    "both_teams_to_score_2plus": lambda view, outcome: view.both(outcome, least=2),
    "both_teams_to_score_no_draw": _yes(lambda view: view.both() & view.result("home_or_away")),
    "both_teams_to_score_both_halves": _halves(lambda view, period: view.both(period=period)),
    "both_teams_to_score_by_half": _joined(
        lambda view, word: view.both(word, "1h"), lambda view, word: view.both(word, "2h")
    ),
    "draw_with_goals": _yes(lambda view: view.where(lambda home, away: home == away > 0)),
    "both_halves_over": _halves(lambda view, period: view.over("over", period)),
    "both_halves_under": _halves(lambda view, period: view.over("under", period)),
    "at_least_one_half_drawn": _halves(lambda view, period: view.result("draw", period), or_),
    "correct_score": _correct_score,
    "multi_correct_score": _multi_score,
    "winning_margin": _margin,
    "teams_to_score": lambda view, outcome: view.where(
        lambda home, away: (
            (home > 0, away > 0)
            == {"neither": (0, 0), "home_only": (1, 0), "away_only": (0, 1), "both": (1, 1)}[outcome]
        )
    ),
    "result_and_total": _joined(View.result, View.over),
    "result_and_btts": _joined(View.result, View.both),
    "total_and_btts": _joined(View.over, View.both),
    "double_chance_and_total": _joined(View.result, View.over),
    "double_chance_and_btts": _joined(View.result, View.both),
    "double_chance_and_btts_in_1h": _joined(View.result, lambda view, word: view.both(word, "1h")),
    "double_chance_and_btts_in_2h": _joined(View.result, lambda view, word: view.both(word, "2h")),
    "result_and_multigoals": _multigoals,
    "double_chance_and_multigoals": _multigoals,
    "half_time_full_time": _half_then_full,
    "half_time_full_time_and_total": _joined(_half_then_full, View.over),
    "half_time_full_time_and_total_1h": _joined(_half_then_full, lambda view, word: view.over(word, "1h")),
    "half_time_full_time_correct_score": _half_time_full_time_score,
    "first_half_or_result": lambda view, outcome: view.result(outcome, "1h") | view.result(outcome, "ft"),
    "btts_or_total": _btts_or_total,
    **_chance_mix("home"),
    **_chance_mix("draw"),
    **_chance_mix("away"),
    "result_btts_total": _joined(View.result, View.both, View.over),
    "result_or_btts_or_total": _result_or_btts_or_total,
    "chance_mix_halves": _any_of,
    "half_time_full_time_and_exact": _half_then_full_and_count,
    "half_time_result_full_time_double_chance": _at_half_and_end,
    "half_time_double_chance_full_time_result": _at_half_and_end,
    "half_time_double_chance_full_time_double_chance": _at_half_and_end,
    "correct_score_listed_only": _listed_only,
    "multi_correct_score_bet9ja_a": _several_scores,
    "multi_correct_score_bet9ja_b": _several_scores,
    "per_half_pairs": _counts_of_halves,
    "half_of_first": _half_of_first(""),
    "half_of_first_home": _half_of_first("home"),
    "half_of_first_away": _half_of_first("away"),
    "both_teams_booked_n_plus": lambda view, outcome: view.both(least=int(outcome.removesuffix("_plus"))),
    "win_both_halves_to_nil": _wins_both_halves_to_nil,
    "first_goal_and_result": _first_goal_and_result,
    "next": lambda view, outcome: view.first(outcome) if view.period == "ft" else _none(view, outcome),
    "last": _none,
    "first": _none,
}

WHOLE_MATCH: Final = {
    "double_chance_and_btts_in_1h",
    "double_chance_and_btts_in_2h",
    "half_time_full_time_and_total_1h",
}
"""Keys of bets on the whole match that end like those on a half."""
STEMS: Final = {"corners": "corner", "bookings": "book"}
KEY: Final = re.compile(r"(?P<base>.+?)(?:_(?P<period>1h|2h))?")


def _base(market_key: str, quantity: str) -> str:
    """The key without its quantity: `home_total_corners` and `home_total_goals` are both `home_total`."""
    if "multigoals" in market_key or "and_match_result" in market_key or market_key == "draw_with_goals":
        return market_key.replace("match_", "")
    key = (
        market_key.removeprefix(f"{quantity}_")
        .replace("match_result", "result")
        .replace("goal_range", "range")
        .replace("goal_bounds", "bounds")
    )
    return re.sub(rf"_{quantity[:-1]}s?(?=_|$)", "", key)


def meaning(market_key: str, specifier: str, outcome: str) -> Bet | None:
    """The bet, or None when counts do not say how it ends (players, order of events, other quantities)."""
    quantity = next((name for name, stem in STEMS.items() if stem in market_key), "goals")
    key = _base(market_key, quantity)
    match = KEY.fullmatch(key)
    assert match is not None
    base, period = (key, "ft") if key in WHOLE_MATCH else (match["base"], match["period"] or "ft")
    parts = dict(part.split("=", 1) for part in specifier.split("|") if part)
    if parts.get("goalnr", "1") != "1" or "minute" in parts or "minsnr" in parts or "points" in market_key:
        return None
    side, _, rest = base.partition("_")
    reader = BOTH_TEAMS.get(base) or COUNTS.get(base)
    if reader is None and side in ("home", "away"):
        reader = COUNTS.get(rest) or ONE_TEAM.get(rest)
    else:
        side = ""
    if reader is None:
        return None
    try:
        found = reader(View(quantity, period, side, parts), outcome)
    except (KeyError, ValueError):
        # An outcome that counts do not decide, such as who scores last.
        return None
    wins, returned = found if isinstance(found, tuple) else ((found, found), (0, 0))
    return Bet(quantity, wins, returned)
