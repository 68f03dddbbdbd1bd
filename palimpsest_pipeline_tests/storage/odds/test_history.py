"""What single answers do to the history: keyframes, repairs, withdrawals, readers, refusals."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import current_markets, history, partitions

from ..history_worlds import (
    CYCLE_ID,
    DAYS,
    INGESTED_AT,
    RESULT,
    SCORER,
    TOTAL,
    Book,
    Said,
    as_of,
    at,
    capture_frame,
    expected,
    offered,
    read_stored_history,
    row_frame,
    take_in,
)

BOOK: Book = {RESULT: offered(2100, 3400, 3000), TOTAL: offered(1800, 2000), SCORER: offered(5000)}


def changes_at(conn: psycopg.Connection, said: Said) -> dict[tuple[int, str, str], tuple[str, bool]]:
    """State and keyframe flag of each row that an answer has in the history."""
    rows = conn.execute(
        "select market_id, specifier, outcome, state::text, keyframe from core.market_changes join ops.market_lines using (line_id)"
        " where listing_id = %s and observed_at = %s",
        [said.listing_id, said.observed_at],
    ).fetchall()
    return {(market, specifier, outcome): (state, keyframe) for market, specifier, outcome, state, keyframe in rows}


def since(conn: psycopg.Connection, listing_id: int = 11) -> dict[tuple[int, str, str], tuple[str, object]]:
    """State of each market in the present state, and since when."""
    rows = conn.execute(
        "select market_id, specifier, outcome, state::text, changed_at from core.current_markets join ops.market_lines using (line_id)"
        " where listing_id = %s",
        [listing_id],
    ).fetchall()
    return {(market, specifier, outcome): (state, changed_at) for market, specifier, outcome, state, changed_at in rows}


def test_the_first_answer_of_a_day_writes_every_market_and_is_no_change(history_conn: psycopg.Connection) -> None:
    stats = take_in(history_conn, [Said(11, at(0, 9), BOOK)])
    assert stats == history.IngestStats(n_captures=1, n_keyframes=1, n_changed_markets=0, n_rows_written=3)
    assert all(keyframe for _, keyframe in changes_at(history_conn, Said(11, at(0, 9), BOOK)).values())


def test_a_later_answer_writes_only_the_markets_that_differ(history_conn: psycopg.Connection) -> None:
    second = Said(11, at(0, 10), {**BOOK, TOTAL: offered(1850, 1950)})
    take_in(history_conn, [Said(11, at(0, 9), BOOK)])
    stats = take_in(history_conn, [second])
    assert stats == history.IngestStats(n_captures=1, n_keyframes=0, n_changed_markets=1, n_rows_written=1)
    assert changes_at(history_conn, second) == {TOTAL: ("offered", False)}


def test_an_unchanged_answer_is_a_confirmation_without_rows(history_conn: psycopg.Connection) -> None:
    take_in(history_conn, [Said(11, at(0, 9), BOOK)])
    assert take_in(history_conn, [Said(11, at(0, 10), BOOK)]) == history.IngestStats(1, 0, 0, 0)
    assert {row[-2:] for row in as_of(history_conn, at(0, 11), [11])} == {(at(0, 9), at(0, 10))}


def test_a_late_answer_takes_its_rows_and_repairs_its_successor_and_nothing_else(
    history_conn: psycopg.Connection,
) -> None:
    first, second, third = (
        Said(11, at(0, 9), BOOK),
        Said(11, at(0, 10), {**BOOK, TOTAL: offered(1850, 1950)}),
        Said(11, at(0, 11), {**BOOK, TOTAL: offered(1850, 1950)}),
    )
    take_in(history_conn, [second, third])
    stats = take_in(history_conn, [first])
    assert stats == history.IngestStats(n_captures=1, n_keyframes=1, n_changed_markets=0, n_rows_written=4)
    assert changes_at(history_conn, second) == {TOTAL: ("offered", False)}
    assert read_stored_history(history_conn) == expected([first, second, third])


def test_replacing_an_answer_repairs_its_successor(history_conn: psycopg.Connection) -> None:
    draft, right, after = (
        Said(11, at(0, 10), BOOK),
        Said(11, at(0, 10), {RESULT: BOOK[RESULT]}),
        Said(11, at(0, 11), BOOK),
    )
    take_in(history_conn, [draft, after])
    take_in(history_conn, [right], mapping_version="2")
    assert read_stored_history(history_conn) == expected([right, after])
    assert since(history_conn)[TOTAL] == ("offered", at(0, 11))
    versions = history_conn.execute("select observed_at, mapping_version from core.captures order by 1").fetchall()
    assert versions == [(at(0, 10), "2"), (at(0, 11), "1")]


def test_a_repetition_writes_no_row_of_history(history_conn: psycopg.Connection) -> None:
    answers = [
        Said(11, at(0, 9), BOOK),
        Said(11, at(0, 10), {**BOOK, TOTAL: offered(1850, 1950)}),
        Said(12, at(1, 9), BOOK),
    ]
    first = take_in(history_conn, answers)
    again = take_in(history_conn, answers)
    assert first.n_rows_written == 7
    assert again == history.IngestStats(first.n_captures, first.n_keyframes, first.n_changed_markets, 0)


def test_suspended_and_back_are_two_changes(history_conn: psycopg.Connection) -> None:
    off = {RESULT: ("suspended", 7, BOOK[RESULT][2])}
    answers = [
        Said(11, at(0, 9), {RESULT: BOOK[RESULT]}),
        Said(11, at(0, 10), off),
        Said(11, at(0, 11), {RESULT: BOOK[RESULT]}),
    ]
    assert take_in(history_conn, answers).n_changed_markets == 2
    assert [changes_at(history_conn, said)[RESULT][0] for said in answers] == ["offered", "suspended", "offered"]
    assert since(history_conn)[RESULT] == ("offered", at(0, 11))


def test_lines_of_one_market_do_not_mix(history_conn: psycopg.Connection) -> None:
    low, high = (2, "total=2.5", ""), (2, "total=3.5", "")
    second = Said(11, at(0, 10), {low: offered(1800, 2000), high: offered(2600, 1500)})
    take_in(history_conn, [Said(11, at(0, 9), {low: offered(1800, 2000), high: offered(2500, 1500)}), second])
    assert changes_at(history_conn, second) == {high: ("offered", False)}


def test_no_answers_at_all_are_no_error(history_conn: psycopg.Connection) -> None:
    assert take_in(history_conn, []) == history.IngestStats(0, 0, 0, 0)


def test_the_stamp_of_history_is_the_answers_own_instant_and_not_the_writers_clock(
    history_conn: psycopg.Connection,
) -> None:
    take_in(history_conn, [Said(11, at(0, 9), BOOK)])
    assert history_conn.execute("select distinct observed_at from core.market_changes").fetchall() == [(at(0, 9),)]
    assert history_conn.execute("select observed_at, ingested_at from core.captures").fetchall() == [
        (at(0, 9), INGESTED_AT)
    ]


def test_the_answers_of_a_cycle_are_those_it_brought_of_the_platform(history_conn: psycopg.Connection) -> None:
    history_conn.execute(
        "insert into ops.listing_ids values (11, 'betpawa', '11'), (12, 'betpawa', '12'), (13, 'bet9ja', '13')"
    )
    take_in(history_conn, [Said(listing, at(0, 9), BOOK) for listing in (11, 12, 13)])
    take_in(history_conn, [Said(11, at(0, 10), BOOK)], cycle_id=CYCLE_ID + 1)
    assert sorted(history.read_answers_of_cycle(history_conn, CYCLE_ID, "betpawa").rows()) == [
        (11, at(0, 9)),
        (12, at(0, 9)),
    ]
    assert history.read_answers_of_cycle(history_conn, CYCLE_ID + 1, "betpawa").rows() == [(11, at(0, 10))]
    assert history.read_answers_of_cycle(history_conn, CYCLE_ID + 1, "bet9ja").is_empty()


def test_an_expired_day_takes_neither_the_present_state_nor_its_changed_at(history_conn: psycopg.Connection) -> None:
    gone_early = (4, "", "")
    take_in(
        history_conn,
        [Said(11, at(0, 8), {**BOOK, gone_early: offered(1500)}), Said(11, at(0, 9), BOOK), Said(11, at(1, 9), BOOK)],
    )
    before = since(history_conn)
    for table in ("captures", "market_changes"):
        history_conn.execute(f"drop table core.{table}_20260301".encode())
    assert current_markets.count_violations(history_conn) == 0
    take_in(history_conn, [Said(11, at(2, 9), BOOK)])
    assert since(history_conn) == before
    take_in(history_conn, [Said(11, at(1, 10), BOOK)])
    assert since(history_conn) == before
    assert current_markets.count_violations(history_conn) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "update core.current_markets set odds_milli = '{1}' where {line}",
        "update core.current_markets set changed_at = changed_at + interval '1 second' where {line}",
        "delete from core.current_markets where {line}",
        "delete from core.market_changes where {line}",
        "update core.market_changes set off_mask = 1 where {line}",
        "update core.current_markets set state = 'withdrawn' where {line}",
    ],
)
def test_the_check_counts_each_market_where_present_and_history_disagree(
    history_conn: psycopg.Connection, damage: str
) -> None:
    take_in(history_conn, [Said(11, at(0, 9), BOOK), Said(12, at(0, 9), {TOTAL: BOOK[TOTAL]})])
    assert current_markets.count_violations(history_conn) == 0
    history_conn.execute(
        damage.replace("{line}", "line_id = (select line_id from ops.market_lines where market_id = 1)").encode()
    )
    assert current_markets.count_violations(history_conn) == 1
    assert current_markets.count_violations(history_conn, [11]) == 1
    assert current_markets.count_violations(history_conn, [12]) == 0


@pytest.mark.parametrize(
    ("damage", "violations"),
    [
        ("update core.current_markets set odds_milli = '{1}' where {line}", 1),
        ("update core.current_markets set changed_at = changed_at + interval '1 second' where {line}", 1),
        ("delete from core.current_markets where {line}", 1),
        ("delete from core.market_changes where {line} and observed_at > '2026-03-01 09:30+00'", 1),
        ("update core.current_markets set state = 'withdrawn' where {line}", 1),
        ("update core.current_markets set odds_milli = '{1}' where {other}", 0),
    ],
)
def test_the_check_of_a_step_compares_what_its_cycles_wrote(
    history_conn: psycopg.Connection, damage: str, violations: int
) -> None:
    take_in(history_conn, [Said(11, at(0, 9), BOOK), Said(12, at(0, 9), BOOK)])
    take_in(history_conn, [Said(11, at(0, 10), {**BOOK, RESULT: offered(2200, 3400, 3000)})], cycle_id=CYCLE_ID + 1)
    assert current_markets.check_current_markets(history_conn, [CYCLE_ID + 1]) == current_markets.CurrentMarketsCheck(
        n_listings=1, n_markets=1, violations=0
    )
    assert current_markets.check_current_markets(history_conn, [CYCLE_ID]) == current_markets.CurrentMarketsCheck(
        n_listings=1, n_markets=3, violations=0
    )
    of_market = "listing_id = 11 and line_id = (select line_id from ops.market_lines where market_id = {})"
    history_conn.execute(damage.replace("{line}", of_market.format(1)).replace("{other}", of_market.format(3)).encode())
    assert current_markets.check_current_markets(history_conn, [CYCLE_ID + 1]).violations == violations
    assert current_markets.check_current_markets(history_conn, [CYCLE_ID]).violations == 0


def test_a_listing_whose_state_was_forgotten_while_its_days_are_stored_is_looked_up_in_them(
    history_conn: psycopg.Connection,
) -> None:
    first, second = Said(11, at(0, 9), BOOK), Said(11, at(0, 10), {**BOOK, TOTAL: offered(1850, 1950)})
    take_in(history_conn, [first])
    history_conn.execute("delete from core.current_markets where listing_id = 11")
    take_in(history_conn, [second])
    assert read_stored_history(history_conn) == expected([first, second])


def test_a_listing_that_is_forgotten_with_its_days_begins_anew(history_conn: psycopg.Connection) -> None:
    take_in(history_conn, [Said(11, at(0, 9), BOOK), Said(12, at(1, 9), BOOK)])
    for table in ("captures", "market_changes"):
        history_conn.execute(f"truncate core.{partitions.build_partition_name(table, DAYS[0])}")
    assert current_markets.drop_expired_listings(history_conn, [11, 12], at(1, 0)) == 1
    back = Said(11, at(2, 9), BOOK)
    take_in(history_conn, [back])
    assert read_stored_history(history_conn) == expected([Said(12, at(1, 9), BOOK), back])


def test_an_answer_of_a_day_without_partition_is_refused_by_name(history_conn: psycopg.Connection) -> None:
    far = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    with pytest.raises(
        partitions.MissingPartitionError, match=f"UTC day {far:%Y-%m-%d}.*core/history_partitions"
    ) as refused:
        take_in(history_conn, [Said(11, far, BOOK)])
    assert refused.value.days == (far.date(),)
    assert read_stored_history(history_conn) == expected([])


def test_concurrent_writers_of_one_platform_wait_for_each_other(
    history_conn: psycopg.Connection, migrated_database_url: str
) -> None:
    take_in(history_conn, [Said(11, at(0, 9), BOOK)])
    with Database(migrated_database_url).connect() as other:
        other.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            take_in(other, [Said(11, at(0, 10), BOOK)])
        other.rollback()
        other.execute("set lock_timeout = '100ms'")
        assert take_in(other, [Said(12, at(0, 10), BOOK)], platform="bet9ja").n_captures == 1
        other.rollback()


def test_bad_frames_are_refused_with_the_offending_key(history_conn: psycopg.Connection) -> None:
    answer = Said(11, at(0, 9), BOOK)
    captures, rows = capture_frame([answer]), row_frame([answer])
    stamp = {"cycle_id": CYCLE_ID, "mapping_version": "1", "ingested_at": INGESTED_AT}
    refusals = [
        (pl.concat([captures, captures]), rows, "answers given twice"),
        (captures, pl.concat([rows, rows]), "markets given twice"),
        (captures, rows.with_columns(pl.col("observed_at") + timedelta(seconds=1)), "rows without their answer"),
        (captures, rows.with_columns(state=pl.lit("withdrawn")), "states other than"),
        (captures, rows.with_columns(specifier=pl.lit(None, pl.String)), "null in specifier"),
    ]
    for bad_captures, bad_rows, words in refusals:
        with pytest.raises(ValueError, match=words):
            history.ingest_answers(history_conn, bad_captures, bad_rows, **stamp)
    assert read_stored_history(history_conn) == expected([])


def test_two_sessions_taking_in_answers_of_one_listing_at_once_come_to_the_same_history(
    history_conn: psycopg.Connection, migrated_database_url: str
) -> None:
    prices = (2100, 2100, 2200, 2300, 2300, 2100, 2100, 2400)
    answers = [Said(11, at(0, 9, n), {RESULT: offered(price)}) for n, price in enumerate(prices)]
    barrier = threading.Barrier(2)

    def session(share: list[Said]) -> None:
        barrier.wait()
        for said in share:
            with Database(migrated_database_url).connect() as conn:
                take_in(conn, [said])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(session, answers[::2]), pool.submit(session, answers[:0:-2])]:
            done.result()
    assert read_stored_history(history_conn) == expected(answers)
    assert current_markets.count_violations(history_conn) == 0
