"""One row per real match: whose claim is shown, and what is flagged."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.matching import build_crosswalk, build_fixtures, identify_listings
from palimpsest_pipeline.matching.build_fixtures import FIXTURES_SCHEMA
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .world import frame, listing, random_listings, random_worlds

Rows = list[dict[str, Any]]


def fixtures_of(rows: Rows, home: str = "betpawa") -> dict[int, dict[str, Any]]:
    identified = identify_listings(frame(rows))
    trust = put_home_first(home, PLATFORMS)
    _, links = build_crosswalk(identified, PLATFORMS, home)
    return {row["sr_id"]: row for row in build_fixtures(identified, links, trust).iter_rows(named=True)}


def test_names_country_and_kickoff_are_homes_then_sportybets_then_bet9jas() -> None:
    rows = [
        listing("bet9ja", "b1", 1, home_team="Bodo/Glimt", country_raw="Norge", in_h=5),
        listing("sportybet", "s1", 1, home_team="Bodo Glimt", country_raw="Norway", in_h=6),
        listing("betpawa", "p1", 1, home_team="FK Bodø/Glimt", country_raw="Norvège", in_h=7),
        listing("bet9ja", "b2", 2, home_team="Nine"),
        listing("sportybet", "s2", 2, home_team="Sporty"),
    ]
    found = fixtures_of(rows)
    assert (found[1]["home_team"], found[1]["country"], found[1]["metadata_source"]) == (
        "FK Bodø/Glimt",
        "Norvège",
        "betpawa",
    )
    assert found[1]["kickoff_max_delta_s"] == 7200
    assert found[1]["platforms"] == ["betpawa", "sportybet", "bet9ja"]
    assert (found[2]["home_team"], found[2]["metadata_source"]) == ("Sporty", "sportybet")


def test_any_platform_may_be_home() -> None:
    rows = [listing("bet9ja", "b1", 1, home_team="Nine"), listing("betpawa", "p1", 1, home_team="Pawa")]
    found = fixtures_of(rows, home="bet9ja")[1]
    assert (found["home_team"], found["platforms"]) == ("Nine", ["bet9ja", "betpawa"])
    assert put_home_first(BET9JA, PLATFORMS) == (BET9JA, BETPAWA, SPORTYBET)


def test_home_must_be_among_the_platforms() -> None:
    with pytest.raises(ValueError, match="not among the platforms"):
        put_home_first(BET9JA, [BETPAWA, SPORTYBET])


def test_a_platform_without_a_place_in_the_order_of_trust_is_refused() -> None:
    identified = identify_listings(frame([listing("bet9ja", "b", 1)]))
    with pytest.raises(ValueError, match="bet9ja"):
        build_fixtures(identified, build_crosswalk(identified, PLATFORMS, BETPAWA)[1], ["betpawa", "sportybet"])


def test_only_the_primary_listing_speaks_and_the_others_are_counted() -> None:
    rows = [
        listing("betpawa", "10", 1, n_markets=100, home_team="Full book"),
        listing("betpawa", "9", 1, n_markets=2, home_team="Boosted", in_h=9),
        listing("bet9ja", "b", 1, home_team="Full book"),
    ]
    found = fixtures_of(rows)[1]
    assert found["home_team"] == "Full book"
    assert found["kickoff_max_delta_s"] == 0
    assert json.loads(found["n_listings_by_platform"]) == {"betpawa": 2, "bet9ja": 1}
    assert found["n_platforms"] == 2


def test_the_fixture_is_in_the_tournament_of_the_chosen_claim() -> None:
    rows = [
        listing("sportybet", "s", 1, sr_tournament_id=17, tournament_external_id="sr:tournament:17"),
        listing("betpawa", "p", 1, tournament_external_id="11965"),
        listing("betpawa", "q", 2, tournament_external_id="11966"),
    ]
    found = fixtures_of(rows)
    assert (found[1]["tournament_key"], found[2]["tournament_key"]) == ("sr:17", "betpawa:11966")


def test_kickoffs_more_than_three_hours_apart_are_suspect() -> None:
    apart = [listing("betpawa", "p", 1, in_h=6), listing("bet9ja", "b", 1, in_h=9.01)]
    near = [listing("betpawa", "p", 1, in_h=6), listing("bet9ja", "b", 1, in_h=9)]
    assert fixtures_of(apart)[1]["suspect_code"] == "kickoff_mismatch"
    assert fixtures_of(near)[1]["suspect_code"] is None


@pytest.mark.parametrize(
    ("ours", "theirs", "rotated"),
    [
        (("Norway", "France"), ("Norway", "France"), False),
        (("Norway", "France"), ("France", "Norway"), True),
        (("Manchester United FC", "Real Sociedad"), ("R. Sociedad", "Manchester Utd"), True),
        (("Manchester United FC", "Real Sociedad"), ("Manchester Utd", "R. Sociedad"), False),
        (("Manchester United", "Manchester City"), ("Man City", "Man Utd"), True),
        (("São Paulo", "Grêmio"), ("Gremio", "Sao Paulo"), True),
        (("Lokomotiv Moscow", "Zenit"), ("Torpedo Minsk", "Dynamo Brest"), False),
        (("Bodo/Glimt", "Molde"), ("FK Bodø/Glimt", "Molde FK"), False),
    ],
)
def test_swapped_sides_are_recognised_across_spellings(
    ours: tuple[str, str], theirs: tuple[str, str], rotated: bool
) -> None:
    rows = [
        listing("betpawa", "p", 1, home_team=ours[0], away_team=ours[1]),
        listing("bet9ja", "b", 1, home_team=theirs[0], away_team=theirs[1]),
    ]
    found = fixtures_of(rows)[1]
    assert found["rotated"] is rotated
    assert found["suspect_code"] == ("home_away_swapped" if rotated else None)


def test_one_match_under_two_sportradar_ids_on_one_platform_is_flagged_on_both_and_not_merged() -> None:
    names = {"home_team": "Arsenal", "away_team": "Chelsea"}
    rows = [
        listing("betpawa", "p1", 1, **names),
        listing("betpawa", "p2", 2, **names),
        listing("bet9ja", "b3", 3, **names),  # another platform's id alone is no contradiction
        listing("betpawa", "p4", 4, in_h=80, **names),  # the return match
    ]
    assert {sr_id: row["suspect_code"] for sr_id, row in fixtures_of(rows).items()} == {
        1: "duplicate_sr_id",
        2: "duplicate_sr_id",
        3: None,
        4: None,
    }


def test_the_columns_are_those_of_the_table_also_without_listings() -> None:
    identified = identify_listings(frame([]))
    tournaments_links = build_crosswalk(identified, PLATFORMS, BETPAWA)[1]
    assert dict(build_fixtures(identified, tournaments_links, PLATFORMS).schema) == FIXTURES_SCHEMA
    assert set(FIXTURES_SCHEMA) == set(metadata.tables["core.fixtures"].columns.keys())


@random_worlds
@given(rows=random_listings(), home=st.sampled_from(PLATFORMS), random=st.randoms(use_true_random=False))
def test_arrival_order_changes_no_fixture(rows: Rows, home: str, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert fixtures_of(shuffled, home) == fixtures_of(rows, home)


@random_worlds
@given(rows=random_listings(min_size=1), data=st.data())
def test_further_listings_change_only_the_number_of_listings(rows: Rows, data: st.DataObject) -> None:
    picked = data.draw(st.lists(st.sampled_from(rows), max_size=5))
    # A further listing has a vote on its tournament's country, as any other has; that is not looked at here.
    further = {"n_markets": None, "country_iso": None, "country_raw": None}
    doubled = [r | further | {"external_id": f"zz-{i}"} for i, r in enumerate(picked)]
    before, after = fixtures_of(rows), fixtures_of(rows + doubled)
    for row in (*before.values(), *after.values()):
        row.pop("n_listings_by_platform")
    assert after == before


@pytest.mark.parametrize("markets_of_the_second", [10, 90])
def test_a_fixtures_tournament_does_not_move_with_the_number_of_markets_priced(markets_of_the_second: int) -> None:
    rows = [
        listing("bet9ja", "100", 1, tournament_external_id="league", n_markets=50),
        listing("bet9ja", "200", 1, tournament_external_id="second", n_markets=markets_of_the_second),
    ]
    assert fixtures_of(rows)[1]["tournament_key"] == "bet9ja:league"


PLACEHOLDERS = [
    None,
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2099, 12, 31, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]
KICKOFFS = st.sampled_from(PLACEHOLDERS) | st.datetimes(timezones=st.just(UTC))
CORRUPT = {
    "kickoff_at": KICKOFFS,
    "home_team": st.text(max_size=8) | st.just("x" * 10_000),
    "away_team": st.text(max_size=8) | st.just("y" * 10_000),
    "n_markets": st.sampled_from([None, -(2**31), 2**31 - 1]),
    "kind": st.sampled_from(["simulated", "antepost"]),
}
"""What one claim may say in place of what is true.

Its ids are left alone: with another id it speaks of another fixture.
"""


@random_worlds
@given(
    rows=random_listings(min_size=2), which=st.integers(0, 23), field=st.sampled_from(sorted(CORRUPT)), data=st.data()
)
def test_any_single_corrupted_claim_leaves_all_other_fixtures_rows_as_they_were(
    rows: Rows, which: int, field: str, data: st.DataObject
) -> None:
    place = which % len(rows)
    # Two listings whose Genius ids alone join them, and tournaments that one match links, rest on the claim that they
    # share.
    apart = [row | {"genius_id": None, "sr_tournament_id": int(row["tournament_external_id"])} for row in rows]
    corrupted = [row | {field: data.draw(CORRUPT[field])} if n == place else row for n, row in enumerate(apart)]
    before, after = fixtures_of(apart), fixtures_of(corrupted)
    concerned = apart[place]["sr_id"]
    names = {key: value for key, value in before.items() if key != concerned}
    assert {key: value for key, value in after.items() if key != concerned} == names


@pytest.mark.parametrize("absurd", PLACEHOLDERS[1:])
def test_kickoffs_thousands_of_years_apart_are_told_in_seconds(absurd: datetime) -> None:
    rows = [listing("betpawa", "p", 1), listing("bet9ja", "b", 1, kickoff_at=absurd), listing("betpawa", "q", 2)]
    found = fixtures_of(rows)
    assert found[1]["kickoff_max_delta_s"] == int(abs(rows[0]["kickoff_at"] - absurd).total_seconds())
    assert found[1]["suspect_code"] == "kickoff_mismatch"
    assert found[2] == fixtures_of(rows[2:])[2]


def test_a_listing_without_a_kickoff_is_counted_and_another_platform_speaks() -> None:
    rows = [
        listing("betpawa", "p", 1, kickoff_at=None, home_team="Placeholder"),
        listing("bet9ja", "b", 1, home_team="Nine"),
    ]
    found = fixtures_of(rows)[1]
    assert (found["metadata_source"], found["home_team"], found["kickoff_max_delta_s"]) == ("bet9ja", "Nine", 0)
    assert found["platforms"] == ["betpawa", "bet9ja"]
    assert fixtures_of(rows[:1]) == {}, "nobody knows when it is played"


def test_of_two_listings_of_a_platform_the_one_with_a_kickoff_speaks() -> None:
    rows = [listing("betpawa", "1", 1, kickoff_at=None, n_markets=90), listing("betpawa", "2", 1, n_markets=0)]
    assert identify_listings(frame(rows)).filter("is_primary")["external_id"].to_list() == ["2"]
