"""Daily partitions: made once, whoever asks, and their absence is an error that names the day."""

import threading
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import partitions

from ..history_worlds import INGESTED_AT, RESULT, Said, offered, read_stored_history, take_in

FIRST = date(2026, 3, 1)
BOTH = list(partitions.PARTITIONED_TABLES)


@pytest.fixture
def database(migrated_database_url: str) -> Database:
    return Database(migrated_database_url)


def test_a_migrated_database_has_no_day_and_no_catch_all(database: Database) -> None:
    with database.connect() as conn:
        assert partitions.read_partitions(conn).is_empty()
        assert conn.execute("select count(*) from pg_partitioned_table where partdefid <> 0").fetchone() == (0,)


def test_ahead_makes_today_and_the_days_after_in_both_tables(database: Database) -> None:
    with database.connect() as conn:
        made = partitions.ensure_days_ahead(conn, datetime(2026, 2, 27, 23, 59, tzinfo=UTC), n_days=2)
        assert len(made) == 6
        assert "captures_20260301" in made
        days = [date(2026, 2, 27), date(2026, 2, 28), FIRST]
        assert list(partitions.read_partitions(conn).iter_rows()) == [(table, day) for table in BOTH for day in days]


def test_ahead_refuses_a_naive_now(database: Database) -> None:
    with database.connect() as conn, pytest.raises(ValueError, match="naive"):
        partitions.ensure_days_ahead(conn, datetime(2026, 3, 1))  # noqa: DTZ001


def test_ensure_again_makes_nothing(database: Database) -> None:
    with database.connect() as conn:
        assert partitions.ensure_partitions(conn, [FIRST, FIRST]) == ["captures_20260301", "market_changes_20260301"]
        assert partitions.ensure_partitions(conn, [FIRST]) == []


def test_two_sessions_ensuring_the_same_days_at_once_make_them_once(database: Database) -> None:
    days = [FIRST + timedelta(days=n) for n in range(5)]
    barrier = threading.Barrier(4)
    made: list[str] = []
    errors: list[Exception] = []

    def session() -> None:
        try:
            with database.connect() as conn:
                barrier.wait()
                made.extend(partitions.ensure_partitions(conn, days))
        except psycopg.Error as error:
            errors.append(error)

    sessions = [threading.Thread(target=session) for _ in range(4)]
    for thread in sessions:
        thread.start()
    for thread in sessions:
        thread.join()
    assert errors == []
    assert sorted(made) == sorted(partitions.build_partition_name(table, day) for table in BOTH for day in days)


def test_a_partition_is_made_while_others_read_and_write_the_table(database: Database) -> None:
    answer = Said(11, datetime(2026, 3, 1, 12, tzinfo=UTC), {RESULT: offered(2000, 3000, 4000)})
    with database.connect() as writer, database.connect() as maker:
        partitions.ensure_partitions(maker, [FIRST])
        maker.commit()
        take_in(writer, [answer])
        maker.execute("set lock_timeout = '2s'")
        assert len(partitions.ensure_partitions(maker, [FIRST + timedelta(days=1)])) == 2


def test_a_partition_holds_the_utc_day_whatever_the_session_time_zone(database: Database) -> None:
    with database.connect() as conn:
        conn.execute("set timezone = 'Africa/Lagos'")
        partitions.ensure_partitions(conn, [FIRST])
        conn.execute("set timezone = 'UTC'")
        first, last = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)
        take_in(conn, [Said(11, first, {RESULT: offered(2000)}), Said(11, last, {RESULT: offered(2100)})])
        assert len(read_stored_history(conn).captures) == 2


def test_a_partition_carries_the_keys_and_indexes_of_its_table(database: Database) -> None:
    with database.connect() as conn:
        partitions.ensure_partitions(conn, [FIRST])
        counts = dict(
            conn.execute("""
                select c.relname, count(*) from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'core' and c.relname ~ '^(captures|market_changes)' group by 1
            """).fetchall()
        )
        assert counts["captures_20260301"] == counts["captures"]
        assert counts["market_changes_20260301"] == counts["market_changes"]
        loose = conn.execute("""
            select count(*) from pg_index i join pg_class c on c.oid = i.indrelid
            where c.relname ~ '_20260301$' and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid)
        """).fetchone()
        assert loose == (0,)


def test_answers_of_a_day_without_partition_are_an_error_that_names_the_day(database: Database) -> None:
    answer = Said(11, INGESTED_AT + timedelta(days=40), {RESULT: offered(2000)})
    with database.connect() as conn:
        partitions.ensure_partitions(conn, [FIRST])
        with pytest.raises(partitions.MissingPartitionError, match="2026-06-10") as caught:
            take_in(conn, [answer, Said(11, datetime(2026, 3, 1, 9, tzinfo=UTC), {})])
        assert caught.value.days == (date(2026, 6, 10),)
        assert read_stored_history(conn).captures == set()


def test_answers_forty_days_ahead_are_taken_once_their_day_is_made(database: Database) -> None:
    answer = Said(11, INGESTED_AT + timedelta(days=40), {RESULT: offered(2000)})
    with database.connect() as conn:
        partitions.ensure_partitions(conn, [answer.observed_at.date()])
        assert take_in(conn, [answer]).n_keyframes == 1


def test_a_day_that_is_over_is_packed_unless_somebody_holds_it(database: Database) -> None:
    interleaved = """
        insert into core.market_changes (observed_at, listing_id, line_id, state, keyframe, odds_milli)
        select '2026-03-01Z'::timestamptz + n * interval '1 minute', listing, line, 'offered', false, '{1500}'
        from generate_series(1, 60) n, generate_series(1, 60) listing, generate_series(1, 8) line
    """
    with database.connect() as conn, database.connect() as other:
        partitions.ensure_partitions(conn, [FIRST])
        conn.execute(
            "alter table core.market_changes_20260301 set (autovacuum_enabled = false)"
        )  # it would hold it, too
        conn.execute(interleaved)
        conn.commit()
        other.execute("lock table core.market_changes_20260301 in row exclusive mode")
        assert partitions.reindex_day(conn, FIRST) is None
        other.rollback()
        freed = partitions.reindex_day(conn, FIRST)
        assert freed is not None
        assert freed > 0
        assert partitions.reindex_day(conn, FIRST) == 0
        found = conn.execute(
            "select count(*) from core.market_changes where listing_id = 7 and observed_at >= '2026-03-01 00:30Z'"
        ).fetchone()
        assert found == (31 * 8,)
