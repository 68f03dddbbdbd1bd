"""What cycles that run at the same time tell each other of a host: the strictest order stands until its own end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.ledger import host_state
from palimpsest_pipeline.storage.ledger.host_state import Trouble

NOW = datetime(2026, 6, 26, 19, 5, tzinfo=UTC)
HOST, FIRST, SECOND = "www.sportybet.com", 1, 2


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    with Database(migrated_database_url).connect() as connection:
        yield connection


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_short_pause_of_one_cycle_leaves_the_long_one_that_another_was_told(conn: psycopg.Connection) -> None:
    host_state.block_host(conn, HOST, FIRST, "asked to wait 900 s", NOW, 900)
    host_state.block_host(conn, HOST, SECOND, "no answer for 2 s", at(10), 2)
    assert host_state.read_troubles(conn, [HOST], at(10)) == {HOST: Trouble("asked to wait 900 s", 890.0, FIRST)}
    host_state.clear_host(conn, HOST, SECOND, at(20))
    assert host_state.read_troubles(conn, [HOST], at(20)) == {HOST: Trouble("asked to wait 900 s", 880.0, FIRST)}
    host_state.clear_host(conn, HOST, FIRST, at(30))
    assert host_state.read_troubles(conn, [HOST], at(30)) == {}


def test_a_longer_pause_of_another_cycle_takes_the_first_order_with_it_neither_when_it_ends(
    conn: psycopg.Connection,
) -> None:
    host_state.block_host(conn, HOST, FIRST, "asked to wait 900 s", NOW, 900)
    host_state.block_host(conn, HOST, SECOND, "blocked 5 times in a row", at(1), 1800)
    assert host_state.read_troubles(conn, [HOST], at(1)) == {HOST: Trouble("blocked 5 times in a row", 1800.0, SECOND)}
    host_state.clear_host(conn, HOST, SECOND, at(2))
    assert host_state.read_troubles(conn, [HOST], at(2)) == {HOST: Trouble("asked to wait 900 s", 898.0, FIRST)}


def test_an_order_whose_time_has_passed_is_cleared_by_whoever_finds_the_host_well(conn: psycopg.Connection) -> None:
    host_state.block_host(conn, HOST, FIRST, "asked to wait 5 s", NOW, 5)
    assert host_state.read_troubles(conn, [HOST], at(6)) == {HOST: Trouble("asked to wait 5 s", 0.0, FIRST)}
    host_state.clear_host(conn, HOST, SECOND, at(6))
    assert host_state.read_troubles(conn, [HOST], at(6)) == {}


def test_orders_that_nobody_tells_of_any_more_are_forgotten(conn: psycopg.Connection) -> None:
    host_state.block_host(conn, HOST, FIRST, "asked to wait 5 s", NOW, 5)
    host_state.block_host(conn, "www.betpawa.ng", SECOND, "blocked", at(5 + host_state.TROUBLE_MEMORY_S), 60)
    assert conn.execute("select host from ops.host_state").fetchall() == [("www.betpawa.ng",)]
