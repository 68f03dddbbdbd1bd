"""The model of a match: goals, corners, cards and more as Poisson counts, and fair chances from them.

Markets that one score does not decide have random chances, the same in each run; they move with the expected goals.
Nothing depends on bookmaker or time: the caller passes the expected counts that a book assumes at an instant.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp
from operator import mul
from random import Random

from .models import STATISTIC_NAMES, build_score_shares

FIRST_HALF_SHARE = 0.45
MAX_GOALS = 8
COUNTS_PER_GOAL = {"shots": 8.6, "shots_on_target": 3.2}
MEAN_COUNTS = {
    "fouls": 11.5,
    "offsides": 1.8,
    "saves": 3.0,
    "tackles": 16.0,
    "goal_kicks": 7.5,
    "throw_ins": 20.0,
    "woodwork": 0.3,
}
MAX_COUNTS = {
    "corners": 14,
    "bookings": 9,
    "shots": 30,
    "shots_on_target": 14,
    "fouls": 26,
    "offsides": 8,
    "saves": 10,
    "tackles": 34,
}
MAX_COUNTS |= {"goal_kicks": 18, "throw_ins": 40, "woodwork": 3}


@dataclass(frozen=True, slots=True)
class ExpectedCounts:
    """The expected counts per team in regular time, such as goals and corners."""

    home_goals: float
    away_goals: float
    home_corners: float
    away_corners: float
    home_cards: float
    away_cards: float

    def swap_sides(self) -> "ExpectedCounts":
        """Return the expected counts with home and away team swapped."""
        return ExpectedCounts(
            self.away_goals, self.home_goals, self.away_corners, self.home_corners, self.away_cards, self.home_cards
        )


@dataclass(frozen=True, slots=True)
class Chance:
    """The chance that the stake wins, and the chance that it is returned."""

    win: float
    refund: float = 0.0


@dataclass(frozen=True, slots=True)
class CountedStatistic:
    """A counted statistic, such as corners, in a period, which is the fraction `share` of the match."""

    statistic: str = "goals"
    share: float = 1.0
    period: str = "ft"


@lru_cache(maxsize=1 << 16)
def _compute_poisson(mean: float, largest: int) -> tuple[float, ...]:
    terms = [exp(-mean)]
    for count in range(1, largest + 1):
        terms.append(terms[-1] * mean / count)
    total = sum(terms)
    return tuple(term / total for term in terms)


def _compute_means(expected: ExpectedCounts, ground: CountedStatistic) -> tuple[float, float]:
    if ground.statistic == "corners":
        home, away = expected.home_corners, expected.away_corners
    elif ground.statistic == "bookings":
        home, away = expected.home_cards, expected.away_cards
    elif ground.statistic == "sending_off":
        home, away = expected.home_cards / 22, expected.away_cards / 22
    elif ground.statistic in COUNTS_PER_GOAL:
        factor = COUNTS_PER_GOAL[ground.statistic]
        home, away = expected.home_goals * factor, expected.away_goals * factor
    elif ground.statistic in MEAN_COUNTS:
        level = MEAN_COUNTS[ground.statistic]
        tilt = expected.away_goals - expected.home_goals
        home, away = level * (1 + tilt / 20), level * (1 - tilt / 20)
    else:
        home, away = expected.home_goals, expected.away_goals
    return round(max(home, 0.02) * ground.share, 6), round(max(away, 0.02) * ground.share, 6)


MatrixCells = tuple[tuple[int, ...], tuple[float, ...] | None]
"""Positions in a flattened matrix and their weights; None means weight 1 for all."""


def _build_cells(weighted_positions: Iterable[tuple[int, float]]) -> MatrixCells:
    weighted = [(position, weight) for position, weight in weighted_positions if weight]
    weights = tuple(weight for _, weight in weighted)
    return tuple(position for position, _ in weighted), None if all(weight == 1.0 for weight in weights) else weights


def _sum_cells(matrix: Sequence[float], cells: MatrixCells) -> float:
    positions, weights = cells
    states = map(matrix.__getitem__, positions)
    return sum(states) if weights is None else sum(map(mul, states, weights))


@lru_cache(maxsize=1 << 13)
def _find_cells(
    largest: int, base: str, outcome: str, line: float, listed: tuple[str, ...]
) -> tuple[MatrixCells, MatrixCells] | None:
    """Return the cells of the flattened score matrix in which the outcome wins, and those with a refund.

    None for a market that the score does not decide.
    """
    shares = build_score_shares(base, outcome, line, listed)
    if shares is None:
        return None
    cell_shares = [(h * (largest + 1) + a, *shares(h, a)) for h in range(largest + 1) for a in range(largest + 1)]
    return _build_cells((i, won) for i, won, _ in cell_shares), _build_cells(
        (i, refund) for i, _, refund in cell_shares
    )


@lru_cache(maxsize=1 << 13)
def _draw_weight(key: str, line: str, outcome: str) -> tuple[float, float]:
    """Return the weight of an outcome without a model, and how it moves with the goals."""
    rng = Random(f"{key}:{line}:{outcome}")
    return rng.uniform(0.3, 1), rng.uniform(-0.3, 0.3)


@lru_cache(maxsize=1 << 11)
def parse_market_key(key: str, line: str) -> tuple[CountedStatistic, str, float]:
    """Return the counted statistic, the key without period and statistic, and the numeric line."""
    if key.endswith("_and_multigoals"):
        return CountedStatistic(), f"{key}:{line}", 0.0
    parts = line.split("|")
    if key.endswith("first_n_minutes"):
        share = int(parts[0]) / 90
        base = "match_result" if key.startswith("match_result") else "total_goals"
        return CountedStatistic("goals", share, f"{parts[0]}min"), base, float(parts[1]) if len(parts) > 1 else 0.0
    number = float(parts[-1]) if parts[-1] else 0.0
    if "early_payout" in key:
        base = {"h": "home_total_goals", "a": "away_total_goals"}.get(
            key[0] if key.startswith(("home", "away")) else "", "total_goals"
        )
        return CountedStatistic(), base, number
    period, share, base = "ft", 1.0, key
    if key.endswith("_1h"):
        period, share, base = "1h", FIRST_HALF_SHARE, key[:-3]
    elif key.endswith("_2h"):
        period, share, base = "2h", 1 - FIRST_HALF_SHARE, key[:-3]
    if "sending_off" in base:
        base = base.removesuffix("_incl_et")
        base = base.replace("sending_off", "to_score") if base != "sending_off" else "any_to_score"
        return CountedStatistic("sending_off", share, period), base, number
    for statistic in STATISTIC_NAMES:
        if statistic in base or statistic[:-1] in base:
            return CountedStatistic(statistic, share, period), _map_to_goals_key(base, statistic), number
    return CountedStatistic("goals", share, period), base, number


def _map_to_goals_key(base: str, statistic: str) -> str:
    """Return the key of the goals market with the same settlement.

    Example: corners_asian_handicap -> asian_handicap.
    """
    if base.startswith(("home_total", "away_total", "total_")):
        return re.sub(rf"{statistic}$", "goals", base)
    goals_keys = {
        f"{statistic}_result": "result",
        f"odd_even_{statistic}": "odd_even",
        f"{statistic}_range": "range",
        f"exact_{statistic}": "exact",
    }
    goals_keys |= {
        f"{statistic}_asian_handicap": "asian_handicap",
        f"{statistic}_european_handicap_3way": "european_handicap_3way",
    }
    goals_keys |= {f"first_{statistic[:-1]}": "first", f"last_{statistic[:-1]}": "last"}
    return goals_keys.get(base, base)


class MatchModel:
    """The chances of all outcomes of one match, as one book assumes them at one instant.

    Score matrices are computed once and used by every market.
    """

    def __init__(self, expected: ExpectedCounts) -> None:
        self.expected = expected
        self._matrices: dict[CountedStatistic, tuple[list[float], int]] = {}
        self._chances: dict[tuple[str, str, tuple[str, ...]], dict[str, Chance]] = {}

    def build_matrix(self, ground: CountedStatistic) -> tuple[list[float], int]:
        """Return the chance of each pair of counts of `ground`, home-major, and the largest count per team."""
        if ground not in self._matrices:
            home, away = _compute_means(self.expected, ground)
            largest = MAX_COUNTS.get(ground.statistic, MAX_GOALS if ground.statistic == "goals" else 3)
            rows, columns = _compute_poisson(home, largest), _compute_poisson(away, largest)
            self._matrices[ground] = [p * q for p in rows for q in columns], largest
        return self._matrices[ground]

    def compute_chances(self, key: str, line: str, outcomes: Sequence[str]) -> dict[str, Chance]:
        """Return the chance of each named outcome of a canonical market at a line ('' none, '2.5', '10|0.5')."""
        names = tuple(outcomes)
        chances = self._chances.get((key, line, names))
        if chances is None:
            chances = self._chances[key, line, names] = self._compute_chances(key, line, names)
        return chances

    def _compute_chances(self, key: str, line: str, names: tuple[str, ...]) -> dict[str, Chance]:
        ground, base, number = parse_market_key(key, line)
        if ground.statistic != "goals" and base.endswith("total_goals"):
            return self._compute_count_totals(ground, base, number, names)
        matrix, largest = self.build_matrix(ground)
        if base == "any_to_score":
            none = matrix[0]
            return {name: Chance(none if name == "no" else 1 - none) for name in names}
        listed = names if base == "correct_score" else ()
        cells = {name: _find_cells(largest, base, name, number, listed) for name in names}
        chances = {
            name: Chance(_sum_cells(matrix, pair[0]), _sum_cells(matrix, pair[1]))
            for name, pair in cells.items()
            if pair
        }
        return chances if len(chances) == len(cells) else self._draw_chances(key, line, names)

    def _draw_chances(self, key: str, line: str, names: tuple[str, ...]) -> dict[str, Chance]:
        """Return the chances of a market without a model.

        Together they are 1, and they are the same for every book that expects the same goals.
        """
        difference = self.expected.home_goals - self.expected.away_goals
        drawn = {name: _draw_weight(key, line, name) for name in names}
        weights = {name: weight * exp(slope * difference) for name, (weight, slope) in drawn.items()}
        total = sum(weights.values())
        return {name: Chance(weight / total) for name, weight in weights.items()}

    def _compute_count_totals(
        self, ground: CountedStatistic, base: str, line: float, names: tuple[str, ...]
    ) -> dict[str, Chance]:
        """Return the chances of totals of large counts, computed from the distribution of the sum.

        The two teams' counts are independent Poisson variables, so their sum is one too.
        """
        home, away = _compute_means(self.expected, ground)
        mean = {"home_total_goals": home, "away_total_goals": away}.get(base, home + away)
        terms = _compute_poisson(round(mean, 6), 2 * MAX_COUNTS[ground.statistic])
        under = sum(terms[: ceil(line)])
        exact = terms[int(line)] if line == int(line) and line < len(terms) else 0.0
        return {name: Chance(under if name == "under" else max(0.0, 1 - under - exact), exact) for name in names}
