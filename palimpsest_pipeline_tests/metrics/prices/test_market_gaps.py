"""Gaps as they stand, worked out by hand, against a plain walk, and what must hold of any of them."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.prices.market_gaps import GAP_KEY, GAPS_SCHEMA, find_availability_gaps

from ..standing_worlds import (
    HOME,
    KICKOFF,
    NOON,
    PLATFORMS,
    RESULT,
    SKEW_S,
    TOTAL,
    Listing,
    Market,
    World,
    ago,
    disordered,
    frames,
    no_price,
    offered,
    suspended,
    withdrawn,
    worlds,
)

MAIN = ("match_result", "total_goals")


def gaps(world: World, platforms: tuple[str, ...] = PLATFORMS, max_skew_s: float = SKEW_S) -> pl.DataFrame:
    return find_availability_gaps(*frames(world), platforms=platforms, max_skew_s=max_skew_s, main_markets=MAIN).sort(
        GAP_KEY
    )


def only(home: Market | None, theirs: Market | None, **listing: Any) -> dict[str, Any] | None:
    """The gap between home and Bet9ja on one market; None when there is none."""
    world = {
        (1, HOME): Listing({TOTAL: home} if home else {}),
        (1, "bet9ja"): Listing({TOTAL: theirs} if theirs else {}, **listing),
    }
    found = gaps(world)
    assert found.height <= 1
    return found.row(0, named=True) if found.height else None


HERE, OFF, EMPTY, GONE = offered(1900, 1900), suspended(1900, 1900), no_price(2), withdrawn(2)


@pytest.mark.parametrize(
    ("home", "theirs", "kind"),
    [
        (HERE, HERE, None),
        (None, HERE, "home_missing"),
        (GONE, HERE, "home_missing"),
        (HERE, None, "platform_missing"),
        (HERE, GONE, "platform_missing"),
        (OFF, HERE, "home_suspended_only"),
        (EMPTY, HERE, "home_suspended_only"),
        (HERE, OFF, "platform_suspended_only"),
        (HERE, EMPTY, "platform_suspended_only"),
        (OFF, OFF, "both"),
        (OFF, GONE, "both"),
        (None, EMPTY, "both"),
        (GONE, GONE, None),
        (None, GONE, None),
        (None, None, None),
    ],
)
def test_each_pair_of_states_is_one_kind_of_gap(home: Market | None, theirs: Market | None, kind: str | None):
    found = only(home, theirs)
    assert (found and found["gap_type"]) == kind
    if found:
        assert (found["home_state"], found["platform_state"]) == (home and home.state, theirs and theirs.state)
        assert (found["never_offered_home"], found["never_offered_platform"]) == (home is None, theirs is None)


def test_a_gap_is_open_since_the_later_of_both_whatever_prices_do():
    found = only(withdrawn(2, minutes=20), offered(1900, 1900, minutes=90))
    assert found is not None
    assert (found["home_state_since"], found["platform_state_since"], found["gap_open_since"]) == (
        ago(1200),
        ago(5400),
        ago(1200),
    )
    assert (found["gap_minutes"], found["minutes_to_kickoff"], found["as_of"]) == (20.0, 360.0, NOON)
    assert found["market_priority"] == 2
    never = only(None, offered(1900, 1900, minutes=90))
    assert never is not None
    assert (never["home_state_since"], never["gap_open_since"], never["gap_minutes"]) == (None, ago(5400), 90.0)


def test_who_was_not_looked_at_leaves_it_unknown():
    silent = only(HERE, GONE, age_s=121)
    assert silent is not None
    assert (silent["gap_type"], silent["gap_open_since"], silent["gap_minutes"]) == ("unknown", None, None)
    assert (silent["home_state"], silent["platform_state"]) == ("offered", "withdrawn")
    never = only(HERE, None, age_s=None)
    assert never is not None
    assert never["gap_type"] == "unknown"
    on_time = only(HERE, GONE, age_s=120)
    assert on_time is not None
    assert on_time["gap_type"] == "platform_missing"
    assert only(HERE, HERE, age_s=4000) is None


def test_who_was_looked_at_is_judged_by_the_last_look_of_any_platform():
    world = {
        (1, HOME): Listing({TOTAL: HERE}, age_s=200),
        (1, "bet9ja"): Listing({}, age_s=200),
        (1, "sportybet"): Listing({TOTAL: HERE}),
    }
    assert gaps(world)["gap_type"].to_list() == ["unknown"]
    assert gaps({key: listing for key, listing in world.items() if key[1] != "sportybet"})["gap_type"].to_list() == [
        "platform_missing"
    ]


def test_a_listing_that_was_dropped_lacks_everything_and_needs_no_look():
    found = only(HERE, HERE, age_s=4000, dropped_s=600)
    assert found is not None
    assert (found["gap_type"], found["platform_state"], found["platform_state_since"]) == (
        "platform_missing",
        "event_dropped",
        ago(600),
    )
    assert (found["gap_minutes"], found["never_offered_platform"]) == (10.0, False)
    unseen = only(HERE, None, age_s=4000, dropped_s=600)
    assert unseen is not None
    assert (unseen["gap_type"], unseen["platform_state"], unseen["never_offered_platform"]) == (
        "platform_missing",
        None,
        True,
    )
    both = {(1, p): Listing({TOTAL: HERE}, dropped_s=60) for p in (HOME, "bet9ja")}
    assert gaps(both).is_empty()


def test_a_drop_is_a_look_at_the_fixture():
    """Home was dropped after the last answer: how the others stand now nobody knows."""
    world = {
        (1, HOME): Listing({TOTAL: HERE}, age_s=600, dropped_s=0),
        (1, "bet9ja"): Listing({TOTAL: HERE}, age_s=600),
    }
    found = gaps(world)
    assert found.select("as_of", "gap_type", "home_state").rows() == [(NOON, "unknown", "event_dropped")]


def test_a_market_with_a_row_an_outcome_stands_as_the_best_of_them():
    def scorers(*each: Market) -> dict[tuple[str, str, str], Market]:
        return {("anytime_goalscorer", "", str(n)): market for n, market in enumerate(each)}

    world = {
        (1, HOME): Listing(scorers(suspended(3000, minutes=50), withdrawn(1, minutes=10))),
        (1, "bet9ja"): Listing(scorers(offered(3000, minutes=40), offered(2500, minutes=70), no_price(1, minutes=90))),
    }
    found = gaps(world)
    told = found.select("gap_type", "home_state", "home_state_since", "platform_state_since", "market_priority").row(0)
    assert told == ("home_suspended_only", "suspended", ago(50 * 60), ago(70 * 60), None)
    assert found.height == 1


def test_fixtures_that_only_one_of_both_lists_have_none():
    world = {
        (1, HOME): Listing({TOTAL: HERE}),
        (2, "bet9ja"): Listing({TOTAL: HERE, RESULT: offered(2000, 3000, 4000)}),
    }
    assert gaps(world).is_empty()


RANKS = ("offered", "suspended", "no_price", "withdrawn")


def walked(world: World) -> dict[tuple[int, str, str, str], tuple[str, Any, Any]]:
    """The type of every gap, and since when, in plain Python."""
    found = {}
    for (sr_id, platform), theirs in world.items():
        home = world.get((sr_id, HOME))
        if platform == HOME or home is None:
            continue
        seen = [
            s
            for (other, _), each in world.items()
            if other == sr_id
            for s in (each.age_s, each.dropped_s)
            if s is not None
        ]
        if not seen:
            continue
        last_s = min(seen)
        books = {key[:2] for each in (home, theirs) for key in each.book}
        for market, specifier in books:
            sides = []
            for listing in (home, theirs):
                rows = [m for key, m in listing.book.items() if key[:2] == (market, specifier)]
                best = min(rows, key=lambda m: (RANKS.index(m.state), -m.minutes)) if rows else None
                state = None if best is None else "event_dropped" if listing.dropped_s is not None else best.state
                since = (
                    None
                    if best is None
                    else ago(listing.dropped_s if listing.dropped_s is not None else best.minutes * 60)
                )
                known = listing.dropped_s is not None or (
                    listing.age_s is not None and listing.age_s - last_s <= SKEW_S
                )
                sides.append((state, since, known))
            states = [state for state, _, _ in sides]
            if states == ["offered", "offered"] or not any(state in RANKS[:3] for state in states):
                continue
            lists = [state in RANKS[:3] for state in states]
            offers = [state == "offered" for state in states]
            if not all(known for _, _, known in sides):
                kind = "unknown"
            elif not any(offers):
                kind = "both"
            else:
                lacking = offers.index(False)
                kind = ("home", "platform")[lacking] + ("_suspended_only" if lists[lacking] else "_missing")
            since = max(s for _, s, _ in sides if s is not None)
            found[sr_id, market, specifier, platform] = (kind, None if kind == "unknown" else since, tuple(states))
    return found


@given(world=worlds(), seed=st.integers(0, 99))
def test_a_plain_walk_comes_to_the_same_whatever_the_order_and_repetition_of_rows(world: World, seed: int):
    markets, listings = frames(world)
    found = find_availability_gaps(
        disordered(markets, seed), disordered(listings, seed), platforms=PLATFORMS, max_skew_s=SKEW_S, main_markets=MAIN
    )
    told = {
        (r["sr_id"], r["market_key"], r["specifier"], r["platform"]): (
            r["gap_type"],
            r["gap_open_since"],
            (r["home_state"], r["platform_state"]),
        )
        for r in found.iter_rows(named=True)
    }
    assert told == walked(world)
    assert len(told) == found.height


@given(world=worlds())
def test_fixtures_and_competitors_that_are_left_out_change_no_row_of_the_others(world: World):
    found = gaps(world)
    assert_frame_equal(gaps({key: listing for key, listing in world.items() if key[0] == 1}), found.filter(sr_id=1))
    some = gaps(world, platforms=(HOME, "bet9ja"))
    assert_frame_equal(some, found.filter(platform="bet9ja"))


def test_nothing_comes_of_nothing():
    found = gaps({})
    assert found.schema == pl.Schema(GAPS_SCHEMA)
    assert found.is_empty()
    assert KICKOFF > NOON
