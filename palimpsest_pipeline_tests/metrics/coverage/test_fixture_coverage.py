"""Who lists which fixture: classes, evidence, and tournaments, worked out by hand."""

import json
from datetime import timedelta
from typing import Any

import pytest

from palimpsest_pipeline.metrics import CoverageUniverse, build_coverage_fixture, build_coverage_tournament
from palimpsest_pipeline.metrics.coverage.fixture_coverage import COVERAGE_FIXTURE_SCHEMA, COVERAGE_TOURNAMENT_SCHEMA
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.matching.world import NOON, listing

from ..world import ALL_SEEN, STAMPS, Look, universe_of

EARLIER, LONG_AGO = NOON - timedelta(hours=1), NOON - timedelta(hours=9)


def classes(universe: CoverageUniverse) -> dict[int, str]:
    return dict(build_coverage_fixture(universe).select("sr_id", "fixture_class").iter_rows())


def evidence(universe: CoverageUniverse) -> dict[int, tuple[Any, ...]]:
    return {
        row[0]: row[1:]
        for row in build_coverage_fixture(universe)
        .select("sr_id", "fixture_class", "evidence", "stale_since")
        .iter_rows()
    }


def test_a_fixture_is_matched_when_home_and_any_competitor_list_it() -> None:
    rows = [
        *(listing("betpawa", f"p{i}", i) for i in (1, 2, 3)),
        *(listing("sportybet", f"s{i}", i) for i in (2, 4)),
        *(listing("bet9ja", f"b{i}", i) for i in (3, 4, 5)),
    ]
    expected = {1: "home_only", 2: "matched", 3: "matched", 4: "competitor_only", 5: "competitor_only"}
    assert classes(universe_of(rows)) == expected
    assert classes(universe_of(rows[::-1])) == expected
    n_competitors = build_coverage_fixture(universe_of(rows))["n_competitors"].to_list()
    assert n_competitors == [0, 1, 1, 2, 1]


def test_any_platform_may_be_home() -> None:
    rows = [listing("betpawa", "p", 1), listing("sportybet", "s", 2), listing("bet9ja", "b", 2)]
    assert classes(universe_of(rows, home="bet9ja")) == {1: "competitor_only", 2: "matched"}
    assert classes(universe_of(rows, home="betpawa")) == {1: "home_only", 2: "competitor_only"}


def test_started_fixtures_have_rows_too_and_the_kickoff_instant_itself_is_started() -> None:
    rows = [
        listing("betpawa", "p1", 1, in_h=-1),
        listing("betpawa", "p2", 2, in_h=0),
        listing("betpawa", "p3", 3, in_h=1),
    ]
    assert build_coverage_fixture(universe_of(rows))["started"].to_list() == [True, True, False]


def test_homes_kickoff_decides_for_all_whether_a_fixture_has_started() -> None:
    rows = [listing("betpawa", "p", 1, in_h=1), listing("bet9ja", "b", 1, in_h=-1)]
    assert build_coverage_fixture(universe_of(rows))["started"].to_list() == [False]
    assert build_coverage_fixture(universe_of(rows, home="bet9ja"))["started"].to_list() == [True]


def test_a_platform_that_was_never_looked_at_leaves_fixtures_undetermined_never_missing() -> None:
    rows = [
        listing("betpawa", "p1", 1),
        listing("betpawa", "p2", 2),
        listing("sportybet", "s2", 2),
        listing("sportybet", "s3", 3),
    ]
    without_bet9ja = [look for look in ALL_SEEN if look[0] != "bet9ja"]
    assert evidence(universe_of(rows, without_bet9ja)) == {
        1: ("undetermined", "partial", None),
        2: ("matched", "partial", None),
        3: ("competitor_only", "partial", None),
    }
    without_home = [look for look in ALL_SEEN if look[0] != "betpawa"]
    assert classes(universe_of(rows[2:], without_home)) == {2: "undetermined", 3: "undetermined"}


def test_a_platform_that_is_down_is_carried_from_its_last_complete_discovery() -> None:
    looked: list[Look] = [*ALL_SEEN[:2], ("bet9ja", "*", "carried", EARLIER)]
    rows = [
        listing("betpawa", "p1", 1),
        listing("bet9ja", "b1", 1) | {"evidence": "carried", "stale_since": EARLIER},
        listing("betpawa", "p2", 2),
        listing("betpawa", "p3", 3),
        listing("sportybet", "s3", 3),
    ]
    assert evidence(universe_of(rows, looked)) == {
        1: ("matched", "carried", EARLIER),
        2: ("home_only", "carried", EARLIER),
        3: ("matched", "carried", EARLIER),
    }


def test_the_oldest_discovery_it_rests_on_is_the_one_named() -> None:
    looked: list[Look] = [ALL_SEEN[0], ("sportybet", "*", "carried", EARLIER), ("bet9ja", "*", "carried", LONG_AGO)]
    assert evidence(universe_of([listing("betpawa", "p1", 1)], looked)) == {1: ("home_only", "carried", LONG_AGO)}


@pytest.mark.parametrize(
    ("bet9ja", "expected"),
    [
        ([("*", "partial"), ("9", "complete")], ("home_only", "complete", None)),
        ([("*", "partial"), ("9", "carried")], ("home_only", "carried", EARLIER)),
        ([("*", "partial"), ("9", "partial")], ("undetermined", "partial", None)),
        ([("*", "partial")], ("undetermined", "partial", None)),
        ([("9", "complete")], ("undetermined", "partial", None)),  # the tree itself was never seen
        ([("*", "carried"), ("9", "complete")], ("home_only", "complete", None)),
        ([("*", "carried"), ("9", "partial")], ("undetermined", "partial", None)),  # there now, and not received
        ([("*", "carried")], ("home_only", "carried", EARLIER)),
        ([("*", "complete")], ("home_only", "complete", None)),
    ],
)
def test_absence_follows_from_the_tournaments_where_the_whole_platform_was_not_received(
    bet9ja: list[tuple[str, str]], expected: tuple[Any, ...]
) -> None:
    rows = [
        listing("betpawa", "p1", 1, tournament_external_id="7"),
        listing("betpawa", "p2", 2, tournament_external_id="7"),
        listing("bet9ja", "b2", 2, tournament_external_id="9"),  # so that bet9ja's 9 is betpawa's 7
    ]
    looked = [*ALL_SEEN[:2], *(("bet9ja", t, e, EARLIER if e == "carried" else None) for t, e in bet9ja)]
    assert evidence(universe_of(rows, looked))[1] == expected


def test_a_partial_sighting_proves_presence_and_says_that_it_is_partial() -> None:
    rows = [listing("betpawa", "p1", 1), listing("bet9ja", "b1", 1) | {"evidence": "partial"}]
    assert evidence(universe_of(rows)) == {1: ("matched", "partial", None)}
    seen_twice = [*rows, listing("bet9ja", "b2", 1)]
    assert evidence(universe_of(seen_twice)) == {1: ("matched", "complete", None)}


def tournament_rows(
    universe: CoverageUniverse, *columns: str, include_started: bool = True
) -> dict[tuple[str, str], tuple[Any, ...]]:
    counted = build_coverage_tournament(universe)
    rows = counted.filter(counted["include_started"] == include_started).select("tournament_key", "platform", *columns)
    return {row[:2]: row[2:] for row in rows.iter_rows()}


LEAGUES = [
    listing("betpawa", "p1", 1, tournament_external_id="7"),
    listing("betpawa", "p2", 2, tournament_external_id="7", in_h=-1),
    listing(
        "sportybet", "s1", 1, tournament_external_id="sr:tournament:17", sr_tournament_id=17, tournament_name="EPL"
    ),
    listing("sportybet", "s3", 3, tournament_external_id="sr:tournament:17", sr_tournament_id=17),
    listing("sportybet", "s4", 4, tournament_external_id="sr:tournament:17", sr_tournament_id=17, in_h=2),
    listing("bet9ja", "b4", 4, tournament_external_id="9", in_h=2),
    listing("bet9ja", "b5", 5, tournament_external_id="10", tournament_name="Cup", in_h=-3),
    listing("bet9ja", "b6", None, tournament_external_id="10", tournament_name="Cup"),
    listing("betpawa", "p7", 7, tournament_external_id="8", tournament_name="Liga"),
    listing("betpawa", "p8", None, tournament_external_id="8", tournament_name="Liga"),
]


def test_a_tournament_is_counted_for_each_competitor_and_for_all_together() -> None:
    columns = (
        "n_home",
        "n_platform",
        "n_matched",
        "n_home_only",
        "n_platform_only",
        "n_undetermined",
        "n_unidentified",
    )
    assert tournament_rows(universe_of(LEAGUES), *columns) == {
        ("sr:17", "sportybet"): (2, 3, 1, 1, 2, 0, 0),
        ("sr:17", "bet9ja"): (2, 1, 0, 2, 1, 0, 0),
        ("sr:17", "any"): (2, 3, 1, 1, 2, 0, 0),
        ("bet9ja:10", "sportybet"): (0, 0, 0, 0, 0, 0, 0),
        ("bet9ja:10", "bet9ja"): (0, 1, 0, 0, 1, 0, 1),
        ("bet9ja:10", "any"): (0, 1, 0, 0, 1, 0, 1),
        ("betpawa:8", "sportybet"): (1, 0, 0, 1, 0, 0, 0),
        ("betpawa:8", "bet9ja"): (1, 0, 0, 1, 0, 0, 0),
        ("betpawa:8", "any"): (1, 0, 0, 1, 0, 0, 1),
    }


def test_without_started_fixtures_a_tournament_of_unidentified_listings_alone_is_still_there() -> None:
    counts = tournament_rows(universe_of(LEAGUES), "n_home", "n_platform", "n_unidentified", include_started=False)
    assert counts["sr:17", "any"] == (1, 3, 0)
    assert counts["bet9ja:10", "bet9ja"] == (0, 0, 1)


def test_gaps_rates_and_missing_fixtures_of_a_tournament() -> None:
    columns = (
        "platform_gap",
        "home_gap",
        "home_covered_rate",
        "fixture_match_rate",
        "earliest_missing_kickoff",
        "missing_sr_ids",
    )
    rows = tournament_rows(universe_of(LEAGUES), *columns)
    assert rows["sr:17", "sportybet"] == (False, False, 0.5, 1 / 3, NOON + timedelta(hours=2), [3, 4])
    assert rows["bet9ja:10", "bet9ja"] == (True, False, None, 0.0, None, [5])  # started: no kickoff of it is to come
    assert rows["betpawa:8", "any"] == (False, True, 0.0, None, None, [])


def test_what_home_may_or_may_not_have_is_not_missing() -> None:
    rows = tournament_rows(universe_of([LEAGUES[3]], ALL_SEEN[1:]), "n_undetermined", "missing_sr_ids")
    assert rows["sr:17", "any"] == (1, [])


def test_a_tournament_shows_the_most_trusted_platforms_name() -> None:
    rows = tournament_rows(universe_of(LEAGUES), "display_name", "sport")
    assert rows["sr:17", "any"] == ("Premier League", "football")
    assert rows["bet9ja:10", "any"] == ("Cup", "football")


def test_listings_per_platform_are_json_in_order_of_trust() -> None:
    rows = [listing("bet9ja", "b", 1), listing("betpawa", "p", 1), listing("betpawa", "q", 1)]
    (row,) = build_coverage_fixture(universe_of(rows)).iter_rows(named=True)
    assert list(json.loads(row["n_listings_by_platform"]).items()) == [("betpawa", 2), ("bet9ja", 1)]


def test_the_columns_are_those_of_the_tables_also_without_listings() -> None:
    nothing = universe_of([], [])
    for frame, schema, table in (
        (build_coverage_fixture(nothing), COVERAGE_FIXTURE_SCHEMA, "mart.coverage_fixture"),
        (build_coverage_tournament(nothing), COVERAGE_TOURNAMENT_SCHEMA, "mart.coverage_tournament"),
    ):
        assert frame.is_empty()
        assert dict(frame.schema) == schema
        assert set(schema) == set(metadata.tables[table].columns.keys()) - STAMPS


def test_a_universe_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        universe_of([], platforms=["betpawa"])
    found = universe_of([listing("betpawa", "p", 1)])
    given = {"as_of": NOON, "home": "betpawa", "platforms": ["betpawa", "bet9ja"]}
    links = found.listings.select("platform", external_id="tournament_external_id", tournament_key="tournament_key")
    claims = found.listings.drop("tournament_key", "started")
    fixtures = found.fixtures.drop("started")
    with pytest.raises(ValueError, match="not given"):
        CoverageUniverse.build(claims, fixtures.clear(), found.looked_tournaments, links, found.tournaments, **given)
    with pytest.raises(ValueError, match="naive"):
        CoverageUniverse.build(
            claims,
            fixtures,
            found.looked_tournaments,
            links,
            found.tournaments,
            **given | {"as_of": NOON.replace(tzinfo=None)},
        )
    with pytest.raises(ValueError, match="not compared"):
        CoverageUniverse.build(
            claims,
            fixtures,
            found.looked_tournaments,
            links,
            found.tournaments,
            **given | {"home": "bet9ja", "platforms": ["bet9ja", "sportybet"]},
        )
