"""Numbers of markets on a line: given once, the same for everybody, and never taken back."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.db.locks import open_snapshot
from palimpsest_pipeline.storage.db.reference_rows import ReferenceRows, write_reference_rows
from palimpsest_pipeline.storage.odds import market_lines

from ..table_rows import insert

WAITING = """
select from pg_locks where not granted and relation = 'ops.market_lines'::regclass
    and database = (select oid from pg_database where datname = current_database())
"""
HARD = 'O\'Neil, "Al" {x} \\ NULL, é'


def keys(*rows: tuple[int, str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=market_lines.LINE_KEY_SCHEMA, orient="row")


ASKED = keys((2, "total=2.5", ""), (1, "", ""), (2, "total=2.5", ""), (3, "", HARD), (3, "", ""))


def test_a_number_is_given_once_and_names_come_back_in_the_order_of_the_rows(history_conn: psycopg.Connection) -> None:
    asked = ASKED.with_columns(price=pl.Series([1, 2, 3, 4, 5]))
    first = market_lines.number_lines(history_conn, asked)
    assert first.columns == ["price", "line_id"]
    assert first.schema["line_id"] == pl.Int32
    assert first["price"].to_list() == [1, 2, 3, 4, 5]
    assert first["line_id"][0] == first["line_id"][2]
    assert first["line_id"].n_unique() == 4
    assert market_lines.number_lines(history_conn, asked).equals(first)
    assert market_lines.name_lines(history_conn, first).equals(asked.select("price", *market_lines.LINE_KEY_SCHEMA))


def test_numbers_stay_when_the_transaction_that_asked_for_them_fails(history_conn: psycopg.Connection) -> None:
    given = market_lines.number_lines(history_conn, ASKED)
    history_conn.rollback()
    assert market_lines.number_lines(history_conn, ASKED).equals(given)


def test_who_sees_the_database_as_it_was_gets_numbers_that_are_given_since(migrated_database_url: str) -> None:
    with Database(migrated_database_url).connect(autocommit=True) as conn, open_snapshot(conn):
        conn.execute("select from ops.market_lines")
        given = market_lines.number_lines(conn, ASKED)
    assert given["line_id"].null_count() == 0
    assert given["line_id"].n_unique() == 4


def test_nothing_asked_is_nothing_given(history_conn: psycopg.Connection) -> None:
    assert market_lines.name_lines(history_conn, market_lines.number_lines(history_conn, ASKED.clear())).is_empty()


def test_a_number_that_was_never_given_is_refused(history_conn: psycopg.Connection) -> None:
    with pytest.raises(LookupError, match="no market line 77"):
        market_lines.name_lines(history_conn, pl.DataFrame({"line_id": [77]}, schema={"line_id": pl.Int32}))


def test_long_transactions_that_need_each_others_new_lines_do_not_wait_for_each_other(
    history_conn: psycopg.Connection, migrated_database_url: str
) -> None:
    one, other = keys((7, "", "")), keys((8, "", ""))
    both_asked = threading.Barrier(2, timeout=30)

    def session(first: pl.DataFrame, second: pl.DataFrame) -> list[int]:
        with Database(migrated_database_url).connect() as conn:
            conn.execute("set lock_timeout = '5s'")
            numbers = market_lines.number_lines(conn, first)
            both_asked.wait()
            return pl.concat([numbers, market_lines.number_lines(conn, second)])["line_id"].to_list()

    with ThreadPoolExecutor(2) as pool:
        there, back = pool.submit(session, one, other), pool.submit(session, other, one)
        assert there.result() == back.result()[::-1]


@pytest.fixture
def vocabulary(migrated_database_url: str) -> None:
    """Market 1 has three outcomes. Market 3 has one listed outcome and open outcomes. There is no market 2."""
    with Database(migrated_database_url).connect() as conn:
        for market_id, key, k, outcomes in ((1, "match_result", "1", "1x2"), (3, "first_scorer", None, ("none",))):
            insert(
                conn, "core.markets", {"market_id": market_id, "market_key": key, "name": key.upper(), "fair_sum": k}
            )
            rows = [
                {"market_id": market_id, "ordinal": n, "outcome_key": o, "name": o.upper()}
                for n, o in enumerate(outcomes, 1)
            ]
            insert(conn, "core.market_outcomes", *rows)


def read_markets(conn: psycopg.Connection) -> pl.DataFrame:
    return read_frame(conn, "select * from core.markets order by market_id")


def read_names(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    query = "select market, specifier, winners_k, outcome_keys, outcomes, outcome_orders from ops.line_names order by line_id"
    return conn.execute(query.encode()).fetchall()


@pytest.mark.usefixtures("vocabulary")
def test_a_new_line_gets_the_names_of_its_market_and_outcomes(history_conn: psycopg.Connection) -> None:
    market_lines.number_lines(history_conn, keys((1, "", ""), (2, "total=2.5", ""), (3, "", "none"), (3, "", "Salah")))
    assert read_names(history_conn) == [
        ("MATCH_RESULT", "", 1, ["1", "x", "2"], ["1", "X", "2"], [1, 2, 3]),
        ("FIRST_SCORER", "", None, [], [], []),
        ("FIRST_SCORER", "", None, ["none"], ["NONE"], [1]),
    ]


@pytest.mark.usefixtures("vocabulary")
def test_the_names_of_lines_follow_the_vocabulary(history_conn: psycopg.Connection) -> None:
    market_lines.number_lines(history_conn, keys((1, "", ""), (3, "", "Salah"), (3, "", "none")))
    new = {"market_id": [3, 3], "ordinal": [1, 2], "outcome_key": ["none", "Salah"], "name": ["No goal", "M. Salah"]}
    write_reference_rows(history_conn, ReferenceRows(outcomes=pl.DataFrame(new)))
    assert read_names(history_conn) == [
        ("MATCH_RESULT", "", 1, ["1", "x", "2"], ["1", "X", "2"], [1, 2, 3]),
        ("FIRST_SCORER", "", None, ["Salah"], ["M. Salah"], [2]),
        ("FIRST_SCORER", "", None, ["none"], ["No goal"], [1]),
    ]
    renamed = read_markets(history_conn).with_columns(name=pl.lit("1X2"), fair_sum=pl.lit("overlap(x)"))
    write_reference_rows(history_conn, ReferenceRows(markets=renamed.filter(pl.col("market_id") == 1)))
    assert read_names(history_conn)[0] == ("1X2", "", None, ["1", "x", "2"], ["1", "X", "2"], [1, 2, 3])


@pytest.mark.usefixtures("vocabulary")
def test_a_line_gets_names_when_its_market_comes_into_the_vocabulary(history_conn: psycopg.Connection) -> None:
    market_lines.number_lines(history_conn, keys((2, "total=2.5", "")))
    assert read_names(history_conn) == []
    new = {"market_id": 2, "market_key": "total_goals", "name": "Total goals", "fair_sum": "1"}
    markets = read_markets(history_conn).head(1).with_columns(**{name: pl.lit(value) for name, value in new.items()})
    write_reference_rows(history_conn, ReferenceRows(markets=markets.cast({"market_id": pl.Int16})))
    assert read_names(history_conn) == [("Total goals", "total=2.5", 1, [], [], [])]


@pytest.mark.usefixtures("vocabulary")
def test_an_unchanged_vocabulary_waits_for_nobody_who_creates_lines(
    history_conn: psycopg.Connection, migrated_database_url: str
) -> None:
    with Database(migrated_database_url).connect() as other:
        other.execute("insert into ops.market_lines (market_id, specifier, outcome) values (1, '', '')")
        history_conn.execute("set lock_timeout = '1s'")
        unchanged = ReferenceRows(markets=read_markets(history_conn))
        assert write_reference_rows(history_conn, unchanged) == {"markets": 0}
        other.rollback()


@pytest.mark.usefixtures("vocabulary")
def test_a_line_that_is_created_while_the_vocabulary_changes_gets_the_new_names(
    history_conn: psycopg.Connection, migrated_database_url: str
) -> None:
    new = pl.DataFrame({"market_id": [1], "ordinal": [1], "outcome_key": ["1"], "name": ["Home"]})
    write_reference_rows(history_conn, ReferenceRows(outcomes=new))
    with ThreadPoolExecutor(1) as pool, Database(migrated_database_url).connect() as other:
        numbered = pool.submit(market_lines.number_lines, other, keys((1, "", "")))
        with Database(migrated_database_url).connect(autocommit=True) as watcher:
            while not watcher.execute(WAITING).rowcount and not numbered.done():
                wait([numbered], timeout=0.01)
        history_conn.commit()
        assert numbered.result().height == 1
    assert read_names(history_conn) == [("MATCH_RESULT", "", 1, ["1", "x", "2"], ["Home", "X", "2"], [1, 2, 3])]
