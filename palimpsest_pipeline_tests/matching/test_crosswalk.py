"""Tournaments across platforms, by SportRadar's ids and by shared fixtures."""

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.matching import build_crosswalk, identify_listings
from palimpsest_pipeline.matching.crosswalk import LINKS_SCHEMA, TOURNAMENTS_SCHEMA
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS

from .world import frame, listing, random_listings, random_worlds

Rows = list[dict[str, Any]]


def season(platform: str, tournament: str, sr_ids: range, **claim: Any) -> Rows:
    return [listing(platform, f"{tournament}.{i}", i, tournament_external_id=tournament, **claim) for i in sr_ids]


def links_of(rows: Rows) -> dict[tuple[str, str], tuple[str, str, int, float]]:
    _, links = build_crosswalk(identify_listings(frame(rows)), PLATFORMS, BETPAWA)
    return {(p, e): (k, m, n, c) for p, e, k, m, n, c in links.iter_rows()}


def test_a_tournament_named_differently_on_each_platform_is_joined_by_votes_with_confidence() -> None:
    rows = [
        *season("sportybet", "s1", range(1, 5), tournament_name="Premier League", sr_tournament_id=17),
        *season("betpawa", "p1", range(1, 5), tournament_name="England - EPL"),
        *season("bet9ja", "b1", range(2, 7), tournament_name="PL Angleterre"),
    ]
    assert links_of(rows) == {
        ("sportybet", "s1"): ("sr:17", "sportradar", 4, 1.0),
        ("betpawa", "p1"): ("sr:17", "votes", 4, 1.0),
        ("bet9ja", "b1"): ("sr:17", "votes", 3, 1.0),
    }


def test_two_premier_leagues_in_two_countries_stay_apart() -> None:
    rows = [
        *season("sportybet", "s1", range(1, 5), country_iso="GB-ENG", sr_tournament_id=17),
        *season("sportybet", "s2", range(11, 15), country_iso="KE", sr_tournament_id=1644),
        *season("bet9ja", "b1", range(1, 5), country_iso="GB-ENG"),
        *season("bet9ja", "b2", range(11, 15), country_iso="KE"),
        *season("betpawa", "p3", range(21, 25), country_iso="GH"),
    ]
    links = links_of(rows)
    assert links["bet9ja", "b1"][0] == "sr:17"
    assert links["bet9ja", "b2"][0] == "sr:1644"
    assert links["betpawa", "p3"] == ("betpawa:p3", "alone", 0, 1.0)


def test_one_sportradar_id_on_two_matches_does_not_join_leagues_of_two_countries() -> None:
    rows = [
        *season("sportybet", "s1", range(1, 5), country_iso="GB-ENG", sr_tournament_id=17),
        *season("betpawa", "p2", range(4, 12), country_iso="KE"),
    ]
    assert links_of(rows)["betpawa", "p2"] == ("betpawa:p2", "alone", 0, 0.0)


def test_a_country_named_otherwise_does_not_outweigh_the_majority_of_shared_fixtures() -> None:
    rows = [
        *season("sportybet", "s1", range(1, 5), country_iso="US", sr_tournament_id=242),
        *season("betpawa", "p2", range(1, 5), country_iso="CA"),
    ]
    assert links_of(rows)["betpawa", "p2"] == ("sr:242", "votes", 4, 1.0)


def test_a_contested_tournament_joins_the_larger_part_and_its_confidence_says_so() -> None:
    rows = [
        *season("sportybet", "s1", range(1, 4), sr_tournament_id=1),
        *season("sportybet", "s2", range(4, 5), sr_tournament_id=2),
        *season("bet9ja", "b", range(1, 5)),
    ]
    assert links_of(rows)["bet9ja", "b"] == ("sr:1", "votes", 3, 0.75)


def test_without_any_sportradar_tournament_the_key_is_the_platform_defined_first() -> None:
    rows = [*season("bet9ja", "b", range(1, 4)), *season("betpawa", "p", range(1, 4))]
    assert links_of(rows) == {
        ("betpawa", "p"): ("betpawa:p", "votes", 3, 1.0),
        ("bet9ja", "b"): ("betpawa:p", "votes", 3, 1.0),
    }


def test_a_vote_may_reach_the_sportradar_id_through_a_third_platform() -> None:
    rows = [
        *season("sportybet", "s", range(1, 3), sr_tournament_id=9),
        *season("bet9ja", "b", range(1, 5)),
        *season("betpawa", "p", range(3, 5)),
    ]
    assert links_of(rows)["betpawa", "p"] == ("sr:9", "votes", 2, 1.0)


def test_the_name_shown_is_the_most_trusted_platforms_and_the_key_does_not_depend_on_trust() -> None:
    rows = [
        *season("bet9ja", "b", range(1, 4), tournament_name="Nine", country_raw="Nigeria"),
        *season("betpawa", "p", range(1, 4), tournament_name="Pawa"),
    ]
    identified = identify_listings(frame(rows))
    ours, links = build_crosswalk(identified, PLATFORMS, BETPAWA)
    theirs, same_links = build_crosswalk(identified, PLATFORMS, BET9JA)
    assert ours.rows() == [("betpawa:p", "football", "Nigeria", "Pawa")]
    assert theirs.rows() == [("betpawa:p", "football", "Nigeria", "Nine")]
    assert links.equals(same_links)


def test_simulated_listings_make_no_tournament() -> None:
    tournaments, links = build_crosswalk(
        identify_listings(frame([listing("betpawa", "a", 1, kind="simulated")])), PLATFORMS, BETPAWA
    )
    assert tournaments.is_empty()
    assert links.is_empty()


def test_the_columns_are_those_of_the_tables_also_without_listings() -> None:
    tournaments, links = build_crosswalk(identify_listings(frame([])), PLATFORMS, BETPAWA)
    assert dict(tournaments.schema) == TOURNAMENTS_SCHEMA
    assert dict(links.schema) == LINKS_SCHEMA
    assert set(TOURNAMENTS_SCHEMA) == set(metadata.tables["core.tournaments"].columns.keys())
    assert set(LINKS_SCHEMA) == set(metadata.tables["core.tournament_links"].columns.keys())


@random_worlds
@given(rows=random_listings(), random=st.randoms(use_true_random=False))
def test_order_changes_nothing_and_every_tournament_has_exactly_one_key(rows: Rows, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    tournaments, links = build_crosswalk(identify_listings(frame(rows)), PLATFORMS, BETPAWA)
    again_tournaments, again_links = build_crosswalk(identify_listings(frame(shuffled)), PLATFORMS, BETPAWA)
    assert tournaments.equals(again_tournaments)
    assert links.equals(again_links)
    listed = {(r["platform"], r["tournament_external_id"]) for r in rows if r["kind"] == "match"}
    assert sorted(links.select("platform", "external_id").rows()) == sorted(listed)
    assert set(links["tournament_key"]) == set(tournaments["tournament_key"])
    assert links["confidence"].is_between(0, 1).all()
    assert (links.filter(pl.col("method") == "votes")["n_votes"] > 0).all()


@random_worlds
@given(rows=random_listings(min_size=1), data=st.data())
def test_further_listings_of_a_match_change_no_key(rows: Rows, data: st.DataObject) -> None:
    doubled = [
        r | {"external_id": f"dup-{i}", "n_markets": None}
        for i, r in enumerate(data.draw(st.lists(st.sampled_from(rows), max_size=5)))
        if r["sr_id"]
    ]
    _, links = build_crosswalk(identify_listings(frame(rows)), PLATFORMS, BETPAWA)
    _, again = build_crosswalk(identify_listings(frame(rows + doubled)), PLATFORMS, BETPAWA)
    assert links.equals(again)


def test_a_page_of_specials_keeps_to_itself_and_joins_nothing() -> None:
    leagues = [
        row
        for n, start in enumerate((1, 11, 21))
        for row in [
            *season("sportybet", f"s{n}", range(start, start + 4), sr_tournament_id=100 + n),
            *season("bet9ja", f"b{n}", range(start, start + 4)),
        ]
    ]
    # A league whose only tie to anything is a fixture that the specials show too.
    small = [*season("betpawa", "p9", range(31, 33)), *season("bet9ja", "b9", range(31, 33))]
    specials = [listing("bet9ja", f"special.{i}", i, tournament_external_id="specials") for i in (1, 2, 11, 21, 31)]
    links = links_of([*leagues, *small, *specials])
    assert links["bet9ja", "specials"][:2] == ("bet9ja:specials", "alone")
    assert {links["bet9ja", f"b{n}"][0] for n in range(3)} == {"sr:100", "sr:101", "sr:102"}
    assert links["bet9ja", "b9"][0] == links["betpawa", "p9"][0] == "betpawa:p9"
