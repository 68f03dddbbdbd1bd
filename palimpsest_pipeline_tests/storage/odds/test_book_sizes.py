"""How large books were up to an instant: the same whatever came first, and whichever days have left Postgres since."""

from datetime import datetime, timedelta

import polars as pl
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.storage.odds import book_sizes
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..history_worlds import DAYS, at
from ..table_rows import insert

LISTINGS = pl.DataFrame({"listing_id": [1, 2]})
INSTANTS = [at(day, hour) for day in range(len(DAYS)) for hour in (0, 8, 12, 23)]
Answer = tuple[int, datetime, int]
"""Listing, instant, markets priced."""

answers = st.lists(
    st.tuples(st.integers(1, 2), st.sampled_from(INSTANTS), st.integers(0, 5)),
    max_size=16,
    unique_by=lambda answer: (answer[0], answer[1]),
)


def write(conn: psycopg.Connection, rows: list[Answer], cycle_id: int = 1) -> None:
    names = ("listing_id", "observed_at", "n_markets_priced")
    insert(conn, "core.captures", *({**dict(zip(names, row, strict=True)), "cycle_id": cycle_id} for row in rows))


def largest(
    conn: psycopg.Connection, until: datetime | None = None, cycle_id: int | None = None
) -> dict[int, int | None]:
    return dict(book_sizes.add_largest_books(conn, LISTINGS, [1, 2], until=until, cycle_id=cycle_id).iter_rows())


@settings(deadline=None, max_examples=count_examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=answers, order=st.permutations(range(len(DAYS))), n_gone=st.integers(0, len(DAYS)))
def test_the_largest_book_up_to_an_instant_is_that_of_the_answers_whichever_days_have_left_postgres(
    history_conn: psycopg.Connection, rows: list[Answer], order: list[int], n_gone: int
) -> None:
    with history_conn.transaction(force_rollback=True):
        write(history_conn, rows)
        for day in (DAYS[number] for number in order[:n_gone]):
            book_sizes.save_largest_books(history_conn, day)
            history_conn.execute(
                "delete from core.captures where observed_at >= %s and observed_at < %s + interval '1 day'", [day, day]
            )
        for until in [*INSTANTS, None]:
            sizes = {
                listing: max(
                    (n for of, seen_at, n in rows if of == listing and (until is None or seen_at <= until)),
                    default=None,
                )
                for listing in (1, 2)
            }
            # A book without a price is not kept: it says as much as none.
            assert {k: v or 0 for k, v in largest(history_conn, until).items()} == {
                k: v or 0 for k, v in sizes.items()
            }, until


def test_the_answers_of_the_cycle_itself_count_though_they_come_after_the_instant_that_it_is_about(
    history_conn: psycopg.Connection,
) -> None:
    write(history_conn, [(1, at(0, 9), 3), (2, at(0, 9), 3)])
    write(history_conn, [(1, at(0, 10), 7)], cycle_id=2)
    write(history_conn, [(2, at(0, 10), 7)], cycle_id=3)
    assert largest(history_conn, at(0, 10) - timedelta(minutes=1), cycle_id=2) == {1: 7, 2: 3}


def test_the_answers_of_a_cycle_count_as_of_it_whichever_days_have_left_postgres(
    history_conn: psycopg.Connection,
) -> None:
    """Of the second cycle, whose own answer of listing 1 came after a larger one of the third, which as of the
    second nobody had seen.
    """
    as_of = at(0, 9)
    history_conn.execute("insert into core.cycles values (2, %s, 'manual', 'full', 'betpawa', %s)", [at(0, 9), as_of])
    write(history_conn, [(1, at(0, 8), 3), (2, at(0, 8), 3)])
    write(history_conn, [(1, at(0, 10), 9), (2, at(0, 10), 9)], cycle_id=3)
    write(history_conn, [(1, at(0, 11), 7), (2, at(0, 11), 2)], cycle_id=2)
    before = largest(history_conn, as_of, cycle_id=2)
    book_sizes.save_largest_books(history_conn, DAYS[0])
    history_conn.execute("delete from core.captures")
    assert largest(history_conn, as_of, cycle_id=2) == before == {1: 7, 2: 3}


def test_only_listings_that_are_asked_for_are_looked_up(history_conn: psycopg.Connection) -> None:
    write(history_conn, [(1, at(0, 9), 3), (2, at(0, 9), 3)])
    assert book_sizes.add_largest_books(history_conn, LISTINGS, [2]).rows() == [(1, None), (2, 3)]
