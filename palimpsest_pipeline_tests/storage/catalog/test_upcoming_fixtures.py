"""Who kicks off when, and since when that was known."""

from datetime import UTC, datetime, timedelta

import psycopg

from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import requested_slots
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs

NOON = datetime(2026, 6, 26, 12, tzinfo=UTC)
REACH = timedelta(hours=2)
KNOWN = "select sr_id, known_from, kickoff_at from ops.known_kickoffs order by sr_id, known_from"


def m(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_the_next_kickoff_comes_with_those_in_reach(conn: psycopg.Connection) -> None:
    put_kickoffs(conn, NOON, {1: m(200), 2: m(30), 3: m(120), 4: m(0), 5: m(300), 6: m(20)})
    put_kickoffs(conn, NOON, {6: None})
    assert upcoming_fixtures.read_kickoffs(conn, NOON, NOON + REACH) == [(2, m(30)), (3, m(120))]
    assert upcoming_fixtures.read_kickoffs_and_next(conn, NOON, NOON + REACH) == ([(2, m(30)), (3, m(120))], m(200))
    assert upcoming_fixtures.read_kickoffs_and_next(conn, m(130), m(150)) == ([], m(200))
    assert upcoming_fixtures.read_kickoffs_and_next(conn, m(250), m(400)) == ([(5, m(300))], None)
    assert upcoming_fixtures.read_kickoffs_and_next(conn, m(300), m(400)) == ([], None)


def test_only_what_changes_is_remembered_and_the_past_stays(conn: psycopg.Connection) -> None:
    put_kickoffs(conn, m(0), {1: m(60), 2: m(60), 3: m(-5)})
    assert upcoming_fixtures.record_kickoffs(conn, m(1)) == 0
    put_kickoffs(conn, m(2), {1: m(90)})
    put_kickoffs(conn, m(3), {2: None})
    put_kickoffs(conn, m(4), {2: None})
    put_kickoffs(conn, m(5), {2: m(60)})
    assert conn.execute(KNOWN).fetchall() == [
        (1, m(0), m(60)),
        (1, m(2), m(90)),
        (2, m(0), m(60)),
        (2, m(3), None),
        (2, m(5), m(60)),
    ]
    assert upcoming_fixtures.record_kickoffs(conn, m(100)) == 0, "a kickoff that passes is no change"
    put_kickoffs(conn, m(101), {1: m(80)})
    assert conn.execute(KNOWN).fetchall()[-1] == (2, m(5), m(60)), "nor is what is said of one that has passed"
    put_kickoffs(conn, m(102), {1: m(500)})
    assert (1, m(102), m(500)) in conn.execute(KNOWN).fetchall()


def test_a_kickoff_moved_into_the_past_is_no_longer_to_come(conn: psycopg.Connection) -> None:
    put_kickoffs(conn, m(0), {1: m(60)})
    put_kickoffs(conn, m(10), {1: m(5)})
    assert conn.execute(KNOWN).fetchall() == [(1, m(0), m(60)), (1, m(10), None)]


def test_rows_that_vanish_from_core_and_come_back_do_not_change_what_was_known_before(conn: psycopg.Connection) -> None:
    put_kickoffs(conn, m(0), {1: m(60)})
    conn.execute("delete from core.fixtures")
    upcoming_fixtures.record_kickoffs(conn, m(10))
    put_kickoffs(conn, m(20), {1: m(60)})
    known = requested_slots.read_known_kickoffs(conn, m(0), m(60), REACH).sort("known_from")
    assert known.rows() == [(1, m(0), m(10), m(60)), (1, m(20), None, m(60))]


def test_what_was_known_is_read_for_the_time_asked_for(conn: psycopg.Connection) -> None:
    put_kickoffs(conn, m(0), {1: m(60), 2: m(600)})
    put_kickoffs(conn, m(10), {1: m(70)})
    assert requested_slots.read_known_kickoffs(conn, m(0), m(10), REACH).rows() == [(1, m(0), m(10), m(60))]
    assert requested_slots.read_known_kickoffs(conn, m(10), m(20), REACH).rows() == [(1, m(10), None, m(70))]
    assert requested_slots.read_known_kickoffs(conn, m(70), m(90), REACH).is_empty()


def test_what_is_long_over_is_forgotten(conn: psycopg.Connection) -> None:
    put_kickoffs(conn, m(0), {1: m(60), 2: m(60), 3: m(70), 4: m(9000)})
    put_kickoffs(conn, m(10), {1: m(90), 3: None})
    put_kickoffs(conn, m(85), {2: m(9000)})
    assert upcoming_fixtures.delete_old_kickoffs(conn, m(80)) == 2
    assert {sr_id for sr_id, *_ in conn.execute(KNOWN).fetchall()} == {1, 2, 4}


def test_the_query_of_a_tick_goes_by_the_index_on_kickoffs(conn: psycopg.Connection) -> None:
    put_kickoffs(
        conn,
        NOON,
        {sr_id: m(1 + sr_id % 115) for sr_id in range(1, 5001)} | {sr_id: m(-sr_id) for sr_id in range(5001, 25001)},
    )
    conn.execute("analyze core.fixtures")
    conn.execute("analyze core.event_listings")
    asked = {"after": NOON, "until": NOON + REACH}
    plan = "\n".join(
        line
        for (line,) in conn.execute(f"explain {upcoming_fixtures.KICKOFFS_AND_NEXT_SQL}".encode(), asked).fetchall()
    )
    assert plan.count("ix_fixtures_effective_kickoff") >= 2, plan
    assert "Seq Scan on fixtures" not in plan, plan
    assert len(upcoming_fixtures.read_kickoffs(conn, NOON, NOON + REACH)) == 5000
