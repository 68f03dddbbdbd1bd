"""The settlement of bets: for each canonical outcome, the stake's shares won and returned by score.

Uses no prices, platforms or times. A `Shares` maps a final score to (won, returned), each 0..1. Where the order of
goals matters (first goal, a lead at any time), the share is the fraction of all equally likely orders of the goals.
Markets on other things than one score, such as both halves, have no settlement here.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import comb

Shares = Callable[[int, int], tuple[float, float]]

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


def _share_where(holds: Callable[[int, int], bool]) -> Shares:
    return lambda h, a: (1.0 if holds(h, a) else 0.0, 0.0)


def build_over_under(value: Callable[[int, int], int], outcome: str, line: float) -> Shares:
    """Return the shares for over or under a half, whole or quarter line, of `value(home, away)`.

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


def _build_team_market(base: str, outcome: str, line: float) -> Shares | None:
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
    if base == "winning_margin":
        if outcome == "draw":
            return _share_where(lambda h, a: h == a)
        side, _, margin_range = outcome.partition("_")
        test = _parse_range(margin_range)
        return _share_where(lambda h, a: test((h - a) * SIGN_BY_SIDE[side]) and h != a)
    return None


def _build_order_market(base: str, outcome: str, line: float) -> Shares | None:  # noqa: PLR0911 -- one branch per kind of market reads as a table
    """Return the shares of a market on the order of the goals; None for another kind of market."""
    if base in {"next_goal", "last_goal", "first", "last"}:
        number = int(line) if base == "next_goal" else 1
        if outcome == "none":
            return _share_where(lambda h, a: h + a < number)
        return lambda h, a: ((h if outcome == "home" else a) / (h + a) if h + a >= number else 0.0, 0.0)
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
    return None


def build_score_shares(base: str, outcome: str, line: float, listed: Iterable[str] = ()) -> Shares | None:
    """Return the shares over the score of one period; `base` is the canonical key without its period.

    `listed` has all outcomes of a correct-score market, whose outcome "other" wins for every score not among them.
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
