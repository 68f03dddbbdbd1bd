"""What was listed as of a cycle, and where absence proves something."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.matching import LISTINGS_SCHEMA
from palimpsest_pipeline.matching.build_fixtures import FIXTURES_SCHEMA
from palimpsest_pipeline.matching.crosswalk import LINKS_SCHEMA, TOURNAMENTS_SCHEMA
from palimpsest_pipeline.storage.catalog import fixtures
from palimpsest_pipeline.storage.catalog.listings_as_of import (
    UnknownCycleError,
    read_universe,
)
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from ..listing_worlds import KICKOFF, cycle, listing, write

COLUMNS = {name: kind for name, kind in LISTINGS_SCHEMA.items() if name != "n_markets"}
T1, T2 = listing("1"), listing("2", tournament_external_id="t2")
MATCHED = {"listing_id": pl.Int64, "fixture_sr_id": pl.Int64, "match_method": pl.String, "is_primary": pl.Boolean}
WHOLE = [("betpawa", "*", "complete"), ("betpawa", "t1", "complete"), ("betpawa", "t2", "complete")]
T2_BROKEN = [("betpawa", "*", "partial"), ("betpawa", "t1", "complete"), ("betpawa", "t2", "partial")]


def seen(conn: psycopg.Connection, minutes: int) -> tuple[dict[str, tuple[object, ...]], dict[str, tuple[object, ...]]]:
    """(evidence, stale_since) by listing and by betpawa tournament."""
    listings, looked = read_universe(conn, cycle(minutes).cycle_id, PLATFORMS)
    assert listings.schema == pl.Schema({**COLUMNS, "evidence": pl.String, "stale_since": INSTANT})
    assert looked.filter(tournament_external_id="*").height == len(PLATFORMS)
    mine = looked.filter(platform="betpawa")
    return (
        {row[0]: row[1:] for row in listings.select("external_id", "evidence", "stale_since").iter_rows()},
        {row[0]: row[1:] for row in mine.select("tournament_external_id", "evidence", "stale_since").iter_rows()},
    )


def test_a_complete_discovery_speaks_for_itself(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [T1, T2], WHOLE)
    assert seen(conn, 0) == (
        {"1": ("complete", None), "2": ("complete", None)},
        {"*": ("complete", None), "t1": ("complete", None), "t2": ("complete", None)},
    )


def test_a_tournament_that_could_not_be_looked_at_is_carried_from_its_last_complete_discovery(
    conn: psycopg.Connection,
) -> None:
    other, new = listing("3", tournament_external_id="t2"), listing("4", tournament_external_id="t2")
    write(conn, cycle(0), [T1, T2, other], WHOLE)
    write(conn, cycle(30), [T1, T2, new], T2_BROKEN)
    then = cycle(0).as_of
    assert seen(conn, 30) == (
        {"1": ("complete", None), "2": ("partial", None), "3": ("carried", then), "4": ("partial", None)},
        {"*": ("carried", then), "t1": ("complete", None), "t2": ("carried", then)},
    )
    assert set(seen(conn, 0)[0]) == {"1", "2", "3"}, "a later cycle changes nothing about an earlier instant"


def test_what_a_complete_discovery_lacks_is_not_carried(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [T1, listing("3"), T2], WHOLE)
    write(conn, cycle(30), [T1], [("betpawa", "*", "complete"), ("betpawa", "t1", "complete")])
    listings, looked = seen(conn, 30)
    assert listings == {"1": ("complete", None)}
    assert looked == {"*": ("complete", None), "t1": ("complete", None), "t2": ("complete", None)}


def test_a_tournament_is_gone_only_when_a_complete_discovery_lacks_it(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [T1, T2], WHOLE)
    write(conn, cycle(30), [], [("betpawa", "*", "failed")])
    assert set(seen(conn, 30)[0]) == {"1", "2"}
    write(conn, cycle(60), [], [("betpawa", "*", "partial"), ("betpawa", "t1", "failed")])
    assert seen(conn, 60)[0] == {"1": ("carried", cycle(0).as_of), "2": ("carried", cycle(0).as_of)}
    write(conn, cycle(90), [T1], [("betpawa", "*", "complete"), ("betpawa", "t1", "complete")])
    listings, looked = seen(conn, 90)
    assert listings == {"1": ("complete", None)}
    assert looked["t2"] == ("complete", None)


def test_a_cycle_that_does_not_discover_concludes_nothing(conn: psycopg.Connection) -> None:
    write(conn, cycle(0, Scope.RECORDED), [listing("1", seen_in="detail"), T2], WHOLE)
    assert seen(conn, 0) == (
        {"1": ("partial", None), "2": ("partial", None)},
        {"*": ("partial", None), "t1": ("partial", None), "t2": ("partial", None)},
    )
    write(conn, cycle(10), [T1, T2], WHOLE)
    write(conn, cycle(20, Scope.EVENTS), [listing("1", seen_in="detail")])
    then = cycle(10).as_of
    assert seen(conn, 20) == (
        {"1": ("partial", None), "2": ("carried", then)},
        {"*": ("carried", then), "t1": ("carried", then), "t2": ("carried", then)},
    )


def test_a_listing_that_moved_is_carried_once_where_it_was_last(conn: psycopg.Connection) -> None:
    moved = listing("1", tournament_external_id="t2")
    write(conn, cycle(0), [T1, T2], WHOLE)
    write(
        conn,
        cycle(10),
        [moved, T2],
        [("betpawa", "*", "partial"), ("betpawa", "t1", "partial"), ("betpawa", "t2", "complete")],
    )
    write(conn, cycle(20), [], [("betpawa", "*", "failed")])
    listings, _ = read_universe(conn, cycle(20).cycle_id, PLATFORMS)
    told = listings.select("external_id", "tournament_external_id", "evidence", "stale_since").rows()
    assert told == [(name, "t2", "carried", cycle(10).as_of) for name in ("1", "2")]


def test_a_discovery_speaks_for_a_day_and_no_longer(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [T1], WHOLE)
    write(conn, cycle(24 * 60 - 1, Scope.EVENTS), [])
    write(conn, cycle(24 * 60 + 1, Scope.EVENTS), [])
    assert set(seen(conn, 24 * 60 - 1)[0]) == {"1"}
    assert seen(conn, 24 * 60 + 1) == ({}, {"*": ("partial", None)})


def test_a_carried_listing_makes_its_latest_claim_before_the_cycle(conn: psycopg.Connection) -> None:
    moved = KICKOFF + timedelta(hours=1)
    write(conn, cycle(0), [T1], WHOLE)
    write(conn, cycle(10, Scope.EVENTS), [listing("1", kickoff_at=moved, seen_in="detail")])
    write(conn, cycle(20, Scope.EVENTS), [])
    write(conn, cycle(30, Scope.EVENTS), [listing("1", kickoff_at=moved + timedelta(hours=1), seen_in="detail")])
    listings, _ = read_universe(conn, cycle(20).cycle_id, PLATFORMS)
    assert listings["kickoff_at"].to_list() == [moved]
    assert listings["country_iso"].to_list() == ["GB-ENG"]


def test_an_unknown_cycle_is_an_error_and_not_an_empty_universe(conn: psycopg.Connection) -> None:
    with pytest.raises(UnknownCycleError):
        read_universe(conn, 1, PLATFORMS)


def found(conn: psycopg.Connection, external_ids: Sequence[str]) -> pl.DataFrame:
    ids = [
        i
        for (i,) in conn.execute(
            "select listing_id from core.event_listings where external_id = any(%s)", [list(external_ids)]
        )
    ]
    return fixtures.read_listings_to_match(conn, ids)


def test_matching_sees_every_tournament_that_fixtures_lead_to_and_no_other(conn: psycopg.Connection) -> None:
    write(
        conn,
        cycle(0),
        [
            listing("1", sr_id=7),
            listing("2", sr_id=8),
            listing("s1", "sportybet", sr_id=8, genius_id=5, tournament_external_id="s"),
            listing("b1", "bet9ja", genius_id=5, tournament_external_id="b"),
            listing("b2", "bet9ja", tournament_external_id="b"),
            listing("x", sr_id=99, tournament_external_id="far"),
            listing("srl", kind="simulated", sr_id=8),
        ],
    )
    assert found(conn, ["1"]).schema == pl.Schema(COLUMNS)
    assert set(found(conn, ["1"])["external_id"]) == {"1", "2", "s1", "b1", "b2"}
    assert set(found(conn, ["x"])["external_id"]) == {"x"}
    assert found(conn, []).is_empty()


def test_what_matching_found_is_written_and_what_nothing_belongs_to_goes(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [listing("1", sr_id=7)])
    listing_id = found(conn, ["1"])["listing_id"].item()

    def match(sr_id: int, key: str) -> set[int]:
        identified = pl.DataFrame(
            {"listing_id": [listing_id], "fixture_sr_id": [sr_id], "match_method": ["sportradar"], "is_primary": [True]}
        )
        row = {
            "sr_id": sr_id, "sport": "football", "tournament_key": key, "country": None, "tournament_name": "PL", "home_team": "A", "away_team": "B",
            "metadata_source": "betpawa", "effective_kickoff": KICKOFF, "kickoff_max_delta_s": 0, "platforms": ["betpawa"], "n_platforms": 1,
            "n_listings_by_platform": {"betpawa": 1}, "rotated": False, "suspect_code": None,
        }  # fmt: skip
        tournaments = pl.DataFrame(
            {"tournament_key": [key], "sport": ["football"], "country": [None], "display_name": ["PL"]}
        )
        links = pl.DataFrame(
            {
                "platform": ["betpawa"],
                "external_id": ["t1"],
                "tournament_key": [key],
                "method": ["alone"],
                "n_votes": [0],
                "confidence": [0.0],
            }
        )
        return fixtures.write_matching(conn, identified, pl.DataFrame([row]), tournaments, links)

    assert match(7, "betpawa:t1") == {7}
    assert match(8, "sr:16") == {7, 8}
    assert match(8, "sr:17") == {8}, "what is told by tournament tells of it under another key"
    assert match(8, "sr:17") == set()
    assert conn.execute("select sr_id, n_listings_by_platform from core.fixtures").fetchall() == [(8, {"betpawa": 1})]
    assert conn.execute("select fixture_sr_id, is_primary from core.event_listings").fetchall() == [(8, True)]
    assert conn.execute("select tournament_key from core.tournaments").fetchall() == [("sr:17",)]
    read_links = "select platform, external_id, tournament_key, method, n_votes, confidence from core.tournament_links"
    assert conn.execute(read_links).fetchall() == [("betpawa", "t1", "sr:17", "alone", 0, 0.0)]

    write(conn, cycle(0), [listing("1", sr_id=7, tournament_external_id="t2")])
    nothing = [pl.DataFrame(schema=schema) for schema in (MATCHED, FIXTURES_SCHEMA, TOURNAMENTS_SCHEMA, LINKS_SCHEMA)]
    fixtures.write_matching(conn, *nothing)
    assert conn.execute(read_links).fetchall() == [], "no listing is in t1 any more"
    write(conn, cycle(0), [])
    fixtures.write_matching(conn, *nothing)
    assert conn.execute("select sr_id from core.fixtures").fetchall() == []
