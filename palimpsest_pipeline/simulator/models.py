"""The settlement of bets: for each canonical outcome, the stake's shares won and returned by score.

Uses no prices, platforms or times. A `Shares` maps a final score to (won, returned), each 0..1. Where the order of
goals matters (first goal, a lead at any time), the share is the fraction of all equally likely orders of the goals.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import comb

Shares = Callable[[int, int], tuple[float, float]]
HalfShares = Callable[[int, int, int, int], tuple[float, float]]

SIGN_BY_SIDE = {"home": 1, "draw": 0, "away": -1}
SIGNS_BY_DOUBLE_CHANCE = {"home_or_draw": (1, 0), "draw_or_away": (0, -1), "home_or_away": (1, -1)}
STATISTIC_NAMES = (
    "corners",
    "bookings",
    "shots_on_target",
    "shots",
    "fouls",
    "offsides",
    "saves",
    "tackles",
    "goal_kicks",
    "throw_ins",
    "woodwork",
)


def _sign(difference: int) -> int:
    return (difference > 0) - (difference < 0)


def _share_if(outcome: str, holds: Callable[[int, int], bool]) -> Shares:
    expected = outcome == "yes"
    return lambda h, a: (1.0 if holds(h, a) is expected else 0.0, 0.0)


def _share_fraction(outcome: str, fraction: Callable[[int, int], float]) -> Shares:
    return (lambda h, a: (fraction(h, a), 0.0)) if outcome == "yes" else (lambda h, a: (1.0 - fraction(h, a), 0.0))


def _share_where(holds: Callable[[int, int], bool]) -> Shares:
    return lambda h, a: (1.0 if holds(h, a) else 0.0, 0.0)


def build_over_under(value: Callable[[int, int], int], outcome: str, line: float) -> Shares:
    """Return the shares for over or under a half, whole or quarter line.

    On a whole line the stake may be returned; on a quarter line half the stake is on each neighbouring line.
    """
    direction = 1 if outcome == "over" else -1
    parts = (line - 0.25, line + 0.25) if (line * 4) % 2 else (line,)

    def shares(h: int, a: int) -> tuple[float, float]:
        count = value(h, a)
        won = sum((count - part) * direction > 0 for part in parts) / len(parts)
        return won, sum(count == part for part in parts) / len(parts)

    return shares


@lru_cache(maxsize=4096)
def compute_lead_share(h: int, a: int, margin: int) -> float:
    """Return the fraction of goal orders of h-a in which the first team leads by `margin` at some time."""
    if h - a >= margin:
        return 1.0
    return comb(h + a, a + margin) / comb(h + a, h) if h >= margin else 0.0


@lru_cache(maxsize=4096)
def _count_orders_without_lead(h: int, a: int, margin: int) -> int:
    """Return the number of goal orders of h-a in which the first team never leads by `margin`."""
    count_by_lead = {0: 1}
    for goals in range(h + a):
        next_counts: dict[int, int] = {}
        for lead, count in count_by_lead.items():
            home_so_far = (goals + lead) // 2
            for step, is_possible in ((1, home_so_far < h), (-1, goals - home_so_far < a)):
                if is_possible and abs(lead + step) < margin:
                    next_counts[lead + step] = next_counts.get(lead + step, 0) + count
        count_by_lead = next_counts
    return sum(count_by_lead.values())


def _compute_any_lead_share(h: int, a: int, margin: int) -> float:
    return 1.0 - _count_orders_without_lead(h, a, margin) / comb(h + a, h)


@lru_cache(maxsize=4096)
def _compute_run_share(h: int, a: int, length: int, side: str) -> float:
    """Return the fraction of orders in which `side` (home, away, any) scores `length` goals in a row."""
    count_by_state: dict[tuple[int, int, int], int] = {(0, 0, 0): 1}
    for _ in range(h + a):
        next_counts: dict[tuple[int, int, int], int] = {}
        for (home, away, run), count in count_by_state.items():
            for step in (1, -1):
                state = (home + (step > 0), away + (step < 0), run + step if run * step > 0 else step)
                is_counted = side == "any" or (side == "home") == (step > 0)
                if state[0] > h or state[1] > a or (is_counted and abs(state[2]) >= length):
                    continue
                next_counts[state] = next_counts.get(state, 0) + count
        count_by_state = next_counts
    return 1.0 - sum(count_by_state.values()) / comb(h + a, h)


def _parse_range(text: str) -> Callable[[int], bool]:
    """Return a test of a count for `2`, `2_plus`, `1_3` or `no_goal`."""
    if text == "no_goal":
        return lambda n: n == 0
    if text.endswith("_plus"):
        least = int(text[:-5])
        return lambda n: n >= least
    low, _, high = text.partition("_")
    first, last = int(low), int(high or low)
    return lambda n: first <= n <= last


def _build_scores(listed: Iterable[str], outcome: str) -> Shares:
    pairs = {name for name in listed if re.fullmatch(r"\d+_\d+", name)}
    if outcome.startswith("other"):
        return _share_where(lambda h, a: f"{h}_{a}" not in pairs)
    return _share_where(lambda h, a: f"{h}_{a}" == outcome)


def _build_multi_scores(outcome: str) -> Shares:
    groups = {
        "home_1_2_3_nil": {(1, 0), (2, 0), (3, 0)},
        "home_4_5_6_nil": {(4, 0), (5, 0), (6, 0)},
        "home_2_1_3_1_4_1": {(2, 1), (3, 1), (4, 1)},
        "home_3_2_4_2_4_3_5_1": {(3, 2), (4, 2), (4, 3), (5, 1)},
    }
    mirrored = {"away_1_2_3_nil": "home_1_2_3_nil", "away_4_5_6_nil": "home_4_5_6_nil"}
    mirrored |= {"away_1_2_1_3_1_4": "home_2_1_3_1_4_1", "away_2_3_2_4_3_4_1_5": "home_3_2_4_2_4_3_5_1"}
    listed = set().union(*groups.values())
    if outcome == "draw":
        return _share_where(lambda h, a: h == a)
    if outcome in groups:
        return _share_where(lambda h, a: (h, a) in groups[outcome])
    if outcome in mirrored:
        return _share_where(lambda h, a: (a, h) in groups[mirrored[outcome]])
    if outcome == "other_home_win":
        return _share_where(lambda h, a: h > a and (h, a) not in listed)
    return _share_where(lambda h, a: a > h and (a, h) not in listed)


def _parse_condition(condition: str) -> Callable[[int, int], bool]:
    """Return a test of the score for a result, a double chance, or both teams to score."""
    if condition in SIGN_BY_SIDE:
        return lambda h, a: _sign(h - a) == SIGN_BY_SIDE[condition]
    if condition in SIGNS_BY_DOUBLE_CHANCE:
        return lambda h, a: _sign(h - a) in SIGNS_BY_DOUBLE_CHANCE[condition]
    return lambda h, a: (h > 0 and a > 0) is (condition in {"yes", "btts"})


def _parse_total(word: str, line: float) -> Callable[[int, int], bool]:
    return (lambda h, a: h + a > line) if word == "over" else (lambda h, a: h + a < line)


def _build_combination(base: str, outcome: str, line: float) -> Shares | None:  # noqa: PLR0911 -- one branch per kind of market reads as a table
    """Return the shares of two conditions joined by "and" or "or"; None for another kind of market."""
    if base == "total_goals_and_btts":
        total, both = outcome.split("_")
        return _share_where(lambda h, a: _parse_total(total, line)(h, a) and _parse_condition(both)(h, a))
    if base in {"match_result_and_total_goals", "double_chance_and_total_goals"}:
        result, _, total = outcome.rpartition("_")
        return _share_where(lambda h, a: _parse_condition(result)(h, a) and _parse_total(total, line)(h, a))
    if base in {"match_result_and_btts", "double_chance_and_btts"}:
        result, _, both = outcome.rpartition("_")
        return _share_where(lambda h, a: _parse_condition(result)(h, a) and _parse_condition(both)(h, a))
    if "_and_multigoals:" in base:
        within = _parse_range(base.partition(":")[2].replace("-", "_"))
        return _share_where(lambda h, a: _parse_condition(outcome)(h, a) and within(h + a))
    match = re.fullmatch(r"(home|draw|away)_or_(over|under|btts|no_btts)", base)
    if match:
        result, other = match.groups()
        test = (
            _parse_total(other, line)
            if other in {"over", "under"}
            else _parse_condition("btts" if other == "btts" else "no")
        )
        return _share_if(outcome, lambda h, a: _parse_condition(result)(h, a) or test(h, a))
    if base == "btts_or_total_goals":
        both, _, total = outcome.rpartition("_or_")
        return _share_where(
            lambda h, a: _parse_condition("btts" if both == "btts" else "no")(h, a) or _parse_total(total, line)(h, a)
        )
    return None


def _build_team_market(base: str, outcome: str, line: float) -> Shares | None:  # noqa: PLR0911 -- one branch per kind of market reads as a table
    """Return the shares of a market of one team, whose key begins with home_ or away_."""
    side, _, market = base.partition("_")
    own_goals: Callable[[int, int], int] = (lambda h, a: h) if side == "home" else (lambda h, a: a)
    other: Callable[[int, int], int] = (lambda h, a: a) if side == "home" else (lambda h, a: h)
    if market == "total_goals":
        return build_over_under(own_goals, outcome, line)
    if market == "odd_even_goals":
        return _share_where(lambda h, a: (own_goals(h, a) % 2 == 1) is (outcome == "odd"))
    if market in {"exact_goals", "multigoals", "corners_range", "exact_bookings"}:
        test = _parse_range(outcome)
        return _share_where(lambda h, a: test(own_goals(h, a)))
    tests: dict[str, Callable[[int, int], bool]] = {
        "to_score": lambda h, a: own_goals(h, a) > 0,
        "clean_sheet": lambda h, a: other(h, a) == 0,
        "win_to_nil": lambda h, a: own_goals(h, a) > 0 and other(h, a) == 0,
    }
    if market in tests:
        return _share_if(outcome, tests[market])
    if market == "no_bet":
        return lambda h, a: (float(_sign(h - a) == SIGN_BY_SIDE[outcome]), float(own_goals(h, a) > other(h, a)))
    match = re.fullmatch(r"(lead_by|score)_(\d)(_in_a_row)?", market)
    if match:
        count = int(match[2])
        if match[1] == "lead_by":
            return _share_fraction(outcome, lambda h, a: compute_lead_share(own_goals(h, a), other(h, a), count))
        return _share_fraction(outcome, lambda h, a: _compute_run_share(h, a, count, side))
    if market == "win_from_behind":
        return _share_fraction(
            outcome,
            lambda h, a: compute_lead_share(other(h, a), own_goals(h, a), 1) if own_goals(h, a) > other(h, a) else 0.0,
        )
    return None


def _build_simple(base: str, outcome: str, line: float, listed: Iterable[str]) -> Shares | None:  # noqa: PLR0911, PLR0912 -- one branch per kind of market reads as a table
    total: Callable[[int, int], int] = lambda h, a: h + a  # noqa: E731
    if base in {"match_result", "result"}:
        return _share_where(lambda h, a: _sign(h - a) == SIGN_BY_SIDE[outcome])
    if base == "double_chance":
        return _share_where(lambda h, a: _sign(h - a) in SIGNS_BY_DOUBLE_CHANCE[outcome])
    if base == "draw_no_bet":
        return lambda h, a: (float(_sign(h - a) == SIGN_BY_SIDE[outcome]), float(h == a))
    if base in {"both_teams_to_score", "both_teams_to_score_2plus"}:
        least = 2 if base.endswith("2plus") else 1
        return _share_if(outcome, lambda h, a: h >= least and a >= least)
    if base == "both_teams_to_score_no_draw":
        return _share_if(outcome, lambda h, a: h > 0 and a > 0 and h != a)
    if base == "draw_with_goals":
        return _share_if(outcome, lambda h, a: h == a > 0)
    if base == "total_goals":
        return build_over_under(total, outcome, line)
    if base == "asian_handicap":
        return build_over_under(lambda h, a: h - a, "over" if outcome == "home" else "under", -line)
    if base == "european_handicap_3way":
        return _share_where(lambda h, a: _sign(h - a + int(line)) == SIGN_BY_SIDE[outcome])
    if base in {"odd_even", "odd_even_goals"}:
        return _share_where(lambda h, a: ((h + a) % 2 == 1) is (outcome == "odd"))
    if base in {"exact_goals", "multigoals", "goal_range", "range", "exact"}:
        test = _parse_range(outcome)
        return _share_where(lambda h, a: test(h + a))
    if base == "correct_score":
        return _build_scores(listed, outcome)
    if base == "multi_correct_score":
        return _build_multi_scores(outcome)
    return None


def _build_order_market(base: str, outcome: str, line: float) -> Shares | None:  # noqa: PLR0911, PLR0912 -- one branch per kind of market reads as a table
    """Return the shares of a market on the order of the goals; None for another kind of market."""
    if base in {"next_goal", "last_goal", "first", "last"}:
        number = int(line) if base == "next_goal" else 1
        if outcome == "none":
            return _share_where(lambda h, a: h + a < number)
        return lambda h, a: ((h if outcome == "home" else a) / (h + a) if h + a >= number else 0.0, 0.0)
    if base == "first_goal_and_match_result":
        if outcome == "no_goal":
            return _share_where(lambda h, a: h + a == 0)
        first, _, result = outcome.split("_")
        return lambda h, a: (
            (h if first == "home" else a) / (h + a) if h + a and _sign(h - a) == SIGN_BY_SIDE[result] else 0.0,
            0.0,
        )
    if base in {"match_result_1up", "match_result_2up", "double_chance_1up"}:
        margin = 2 if base.endswith("2up") else 1
        if outcome == "draw":
            return _share_where(lambda h, a: h == a)
        if outcome == "home_or_away":
            return _share_where(lambda h, a: h != a)
        # The bet wins on the plain result as well as on the lead.
        if outcome in {"home", "home_or_draw"}:
            return lambda h, a: (
                1.0 if h > a or (h == a and outcome != "home") else compute_lead_share(h, a, margin),
                0.0,
            )
        return lambda h, a: (1.0 if a > h or (h == a and outcome != "away") else compute_lead_share(a, h, margin), 0.0)
    if base == "match_result_never_down":
        if outcome == "draw":
            return _share_where(lambda h, a: h == a)
        own_index, other_index = (1, 0) if outcome == "home" else (0, 1)
        return lambda h, a: (
            1.0 - compute_lead_share((h, a)[other_index], (h, a)[own_index], 1)
            if (h, a)[own_index] > (h, a)[other_index]
            else 0.0,
            0.0,
        )
    match = re.fullmatch(r"any_team_(lead_by|score)_(\d)(_in_a_row)?", base)
    if match:
        count = int(match[2])
        return _share_fraction(
            outcome,
            (lambda h, a: _compute_any_lead_share(h, a, count))
            if match[1] == "lead_by"
            else (lambda h, a: _compute_run_share(h, a, count, "any")),
        )
    if base == "any_team_win_from_behind":
        return _share_fraction(outcome, lambda h, a: compute_lead_share(min(h, a), max(h, a), 1) if h != a else 0.0)
    if base == "winning_margin":
        if outcome == "draw":
            return _share_where(lambda h, a: h == a)
        side, _, margin_range = outcome.partition("_")
        test = _parse_range(margin_range)
        return _share_where(lambda h, a: test((h - a) * SIGN_BY_SIDE[side]) and h != a)
    if base == "teams_to_score":
        expected = {
            "neither": (False, False),
            "home_only": (True, False),
            "away_only": (False, True),
            "both": (True, True),
        }[outcome]
        return _share_where(lambda h, a: (h > 0, a > 0) == expected)
    return None


def build_score_shares(base: str, outcome: str, line: float, listed: Iterable[str] = ()) -> Shares | None:
    """Return the shares over the score of one period; `base` is the canonical key without its period.

    None when the score of one period does not decide the market.
    """
    if base.startswith(("home_", "away_")):
        shares = _build_team_market(base, outcome, line)
        if shares:
            return shares
    return (
        _build_combination(base, outcome, line)
        or _build_simple(base, outcome, line, listed)
        or _build_order_market(base, outcome, line)
    )


def _build_half_pair(base: str, outcome: str, line: float) -> HalfShares | None:
    if base == "half_time_full_time":
        first, second = outcome.split("_")
        return lambda h, a, i, j: (
            float(_sign(h - a) == SIGN_BY_SIDE[first] and _sign(h + i - a - j) == SIGN_BY_SIDE[second]),
            0.0,
        )
    if base in {"half_time_full_time_and_total_goals", "half_time_full_time_and_total_goals_1h"}:
        first, second, word = outcome.split("_")
        is_over = word == "over"
        is_whole_match = not base.endswith("_1h")
        return lambda h, a, i, j: (
            float(
                _sign(h - a) == SIGN_BY_SIDE[first]
                and _sign(h + i - a - j) == SIGN_BY_SIDE[second]
                and (h + a + (i + j if is_whole_match else 0) > line) is is_over
            ),
            0.0,
        )
    if base == "first_half_or_match_result":
        return lambda h, a, i, j: (float(SIGN_BY_SIDE[outcome] in (_sign(h - a), _sign(h + i - a - j))), 0.0)
    if base == "half_time_full_time_correct_score":
        half, full = outcome.split("__")
        if full == "4plus":
            return lambda h, a, i, j: (
                float((h + a >= 4 if half == "4plus" else f"{h}_{a}" == half) and h + i + a + j >= 4),
                0.0,
            )
        return lambda h, a, i, j: (float(f"{h}_{a}" == half and f"{h + i}_{a + j}" == full), 0.0)
    return None


def build_half_shares(base: str, outcome: str, line: float) -> HalfShares | None:
    """Return the shares over the scores of both halves (h-a in the first, i-j in the second).

    None when the two scores do not decide the market.
    """
    pair_shares = _build_half_pair(base, outcome, line)
    if pair_shares:
        return pair_shares
    expected = outcome == "yes"
    if base == "both_teams_to_score_by_half":
        first, second = (word == "yes" for word in outcome.split("_"))
        return lambda h, a, i, j: (float((h > 0 and a > 0) is first and (i > 0 and j > 0) is second), 0.0)
    if base in {"highest_scoring_half", "home_highest_scoring_half", "away_highest_scoring_half"}:
        sign = {"first_half": 1, "equal": 0, "second_half": -1}[outcome]
        home, away = not base.startswith("away"), not base.startswith("home")
        return lambda h, a, i, j: (float(_sign(h * home + a * away - i * home - j * away) == sign), 0.0)
    tests: dict[str, Callable[[int, int, int, int], bool]] = {
        "both_teams_to_score_both_halves": lambda h, a, i, j: min(h, a, i, j) > 0,
        "home_win_both_halves": lambda h, a, i, j: h > a and i > j,
        "away_win_both_halves": lambda h, a, i, j: h < a and i < j,
        "home_win_either_half": lambda h, a, i, j: h > a or i > j,
        "away_win_either_half": lambda h, a, i, j: h < a or i < j,
        "home_score_both_halves": lambda h, a, i, j: h > 0 and i > 0,
        "away_score_both_halves": lambda h, a, i, j: a > 0 and j > 0,
        "both_halves_over": lambda h, a, i, j: h + a > line and i + j > line,
        "both_halves_under": lambda h, a, i, j: h + a < line and i + j < line,
        "at_least_one_half_drawn": lambda h, a, i, j: h == a or i == j,
    }
    if base not in tests:
        return None
    test = tests[base]
    return lambda h, a, i, j: (float(test(h, a, i, j) is expected), 0.0)
