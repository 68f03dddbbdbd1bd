"""Stretches of margins, worked out by hand, and against a walk through the looks themselves that knows no history
rows.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.lifecycle.margin_history import (
    MARKET_MARGIN_SCHEMA,
    STRETCH_KEY,
    build_margin_stretches,
)
from palimpsest_pipeline.tables.lifecycle import MarketMargin
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..availability_oracle import witness
from ..laws import find_contradicting_margins, find_overlaps
from ..life_worlds import (
    DOUBLE,
    PLACES,
    RESULT,
    SCORER_ANN,
    SETS,
    TOTAL,
    Facts,
    Life,
    Looked,
    at,
    disordered,
    is_backable,
    make_answer,
    outcomes_frame,
    priced,
    random_lives,
)

KICKOFF: Final = at(5, 8)
AFTERWARDS: Final = at(5, 9)
SILENCE: Final = timedelta(minutes=90)
STAMPS: Final = {"kickoff_date", "as_of", "mapping_version", "computed_at"}
"""Columns that the caller adds."""
MARKETS: Final = ("match_result", "total_goals", "double_chance")
ONE, EVEN = priced(2000, 3400, 3600), priced(1900, 1900)


def stretches(life: Life, as_of: datetime = AFTERWARDS) -> pl.DataFrame:
    return of(life.frames(), as_of)


def of(frames: Mapping[str, pl.DataFrame], as_of: datetime = AFTERWARDS) -> pl.DataFrame:
    return build_margin_stretches(
        **frames, outcomes=outcomes_frame(), sets=SETS, market_keys=MARKETS, as_of=as_of, silence_limit=SILENCE
    )


def test_the_columns_are_those_of_the_table() -> None:
    assert set(MARKET_MARGIN_SCHEMA) == {column.name for column in MarketMargin.__table__.columns} - STAMPS
    assert {column.name for column in MarketMargin.__table__.primary_key} == set(STRETCH_KEY)


def test_nothing_that_was_seen_at_kickoff_or_later_counts() -> None:
    looks = [make_answer(1, KICKOFF, {RESULT: ONE}), make_answer(2, KICKOFF + SILENCE, {TOTAL: EVEN})]
    assert stretches(Life(looks, {1: [(at(1, 0), KICKOFF)]})).is_empty()


def test_a_published_example_has_its_margin_and_double_chance_that_of_the_result_it_is_made_of() -> None:
    """2.70, 2.30, 4.40 in the documentation of penaltyblog; 2.85, 5.70, 1.90 in pairs are 1.90, 1.14 and 1.425."""
    book = {RESULT: priced(2700, 2300, 4400)}, {RESULT: priced(2850, 5700, 1900), DOUBLE: priced(1900, 1140, 1425)}
    rows = stretches(
        Life([make_answer(1, at(5, 6), book[0]), make_answer(2, at(5, 7), book[1])], {1: [(at(1, 0), KICKOFF)]})
    )
    published, result = rows.filter(market_key="match_result").iter_rows(named=True)
    (double,) = rows.filter(market_key="double_chance").iter_rows(named=True)
    assert published["margin"] == pytest.approx(0.0324257, abs=5e-8)
    assert double["margin"] == pytest.approx(result["margin"], abs=1e-15)
    assert (double["winners_k"], double["margin_reference_pct"], result["margin_reference_pct"]) == (2, 110.53, 5.26)
    assert json.loads(double["odds_vector"]) == {"home_or_draw": 1.9, "home_or_away": 1.14, "draw_or_away": 1.425}
    assert (published["minutes_to_kickoff"], published["ttk_bucket"]) == (120.0, "1-3h")


@pytest.mark.parametrize(
    ("before", "bucket"),
    [
        (timedelta(days=9), "7d+"),
        (timedelta(days=7), "7d+"),
        (timedelta(days=7) - timedelta(seconds=1), "3-7d"),
        (timedelta(days=3), "3-7d"),
        (timedelta(hours=24), "1-3d"),
        (timedelta(hours=12), "12-24h"),
        (timedelta(hours=6), "6-12h"),
        (timedelta(hours=3), "3-6h"),
        (timedelta(hours=1), "1-3h"),
        (timedelta(minutes=15), "15-60m"),
        (timedelta(minutes=14), "<15m"),
    ],
)
def test_the_bucket_is_that_of_the_time_left(before: timedelta, bucket: str) -> None:
    rows = stretches(Life([make_answer(1, KICKOFF - before, {TOTAL: EVEN})], {1: [(at(1, 0), KICKOFF)]}))
    assert rows["ttk_bucket"].to_list() == [bucket]


def test_a_market_that_takes_a_row_an_outcome_is_refused() -> None:
    life = Life([make_answer(1, at(5, 6), {SCORER_ANN: priced(2500)})], {1: [(at(1, 0), KICKOFF)]})
    with pytest.raises(ValueError, match="are of a market of open outcomes"):
        build_margin_stretches(
            **life.frames(),
            outcomes=outcomes_frame(),
            sets=SETS,
            market_keys=["anytime_goalscorer"],
            as_of=AFTERWARDS,
            silence_limit=SILENCE,
        )


def test_what_cannot_be_told_is_refused() -> None:
    frames = Life([make_answer(1, at(5, 6), {RESULT: ONE})], {1: [(at(1, 0), KICKOFF)]}).frames()
    with pytest.raises(ValueError, match="no answer among the looks"):
        of(frames | {"looks": frames["looks"].clear()})
    with pytest.raises(ValueError, match="no complete set is given for corners"):
        build_margin_stretches(
            **frames,
            outcomes=outcomes_frame(),
            sets=SETS,
            market_keys=["corners"],
            as_of=AFTERWARDS,
            silence_limit=SILENCE,
        )
    with pytest.raises(ValueError, match="outcome without a name"):
        build_margin_stretches(
            **frames,
            outcomes=outcomes_frame().clear(),
            sets=SETS,
            market_keys=MARKETS,
            as_of=AFTERWARDS,
            silence_limit=SILENCE,
        )
    with pytest.raises(ValueError, match="must be positive"):
        build_margin_stretches(
            **frames,
            outcomes=outcomes_frame(),
            sets=SETS,
            market_keys=MARKETS,
            as_of=AFTERWARDS,
            silence_limit=timedelta(0),
        )


def test_empty_frames_give_an_empty_table() -> None:
    empty = stretches(Life((), {}))
    assert (empty.height, empty.schema) == (0, pl.Schema(MARKET_MARGIN_SCHEMA))


# --- against a walk through the looks


def walked(life: Life, as_of: datetime) -> list[tuple[Any, ...]]:
    """KEY, last confirmed, to, margin, odds of what can be backed: instant by instant."""
    rows: list[tuple[Any, ...]] = []
    for listing_id, holder in life.holders.items():
        seen = witness(life, listing_id, as_of, SILENCE)
        telling = [look for look in seen.looks if look.look in ("answered", "absent")]
        instants = {look.at for look in telling} | {
            look.at + SILENCE for look in telling if look.at + SILENCE < min(as_of, seen.kickoff_at)
        }
        last = seen.kickoff_at if seen.kickoff_at <= as_of else None

        def facts(key: tuple[str, str, str], t: datetime, telling: list[Looked] = telling) -> Facts | None:
            look = next((look for look in reversed(telling) if look.at <= t), None)
            if look is None or look.book is None or t >= look.at + SILENCE:
                return None
            return look.book.get(key)

        for key in (RESULT, TOTAL):
            runs: list[tuple[datetime, Facts | None]] = []
            for t in sorted(instants):
                told = facts(key, t)
                if not runs or runs[-1][1] != told:
                    runs.append((t, told))
            for (begin, told), until in zip(runs, [*(t for t, _ in runs[1:]), last], strict=False):
                if told is None:
                    continue
                confirmed = max(look.at for look in telling if begin <= look.at and (until is None or look.at < until))
                odds = {
                    PLACES[key[0]][n]: price / 1000
                    for n, price in enumerate(told[2])
                    if price is not None and is_backable(told, n)
                }
                margin = sum(1 / price for price in odds.values()) - 1 if len(odds) == len(told[2]) else None
                rows.append((*holder, *key[:2], begin, confirmed, until, margin, odds))
    return sorted(rows, key=lambda row: row[:5])


@st.composite
def lives_seen_at_some_time(draw: st.DrawFn) -> tuple[Life, datetime]:
    """A life, and an instant after all its looks, before or after its kickoffs."""
    life = draw(random_lives())
    return life, max(look.at for look in life.looks) + timedelta(
        minutes=draw(st.sampled_from([0, 1, 89, 90, 91, 6000]))
    )


@settings(max_examples=count_examples(40))
@given(lives_seen_at_some_time(), st.randoms(use_true_random=False))
def test_the_table_is_that_of_a_walk_through_the_looks_whatever_the_order_and_repetition_of_rows(
    drawn: tuple[Life, datetime], random: Random
) -> None:
    life, as_of = drawn
    found = of(disordered(life.frames(), random), as_of)
    expected = walked(life, as_of)
    told = found.select(*STRETCH_KEY, "last_confirmed_at", "observed_to").rows()
    assert told == [row[:7] for row in expected]
    assert [json.loads(odds) for odds in found["odds_vector"]] == [row[8] for row in expected]
    assert found["margin"].to_list() == [
        None if row[7] is None else pytest.approx(row[7], abs=1e-12) for row in expected
    ]
    assert_frame_equal(of(life.frames(), as_of), found, check_exact=True)
    assert find_contradicting_margins(found).is_empty()
    assert find_overlaps(found.rename({"observed_from": "valid_from", "observed_to": "valid_to"})).is_empty()


@settings(max_examples=count_examples(20))
@given(lives_seen_at_some_time())
def test_listings_do_not_depend_on_each_other_and_what_comes_after_kickoff_on_nothing(
    drawn: tuple[Life, datetime],
) -> None:
    life, as_of = drawn
    whole = stretches(life, as_of)
    for listing_id, (sr_id, platform) in life.holders.items():
        looks = [look for look in life.looks if look.listing_id == listing_id and look.at < life.kickoffs[sr_id][-1][1]]
        alone = replace(life, looks=looks, holders={listing_id: (sr_id, platform)})
        assert_frame_equal(stretches(alone, as_of), whole.filter(sr_id=sr_id, platform=platform), check_exact=True)
