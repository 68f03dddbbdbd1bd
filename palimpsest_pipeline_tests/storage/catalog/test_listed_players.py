"""Players that cycles name and who they are proposed to be: what is stored rests on the cycles alone, and identity
on links that agree.
"""

import random
from collections.abc import Sequence

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.schemas import NAMED_PLAYERS
from palimpsest_pipeline.storage.catalog import listed_players

from ..listing_worlds import KICKOFF, cycle, listing, write
from ..table_rows import insert, rows

Named = tuple[str, str, str, str | None]
"""Listing, player, name, team."""
Link = tuple[int, str, str, int | None, str | None, str]
"""Fixture, platform, player, SportRadar id, evidence, status."""

HAALAND = "sr:player:991181"
NAMED: dict[int, list[Named]] = {
    1: [
        ("s7", HAALAND, "Haaland, Erling", "Norway"),
        ("s7", HAALAND, "Erling Haaland", "Norway"),
        ("1", "30330150", "Erling Braut Haaland", None),
    ],
    2: [("1", "30330150", "Erling Braut Haaland", None), ("1", "30394688", "Martin Odegaard", None)],
    3: [("1", "30330150", "Erling Braut Haaland", None), ("s7", HAALAND, "Haaland, Erling", "Norway")],
}


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection:
    """Fixtures 7 and 8, each listed by BetPawa (1, 2) and SportyBet (s7, s8)."""
    listed = [
        listing("1", sr_id=7),
        listing("2", sr_id=8),
        listing("s7", "sportybet", sr_id=7),
        listing("s8", "sportybet", sr_id=8),
    ]
    write(conn, cycle(0), listed)
    conn.execute("update core.event_listings set fixture_sr_id = sr_id")
    insert(conn, "core.fixtures", *({"sr_id": sr_id, "effective_kickoff": KICKOFF} for sr_id in (7, 8)))
    return conn


def name_players(conn: psycopg.Connection, cycle_id: int, named: Sequence[Named]) -> int:
    ids = dict(conn.execute("select external_id, listing_id from ops.listing_ids").fetchall())
    schema = dict(listed_players.PLAYER_SCHEMA)
    written = 0
    for platform in ("betpawa", "sportybet"):
        theirs = [
            (ids[external], *rest) for external, *rest in named if external.startswith("s") == (platform == "sportybet")
        ]
        written += listed_players.write_players(
            conn, cycle_id, platform, pl.DataFrame(theirs, schema=schema, orient="row")
        )
    return written


def link(conn: psycopg.Connection, *links: Link, fixtures: Sequence[int] = (7, 8)) -> None:
    schema = {
        "fixture_sr_id": pl.Int64,
        "platform": pl.String,
        "external_player_id": pl.String,
        "sr_player_id": pl.Int64,
        "evidence": pl.String,
        "status": pl.String,
    }
    frame = pl.DataFrame(list(links), schema=schema, orient="row").with_columns(
        player_name=pl.lit("A Name"), n_candidates=pl.lit(1, pl.Int32)
    )
    columns = [
        "fixture_sr_id",
        "platform",
        "external_player_id",
        "player_name",
        "sr_player_id",
        "evidence",
        "status",
        "n_candidates",
    ]
    listed_players.write_player_links(conn, fixtures, frame.select(columns))


def content(conn: psycopg.Connection) -> list[list[tuple[object, ...]]]:
    return [
        rows(conn, "select * from core.player_lists order by 1, 2, 3, 4, 5"),
        rows(conn, "select * from core.player_list_observations order by 1, 2"),
    ]


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 2, 1], [2, 1, 3, 1, 2, 3]])
def test_what_is_stored_does_not_depend_on_the_order_of_cycles_or_rows(
    conn: psycopg.Connection, order: list[int]
) -> None:
    for cycle_id in (1, 2, 3):
        assert name_players(conn, cycle_id, NAMED[cycle_id]) == len({external for external, *_ in NAMED[cycle_id]})
    expected = content(conn)
    conn.execute("truncate core.player_lists, core.player_list_observations")
    for cycle_id in order:
        name_players(conn, cycle_id, random.Random(cycle_id).sample(NAMED[cycle_id] * 2, 2 * len(NAMED[cycle_id])))
    assert content(conn) == expected
    assert len(expected[1]) == 5


def test_a_list_is_written_once_and_goes_with_the_last_cycle_that_speaks_of_it(conn: psycopg.Connection) -> None:
    name_players(conn, 1, NAMED[1])
    name_players(conn, 4, NAMED[1])
    assert rows(conn, "select count(*), count(distinct list_hash) from core.player_lists") == [(3, 2)]
    name_players(conn, 1, [])
    assert rows(conn, "select count(*) from core.player_lists") == [(3,)]
    name_players(conn, 4, NAMED[1][2:])
    assert rows(conn, "select external_player_id, team from core.player_lists") == [("30330150", "")]


def test_the_players_of_a_fixture_are_those_of_its_listings(conn: psycopg.Connection) -> None:
    name_players(conn, 1, [*NAMED[1], ("s8", "sr:player:2", "Somebody Else", None)])
    name_players(conn, 2, NAMED[2])
    found = listed_players.read_players_of_fixtures(conn, [7])
    assert found.schema == pl.Schema(NAMED_PLAYERS)
    assert sorted(found.rows()) == [
        (7, "betpawa", "30330150", "Erling Braut Haaland"),
        (7, "betpawa", "30394688", "Martin Odegaard"),
        (7, "sportybet", HAALAND, "Erling Haaland"),
        (7, "sportybet", HAALAND, "Haaland, Erling"),
    ]


def test_links_that_stay_are_not_written_again_and_go_with_their_fixture(conn: psycopg.Connection) -> None:
    kept: Link = (7, "betpawa", "1", 5, "same_name", "proposed")
    link(conn, kept, (7, "betpawa", "2", None, None, "none"), (8, "betpawa", "1", 5, "same_name", "proposed"))
    before = rows(conn, "select ctid, * from core.player_links where external_player_id = '1' order by fixture_sr_id")
    link(conn, kept, (7, "betpawa", "3", None, None, "ambiguous"), fixtures=[7])
    assert (
        rows(conn, "select ctid, * from core.player_links where external_player_id = '1' order by fixture_sr_id")
        == before
    )
    assert rows(conn, "select external_player_id from core.player_links where fixture_sr_id = 7 order by 1") == [
        ("1",),
        ("3",),
    ]
    conn.execute("delete from core.fixtures where sr_id = 7")
    assert rows(conn, "select fixture_sr_id from core.player_links") == [(8,)]


def identities(conn: psycopg.Connection) -> dict[str, tuple[object, ...]]:
    query = "select external_player_id, sr_player_id, evidence, status, n_fixtures, proposed_sr_player_ids from palimpsest.player_identities"
    return {str(external): tuple(rest) for external, *rest in rows(conn, query)}


def test_fixtures_that_agree_count_and_those_that_do_not_are_a_conflict(conn: psycopg.Connection) -> None:
    name_players(
        conn,
        1,
        [("1", player, f"Name {player}", None) for player in "abcdef"] + [("s7", "sr:player:5", "Name a", None)],
    )
    link(
        conn,
        *[(fixture, "sportybet", "sr:player:5", 5, "sportradar_id", "proposed") for fixture in (7, 8)],
        (7, "betpawa", "a", 5, "name_contained", "proposed"),
        (8, "betpawa", "a", 5, "same_name", "proposed"),
        (7, "betpawa", "b", 6, "same_name", "proposed"),
        (8, "betpawa", "b", 16, "same_name", "proposed"),
        (7, "betpawa", "c", 7, "same_name", "proposed"),
        (8, "betpawa", "d", 7, "same_name", "proposed"),
        (7, "betpawa", "e", None, None, "ambiguous"),
        (8, "betpawa", "e", None, None, "none"),
    )
    assert identities(conn) == {
        "sr:player:5": (5, "sportradar_id", "proposed", 2, [5]),
        "a": (5, "same_name", "proposed", 2, [5]),
        "b": (None, "same_name", "conflict", 2, [6, 16]),
        "c": (None, "same_name", "conflict", 1, [7]),
        "d": (None, "same_name", "conflict", 1, [7]),
        "e": (None, None, "ambiguous", 0, None),
        "f": (None, None, "none", 0, None),
    }


def test_a_player_is_shown_by_one_name_with_all_spellings_beside_it(conn: psycopg.Connection) -> None:
    name_players(conn, 1, NAMED[1])
    name_players(conn, 2, [("s8", HAALAND, "Haaland, Erling", None)])
    query = (
        "select platform, name, names, team, first_seen_at <= last_seen_at from palimpsest.player_identities order by 1"
    )
    assert rows(conn, query) == [
        ("betpawa", "Erling Braut Haaland", ["Erling Braut Haaland"], None, True),
        ("sportybet", "Erling Haaland", ["Erling Haaland", "Haaland, Erling"], "Norway", True),
    ]
