"""Books of prices: three markets of three kinds, and strategies for what can be said of their outcomes."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from hypothesis import strategies as st

from palimpsest_pipeline.metrics import build_outcome_sets
from palimpsest_pipeline.metrics.prices.margins import compute_market_margins

BY: Final = ("book", "market_id")
RESULT, DOUBLE, EARLY, GOALS, SCORER, MANY = 1, 2, 3, 4, 5, 6
"""1X2; double chance; an early payout, whose winners vary; exact goals, sold up to 2+ or up to 3+; first scorer,
with open outcomes; 26 scores.
"""

OUTCOMES: Final = pl.Schema(
    {
        "book": pl.Int32,
        "market_id": pl.Int16,
        "outcome": pl.String,
        "ordinal": pl.Int16,
        "odds_milli": pl.Int32,
        "state": pl.String,
    }
)
SIZES: Final = {RESULT: 3, DOUBLE: 3, EARLY: 3, GOALS: 5, SCORER: 1, MANY: 26}
SETS: Final = build_outcome_sets(
    pl.DataFrame(
        {
            "market_id": [RESULT, DOUBLE, EARLY, GOALS, SCORER, MANY],
            "fair_sum": ["1", "2", "overlap(1.34)", "1", "1", "1"],
        },
        schema_overrides={"market_id": pl.Int16},
    ),
    pl.DataFrame(
        [(market_id, ordinal) for market_id, n in SIZES.items() for ordinal in range(1, n + 1)],
        schema={"market_id": pl.Int16, "ordinal": pl.Int16},
        orient="row",
    ),
    pl.DataFrame(
        [
            (GOALS, grid, ordinal)
            for grid, ordinals in (("2+", (1, 2, 3)), ("3+", (1, 2, 4, 5)))
            for ordinal in ordinals
        ],
        schema={"market_id": pl.Int16, "set": pl.String, "ordinal": pl.Int16},
        orient="row",
    ),
)


def prices(market_id: int, odds: Sequence[float | None], states: str = "", *, book: int = 1) -> pl.DataFrame:
    """Outcomes of one market with decimal odds, rounded to thousandths.

    `states`: a letter each: suspended, no price, offered.
    """
    words = {"s": "suspended", "n": "no_price", "o": "offered"}
    rows = [
        (book, market_id, "", n, None if price is None else round(price * 1000), words[state])
        for n, (price, state) in enumerate(zip(odds, states.ljust(len(odds), "o"), strict=True), start=1)
    ]
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")


def margin_of(*books: pl.DataFrame) -> dict[str, Any]:
    """The one row of market_margins."""
    return compute_market_margins(pl.concat(books), BY, SETS).row(0, named=True)


@st.composite
def complete_odds(draw: st.DrawFn, k: int, n: int, margins: tuple[float, float] = (-0.05, 0.4)) -> list[int]:
    """Odds in thousandths of a complete set, long shots included, whose margin lies near `margins`."""
    weights = draw(st.lists(st.floats(0.0005, 1), min_size=n, max_size=n))
    margin = draw(st.floats(*margins))
    chances = [weight / sum(weights) for weight in weights]
    if k == 2:  # each result is in two outcomes: of three results, all but one
        chances = [1 - chance for chance in chances]
    return [max(1001, min(1_000_000, round(1000 / (chance * (1 + margin))))) for chance in chances]


@st.composite
def random_outcomes(draw: st.DrawFn) -> pl.DataFrame:
    """Some books of every market, with outcomes that are missing, held off, without a price or with a sentinel for
    one.
    """
    rows = []
    for book in range(draw(st.integers(1, 3))):
        for market_id in (RESULT, DOUBLE, EARLY, GOALS):
            for ordinal in range(1, SIZES[market_id] + 1):
                if draw(st.integers(0, 9)) == 0:
                    continue
                odds = draw(st.one_of(st.integers(1001, 9000), st.sampled_from([None, 0, 1000])))
                state = draw(st.sampled_from(["offered", "offered", "offered", "offered", "suspended", "no_price"]))
                rows.append((book, market_id, "", ordinal, odds, state))
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")
