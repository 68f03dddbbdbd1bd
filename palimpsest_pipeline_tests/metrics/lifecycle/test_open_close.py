"""First and last prices, worked out by hand, and against a walk through the answers themselves that knows no history
rows.
"""

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

from palimpsest_pipeline.domain.enums import CloseQuality
from palimpsest_pipeline.metrics.lifecycle.open_close import OPEN_CLOSE_KEY, OPEN_CLOSE_SCHEMA, find_open_close
from palimpsest_pipeline.tables.lifecycle import OpenClose
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..life_worlds import (
    PLACES,
    RESULT,
    SCORER_ANN,
    SETS,
    TOTAL,
    Book,
    Facts,
    Life,
    absent,
    at,
    disordered,
    failed,
    is_backable,
    listed,
    make_answer,
    outcomes_frame,
    priced,
    random_lives,
    suspended,
)

KICKOFF: Final = at(5, 18)
LATER: Final = at(9, 0)
SILENCE: Final = timedelta(minutes=90)
EXACT_S: Final = 300.0
SOURCE: Final = {"kickoff_date", "as_of", "mapping_version", "computed_at"}
"""Columns that the caller adds."""
ANN: Final[Book] = {SCORER_ANN: priced(2500)}
DEARER: Final[Book] = {SCORER_ANN: priced(2600)}


def closed(life: Life, as_of: datetime = LATER) -> pl.DataFrame:
    return of(life.frames(), as_of)


def of(frames: Mapping[str, pl.DataFrame], as_of: datetime = LATER) -> pl.DataFrame:
    return find_open_close(
        **frames, outcomes=outcomes_frame(), sets=SETS, as_of=as_of, exact_s=EXACT_S, silence_limit=SILENCE
    )


def test_the_columns_are_those_of_the_table() -> None:
    assert set(OPEN_CLOSE_SCHEMA) == {column.name for column in OpenClose.__table__.columns} - SOURCE
    assert {column.name for column in OpenClose.__table__.primary_key} == set(OPEN_CLOSE_KEY)


def test_each_quality_of_a_close_arises_once() -> None:
    moved = (at(5, 17, 40), KICKOFF)
    looks = [
        make_answer(1, at(5, 17), ANN, 1),
        make_answer(2, at(5, 17, 30), DEARER, 1),
        make_answer(3, at(5, 17, 55), DEARER, 1),
        make_answer(1, at(5, 17), ANN, 2),
        make_answer(2, at(5, 17, 54, 59), ANN, 2),
        failed(3, at(5, 17, 58), "blocked", 2),
        make_answer(1, at(5, 17), ANN, 3),
        make_answer(2, at(5, 17, 30), DEARER, 3),
        make_answer(3, at(5, 17, 50), {SCORER_ANN: suspended(2700)}, 3),
        make_answer(1, at(5, 17), ANN, 4),
        make_answer(2, at(5, 17, 30), {}, 4),
        make_answer(1, at(5, 17), ANN, 5),
        make_answer(2, at(5, 17, 30), ANN, 5),
        make_answer(1, at(5, 17), {SCORER_ANN: suspended(2500)}, 6),
        make_answer(2, at(5, 17, 30), {}, 6),
        make_answer(3, KICKOFF, ANN, 6),
    ]
    kickoffs = {n: [(at(1, 0), KICKOFF)] for n in range(1, 7)} | {5: [(at(1, 0), at(4, 18)), moved]}
    rows = closed(Life(looks, kickoffs, {n: (n, "betpawa") for n in range(1, 7)}))
    columns = ("close_quality", "close_odds", "close_last_confirmed_at", "close_lag_s", "n_changes")
    assert rows.sort("sr_id").select(columns).rows() == [
        ("exact", 2.6, at(5, 17, 55), 300.0, 1),
        ("late", 2.5, at(5, 17, 54, 59), 301.0, 0),
        ("suspended_at_close", 2.6, at(5, 17, 30), 1800.0, 2),
        ("withdrawn_before_close", 2.5, at(5, 17), 3600.0, 1),
        ("anchor_stale", 2.5, at(5, 17, 30), 1800.0, 0),
        ("missing", None, None, None, 0),
    ]
    assert sorted(rows["close_quality"]) == sorted(quality.value for quality in CloseQuality)


def test_a_kickoff_that_moved_is_no_stale_anchor_once_another_answer_came() -> None:
    moved = [(at(1, 0), at(4, 18)), (at(5, 17, 40), KICKOFF)]
    rows = closed(Life([make_answer(1, at(5, 17, 30), ANN), make_answer(2, at(5, 17, 55), ANN)], {1: moved}))
    assert rows.select("close_quality", "kickoff_version").rows() == [("exact", 2)]


@pytest.mark.parametrize(
    ("seen_at", "quality"), [(at(5, 8, 29, 59), "late_discovery"), (at(5, 8, 30), "exact"), (at(5, 9), "exact")]
)
def test_absence_proves_an_opening_price_while_it_is_recent(seen_at: datetime, quality: str) -> None:
    rows = closed(Life([absent(4, seen_at), make_answer(9, at(5, 10), ANN)], {1: [(at(1, 0), KICKOFF)]}))
    assert rows.select("open_quality", "prev_absent_cycle").rows() == [(quality, 4)]


def test_what_is_written_for_no_price_is_never_one() -> None:
    looks = [
        make_answer(1, at(5, 10), {TOTAL: priced(1000, 1900)}),
        make_answer(2, at(5, 11), {TOTAL: priced(1500, 1)}),
    ]
    rows = {row["outcome_key"]: row for row in closed(Life(looks, {1: [(at(1, 0), KICKOFF)]})).iter_rows(named=True)}
    assert (rows["over"]["open_odds"], rows["over"]["open_observed_at"], rows["over"]["min_odds"]) == (
        1.5,
        at(5, 11),
        1.5,
    )
    assert (rows["under"]["close_odds"], rows["under"]["min_odds"], rows["under"]["close_quality"]) == (
        1.9,
        1.9,
        "suspended_at_close",
    )


def test_an_array_that_has_lost_a_place_has_lost_that_outcome() -> None:
    looks = [
        make_answer(1, at(5, 10), {RESULT: priced(2000, 3400, 3600)}),
        make_answer(2, at(5, 17, 58), {RESULT: priced(2000, 3400)}),
    ]
    rows = closed(Life(looks, {1: [(at(1, 0), KICKOFF)]}))
    assert dict(rows.select("outcome_key", "close_quality").iter_rows()) == {
        "home": "exact",
        "draw": "exact",
        "away": "withdrawn_before_close",
    }


def test_nothing_seen_gives_no_rows() -> None:
    rows = closed(Life([], {1: [(at(1, 0), KICKOFF)]}))
    assert (rows.height, rows.schema) == (0, pl.Schema(OPEN_CLOSE_SCHEMA))
    assert closed(Life([listed(1, at(5, 10))], {1: [(at(1, 0), KICKOFF)]})).height == 0


REFUSED: Final = {
    "changes without their answer": (
        lambda f: f | {"looks": f["looks"].head(1)},
        "1 changes have no answer among the looks, first of listing 11",
    ),
    "an outcome without a name": (
        lambda f: f | {"outcomes": outcomes_frame().head(1)},
        "no name is given for outcome 2 of market match_result",
    ),
}


@pytest.mark.parametrize("example", REFUSED)
def test_what_cannot_be_told_is_refused(example: str) -> None:
    change, words = REFUSED[example]
    looks = [
        make_answer(1, at(5, 10), {RESULT: priced(2000, 3400, 3600)}),
        make_answer(2, at(5, 11), {RESULT: priced(2100, 3400, 3600)}),
    ]
    frames: dict[str, Any] = Life(looks, {1: [(at(1, 0), KICKOFF)]}).frames()
    usual = {"outcomes": outcomes_frame(), "sets": SETS, "as_of": LATER, "exact_s": EXACT_S, "silence_limit": SILENCE}
    with pytest.raises(ValueError, match=words):
        find_open_close(**change(frames | usual))


# --- against a walk through the answers


def outcomes_in(book: Book) -> dict[tuple[str, str, str], tuple[int | None, bool]]:
    """Price, if it can be backed, and whether the answer surely shows the outcome, of each that it may have."""
    found = {}
    for (market, specifier, outcome), facts in book.items():
        for place, price in enumerate(facts[2]):
            name = outcome or PLACES[market][place]
            shown = price is not None or bool((facts[1] or 0) >> place & 1)
            if shown or facts[0] == "no_price":
                found[(market, specifier, name)] = (
                    price if is_backable(facts, place) else None,
                    shown or outcome != "",
                )
    return found


def margin_in(book: Book, key: tuple[str, str, str]) -> float | None:
    facts: Facts | None = book.get((key[0], key[1], ""))
    if facts is None or not all(is_backable(facts, place) for place in range(len(facts[2]))):
        return None
    return sum(1000 / price for price in facts[2] if price is not None) - 1


def walked(life: Life, as_of: datetime) -> list[dict[str, Any]]:
    """The same table, from the books of the answers one after the other."""
    rows = []
    for listing_id, (sr_id, platform) in life.holders.items():
        since, kickoff = life.kickoffs[sr_id][-1]
        looks = sorted((look for look in life.looks if look.listing_id == listing_id), key=lambda look: look.at)
        before = [look for look in looks if look.at < kickoff]
        answers = [look for look in before if look.book is not None]
        keys = {key for look in looks for key, (_, shown) in outcomes_in(look.book or {}).items() if shown}
        for key in keys:
            row: dict[str, Any] = dict.fromkeys(OPEN_CLOSE_SCHEMA)
            row |= dict(zip(OPEN_CLOSE_KEY, (sr_id, platform, *key), strict=True))
            row |= {"effective_kickoff": kickoff, "kickoff_version": len(life.kickoffs[sr_id]), "n_changes": 0}
            prices = [outcomes_in(look.book or {}).get(key, (None, False))[0] for look in answers]
            backable = [i for i, price in enumerate(prices) if price is not None]
            if not backable:
                row["close_quality"] = "missing" if kickoff <= as_of else None
                rows.append(row)
                continue
            first, last = backable[0], backable[-1]
            row |= {
                "open_odds": prices[first] / 1000,
                "open_observed_at": answers[first].at,
                "open_minutes_to_kickoff": (kickoff - answers[first].at) / timedelta(minutes=1),
                "open_margin": margin_in(answers[first].book or {}, key),
                "min_odds": min(prices[i] for i in backable) / 1000,
                "max_odds": max(prices[i] for i in backable) / 1000,
                "n_changes": sum(one != other for one, other in zip(prices[first:], prices[first + 1 :], strict=False)),
            }
            earlier = [look for look in before if look.at < answers[first].at]
            proofs = [look for look in earlier if look.look in ("answered", "absent")]
            row["open_quality"] = "left_censored"
            if proofs:
                row["prev_absent_cycle"] = proofs[-1].cycle_id
                near = proofs[-1] is earlier[-1] and answers[first].at - earlier[-1].at <= SILENCE
                row["open_quality"] = "exact" if near else "late_discovery"
            if kickoff <= as_of:
                stood = last
                while stood and prices[stood - 1] == prices[last]:
                    stood -= 1
                lag_s = (kickoff - answers[last].at).total_seconds()
                ended = outcomes_in(answers[-1].book or {}).get(key)
                row |= {
                    "close_odds": prices[last] / 1000,
                    "close_observed_at": answers[stood].at,
                    "close_last_confirmed_at": answers[last].at,
                    "close_lag_s": lag_s,
                    "close_margin": margin_in(answers[last].book or {}, key),
                    "move_rel": prices[last] / prices[first] - 1,
                }
                if len(life.kickoffs[sr_id]) > 1 and since > answers[-1].at:
                    row["close_quality"] = "anchor_stale"
                elif any(look.look == "absent" and look.at > answers[-1].at for look in before) or ended is None:
                    row["close_quality"] = "withdrawn_before_close"
                elif ended[0] is None:
                    row["close_quality"] = "suspended_at_close"
                else:
                    row["close_quality"] = "late" if lag_s > EXACT_S else "exact"
            rows.append(row)
    return sorted(rows, key=lambda row: [row[name] for name in OPEN_CLOSE_KEY])


@st.composite
def lives_with_moves(draw: st.DrawFn) -> tuple[Life, datetime]:
    """Lives whose kickoffs were claimed, and moved, at any time; and an instant to look at them from."""
    life = draw(random_lives())
    instants = [look.at + timedelta(minutes=shift) for look in life.looks for shift in (0, 1, 4, 200)]
    kickoffs = {
        sr_id: sorted(
            (draw(st.sampled_from([at(1, 0), *instants])), draw(st.sampled_from([claim[1], *instants])))
            for claim in claims
        )
        for sr_id, claims in life.kickoffs.items()
    }
    return replace(life, kickoffs=kickoffs), draw(st.sampled_from([at(1, 0), *instants, at(9, 0)]))


@settings(max_examples=count_examples(40))
@given(lives_with_moves(), st.randoms(use_true_random=False))
def test_the_table_is_that_of_a_walk_through_the_answers_whatever_the_order_and_repetition_of_rows(
    drawn: tuple[Life, datetime], random: Random
) -> None:
    life, as_of = drawn
    expected = pl.DataFrame(walked(life, as_of), schema=OPEN_CLOSE_SCHEMA)
    assert_frame_equal(of(disordered(life.frames(), random), as_of), expected, check_exact=False, rel_tol=1e-12)


@settings(max_examples=count_examples(20))
@given(lives_with_moves())
def test_nothing_seen_at_or_after_kickoff_is_used(drawn: tuple[Life, datetime]) -> None:
    life, _ = drawn
    kickoff_of = {listing_id: life.kickoffs[sr_id][-1][1] for listing_id, (sr_id, _) in life.holders.items()}
    whole = closed(life)
    early = replace(life, looks=[look for look in life.looks if look.at < kickoff_of[look.listing_id]])
    alone = closed(early)
    seen_late_only = whole.join(alone, on=OPEN_CLOSE_KEY, how="anti")
    assert seen_late_only["close_quality"].is_in(["missing"]).all()
    assert seen_late_only["open_odds"].is_null().all()
    assert_frame_equal(whole.join(alone, on=OPEN_CLOSE_KEY, how="semi"), alone, check_exact=True)
    for name in ("open_observed_at", "close_observed_at", "close_last_confirmed_at"):
        assert (whole[name].drop_nulls() < whole.filter(pl.col(name).is_not_null())["effective_kickoff"]).all()


def test_listings_are_taken_some_at_a_time_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = {n: (n, platform) for n, platform in ((1, "betpawa"), (2, "sportybet"), (3, "bet9ja"))}
    looks = [
        make_answer(1, at(5, 17, 50 + n), {SCORER_ANN: priced(2000 + n), RESULT: priced(2000, 3400, 3600 + n)}, n)
        for n in holders
    ]
    life = Life(looks, {n: [(at(1, 0), KICKOFF)] for n in holders}, holders)
    together = closed(life)
    monkeypatch.setattr("palimpsest_pipeline.metrics.lifecycle.open_close.OPEN_CLOSE_LISTINGS_AT_ONCE", 1)
    assert_frame_equal(closed(life), together, check_exact=True)
    assert together.height == 12
