"""Who moves first, worked out by hand, and against a walk through the answers themselves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.prices.price_leads import (
    LEAD_KEY,
    PRICE_LEADS_SCHEMA,
    PriceLeadRules,
    find_price_leads,
)
from palimpsest_pipeline.tables.current_prices import PriceLead
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..life_worlds import (
    DOUBLE,
    RESULT,
    SETS,
    TOTAL,
    Book,
    Facts,
    Life,
    Looked,
    at,
    disordered,
    make_answer,
    outcomes_frame,
    priced,
    random_lives,
)
from ..price_lead_walk import walk

KICKOFF: Final = at(5, 18)
LATER: Final = at(9, 0)
RULES: Final = PriceLeadRules(
    min_rise=0.03,
    window=timedelta(minutes=60),
    steam_window=timedelta(minutes=10),
    steam_platforms=3,
    silence_limit=timedelta(minutes=90),
    watch_before_kickoff=timedelta(days=3),
    main_markets=("match_result", "total_goals", "double_chance"),
)
PAWA, SPORTY, BET9JA = 11, 12, 13
HOLDERS: Final = {PAWA: (1, "betpawa"), SPORTY: (1, "sportybet"), BET9JA: (1, "bet9ja")}
EVEN, OVER = priced(2000, 2000), priced(1500, 3000)
"""Chances of 1/2 and 1/2, and of 2/3 and 1/3."""


def find(looks: Sequence[Looked], rules: PriceLeadRules = RULES, **settings: Any) -> list[dict[str, Any]]:
    return find_of(Life(looks, {1: [(at(1, 0), KICKOFF)]}, HOLDERS), rules, **settings).to_dicts()


def find_of(life: Life, rules: PriceLeadRules = RULES, **settings: Any) -> pl.DataFrame:
    arguments = {"as_of": LATER, **settings}
    return find_price_leads(**life.frames(), outcomes=outcomes_frame(), sets=SETS, rules=rules, **arguments)


def series(listing_id: int, *answers: tuple[datetime, Facts | None]) -> list[Looked]:
    """Answers of a listing about one total; None: without it."""
    return [
        make_answer(100 * listing_id + n, when, {} if facts is None else {TOTAL: facts}, listing_id)
        for n, (when, facts) in enumerate(answers)
    ]


def test_a_follower_is_found_with_the_bounds_of_its_lag() -> None:
    [lead] = find(
        series(PAWA, (at(5, 10, 0), EVEN), (at(5, 10, 10), OVER))
        + series(SPORTY, (at(5, 10, 5), EVEN), (at(5, 10, 15), EVEN), (at(5, 10, 25), OVER))
    )
    assert lead == {
        "sr_id": 1,
        "lead_type": "move",
        "market_key": "total_goals",
        "specifier": "total=2.5",
        "leader": "betpawa",
        "follower": "sportybet",
        "leader_at": at(5, 10, 10),
        "leader_after": at(5, 10, 0),
        "follower_at": at(5, 10, 25),
        "follower_after": at(5, 10, 15),
        "outcome_key": "over",
        "leader_probability_before": 0.5,
        "leader_probability": 0.666666667,
        "follower_probability_before": 0.5,
        "follower_probability": 0.666666667,
        "lag_s": 900,
        "lag_min_s": 300,
        "lag_max_s": 1500,
        "lag_limited_by": "polling",
        "steam_at": None,
        "steam_platforms": None,
        "kickoff_date": KICKOFF.date(),
    }


LED: Final = series(PAWA, (at(5, 10, 0), EVEN), (at(5, 10, 10), OVER))


@pytest.mark.parametrize(
    ("followed", "lag_s", "lag_min_s", "lag_max_s"),
    [
        ([(at(5, 10, 12), EVEN), (at(5, 10, 14), OVER)], 480, 120, 840),
        ([(at(5, 10, 8), EVEN), (at(5, 10, 14), OVER)], 360, -120, 840),
        ([(at(5, 10, 10), EVEN), (at(5, 10, 14), OVER)], 420, 0, 840),
        ([(at(5, 10, 0), EVEN), (at(5, 10, 10), OVER)], 0, -600, 600),
        ([(at(5, 11, 0), EVEN), (at(5, 11, 10), OVER)], 3600, 3000, 4200),
    ],
    ids=["proven", "overlap", "touch", "together", "as late as may be"],
)
def test_the_bounds_of_the_lag(
    followed: list[tuple[datetime, Facts]], lag_s: float, lag_min_s: float, lag_max_s: float
) -> None:
    [lead] = find(LED + series(SPORTY, *followed))
    assert (lead["leader"], lead["lag_s"], lead["lag_min_s"], lead["lag_max_s"]) == (
        "betpawa",
        lag_s,
        lag_min_s,
        lag_max_s,
    )


def test_with_two_winners_the_chances_add_up_to_two() -> None:
    def answers(listing_id: int, minute: int) -> list[Looked]:
        books: list[Book] = [{DOUBLE: priced(1500, 1500, 1500)}, {DOUBLE: priced(1250, 1600, 1739)}]
        return [make_answer(n, at(5, 10, minute + 10 * n), book, listing_id) for n, book in enumerate(books)]

    [lead] = find(answers(PAWA, 0) + answers(SPORTY, 5))
    assert lead["leader_probability_before"] == 0.666666667
    assert lead["leader_probability"] == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(("minutes", "n_leads"), [(150, 1), (151, 0)], ids=["window and silence limit", "longer"])
def test_a_long_interval_does_not_prove_an_order(minutes: int, n_leads: int) -> None:
    """An event after a missed answer is kept."""
    leads = find(LED + series(SPORTY, (at(5, 9, 0), EVEN), (at(5, 9) + timedelta(minutes=minutes), OVER)))
    assert [(lead["lag_limited_by"], lead["lag_min_s"] < 0) for lead in leads] == [("not_observed", True)] * n_leads


def steam_of(*minutes: int, width: int = 1) -> list[dict[str, Any]]:
    looks = [
        look
        for listing_id, minute in zip(HOLDERS, minutes, strict=False)
        for look in series(listing_id, (at(5, 10, minute), EVEN), (at(5, 10) + timedelta(minutes=minute + width), OVER))
    ]
    return find(looks)


@pytest.mark.parametrize(("width", "is_steam"), [(10, True), (11, False), (30, False)])
def test_moves_that_may_lie_farther_apart_are_no_steam(width: int, is_steam: bool) -> None:
    """Their middles are the same instant."""
    leads = steam_of(0, 0, 0, width=width)
    assert {lead["steam_at"] is not None for lead in leads} == {is_steam}


MANY: Final = {11: (1, "betpawa"), 12: (1, "sportybet"), 13: (1, "bet9ja"), 14: (1, "other"), 15: (1, "another")}
RESULTS: Final = (
    priced(2000, 4000, 4000),
    priced(3000, 3000, 3000),
    priced(3000, 2800, 3300),
    priced(3000, 3300, 2800),
    priced(4000, 2000, 4000),
)


@st.composite
def crowded_lives(draw: st.DrawFn) -> Life:
    """Lives of up to five platforms whose results move up and down within some minutes.

    Where all answer every four minutes, a move can be as near to an earlier one as to a later one.
    """
    holders = dict(list(MANY.items())[: draw(st.integers(3, 5))])
    steps = draw(st.sampled_from([st.sampled_from([1, 1, 2, 3, 5, 8, 13]), st.just(4)]))
    looks = []
    for listing_id in holders:
        now = at(5, 10)
        for n in range(draw(st.integers(2, 8))):
            now += timedelta(minutes=draw(steps))
            looks.append(make_answer(100 * listing_id + n, now, {RESULT: draw(st.sampled_from(RESULTS))}, listing_id))
    return Life(looks, {1: [(at(1, 0), KICKOFF)]}, holders)


WIDE: Final = replace(
    RULES,
    min_rise=0.01,
    window=timedelta(hours=12),
    steam_window=timedelta(hours=2),
    steam_platforms=2,
)


@settings(max_examples=count_examples(300), deadline=None)
@given(
    drawn=st.one_of(st.tuples(crowded_lives(), st.just(RULES)), st.tuples(random_lives(), st.just(WIDE))),
    seed=st.integers(0, 1000),
)
def test_pairs_and_steams_are_those_of_a_walk_whatever_the_order_and_repetition_of_rows(
    drawn: tuple[Life, PriceLeadRules], seed: int
) -> None:
    life, rules = drawn
    frames = disordered(life.frames(), Random(seed))
    found = find_price_leads(**frames, outcomes=outcomes_frame(), sets=SETS, rules=rules, as_of=LATER)
    expected = pl.DataFrame(walk(life, rules), schema=PRICE_LEADS_SCHEMA, orient="row").sort(LEAD_KEY)
    assert_frame_equal(found, expected, abs_tol=2e-9, rel_tol=0)
    assert found.filter(~pl.col("lag_s").is_between("lag_min_s", "lag_max_s") | (pl.col("lag_s") < 0)).is_empty()
    assert found.select(LEAD_KEY).is_unique().all()
    check_steams(found, rules)


def check_steams(leads: pl.DataFrame, rules: PriceLeadRules) -> None:
    """A steam has the platforms that it counts, and a move belongs to one steam."""
    steam = leads.filter(pl.col("steam_at").is_not_null())
    subject = ("sr_id", "market_key", "specifier")
    sides = pl.concat(
        steam.select(*subject, "outcome_key", "steam_at", "steam_platforms", platform=end, at=f"{end}_at")
        for end in ("leader", "follower")
    )
    counts = sides.group_by(*subject, "outcome_key", "steam_at").agg(
        pl.col("steam_platforms").unique(), n_platforms=pl.col("platform").n_unique()
    )
    assert counts.filter(pl.col("steam_platforms") != pl.concat_list("n_platforms")).is_empty()
    assert (counts["n_platforms"] >= rules.steam_platforms).all()
    moves = sides.select(*subject, "platform", "at", "outcome_key", "steam_at").unique()
    assert moves.select(*subject, "platform", "at").is_unique().all()


PAIR_COLUMNS: Final = (*LEAD_KEY, "leader_after", "follower_at", "follower_after", "lag_s", "lag_limited_by")


@settings(max_examples=count_examples(200), deadline=None)
@given(life=st.one_of(crowded_lives(), random_lives()), minutes=st.integers(0, 5000))
def test_later_answers_do_not_change_a_pair(life: Life, minutes: int) -> None:
    rules = WIDE if minutes % 2 else RULES
    begin = min(look.at for look in life.looks)
    until = begin + timedelta(minutes=minutes / 50 if life.holders.keys() >= {13} else minutes)
    earlier = find_of(replace(life, looks=[look for look in life.looks if look.at <= until]), rules)
    both_known = find_of(life, rules).filter(pl.max_horizontal("leader_at", "follower_at") <= until)
    assert_frame_equal(earlier.select(PAIR_COLUMNS), both_known.select(PAIR_COLUMNS))


def test_suspects_have_no_rows() -> None:
    looks = LED + series(SPORTY, (at(5, 10, 5), EVEN), (at(5, 10, 15), OVER))
    assert find(looks)
    assert find(looks, suspects=[1]) == []


def test_a_change_without_its_answer_is_refused() -> None:
    frames = Life(LED, {1: [(at(1, 0), KICKOFF)]}, HOLDERS).frames()
    frames["looks"] = frames["looks"].filter(pl.col("at") < at(5, 10, 10))
    with pytest.raises(ValueError, match="give all its answers"):
        find_price_leads(**frames, outcomes=outcomes_frame(), sets=SETS, rules=RULES, as_of=LATER)


def test_an_outcome_without_a_name_is_refused() -> None:
    looks = LED + series(SPORTY, (at(5, 10, 5), EVEN), (at(5, 10, 15), OVER))
    frames = Life(looks, {1: [(at(1, 0), KICKOFF)]}, HOLDERS).frames()
    outcomes = outcomes_frame().filter(pl.col("outcome_key") != "over")
    with pytest.raises(ValueError, match="outcome 1 of market total_goals"):
        find_price_leads(**frames, outcomes=outcomes, sets=SETS, rules=RULES, as_of=LATER)


def test_the_columns_are_those_of_the_table() -> None:
    columns = PriceLead.__table__.columns
    assert set(PRICE_LEADS_SCHEMA) | {"mapping_version"} == set(columns.keys())
    assert tuple(column.name for column in PriceLead.__table__.primary_key.columns) == LEAD_KEY


@settings(max_examples=count_examples(100), deadline=None)
@given(life=random_lives(), minutes=st.integers(1, 100))
def test_what_is_later_than_the_kickoff_or_earlier_than_the_lookback_does_not_matter(life: Life, minutes: int) -> None:
    rules = replace(WIDE, watch_before_kickoff=timedelta(minutes=minutes * 10))
    whole = find_of(life, rules)
    kickoffs = {sr_id: claims[-1][1] for sr_id, claims in life.kickoffs.items()}
    parts = []
    for look in life.looks:
        kickoff = kickoffs[life.holders[look.listing_id][0]]
        since = (kickoff - rules.lookback).replace(hour=0, minute=0)
        if since <= look.at < kickoff:
            parts.append(look)
    assert_frame_equal(find_of(replace(life, looks=parts), rules), whole)
