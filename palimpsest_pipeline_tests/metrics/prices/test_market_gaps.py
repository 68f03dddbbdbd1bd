"""Gaps as they stand, worked out by hand, and against a plain walk."""

from datetime import timedelta
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


RANKS = ("offered", "suspended", "no_price", "withdrawn")


def walked(world: World) -> list[dict[str, Any]]:
    """The same rows, in plain Python."""
    found = []
    for (sr_id, platform), theirs in world.items():
        home = world.get((sr_id, HOME))
        seen = [s for (other, _), each in world.items() if other == sr_id for s in (each.age_s, each.dropped_s)]
        last_s = min((s for s in seen if s is not None), default=None)
        if platform == HOME or home is None or last_s is None:
            continue
        as_of = NOON - timedelta(seconds=last_s)
        for market, specifier in {key[:2] for each in (home, theirs) for key in each.book}:
            states, instants, are_known = [], [], []
            for listing in (home, theirs):
                rows = [m for key, m in listing.book.items() if key[:2] == (market, specifier)]
                best = min(rows, key=lambda m: (RANKS.index(m.state), -m.minutes)) if rows else None
                is_dropped = listing.dropped_s is not None
                states.append(best and ("event_dropped" if is_dropped else best.state))
                instants.append(best and ago(listing.dropped_s if is_dropped else best.minutes * 60))
                are_known.append(is_dropped or (listing.age_s is not None and listing.age_s - last_s <= SKEW_S))
            offers = [state == "offered" for state in states]
            if all(offers) or not any(state in RANKS[:3] for state in states):
                continue
            if not all(are_known):
                kind, since = "unknown", None
            else:
                lacking = offers.index(False)
                side = ("home", "platform")[lacking] + (
                    "_suspended_only" if states[lacking] in RANKS[:3] else "_missing"
                )
                kind, since = side if any(offers) else "both", max(at for at in instants if at is not None)
            found.append(
                {
                    **dict(zip(GAP_KEY, (sr_id, market, specifier, platform), strict=True)),
                    **dict(zip(("home_state", "platform_state"), states, strict=True)),
                    **dict(zip(("home_state_since", "platform_state_since"), instants, strict=True)),
                    "as_of": as_of,
                    "gap_type": kind,
                    "gap_open_since": since,
                    "gap_minutes": since and (as_of - since) / timedelta(minutes=1),
                    "never_offered_home": states[0] is None,
                    "never_offered_platform": states[1] is None,
                    "minutes_to_kickoff": (KICKOFF - as_of) / timedelta(minutes=1),
                    "market_priority": MAIN.index(market) + 1 if market in MAIN else None,
                }
            )
    return found


@given(world=worlds(), seed=st.integers(0, 99))
def test_a_plain_walk_comes_to_the_same_whatever_the_order_and_repetition_of_rows(world: World, seed: int):
    markets, listings = (disordered(frame, seed) for frame in frames(world))
    found = find_availability_gaps(markets, listings, platforms=PLATFORMS, max_skew_s=SKEW_S, main_markets=MAIN)
    assert_frame_equal(found, pl.DataFrame(walked(world), schema=GAPS_SCHEMA).sort(GAP_KEY))


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
