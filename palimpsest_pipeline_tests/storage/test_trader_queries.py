"""The example queries for traders over intervals and moves: what they make of rows that are written by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest

from palimpsest_pipeline.storage.db.revisions import sql_dir
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

from .table_rows import insert

KICKOFF: Final = datetime(2096, 5, 1, 15, tzinfo=UTC)
"""What is to come must be so for the database's own clock, which views ask."""
MATCH_RESULT: Final = {"sr_id": 7, "market_key": "match_result", "specifier": ""}
Rows = list[tuple[Any, ...]]


def before_kickoff(minutes: float) -> datetime:
    return KICKOFF - timedelta(minutes=minutes)


def run(conn: psycopg.Connection, query: str, columns: str) -> Rows:
    """Return these columns of an example query, in its order."""
    text = (sql_dir() / "queries" / f"{query}.sql").read_text().rstrip().rstrip(";")
    return conn.execute(f"select {columns} from ({text}) answer".encode()).fetchall()


def add_interval(
    conn: psycopg.Connection, platform: str, state: str, start: float, end: float | None, **given: Any
) -> None:
    """A platform's match result was in a state between these minutes before kickoff; without an end it lasts."""
    row = {
        **MATCH_RESULT,
        "platform": platform,
        "state": state,
        "valid_from": before_kickoff(start),
        "valid_to": None if end is None else before_kickoff(end),
        "kickoff_date": date(2096, 5, 1),
        "as_of": before_kickoff(10),
    }
    insert(conn, "mart.availability_interval", row | given)


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection:
    insert(conn, "core.tournaments", {"tournament_key": "sr:17", "display_name": "Premier League"})
    insert(conn, "core.fixtures", {"sr_id": 7, "tournament_key": "sr:17", "effective_kickoff": KICKOFF})
    conn.execute(
        "create or replace function palimpsest.home_platform() returns text language sql as $$select 'betpawa'$$"
    )
    return conn


def test_minutes_suspended_only_with_us_count_each_minute_once(conn: psycopg.Connection):
    add_interval(conn, BETPAWA, "offered", 300, 100)
    add_interval(conn, BETPAWA, "suspended", 100, 70)
    add_interval(conn, BETPAWA, "offered", 70, 40)
    add_interval(conn, BETPAWA, "suspended", 40, None)  # lasts; nothing is known later than 10 minutes before kickoff
    add_interval(conn, SPORTYBET, "offered", 300, 90)
    add_interval(conn, SPORTYBET, "suspended", 90, None)
    add_interval(conn, BET9JA, "offered", 95, 80)  # 5 of its minutes are the other competitor's too
    add_interval(conn, BET9JA, "not_observed", 80, 20)
    add_interval(conn, BET9JA, "offered", 20, None)
    assert run(conn, "minutes_suspended_only_with_us", "minutes, n_times, last_until") == [
        (Decimal("30.0"), 2, before_kickoff(10))
    ]


def test_minutes_after_the_kickoff_do_not_count(conn: psycopg.Connection):
    add_interval(conn, BETPAWA, "suspended", 5, -50, as_of=before_kickoff(-60))
    add_interval(conn, BET9JA, "offered", 30, -50, as_of=before_kickoff(-60))
    assert run(conn, "minutes_suspended_only_with_us", "minutes, last_until") == [(Decimal("5.0"), KICKOFF)]


def test_nobody_was_suspended_with_us_alone(conn: psycopg.Connection):
    add_interval(conn, BETPAWA, "suspended", 60, 40)
    add_interval(conn, SPORTYBET, "suspended", 70, 30)
    add_interval(conn, BET9JA, "not_observed", 70, 30)
    assert run(conn, "minutes_suspended_only_with_us", "minutes") == []


@pytest.mark.parametrize(
    ("ours", "is_missed"),
    [
        (None, True),
        ({"peak_change_rel": -0.2}, False),
        ({"peak_change_rel": 0.2}, True),
        ({"peak_change_rel": -0.2, "outcome_key": "away"}, True),
        ({"peak_change_rel": -0.2, "peak_at": before_kickoff(200)}, True),
    ],
    ids=["we did not move", "we followed", "we moved the other way", "another outcome", "we moved long before"],
)
def test_a_move_that_we_followed_is_not_missed(conn: psycopg.Connection, ours: dict[str, Any] | None, is_missed: bool):
    move = {
        **MATCH_RESULT,
        "alert_type": "price_move",
        "status": "open",
        "outcome_key": "home",
        "baseline_at": before_kickoff(120),
        "peak_at": before_kickoff(60),
        "baseline_odds": Decimal("2.5"),
        "current_odds": Decimal("2.0"),
    }
    insert(conn, "mart.odds_alert", {**move, "alert_id": 1, "platform": SPORTYBET, "peak_change_rel": -0.2})
    if ours is not None:
        insert(conn, "mart.odds_alert", {**move, "alert_id": 2, "platform": BETPAWA, **ours})
    moves = run(conn, "moves_we_did_not_follow", "platform, baseline_odds, current_odds, peak_change_rel")
    expected = [(SPORTYBET, Decimal("2.500"), Decimal("2.000"), Decimal("-0.2000"))]
    assert moves == (expected if is_missed else [])
