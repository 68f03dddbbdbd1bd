"""What the captured bytes say of themselves, in the platforms' own words, and where each of these prices must stand.

The easy mistakes: outcomes taken by their place in the list, a market taken for one with a like id or name, half of a
market's outcomes left out. A fact finds its price in the answer by the platform's label ("Home & Under 1.5"), which the
vocabulary never reads.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from ..captures import CAPTURES

BETPAWA: Final = "betpawa_norway_france"
BETPAWA_NEW: Final = "betpawa_v4"
SPORTYBET: Final = "sportybet_norway_france"
BET9JA: Final = "bet9ja_norway_france"

Odds = dict[tuple[str, str, str], int]
"""(market, specifier, label) to thousandths, of one answer."""


@dataclass(frozen=True, slots=True)
class Fact:
    """`labels`: the platform's label to the canonical outcome; its price stands there and nowhere else in that
    market and specifier.
    """

    capture: str
    market: str
    specifier: str
    market_key: str
    line: str
    labels: dict[str, str]


def _same(*names: str) -> dict[str, str]:
    """Labels that are the canonical outcomes but for their signs."""
    return {
        name: name.replace("-", "_").replace(":", "_").replace("+", "_plus").replace("/", "__").replace(" ", "__")
        for name in names
    }


SIDES: Final = {"Home": "home", "Draw": "draw", "Away": "away"}
RESULT: Final = {"1": "home", "X": "draw", "2": "away"}
PAIR_AND_BTTS: Final = {
    f"{pair} & {label}": f"{key}_{label.lower()}"
    for pair, key in {"Home/Draw": "home_or_draw", "Home/Away": "home_or_away", "Draw/Away": "draw_or_away"}.items()
    for label in ("Yes", "No")
}
TEAM_MULTIGOALS: Final = _same("1-2", "1-3", "2-3", "4+") | {"No goal": "no_goal"}
HALF_SCORES: Final = _same("0:0", "1:1", "2:2", "1:0", "2:0", "2:1", "0:1", "0:2", "1:2") | {"Other": "other"}
FOUR_RANGES: Final = _same("0-2", "3-4", "5-6", "7+")
ZERO_ONE_RANGES: Final = _same("0-1", "2", "3", "4+")
FOUR_COUNTS: Final = _same("0", "1", "2", "3+")

FACTS: Final[dict[str, list[Fact]]] = {
    "over and under of 1X2 and total": [
        Fact(
            SPORTYBET,
            "37",
            f"total={line}",
            "match_result_and_total_goals",
            f"total={line}",
            {f"{side} & {over} {line}": f"{side}_{over}".lower() for side in SIDES for over in ("Over", "Under")},
        )
        for line in ("1.5", "2.5")
    ],
    "pairs of double chance and total": [
        Fact(
            SPORTYBET,
            "547",
            "total=1.5",
            "double_chance_and_total_goals",
            "total=1.5",
            {
                f"{pair} & {over} 1.5": f"{key}_{over.lower()}"
                for pair, key in {
                    "Home/Draw": "home_or_draw",
                    "Home/Away": "home_or_away",
                    "Draw/Away": "draw_or_away",
                }.items()
                for over in ("Over", "Under")
            },
        )
    ],
    "total and both score": [
        Fact(
            SPORTYBET,
            "36",
            "total=2.5",
            "total_goals_and_btts",
            "total=2.5",
            {f"{over} 2.5 & {both}": f"{over}_{both}".lower() for over in ("Over", "Under") for both in ("Yes", "No")},
        )
    ],
    "pairs of double chance and both score": [
        Fact(SPORTYBET, market, "", f"double_chance_and_btts{period}", "", PAIR_AND_BTTS)
        for market, period in {"546": "", "542": "_1h", "545": "_2h"}.items()
    ],
    "which team scores": [
        Fact(
            SPORTYBET,
            "30",
            "",
            "teams_to_score",
            "",
            {"None": "neither", "Only Home": "home_only", "Only Away": "away_only", "Both teams": "both"},
        )
    ],
    "ranges of goals": [
        Fact(
            SPORTYBET,
            "548",
            "",
            "multigoals",
            "",
            _same(
                "1-2",
                "1-3",
                "1-4",
                "1-5",
                "1-6",
                "2-3",
                "2-4",
                "2-5",
                "2-6",
                "3-4",
                "3-5",
                "3-6",
                "4-5",
                "4-6",
                "5-6",
                "7+",
            )
            | {"No goal": "no_goal"},
        )
    ],
    "ranges of goals of a team": [
        Fact(SPORTYBET, "549", "", "home_multigoals", "", TEAM_MULTIGOALS),
        Fact(SPORTYBET, "550", "", "away_multigoals", "", TEAM_MULTIGOALS),
    ],
    "ranges of goals of a half": [
        Fact(SPORTYBET, "552", "", "multigoals_1h", "", TEAM_MULTIGOALS),
        Fact(SPORTYBET, "553", "", "multigoals_2h", "", TEAM_MULTIGOALS),
    ],
    "correct score of the first half": [Fact(SPORTYBET, "81", "", "correct_score_1h", "", HALF_SCORES)],
    "correct score of the second half": [Fact(SPORTYBET, "98", "", "correct_score_2h", "", HALF_SCORES)],
    "exactly two goals are not two or more": [
        Fact(BET9JA, "S_GOALS2T", "", "exact_goals_2h", "top=3", {"1": "1", "2": "2"}),
        Fact(BETPAWA, "4912", "", "exact_goals_2h", "top=2", {"0": "0", "1": "1", "2+": "2_plus"}),
        Fact(
            SPORTYBET,
            "93",
            "variant=sr:exact_goals:2+",
            "exact_goals_2h",
            "top=2",
            {"0": "0", "1": "1", "2+": "2_plus"},
        ),
    ],
    "every other score, of different grids": [
        Fact(
            BETPAWA,
            "4429",
            "",
            "correct_score",
            "",
            _same("0-0", "0-6", "6-0", "4-2") | {"Other": "other_beyond_28_grid"},
        ),
        Fact(
            BETPAWA_NEW, "28000869", "", "correct_score", "", _same("0-0", "4-4", "4-2") | {"Other": "other_beyond_4_4"}
        ),
        Fact(SPORTYBET, "45", "", "correct_score", "", _same("0:0", "4:4", "4:2") | {"Other": "other_beyond_4_4"}),
        Fact(BET9JA, "S_CSFT", "", "correct_score", "", _same("0:0", "4:4", "4:2") | {"OTH": "other_beyond_4_4"}),
    ],
    "minutes of the result after them": [
        Fact(SPORTYBET, "900069", f"minute={minute}", "match_result_first_n_minutes", f"minute={minute}", SIDES)
        for minute in (5, 15, 30, 60, 85)
    ]
    + [Fact(BET9JA, "S_1X21ST60MIN", "", "match_result_first_n_minutes", "minute=60", RESULT)],
    "ranges of a team's corners": [
        Fact(BETPAWA, "1096793", "", "home_corners_range", "", FOUR_RANGES),
        Fact(BETPAWA, "1096797", "", "away_corners_range", "", FOUR_RANGES),
        Fact(BETPAWA, "1096794", "", "home_corners_range_1h", "", ZERO_ONE_RANGES),
        Fact(BETPAWA, "1096802", "", "away_corners_range_1h", "", ZERO_ONE_RANGES),
        Fact(SPORTYBET, "170", "variant=sr:point_range:7+", "home_corners_range", "", FOUR_RANGES),
        Fact(SPORTYBET, "171", "variant=sr:point_range:7+", "away_corners_range", "", FOUR_RANGES),
        Fact(SPORTYBET, "180", "", "home_corners_range_1h", "", ZERO_ONE_RANGES),
        Fact(SPORTYBET, "181", "", "away_corners_range_1h", "", ZERO_ONE_RANGES),
        Fact(
            SPORTYBET,
            "900300",
            "total=2.5",
            "home_total_corners",
            "total=2.5",
            {"Over 2.5": "over", "Under 2.5": "under"},
        ),
        Fact(BET9JA, "S_CORNERSHOMEOU", "2.5", "home_total_corners", "total=2.5", {"HCO": "over", "HCU": "under"}),
    ],
    "numbers of a team's bookings": [
        Fact(BETPAWA, "1096768", "", "home_exact_bookings", "", ZERO_ONE_RANGES),
        Fact(BETPAWA, "1096770", "", "away_exact_bookings", "", ZERO_ONE_RANGES),
        Fact(BETPAWA, "1096769", "", "home_exact_bookings_1h", "", FOUR_COUNTS),
        Fact(BETPAWA, "1096771", "", "away_exact_bookings_1h", "", FOUR_COUNTS),
        Fact(SPORTYBET, "143", "", "home_exact_bookings", "", ZERO_ONE_RANGES),
        Fact(SPORTYBET, "144", "", "away_exact_bookings", "", ZERO_ONE_RANGES),
        Fact(SPORTYBET, "156", "", "home_exact_bookings_1h", "", FOUR_COUNTS),
        Fact(SPORTYBET, "157", "", "away_exact_bookings_1h", "", FOUR_COUNTS),
        Fact(BET9JA, "S_OUBOOKHOME", "1.5", "home_total_bookings", "total=1.5", {"O": "over", "U": "under"}),
    ],
    "early payout is a bet on three outcomes": [
        Fact(SPORTYBET, "60200", "", "match_result_1up", "", SIDES),
        Fact(SPORTYBET, "60100", "", "match_result_2up", "", SIDES),
        Fact(BETPAWA, "28000810", "", "match_result_1up", "", RESULT),
        Fact(BETPAWA, "28000850", "", "match_result_2up", "", RESULT),
    ],
    "early payout is no period": [
        Fact(BET9JA, "S_1X21", "", "match_result_1up", "", {"11": "home", "X1": "draw", "21": "away"}),
        Fact(BET9JA, "S_1X22", "", "match_result_2up", "", {"12": "home", "X2": "draw", "22": "away"}),
    ],
    "Asian total of the match": [
        Fact(BET9JA, "S_OUA", line, "total_goals", f"total={line}", {"O": "over", "U": "under"})
        for line in ("1.25", "2")
    ],
    "handicap of cards": [
        Fact(BET9JA, "S_CAH1", "-0.5", "bookings_asian_handicap", "hcp=-0.5", {"1": "home", "2": "away"})
    ],
    "handicap of corners in the first half": [
        Fact(BET9JA, "S_CAHH", "0.5", "corners_asian_handicap_1h", "hcp=0.5", {"1": "home", "2": "away"})
    ],
    "result or both score": [
        Fact(BET9JA, "S_CHANCEMIX", "", f"{side}_or_{both}", "", {f"{sign}or{label}": "yes"})
        for sign, side in RESULT.items()
        for label, both in {"GG": "btts", "NG": "no_btts"}.items()
    ],
    "no bet on a team": [
        Fact(BET9JA, "S_HOMENOBET", "", "home_no_bet", "", {"X": "draw", "2": "away"}),
        Fact(BET9JA, "S_AWAYNOBET", "", "away_no_bet", "", {"1": "home", "X": "draw"}),
        Fact(SPORTYBET, "12", "", "home_no_bet", "", {"Draw": "draw", "Away": "away"}),
    ],
    "both score twice": [Fact(BET9JA, "S_GGNG2PLUS", "", "both_teams_to_score_2plus", "", {"GG": "yes", "NG": "no"})],
    "first and last goal": [
        Fact(BET9JA, "S_1STGOAL", "", "next_goal", "goalnr=1", {"1": "home", "X": "none", "2": "away"}),
        Fact(BET9JA, "S_LASTSCORE", "", "last_goal", "", {"1": "home", "N": "none", "2": "away"}),
        Fact(BETPAWA, "4870", "", "last_goal", "", {"1": "home", "No Goal": "none", "2": "away"}),
        Fact(BETPAWA, "28000224", "4", "next_goal", "goalnr=1", {"1": "home", "None": "none", "2": "away"}),
        Fact(SPORTYBET, "9", "", "last_goal", "", {"Home": "home", "None": "none", "Away": "away"}),
    ],
    "last corner": [
        Fact(BETPAWA, "1096795", "", "last_corner", "", {"1": "home", "No Corner": "none", "2": "away"}),
        Fact(SPORTYBET, "164", "", "last_corner", "", {"Home": "home", "None": "none", "Away": "away"}),
    ],
    "result and total, in BetPawa's rows": [
        Fact(
            BETPAWA,
            "1096755",
            "6",
            "match_result_and_total_goals",
            "total=1.5",
            {
                f"{sign} - {over}": f"{side}_{over.lower()}"
                for sign, side in RESULT.items()
                for over in ("Over", "Under")
            },
        )
    ],
    "team to score, in BetPawa's words": [
        Fact(
            BETPAWA,
            "1096782",
            "",
            "teams_to_score",
            "",
            {"No Goal": "neither", "Home": "home_only", "Away": "away_only", "Both": "both"},
        )
    ],
    "ranges of goals, in BetPawa's words": [
        Fact(BETPAWA, "28000047", "", "multigoals", "", _same("1-2", "2-3", "3-6")),
        Fact(BETPAWA, "28000065", "", "multigoals_1h", "", TEAM_MULTIGOALS),
        Fact(BETPAWA, "28000083", "", "away_multigoals", "", TEAM_MULTIGOALS),
    ],
    "half time, full time and total": [
        Fact(
            BETPAWA,
            "28000279",
            "14",
            "half_time_full_time_and_total_goals",
            "total=3.5",
            {
                "1/1 and Under": "home_home_under",
                "1/X and Under": "home_draw_under",
                "1/2 and Under": "home_away_under",
                "X/1 and Under": "draw_home_under",
                "2/1 and Under": "away_home_under",
            },
        ),
        Fact(
            BET9JA,
            "S_HTFTOU",
            "3.5",
            "half_time_full_time_and_total_goals",
            "total=3.5",
            {"1/XU": "home_draw_under", "1/XO": "home_draw_over", "2/1U": "away_home_under", "X/2O": "draw_away_over"},
        ),
        Fact(
            SPORTYBET,
            "818",
            "total=1.5",
            "half_time_full_time_and_total_goals",
            "total=1.5",
            {
                "Home/Draw & Over 1.5": "home_draw_over",
                "Home/Away & Over 1.5": "home_away_over",
                "Away/Home & Over 1.5": "away_home_over",
                "Away/Away & Under 1.5": "away_away_under",
            },
        ),
    ],
    "scores of half time and full time": [
        Fact(
            BETPAWA,
            "28000228",
            "",
            "half_time_full_time_correct_score",
            "",
            _same("0-0/0-1", "0-0/1-0", "0-0/1-2", "0-0/2-0"),
        ),
        Fact(
            SPORTYBET,
            "46",
            "",
            "half_time_full_time_correct_score",
            "",
            _same("0:0 0:1", "0:0 1:0", "0:1 2:1", "1:0 1:2"),
        ),
        Fact(
            BET9JA,
            "S_HTFTCS",
            "",
            "half_time_full_time_correct_score",
            "",
            _same("0-0/0-1", "0-0/2-1", "0-1/0-3", "2-0/3-0"),
        ),
    ],
    "groups of scores": [
        Fact(
            market[0],
            market[1],
            "",
            "multi_correct_score",
            "",
            {"1:0, 2:0 or 3:0": "home_1_2_3_nil", "0:1, 0:2 or 0:3": "away_1_2_3_nil"},
        )
        for market in ((BETPAWA, "28000035"), (SPORTYBET, "551"))
    ],
    "ranges of corners": [
        Fact(BETPAWA, "1096803", "", "corners_range", "", _same("0-8", "9-11", "12+")),
        Fact(SPORTYBET, "169", "variant=sr:point_range:12+", "corners_range", "", _same("0-8", "9-11", "12+")),
    ],
    "numbers of corners are no ranges": [
        Fact(
            BET9JA,
            "S_NCORN",
            "",
            "corners_exact",
            "",
            {"LT7Corner": "0_6", "7Corner": "7", "12Corner": "12", "20PCorner": "20_plus"},
        )
    ],
    "both sides of a team total": [
        Fact(
            BET9JA, market, "0.5", f"{side}_total_goals_{half}", "total=0.5", {f"{sign}O": "over", f"{sign}U": "under"}
        )
        for market, half in {"S_HA1HOU": "1h", "S_HA2HOU": "2h"}.items()
        for sign, side in {"H": "home", "A": "away"}.items()
    ],
    "a market by its id, not by a like one": [
        Fact(BETPAWA, "3774", "-2", "asian_handicap", "hcp=-0.5", {"1": "home", "2": "away"}),
        Fact(BETPAWA, "4724", "-4", "european_handicap_3way", "hcp=-1", RESULT),
        Fact(BETPAWA, "4976", "2", "total_goals_2h", "total=0.5", {"Over": "over", "Under": "under"}),
    ],
    "the newer shape of BetPawa's answer": [
        Fact(BETPAWA_NEW, "3743", "", "match_result", "", RESULT),
        Fact(BETPAWA_NEW, "4724", "-4", "european_handicap_3way", "hcp=-1", RESULT),
        Fact(BETPAWA_NEW, "4724", "8", "european_handicap_3way", "hcp=2", RESULT),
        Fact(BETPAWA_NEW, "5000", "10", "total_goals", "total=2.5", {"Over": "over", "Under": "under"}),
    ],
}
"""By what must hold."""


NOT_A_MARKET: Final = [
    "S_AH1T",
    "S_AH2T",
    "S_HOMEGOALS",
    "S_AWAYGOALS",
    "S_TTSCORE",
    "S_OUGGNG",
    "S_MULTIGOAL",
    "S_MULTIGOAL1T",
    "S_MULTIGOAL2T",
    "S_1X2CORNERS",
    "S_1X2CORNERS1T",
    "S_AHCORNERS",
    "S_AHCORNERS1T",
    "S_SENDOFF",
    "S_LASTGOAL",
    "S_DCGGNG1T",
]
"""Keys that Bet9ja does not have, neither priced nor in its list of markets."""


def misread(prices: pl.DataFrame, samples: Path, facts: list[Fact]) -> list[str]:
    """The facts that canonical prices contradict, in words."""
    found = []
    for fact in facts:
        given = _answer(samples, fact.capture)
        market = prices.filter(
            (pl.col("capture") == fact.capture)
            & (pl.col("market_key") == fact.market_key)
            & (pl.col("specifier") == fact.line)
        ).select("outcome", "odds_milli")
        have = dict(market.iter_rows())
        for label, outcome in fact.labels.items():
            odds = given[fact.market, fact.specifier, label]
            if have.get(outcome) != odds:
                where = f"{fact.market_key} {fact.line} {outcome}"
                found.append(
                    f"{fact.capture} {fact.market} {fact.specifier} {label!r} at {odds} is not {where}: {have}"
                )
    return found


_ANSWERS: dict[tuple[Path, str], Odds] = {}


def _answer(samples: Path, capture: str) -> Odds:
    """The prices of an answer by the platform's own words, read without the package."""
    if (samples, capture) not in _ANSWERS:
        platform, _, file = CAPTURES[capture]
        answer = json.loads((samples / platform / file).read_bytes(), parse_float=Decimal)
        _ANSWERS[samples, capture] = {name: int(Decimal(odds) * 1000) for name, odds in READERS[platform](answer)}
    return _ANSWERS[samples, capture]


Priced = Iterator[tuple[tuple[str, str, str], Any]]


def _betpawa(answer: Any) -> Priced:
    for market in answer["markets"]:
        for row in market["row"]:
            line = row.get("handicap")
            for price in row["prices"]:
                odds = price.get("price", price.get("odds"))
                yield (market["marketType"]["id"], "" if line is None else str(line), price["name"]), odds or 0


def _sportybet(answer: Any) -> Priced:
    for market in answer["data"]["markets"]:
        for outcome in market.get("outcomes", ()):
            yield (market["id"], market.get("specifier") or "", outcome["desc"]), outcome["odds"]


def _bet9ja(answer: Any) -> Priced:
    for key, odds in answer["D"]["O"].items():
        prefix, market, label = key.split("_", 2)
        name, _, line = market.partition("@")
        yield (f"{prefix}_{name}", line, label), odds


READERS: Final = {"betpawa": _betpawa, "sportybet": _sportybet, "bet9ja": _bet9ja}
