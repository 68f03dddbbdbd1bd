"""Which match a listing is, and which listing speaks for its platform."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.matching import LISTINGS_SCHEMA, identify_listings, list_rival_listings

from .world import frame, listing, random_listings, random_worlds


def fixture_of(identified: pl.DataFrame) -> dict[str, tuple[int | None, str | None]]:
    return {e: (f, m) for e, f, m in identified.select("external_id", "fixture_sr_id", "match_method").iter_rows()}


def test_a_listing_is_identified_by_its_own_sportradar_id_whoever_was_seen_first() -> None:
    rows = [listing("bet9ja", "b", 7), listing("betpawa", "a", 7)]
    expected = {"a": (7, "sportradar"), "b": (7, "sportradar")}
    assert fixture_of(identify_listings(frame(rows))) == expected
    assert fixture_of(identify_listings(frame(reversed(rows)))) == expected


def test_a_genius_id_leads_to_the_fixture_of_the_listing_that_carries_both_ids() -> None:
    found = identify_listings(
        frame([listing("betpawa", "a", 7, genius_id=70), listing("bet9ja", "b", None, genius_id=70)])
    )
    assert fixture_of(found) == {"a": (7, "sportradar"), "b": (7, "genius")}


def test_a_genius_id_that_leads_to_two_fixtures_leads_to_none() -> None:
    found = identify_listings(
        frame(
            [
                listing("betpawa", "a", 7, genius_id=70),
                listing("sportybet", "s", 8, genius_id=70),
                listing("bet9ja", "b", None, genius_id=70),
            ]
        )
    )
    assert fixture_of(found)["b"] == (None, None)


def test_the_own_sportradar_id_wins_over_the_genius_id() -> None:
    found = identify_listings(
        frame([listing("betpawa", "a", 7, genius_id=70), listing("bet9ja", "b", 9, genius_id=71)])
    )
    assert fixture_of(found)["b"] == (9, "sportradar")


def test_only_matches_are_identified_and_the_others_stay_in_the_frame() -> None:
    found = identify_listings(
        frame([listing("betpawa", "a", 7, kind="simulated", genius_id=70), listing("bet9ja", "b", None, genius_id=70)])
    )
    assert fixture_of(found) == {"a": (None, None), "b": (None, None)}
    assert not found["is_primary"].any()


@pytest.mark.parametrize(
    ("rows", "primary"),
    [
        ([("10", 5), ("9", 4)], "10"),  # more markets
        ([("10", 5), ("9", 5)], "9"),  # by value, not as text
        ([("10", None), ("9", 0)], "9"),  # no answer is as good as one without a price
        ([("sr:match:1", 5), ("999", 5)], "999"),  # digits before text
        ([("sr:match:2", 5), ("sr:match:1", 5)], "sr:match:1"),
        (
            [("99999999999999999999998", 5), ("99999999999999999999997", 5)],
            "99999999999999999999997",
        ),  # wider than 64 bits
    ],
)
def test_the_primary_listing_has_the_largest_book_then_the_smallest_id(
    rows: list[tuple[str, int | None]], primary: str
) -> None:
    found = identify_listings(frame(listing("bet9ja", external_id, 7, n_markets=n) for external_id, n in rows))
    assert found.filter("is_primary")["external_id"].to_list() == [primary]


@pytest.mark.parametrize(
    ("rows", "primary"),
    [
        ([("old", 0, 300, False), ("new", 72, 5, False)], "new"),  # postponed and listed anew
        ([("old", 0, 300, False), ("new", 72, 0, False)], "old"),  # that was never priced
        ([("old", 0, 300, False), ("new", 72, None, False)], "old"),
        ([("main", 0, 300, False), ("copy", 6, 5, False)], "main"),  # not more than six hours apart
        ([("main", 6, 5, False), ("copy", 0, 300, False)], "copy"),
        (
            [("a", 0, 300, False), ("b", 5, 10, False), ("c", 10, 5, False)],
            "b",
        ),  # a is out, of the others b has the larger book
        ([("main", 0, 300, True), ("copy", 0, 5, False)], "copy"),  # taken off
        ([("main", 0, 300, False), ("new", 72, 5, True)], "main"),
        ([("old", 0, 300, True), ("new", 72, 5, True)], "new"),  # all are
    ],
)
def test_of_kickoffs_more_than_six_hours_apart_the_later_one_that_ever_had_a_price_speaks(
    rows: list[tuple[str, int, int | None, bool]], primary: str
) -> None:
    world = [listing("bet9ja", name, 7, in_h=hours, n_markets=n, is_deleted=gone) for name, hours, n, gone in rows]
    for given_rows in (world, world[::-1]):
        assert identify_listings(frame(given_rows)).filter("is_primary")["external_id"].to_list() == [primary]


@pytest.mark.parametrize(
    ("rows", "identified"),
    [
        ([("betpawa", "old", True, True), ("betpawa", "new", False, False)], False),
        ([("betpawa", "old", True, True), ("betpawa", "new", False, False), ("bet9ja", "b", False, False)], False),
        (
            [("betpawa", "old", True, True), ("betpawa", "new", False, False), ("bet9ja", "b", False, True)],
            True,
        ),  # another platform has a kickoff
        (
            [("betpawa", "old", True, True), ("betpawa", "new", True, False)],
            True,
        ),  # none is left, so the old one speaks
        ([("betpawa", "new", False, False), ("betpawa", "copy", False, True)], True),
    ],
)
def test_a_match_is_identified_only_where_a_listing_that_speaks_for_its_platform_has_a_kickoff(
    rows: list[tuple[str, str, bool, bool]], identified: bool
) -> None:
    world = [
        listing(platform, name, 7, is_deleted=gone, n_markets=9) | ({} if dated else {"kickoff_at": None})
        for platform, name, gone, dated in rows
    ]
    for given_rows in (world, world[::-1]):
        found = identify_listings(frame(given_rows))
        assert found["fixture_sr_id"].drop_nulls().len() == (len(world) if identified else 0)
        assert found["is_primary"].any() == identified


@random_worlds
@given(rows=random_listings(), undated=st.sets(st.integers(0, 23)))
def test_every_fixture_has_a_primary_listing_with_a_kickoff(rows: list[dict[str, object]], undated: set[int]) -> None:
    given_rows = frame(row | {"kickoff_at": None} if number in undated else row for number, row in enumerate(rows))
    found = identify_listings(given_rows).filter(pl.col("fixture_sr_id").is_not_null())
    dated = found.filter("is_primary", pl.col("kickoff_at").is_not_null())
    assert set(found["fixture_sr_id"]) == set(dated["fixture_sr_id"])
    shared = found.filter(pl.len().over("platform", "fixture_sr_id") > 1)["listing_id"].sort().to_list()
    assert list_rival_listings(given_rows) == shared


@random_worlds
@given(rows=random_listings())
def test_rivals_are_the_listings_that_share_their_fixture_with_another_of_their_platform(
    rows: list[dict[str, object]],
) -> None:
    found = identify_listings(frame(rows)).filter(pl.col("fixture_sr_id").is_not_null())
    shared = found.filter(pl.len().over("platform", "fixture_sr_id") > 1)["listing_id"].sort().to_list()
    assert list_rival_listings(frame(rows)) == shared


def test_each_platform_has_its_own_primary_listing() -> None:
    found = identify_listings(frame([listing("betpawa", "a", 7, n_markets=1), listing("bet9ja", "b", 7, n_markets=9)]))
    assert found["is_primary"].to_list() == [True, True]


def test_a_listing_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="one row per listing"):
        identify_listings(frame([listing("betpawa", "a", 7), listing("betpawa", "a", 8)]))


def test_no_listings_give_an_empty_frame_of_the_same_columns() -> None:
    nothing = identify_listings(frame([]))
    something = identify_listings(frame([listing("betpawa", "a", 7)]))
    assert nothing.is_empty()
    assert nothing.schema == something.schema
    assert nothing.columns[: len(LISTINGS_SCHEMA)] == list(LISTINGS_SCHEMA)


@random_worlds
@given(rows=random_listings(), random=st.randoms(use_true_random=False))
def test_the_order_of_listings_changes_nothing(rows: list[dict[str, object]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert identify_listings(frame(shuffled)).equals(identify_listings(frame(rows)))


@random_worlds
@given(rows=random_listings())
def test_every_fixture_has_one_primary_listing_per_platform_and_nothing_is_dropped(
    rows: list[dict[str, object]],
) -> None:
    found = identify_listings(frame(rows))
    assert found.height == len(rows)
    identified = found.filter(pl.col("fixture_sr_id").is_not_null())
    assert (identified.group_by("platform", "fixture_sr_id").agg(pl.col("is_primary").sum())["is_primary"] == 1).all()
