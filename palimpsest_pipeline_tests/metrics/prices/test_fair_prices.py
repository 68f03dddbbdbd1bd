"""Fair probabilities against published values, an independent solution, and what must hold of any of them."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import polars as pl
import pytest
import shin
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.metrics import build_outcome_sets, compute_fair_probabilities, compute_market_margins
from palimpsest_pipeline.metrics.prices.fair_prices import FAIR_SCHEMA, add_fair_probabilities
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..books import BY, DOUBLE, EARLY, MANY, OUTCOMES, RESULT, SETS, complete_odds, prices

METHODS = ("fair_multiplicative", "fair_power", "fair_shin")
PAIR = 8
PAIR_SETS = build_outcome_sets(
    pl.DataFrame({"market_id": [PAIR], "fair_sum": ["1"]}, schema_overrides={"market_id": pl.Int16}),
    pl.DataFrame(
        {"market_id": [PAIR, PAIR], "ordinal": [1, 2]}, schema=SETS.select("market_id").schema | {"ordinal": pl.Int16}
    ),
    pl.DataFrame(schema={"market_id": pl.Int16, "set": pl.String, "ordinal": pl.Int16}),
)
EVERY_SET = pl.concat([SETS, PAIR_SETS])


def fair(market_id: int, odds: Sequence[float]) -> dict[str, list[float | None]]:
    rows = compute_fair_probabilities(compute_market_margins(prices(market_id, odds), BY, EVERY_SET), BY)
    return rows.select(METHODS).to_dict(as_series=False)


def insiders(odds: Sequence[float], shin: Sequence[float | None]) -> list[float]:
    """z of Shin's model as each outcome tells it: (r**2/S - p**2) / (p - p**2)."""
    total = sum(1 / price for price in odds)
    return [
        ((1 / price) ** 2 / total - p**2) / (p - p**2) for price, p in zip(odds, shin, strict=True) if p is not None
    ]


def test_the_published_example_of_penaltyblog() -> None:
    """penaltyblog's documentation of implied probabilities, odds 2.7, 2.3, 4.4: eight digits of each, z =
    0.016236442857291165.
    """
    odds = [2.7, 2.3, 4.4]
    found = fair(RESULT, odds)
    assert found["fair_multiplicative"] == pytest.approx([0.35873804, 0.42112726, 0.2201347], abs=5.1e-9)
    assert found["fair_power"] == pytest.approx([0.3591711, 0.42373075, 0.21709815], abs=5.1e-9)
    assert found["fair_shin"] == pytest.approx([0.35934392, 0.42324385, 0.21741223], abs=5.1e-9)
    assert insiders(odds, found["fair_shin"]) == pytest.approx([0.016236442857291165] * 3, abs=1e-9)


IMPLIED = {
    (4.20, 3.70, 1.95): (
        [0.2331556, 0.2646631, 0.5021813],
        [0.2311414, 0.2630644, 0.5057942],
        [0.2315716, 0.2635742, 0.5048542],
        0.01061048,
    ),
    (2.45, 3.70, 2.90): (
        [0.3988848, 0.2641264, 0.3369888],
        [0.4003156, 0.2627189, 0.3369655],
        [0.4000221, 0.2629271, 0.3370508],
        0.01163552,
    ),
    (2.05, 3.20, 3.80): (
        [0.4586948, 0.2938514, 0.2474538],
        [0.4667139, 0.2908985, 0.2423876],
        [0.4645882, 0.2919788, 0.2434331],
        0.03182353,
    ),
}


@pytest.mark.parametrize("odds", IMPLIED)
def test_the_published_examples_of_implied(odds: tuple[float, ...]) -> None:
    """README of the R package implied, version 0.2: its solver stops at about six digits of the power exponent and
    five of z.
    """
    multiplicative, power, shin, z = IMPLIED[odds]
    found = fair(RESULT, odds)
    assert found["fair_multiplicative"] == pytest.approx(multiplicative, abs=5.1e-8)
    assert found["fair_power"] == pytest.approx(power, abs=1e-5)
    assert found["fair_shin"] == pytest.approx(shin, abs=1e-5)
    assert insiders(odds, found["fair_shin"]) == pytest.approx([z] * 3, abs=1e-4)


def test_the_published_example_of_shin() -> None:
    """README of the Python package shin, odds 2.6, 2.4, 4.3."""
    odds = [2.6, 2.4, 4.3]
    shin = fair(RESULT, odds)["fair_shin"]
    assert shin == pytest.approx([0.37299406033208965, 0.4047794109200184, 0.2222265287474275], abs=1e-11)
    assert insiders(odds, shin) == pytest.approx([0.01694251276407055] * 3, abs=1e-10)


def test_with_two_outcomes_shin_takes_the_same_from_both() -> None:
    """Stated by the Python package shin and tested there with odds 1.5, 2.74."""
    margin = 1 / 1.5 + 1 / 2.74 - 1
    assert fair(PAIR, [1.5, 2.74])["fair_shin"] == pytest.approx(
        [1 / 1.5 - margin / 2, 1 / 2.74 - margin / 2], abs=1e-12
    )


def bisected(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a decreasing function crosses nought."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def oracle_power(inverses: Sequence[float], k: int) -> list[float]:
    n = bisected(lambda n: sum(r**n for r in inverses) - k, 0.0, 200.0)
    return [r**n for r in inverses]


def oracle_shin(inverses: Sequence[float]) -> list[float]:
    """The textbook form, with its division by 1 - z."""
    total = sum(inverses)

    def at(z: float) -> list[float]:
        return [((z * z + 4 * (1 - z) * r * r / total) ** 0.5 - z) / (2 * (1 - z)) for r in inverses]

    return at(bisected(lambda z: sum(at(z)) - 1, -2.0, 1 - 1e-6))


MARKETS = st.one_of(
    st.tuples(st.just(PAIR), complete_odds(k=1, n=2)),
    st.tuples(st.just(RESULT), complete_odds(k=1, n=3)),
    st.tuples(st.just(DOUBLE), complete_odds(k=2, n=3)),
    st.tuples(st.just(MANY), complete_odds(k=1, n=26)),
    st.tuples(st.just(RESULT), complete_odds(k=1, n=3, margins=(0.4, 0.95))),
    st.tuples(st.just(RESULT), complete_odds(k=1, n=3, margins=(-0.2, 0))),
)


@given(st.lists(MARKETS, min_size=1, max_size=20))
def test_fair_probabilities_are_exact_probabilities_in_the_order_of_the_odds(
    markets: list[tuple[int, list[int]]],
) -> None:
    books = [prices(market_id, [price / 1000 for price in odds], book=n) for n, (market_id, odds) in enumerate(markets)]
    margins = compute_market_margins(pl.concat(books), BY, EVERY_SET)
    rows = compute_fair_probabilities(margins, BY)
    assert set(rows["book"]) == set(margins.filter(pl.col("margin").is_not_null())["book"])
    for (n,), market in rows.group_by("book"):
        assert isinstance(n, int)
        market_id, odds = markets[n]
        k = 2 if market_id == DOUBLE else 1
        inverses = [1000 / price for price in odds]
        assert market["odds_milli"].to_list() == odds
        assert market["ordinal"].to_list() == list(range(1, len(odds) + 1))
        for method in METHODS:
            fair = market[method].to_list()
            if method == "fair_shin" and k == 2:
                assert fair == [None] * len(odds)
                continue
            if method == "fair_multiplicative" and fair[0] is None:
                assert max(inverses) * k >= sum(inverses)
                continue
            assert sum(fair) == pytest.approx(k, abs=1e-9)
            assert all(0 < p < 1 for p in fair)
            by_odds = [p for _, p in sorted(zip(odds, fair, strict=True), key=lambda pair: (pair[0], -pair[1]))]
            assert all(likelier >= less - 1e-15 for likelier, less in pairwise(by_odds))
        assert market["fair_power"].to_list() == pytest.approx(oracle_power(inverses, k), abs=1e-9)
        if k == 1:
            assert market["fair_shin"].to_list() == pytest.approx(oracle_shin(inverses), abs=1e-9)


@given(
    st.one_of(
        st.tuples(st.just(PAIR), complete_odds(k=1, n=2, margins=(0.001, 0.5))),
        st.tuples(st.just(RESULT), complete_odds(k=1, n=3, margins=(0.001, 0.5))),
        st.tuples(st.just(MANY), complete_odds(k=1, n=26, margins=(0.001, 0.5))),
    )
)
def test_shin_agrees_with_the_package_shin(market: tuple[int, list[int]]) -> None:
    market_id, odds_milli = market
    odds = [milli / 1000 for milli in odds_milli]
    values = fair(market_id, odds)["fair_shin"]
    total = sum(1 / price for price in odds)
    assume(1.0001 < total < 2)  # rounding to odds of 1.001 and more may leave hardly any margin, or an implausible one
    assert values == pytest.approx(shin.calculate_implied_probabilities(odds, max_iterations=100_000), abs=1e-9)


@given(st.integers(2, 3).flatmap(lambda n: complete_odds(k=1, n=n)), st.integers(0, 2), st.floats(1.01, 1.2))
def test_a_shorter_price_makes_its_outcome_likelier_and_the_others_less_likely(
    odds: list[int], place: int, factor: float
) -> None:
    market_id, place = {2: PAIR, 3: RESULT}[len(odds)], place % len(odds)
    longer = [price / 1000 for price in odds]
    shorter = [round(price / factor, 3) if n == place else price for n, price in enumerate(longer)]
    assume(all(price > 1 for price in shorter) and shorter[place] < longer[place])
    assume(all(-0.2 < sum(1 / price for price in book) - 1 < 0.9 for book in (shorter, longer)))
    before, after = fair(market_id, longer), fair(market_id, shorter)
    for method in ("fair_multiplicative", "fair_power"):
        if None in before[method] or None in after[method]:
            continue
        for n, (old, new) in enumerate(zip(before[method], after[method], strict=True)):
            assert old is not None and new is not None
            assert new > old - 1e-12 if n == place else new < old + 1e-12, method


@settings(max_examples=count_examples(40))
@given(st.lists(MARKETS, min_size=2, max_size=4))
def test_a_market_never_depends_on_the_others(markets: list[tuple[int, list[int]]]) -> None:
    books = [prices(market_id, [price / 1000 for price in odds], book=n) for n, (market_id, odds) in enumerate(markets)]
    together = compute_fair_probabilities(compute_market_margins(pl.concat(books), BY, EVERY_SET), BY)
    alone = pl.concat([compute_fair_probabilities(compute_market_margins(book, BY, EVERY_SET), BY) for book in books])
    assert together.equals(alone.sort(*BY, "ordinal"))


def test_fair_probabilities_are_added_to_the_rows_of_prices() -> None:
    rows = pl.concat([prices(RESULT, [2.7, 2.3, 4.4], book=2), prices(RESULT, [2.7, 2.3, 4.4], "oso", book=1)])
    added = add_fair_probabilities(rows.with_columns(note=pl.lit("kept")), BY, EVERY_SET)
    assert added.drop("note", *METHODS).equals(rows)
    expected = fair(RESULT, [2.7, 2.3, 4.4])
    assert {method: added[method].to_list() for method in METHODS} == {m: [*expected[m], *[None] * 3] for m in METHODS}


@pytest.mark.parametrize(
    ("market_id", "odds"),
    [(RESULT, [2.0, 4.0, 4.0]), (RESULT, [1.25, 10.0, 10.0]), (PAIR, [1.25, 5.0]), (PAIR, [2, 2])],
)
def test_without_a_margin_fair_is_the_inverse(market_id: int, odds: list[float]) -> None:
    inverses = [1 / price for price in odds]
    for method, values in fair(market_id, odds).items():
        assert values == pytest.approx(inverses, abs=1e-15), method


def test_long_shots_and_dear_books_are_no_trouble() -> None:
    found = fair(RESULT, [1.001, 1000.0, 2.5])
    assert all(sum(filter(None, values)) == pytest.approx(1, abs=1e-9) for values in found.values())
    assert all(0 < value < 1 for values in found.values() for value in values if value is not None)
    assert found["fair_power"][1] < found["fair_multiplicative"][1]  # type: ignore[operator]


def test_the_even_share_is_null_where_it_would_make_an_outcome_certain() -> None:
    found = fair(DOUBLE, [1.01, 1.6, 3.0])
    assert found["fair_multiplicative"] == [None] * 3
    assert sum(filter(None, found["fair_power"])) == pytest.approx(2, abs=1e-9)


def test_only_a_market_with_a_margin_has_fair_probabilities() -> None:
    books = [prices(RESULT, [2.7, 2.3, 4.4], "oso"), prices(EARLY, [2.7, 2.3, 4.4]), prices(DOUBLE, [1.3, 1.3])]
    assert compute_fair_probabilities(compute_market_margins(pl.concat(books), BY, EVERY_SET), BY).is_empty()


def test_no_markets_give_no_probabilities() -> None:
    empty = compute_fair_probabilities(compute_market_margins(pl.DataFrame(schema=OUTCOMES), BY, EVERY_SET), BY)
    assert (empty.height, empty.schema) == (0, pl.Schema({"book": pl.Int32, "market_id": pl.Int16, **FAIR_SCHEMA}))
