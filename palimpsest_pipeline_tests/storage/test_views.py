"""The analysts' views: the names and columns they know, and what the rows say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.enums import SuspectCode
from palimpsest_pipeline.storage.odds import market_lines
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.fixtures.snapshots import Snapshot

from .listing_worlds import KICKOFF, cycle, listing, write
from .table_rows import insert, rows

COLUMNS_FILE = Path(__file__).parent / "view_columns.txt"
MORNING = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection:
    """Three platforms: fixture 7 on all, 8 on bet9ja only, one listing at home that nothing identifies."""
    rows = [
        listing("1", sr_id=7),
        listing("2"),
        listing("s1", "sportybet", sr_id=7, sr_tournament_id=17),
        listing("b1", "bet9ja", sr_id=7),
        listing("b2", "bet9ja", sr_id=7),
        listing("b3", "bet9ja", sr_id=8),
        listing("b4", "bet9ja", sr_id=9, kind="simulated"),
    ]
    manifests = [(platform, tournament, "complete") for platform in PLATFORMS for tournament in ("*", "t1")]
    write(conn, cycle(0), rows, manifests)
    conn.execute(
        "update core.event_listings set fixture_sr_id = sr_id, is_primary = external_id in ('1', 's1', 'b1', 'b3') where kind = 'match'"
    )
    for table in ("captures", "market_changes"):
        for day in (1, 2):
            span = f"for values from ('2026-05-0{day}Z') to ('2026-05-0{day + 1}Z')"
            conn.execute(f"create table core.{table}_2026050{day} partition of core.{table} {span}".encode())
    return conn


def listing_id(conn: psycopg.Connection, external_id: str) -> int:
    found = conn.execute("select listing_id from ops.listing_ids where external_id = %s", [external_id]).fetchone()
    assert found is not None
    return int(found[0])


def line_id(conn: psycopg.Connection, market: int, specifier: str, outcome: str) -> int:
    key = pl.DataFrame({"market_id": [market], "specifier": [specifier], "outcome": [outcome]})
    return int(market_lines.number_lines(conn, key).item())


def capture(
    conn: psycopg.Connection, external_id: str, at: datetime, *changes: tuple[int, str, str, str, int, list[int | None]]
) -> None:
    """One answer and the rows it writes: (market, specifier, outcome, state, off_mask, odds_milli)."""
    listed = listing_id(conn, external_id)
    key = {"listing_id": listed, "observed_at": at}
    insert(conn, "core.captures", {**key, "cycle_id": cycle(0).cycle_id})
    for market, specifier, outcome, state, off_mask, odds in changes:
        facts = {"state": state, "off_mask": off_mask or None, "odds_milli": odds}
        insert(conn, "core.market_changes", {**key, "line_id": line_id(conn, market, specifier, outcome), **facts})


def test_the_views_have_exactly_the_columns_that_analysts_know(conn: psycopg.Connection, snapshot: Snapshot) -> None:
    query = """
        select table_name, string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns
        where table_schema = 'palimpsest' group by 1 order by table_name collate "C"
    """
    snapshot(COLUMNS_FILE, "".join(f"{view}: {columns}\n" for view, columns in conn.execute(query)))


def test_events_are_home_s_and_a_competitor_s_event_knows_its_home_event_or_null(conn: psycopg.Connection) -> None:
    home, away = rows(conn, "select home_team, away_team from palimpsest.events where id = %s", listing_id(conn, "1"))[
        0
    ]
    assert (home, away) == ("Arsenal", 'Ñublense\'s "B"')
    assert rows(conn, "select id, sportradar_id, kickoff from palimpsest.events order by sportradar_id") == [
        (listing_id(conn, "1"), 7, KICKOFF),
        (listing_id(conn, "2"), None, KICKOFF),
    ]
    linked = rows(conn, "select source, external_id, betpawa_event_id from palimpsest.competitor_events order by 2")
    first = listing_id(conn, "1")
    assert linked == [
        ("bet9ja", "b1", first),
        ("bet9ja", "b2", first),
        ("bet9ja", "b3", None),
        ("sportybet", "s1", first),
    ]


def test_tournaments_join_their_events(conn: psycopg.Connection) -> None:
    query = "select count(*) from palimpsest.{0} e join palimpsest.{1} t on t.id = e.tournament_id"
    assert rows(conn, query.format("events", "tournaments")) == [(2,)]
    assert rows(conn, query.format("competitor_events", "competitor_tournaments") + " and t.source = e.source") == [
        (4,)
    ]


def test_each_bookmaker_lists_an_event_once(conn: psycopg.Connection) -> None:
    assert rows(
        conn,
        "select bookmaker, external_event_id from palimpsest.event_bookmakers where event_id = %s order by 1",
        listing_id(conn, "1"),
    ) == [
        ("bet9ja", "b1"),
        ("betpawa", "1"),
        ("sportybet", "s1"),
    ]
    assert (
        rows(conn, "select event_id, bookmaker from palimpsest.event_bookmakers group by 1, 2 having count(*) > 1")
        == []
    )


def test_another_home_platform_turns_the_views_round(conn: psycopg.Connection) -> None:
    later = cycle(30, home=SPORTYBET)
    write(conn, later, [])
    assert rows(conn, "select id from palimpsest.events") == [(listing_id(conn, "s1"),)]
    assert rows(
        conn,
        "select source from palimpsest.competitor_events where betpawa_event_id is not null and source = 'betpawa'",
    ) == [("betpawa",)]


def test_the_market_set_in_force_is_the_last_row_of_each_market_on_the_day(conn: psycopg.Connection) -> None:
    conn.execute(
        """
        insert into core.markets (market_id, market_key, sport, period, family, name, line_kind, fair_sum, betpawa_market_id)
        values
            (1, 'result', 'football', 'ft', 'result', '1X2 - FT', 'none', '1', '3743'),
            (2, 'ah', 'football', 'ft', 'handicap', 'Asian', 'handicap', '1', null),
            (3, 'scorer', 'football', 'ft', 'players', 'Scorer', 'player', null, null)
        """
    )
    conn.execute(
        "insert into core.market_outcomes values (1, 1, '1', '1'), (1, 2, 'X', 'X'), (1, 3, '2', '2'), (2, 1, '1', '1'), (2, 2, '2', '2')"
    )
    capture(conn, "1", MORNING - timedelta(days=1) + timedelta(hours=40), (1, "", "", "offered", 0, [9000, 9000, 9000]))
    first = (
        (1, "", "", "offered", 4, [2100, None, 3050]),
        (2, "hcp=-0.5", "", "offered", 0, [1900, 1900]),
        (2, "hcp=1", "", "suspended", 0, [1500, 2500]),
    )
    capture(
        conn, "1", MORNING, *first, (3, "", "30394688", "offered", 0, [5500]), (3, "", "Saka", "offered", 0, [4000])
    )
    capture(
        conn,
        "1",
        MORNING + timedelta(minutes=5),
        (2, "hcp=-0.5", "", "withdrawn", 0, [None, None]),
        (3, "", "Saka", "offered", 0, [4100]),
    )
    capture(conn, "1", MORNING + timedelta(minutes=9), (2, "hcp=-0.5", "", "offered", 0, [1950, 1850]))
    for name in ("Ødegaard, Martin", "Martin Ødegaard"):
        conn.execute("insert into core.player_lists values (%s, '30394688', %s, '', 1)", [listing_id(conn, "1"), name])
    query = """
        select m.betpawa_market_name, m.betpawa_market_id, m.line, m.handicap_type, m.handicap_home, m.handicap_away, m.outcomes
        from palimpsest.odds_snapshots s join palimpsest.market_odds m on m.snapshot_id = s.id
        where s.captured_at = %s order by 1, 3
    """
    result = [
        {"name": "1", "odds": 2.1, "is_active": True},
        {"name": "X", "odds": None, "is_active": False},
        {"name": "2", "odds": 3.05, "is_active": False},
    ]
    whole = [{"name": "1", "odds": 1.5, "is_active": False}, {"name": "2", "odds": 2.5, "is_active": False}]
    assert rows(conn, query, MORNING + timedelta(minutes=5)) == [
        ("1X2 - FT", "3743", None, None, None, None, result),
        ("Asian", None, Decimal(1), "handicap", Decimal(1), Decimal(-1), whole),
        (
            "Scorer", None, None, "player", None, None,
            [{"name": "Martin Ødegaard", "odds": 5.5, "is_active": True}, {"name": "Saka", "odds": 4.1, "is_active": True}],
        ),
    ]  # fmt: skip
    assert [row[2] for row in rows(conn, query, MORNING + timedelta(minutes=9))] == [
        None,
        Decimal("-0.5"),
        Decimal(1),
        None,
    ]
    assert rows(conn, "select count(*), count(distinct id) from palimpsest.market_odds") == [(12, 12)]


def test_one_snapshot_is_found_by_its_id_without_reading_the_others(conn: psycopg.Connection) -> None:
    capture(conn, "1", MORNING, (1, "", "", "offered", 0, [2100]))
    snapshot = rows(conn, "select id from palimpsest.odds_snapshots")[0][0]
    conn.execute("set local enable_seqscan = off")
    plan = "\n".join(
        str(line)
        for (line,) in conn.execute(
            f"explain select * from palimpsest.market_odds where snapshot_id = {snapshot}".encode()
        )
    )
    assert "snapshot_id_idx" in plan
    assert "market_changes_20260501_listing_id_observed_at_idx" in plan
    assert len(rows(conn, "select * from palimpsest.market_odds where snapshot_id = %s", snapshot)) == 1


def test_the_line_is_read_from_the_specifier(conn: psycopg.Connection) -> None:
    lines = {
        "total=2.5": "2.5",
        "hcp=-1": "-1",
        "goalnr=3": "3",
        "minute=10|total=0.5": "0.5",
        "setnr=1|total=22.5": "22.5",
        "": None,
        "score=1:0": None,
    }
    for specifier, line in lines.items():
        assert rows(conn, "select core.specifier_line(%s)", specifier) == [(None if line is None else Decimal(line),)]


def test_matched_events_are_those_that_home_and_a_competitor_list(conn: psycopg.Connection) -> None:
    for sr_id in (7, 8):
        conn.execute(
            """
            insert into core.fixtures values (%s, 'football', 'sr:17', null, 'PL', 'A', 'B', 'betpawa', %s, 0, '{bet9ja}', 1, '{}', false, null)
            """,
            [sr_id, KICKOFF],
        )
    query = "select sr_id, platforms, n_platforms, external_ids from palimpsest.matched_events"
    assert rows(conn, query) == [
        (7, ["betpawa", "sportybet", "bet9ja"], 3, {"betpawa": "1", "sportybet": "s1", "bet9ja": "b1"})
    ]
    conn.execute("update core.event_listings set deleted_at = now() where external_id = '1'")
    assert rows(conn, query) == []


def test_views_say_what_each_code_of_a_suspect_means(conn: psycopg.Connection) -> None:
    query = """
        select c.relname::text, col_description(c.oid, a.attnum) from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'palimpsest'::regnamespace and a.attname = 'suspect_code'
    """
    said = rows(conn, query)
    assert len(said) >= 3
    for view, about in said:
        assert [code for code in SuspectCode if f"{code}: " not in str(about)] == [], view


def test_coverage_is_that_of_the_latest_full_cycle_and_what_home_lacks_has_a_negative_id(
    conn: psycopg.Connection,
) -> None:
    latest = cycle(0)
    for cycle_id in (1, latest.cycle_id):
        for sr_id, kind, platforms in ((7, "matched", ["betpawa", "bet9ja"]), (8, "competitor_only", ["bet9ja"])):
            row = {"cycle_id": cycle_id, "sr_id": sr_id, "as_of": latest.as_of, "effective_kickoff": KICKOFF}
            insert(conn, "mart.coverage_fixture", {**row, "platforms": platforms, "fixture_class": kind})
        for platform, started in (("all", False), ("all", True), ("bet9ja", False)):
            row = {"cycle_id": cycle_id, "platform": platform, "include_started": started, "as_of": latest.as_of}
            counts = {"n_fixtures": 2, "n_matched_fixtures": 1, "n_union": 4, "n_competitor_only": 1}
            rates = {"fixture_match_rate": 0.5, "overall_match_rate": 0.25}
            insert(conn, "mart.match_rate_platform", {**row, **counts, **rates})
    assert rows(conn, "select id, availability, cycle_id from palimpsest.coverage_events order by id") == [
        (-8, "competitor_only", latest.cycle_id),
        (7, "matched", latest.cycle_id),
    ]
    statistics = rows(
        conn,
        "select platform, total, matched, competitor_only, match_rate from palimpsest.coverage_statistics order by 1",
    )
    assert statistics == [("all", 4, 1, 1, Decimal("0.25")), ("bet9ja", 2, 1, 1, Decimal("0.5"))]


def test_mapping_coverage_of_a_platform_is_that_of_its_families_together(conn: psycopg.Connection) -> None:
    for family, seen, mapped in (("result", 30, 30), ("total", 60, 50), ("unknown", 10, 0)):
        row = {"cycle_id": 1, "platform": "bet9ja", "sport": "football", "family": family, "as_of": cycle(0).as_of}
        counts = {"n_markets_seen": seen, "n_mapped": mapped, "n_unknown_market": seen - mapped}
        insert(conn, "mart.mapping_coverage", {**row, **counts})
    query = "select platform, n_markets_seen, n_mapped, mapped_rate, n_unknown_market from palimpsest.mapping_coverage"
    assert rows(conn, query) == [("bet9ja", 100, 80, Decimal("0.8"), 20)]


@pytest.mark.parametrize("view", ["odds_snapshots", "competitor_odds_snapshots"])
def test_the_snapshots_of_an_event_are_found_by_index(conn: psycopg.Connection, view: str) -> None:
    conn.execute("set local enable_seqscan = off")
    plan = "\n".join(
        line for (line,) in conn.execute(f"explain select * from palimpsest.{view} where event_id = 7::bigint")
    )
    assert "Index Cond: (listing_id = '7'::bigint)" in plan


def test_keys_have_one_name_in_every_view(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        "select table_name, array_agg(column_name::text) from information_schema.columns where table_schema = 'palimpsest' group by 1"
    )
    views = {view: set(columns) for view, columns in rows.fetchall()}
    for other, key in (
        ("sportradar_id", "sr_id"),
        ("effective_kickoff", "kickoff"),
        ("kickoff_at", "kickoff"),
        ("tournament_name", "tournament"),
    ):
        assert [view for view, columns in views.items() if other in columns and key not in columns] == []
    of_tournaments, under_keys_alone = (
        {"tournaments", "competitor_tournaments", "event_scrape_status"},
        {"compared_prices", "compared_fair_prices", "compared_gaps", "best_price_platforms"},
    )
    of_fixtures = {view for view, columns in views.items() if "sr_id" in columns} - of_tournaments - under_keys_alone
    assert {"events", "coverage_events", "price_changes", "open_close", "lead_time"} < of_fixtures
    assert {view for view in of_fixtures if not {"kickoff", "tournament"} <= views[view]} == set()


def test_events_are_found_by_the_keys_of_all_other_views(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        "select sr_id, sportradar_id, kickoff, tournament from palimpsest.events where sr_id = 7"
    ).fetchall()
    (name,) = conn.execute(
        "select distinct t.tournament from palimpsest.tournaments t join palimpsest.events e on e.tournament_id = t.id"
    ).fetchone()
    assert rows == [(7, 7, KICKOFF, name)]
