"""Rows of history become rows of the files and the same rows again, and a number of an answer means one instant for
ever.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.storage.archive import day_shapes
from palimpsest_pipeline.storage.archive.day_reader import split_listing_ranges
from palimpsest_pipeline.storage.odds.change_rows import CHANGE_SCHEMA

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
odds = st.lists(st.none() | st.integers(1, 2_000_000), max_size=5)


@st.composite
def histories(draw: st.DrawFn) -> pl.DataFrame:
    keys = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 5)), unique=True, max_size=20))
    rows = []
    for listing, line, minute in keys:
        prices = draw(odds)
        mask = draw(st.integers(0, 2 ** len(prices) - 1))
        state = draw(st.sampled_from(["offered", "suspended", "no_price", "withdrawn"]))
        rows.append((listing, BEGIN + timedelta(minutes=minute), line, state, mask, prices, minute == 0))
    names = ["listing_id", "observed_at", "line_id", "state", "off_mask", "odds_milli", "keyframe"]
    return pl.DataFrame(rows, schema={name: CHANGE_SCHEMA[name] for name in names}, orient="row").select(
        list(CHANGE_SCHEMA)
    )


def numbers_of(changes: pl.DataFrame) -> pl.DataFrame:
    answers = changes.select("listing_id", "observed_at", "keyframe").unique().sort("listing_id", "observed_at")
    return answers.with_columns(answer=pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over("listing_id"))


@given(histories())
def test_rows_of_history_survive_the_file(changes: pl.DataFrame) -> None:
    numbers = numbers_of(changes)
    filed = day_shapes.build_odds_rows(changes, numbers.drop("keyframe"))
    assert filed["answer"].null_count() == 0
    assert day_shapes.build_change_rows(filed, numbers).equals(changes.sort("listing_id", "line_id", "observed_at"))


def test_rows_that_no_answer_speaks_of_are_told_apart() -> None:
    changes = pl.DataFrame([(1, BEGIN, 7, "offered", 0, [2000], True)], schema=dict(CHANGE_SCHEMA), orient="row")
    assert day_shapes.build_odds_rows(changes, pl.DataFrame(schema=day_shapes.ANSWER_NUMBERS_SCHEMA))[
        "answer"
    ].to_list() == [None]


instants = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 9)), unique=True)


def answers(keys: list[tuple[int, int]]) -> pl.DataFrame:
    seen = [{"listing_id": listing, "observed_at": BEGIN + timedelta(minutes=minute)} for listing, minute in keys]
    return pl.DataFrame(
        seen,
        schema={name: day_shapes.CAPTURE_SCHEMA.get(name, INSTANT) for name in day_shapes.CAPTURE_SCHEMA},
        orient="row",
    )


@given(st.lists(instants, min_size=1, max_size=4))
def test_a_number_stays_with_its_answer_and_is_given_once(exports: list[list[tuple[int, int]]]) -> None:
    before = pl.DataFrame(schema=day_shapes.ANSWER_NUMBERS_SCHEMA)
    for keys in exports:
        now = day_shapes.number_answers(answers(keys), before)
        assert now.select("listing_id", "answer").is_duplicated().sum() == 0
        both = before.join(now, on=["listing_id", "answer"], suffix="_now")
        assert (both["observed_at"] == both["observed_at_now"]).all()
        kept = before.join(now, on=["listing_id", "observed_at"], suffix="_now")
        assert (kept["answer"] == kept["answer_now"]).all()
        before = now


@given(st.dictionaries(st.integers(1, 1000), st.integers(0, 50)), st.integers(1, 100))
def test_ranges_follow_each_other_from_end_to_end(weights: dict[int, int], most: int) -> None:
    found = split_listing_ranges(
        pl.DataFrame(
            {"listing_id": list(weights), "n": list(weights.values())}, schema={"listing_id": pl.Int32, "n": pl.Int64}
        ),
        most,
    )
    assert [first for first, _ in found[1:]] == [last + 1 for _, last in found[:-1]]
    assert (found[0][0], found[-1][1]) == (-(2**31), 2**31 - 1)
    for first, last in found:
        within = [n for listing, n in weights.items() if first <= listing <= last]
        assert sum(within) <= most + max(within, default=0)
