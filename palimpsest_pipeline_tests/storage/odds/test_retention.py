"""What leaves Postgres: exported days and empty ones, nothing else, whoever reads or writes meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import book_sizes, current_markets, partitions, retention
from palimpsest_pipeline.storage.odds.retention import DayStatus
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database

from ..answered_days import ingest_day, noon
from ..table_rows import insert

FIRST = date(2026, 3, 1)
BEFORE = date(2026, 3, 5)
WAITING_SQL = "select count(*) from pg_locks join pg_database d on d.oid = database where not granted and datname = current_database()"
EXPORTED_AT = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def migrated(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """One database for all tests here."""
    with migrated_database(postgres) as url:
        yield Database(url)


@pytest.fixture
def database(migrated: Database) -> Database:
    """Nothing was ever observed in it."""
    with migrated.connect() as conn:
        for day in retention.read_stored_days(conn):
            partitions.drop_day(conn, day)
        conn.execute("truncate core.current_markets, core.cycle_products, core.largest_books, mart.listing_lead_time")
    return migrated


@pytest.fixture
def archive(tmp_path: Path, database: Database) -> Archive:
    """An empty archive, and a database that knows of no other one."""
    with database.connect() as conn:
        conn.execute("truncate ops.exported_days")
    return Archive(tmp_path / "export")


@contextmanager
def days(database: Database, count: int) -> Iterator[list[date]]:
    """So many days from FIRST on, each with an answer of listing 1."""
    found = [FIRST + timedelta(days=n) for n in range(count)]
    with database.connect() as conn:
        partitions.ensure_partitions(conn, found)
        for n, day in enumerate(found):
            ingest_day(conn, day, 1, odds=2000 + n)
    yield found


def export(database: Database, archive: Archive, *wanted: date) -> None:
    for day in wanted:
        with database.connect() as conn:
            archive.export(conn, day, exported_at=EXPORTED_AT)


def retire(database: Database, archive: Archive, patience_s: float = 5) -> retention.RetentionResult:
    with database.connect() as conn:
        return retention.drop_exported_days(conn, archive, BEFORE, patience_s)


def stored(database: Database) -> list[date]:
    with database.connect() as conn:
        return retention.read_stored_days(conn)


def largest_books(database: Database) -> list[tuple[int, date, int]]:
    with database.connect() as conn:
        return conn.execute(
            "select listing_id, observed_at::date, n_markets_priced from core.largest_books order by 2"
        ).fetchall()


def found(database: Database, archive: Archive, day: date) -> DayStatus:
    with database.connect() as conn:
        return retention.read_day_status(conn, archive, day)


def test_the_largest_book_of_a_listing_is_known_when_its_days_have_left_and_no_longer_kept_when_they_are_back(
    database: Database, archive: Archive
) -> None:
    with days(database, 3) as found:
        export(database, archive, *found)
        assert retire(database, archive).dropped == found
        assert largest_books(database) == [(1, FIRST, 2)], "of equal books the first one"
        with database.connect() as conn:
            known = book_sizes.add_largest_books(conn, pl.DataFrame({"listing_id": [1, 2]}), [1, 2])
            archive.restore(conn, FIRST)
        assert known.rows() == [(1, 2), (2, None)]
        assert largest_books(database) == []


def test_an_old_day_is_dropped_when_it_is_exported_and_stays_with_a_reason_when_it_is_not(
    database: Database, archive: Archive
) -> None:
    with days(database, 6) as (first, second, third, fourth, *hot):
        export(database, archive, first, third, *hot)
        done = retire(database, archive)
        assert done.dropped == [first, third]
        assert done.kept_days == {
            day: f"it is not exported yet: run `palimpsest export {day} {day}`" for day in (second, fourth)
        }
        assert stored(database) == [second, fourth, *hot]
        assert [found(database, archive, day) for day in (first, second, hot[0])] == [
            DayStatus.ARCHIVED,
            DayStatus.MISSING,
            DayStatus.EXPORTED,
        ]
        assert archive.scan_captures([first]).collect().height == 1


def test_again_there_is_nothing_to_drop(database: Database, archive: Archive) -> None:
    with days(database, 1) as (first,):
        export(database, archive, first)
        assert retire(database, archive).dropped == [first]
        assert retire(database, archive) == retention.RetentionResult()


@pytest.mark.parametrize("change", ["another answer", "another derivation"])
def test_a_day_that_changed_after_its_export_stays_until_it_is_exported_again(
    database: Database, archive: Archive, change: str
) -> None:
    with days(database, 1) as (first,):
        export(database, archive, first)
        with database.connect() as conn:
            if change == "another answer":
                ingest_day(conn, first, 2, minute=30)
            else:
                ingest_day(conn, first, 1, odds=2500)
        assert "changed since its export" in retire(database, archive).kept_days[first]
        export(database, archive, first)
        assert retire(database, archive).dropped == [first]


def test_rows_that_no_cycle_explains_keep_a_day(database: Database, archive: Archive) -> None:
    with days(database, 1) as (first,):
        export(database, archive, first)
        with database.connect() as conn:
            conn.execute(
                "delete from core.market_changes where observed_at = %s and line_id = (select min(line_id) from ops.market_lines)",
                [noon(first)],
            )
        assert found(database, archive, first) is DayStatus.CHANGED
        assert list(retire(database, archive).kept_days) == [first]


def test_a_day_whose_files_are_damaged_stays(database: Database, archive: Archive, tmp_path: Path) -> None:
    with days(database, 1) as (first,):
        export(database, archive, first)
        entry = archive.read_entry(first)
        assert entry is not None
        victim = tmp_path / "export" / next(name for name in entry.files if "odds" in name)
        victim.write_bytes(victim.read_bytes()[:-1])
        assert "differ from the exported ones" in retire(database, archive).kept_days[first]
        export(database, archive, first)
        assert retire(database, archive).dropped == [first]


def test_days_without_a_row_go_unexported(database: Database, archive: Archive) -> None:
    with database.connect() as conn:
        partitions.ensure_partitions(conn, [FIRST, BEFORE])
    assert retire(database, archive).unused == [FIRST]
    assert stored(database) == [BEFORE]


def test_an_empty_place_of_an_archived_day_goes_and_the_archive_stays(database: Database, archive: Archive) -> None:
    with days(database, 1) as (first,):
        export(database, archive, first)
        retire(database, archive)
        with database.connect() as conn:
            partitions.ensure_partitions(conn, [first])
        assert found(database, archive, first) is DayStatus.ARCHIVED
        assert retire(database, archive).unused == [first]
        assert archive.scan_captures([first]).collect().height == 1


def test_the_present_state_is_forgotten_only_of_listings_without_an_answer_left(
    database: Database, archive: Archive
) -> None:
    with days(database, 5) as (first, *rest), database.connect() as conn:
        ingest_day(conn, first, 2, 3, minute=10)
        ingest_day(conn, BEFORE, 3, minute=10)
        conn.commit()
        export(database, archive, first, *rest)
        done = retire(database, archive)
        assert done.n_forgotten == 1
        assert {listing for (listing,) in conn.execute("select distinct listing_id from core.current_markets")} == {
            1,
            3,
        }
        assert current_markets.count_violations(conn) == 0
        ingest_day(conn, BEFORE, 2, minute=20)
        assert conn.execute("select distinct changed_at from core.current_markets where listing_id = 2").fetchall() == [
            (noon(BEFORE, 20),)
        ]
        assert current_markets.count_violations(conn) == 0


def test_a_listing_that_was_forgotten_and_whose_day_came_back_needs_no_present_state_until_it_answers_again(
    database: Database, archive: Archive
) -> None:
    with days(database, 5) as (first, *rest), database.connect() as conn:
        ingest_day(conn, first, 2, minute=10)
        conn.commit()
        export(database, archive, first, *rest)
        assert retire(database, archive).n_forgotten == 1
        archive.restore(conn, first)
        assert current_markets.count_violations(conn) == 2
        assert current_markets.count_violations(conn, known_since=noon(BEFORE)) == 0
        ingest_day(conn, first, 2, minute=30)
        assert current_markets.count_violations(conn) == 0
        conn.execute(
            "delete from core.current_markets where listing_id = 2 and line_id = (select min(line_id) from ops.market_lines)"
        )
        conn.execute("delete from core.current_markets where listing_id = 1")
        assert current_markets.count_violations(conn, known_since=noon(BEFORE)) == 3
        conn.rollback()


def test_a_listing_whose_last_days_have_left_is_known_by_what_is_kept_of_it(
    database: Database, archive: Archive
) -> None:
    with days(database, 2) as (first, second), database.connect() as conn:
        ingest_day(conn, first, 4, minute=10, odds=2100)
        ingest_day(conn, second, 4, minute=10, odds=2200)
        conn.commit()
        export(database, archive, second)
        assert retire(database, archive).dropped == [second]
        assert conn.execute("select max(odds_milli[1]) from core.current_markets where listing_id = 4").fetchone() == (
            2100,
        )
        assert current_markets.count_violations(conn) == 0


def test_a_day_that_is_read_or_written_stays_and_whoever_does_goes_on(database: Database, archive: Archive) -> None:
    with days(database, 2) as (first, second):
        export(database, archive, first, second)
        with database.connect() as reader:
            reader.execute("select count(*) from core.captures")
            assert "in use" in retire(database, archive, patience_s=0.3).kept_days[first]
            assert reader.execute("select count(*) from core.market_changes").fetchone() == (4,)
        with database.connect() as writer:
            ingest_day(writer, first, 7, minute=40)
            assert "in use" in retire(database, archive, patience_s=0.3).kept_days[second]
            writer.commit()
        assert retire(database, archive).dropped == [second]
        assert found(database, archive, first) is DayStatus.CHANGED


def test_what_is_written_between_two_looks_keeps_the_day(database: Database, archive: Archive) -> None:
    with days(database, 1) as (first,):
        export(database, archive, first)
        assert (
            "changed since" in retire(database, Hooked(archive, lambda: late_answer(database, first))).kept_days[first]
        )
        with database.connect() as conn:
            assert conn.execute("select count(*) from core.captures").fetchone() == (2,)


def test_a_writer_that_comes_while_a_day_is_dropped_is_told_so(database: Database, archive: Archive) -> None:
    """It waits, finds the day gone, and nothing of it is lost: the day is in the archive, and the answer in the
    landing.
    """
    errors: list[Exception] = []

    def write() -> None:
        try:
            late_answer(database, first)
        except partitions.MissingPartitionError as error:
            errors.append(error)

    writer = threading.Thread(target=write)

    def begin_writing() -> None:
        writer.start()
        with database.connect(autocommit=True) as watch:
            while watch.execute(WAITING_SQL).fetchone() == (0,):
                pass

    with days(database, 1) as (first,):
        export(database, archive, first)
        assert retire(database, Hooked(archive, begin_writing, at_look=2)).dropped == [first]
        writer.join()
        assert [str(first) in str(error) for error in errors] == [True]
        with database.connect() as conn:
            archive.restore(conn, first)
        late_answer(database, first)
        assert found(database, archive, first) is DayStatus.CHANGED


def test_no_answer_is_lost_while_days_are_written_restored_and_dropped_by_many(
    database: Database, archive: Archive
) -> None:
    with days(database, 3) as wanted:
        export(database, archive, *wanted)
        failures: list[Exception] = []

        def guarded(work: Callable[[], None]) -> Callable[[], None]:
            def run() -> None:
                try:
                    work()
                except Exception as error:  # noqa: BLE001 - whatever it is, the test says so
                    failures.append(error)

            return run

        def write(listing: int) -> Callable[[], None]:
            def run() -> None:
                for minute in range(12):
                    day = wanted[minute % len(wanted)]
                    with database.connect() as conn:
                        partitions.hold_partitions(conn)
                        if archive.read_entry(day) is not None:
                            with database.connect() as own:
                                archive.restore(own, day)
                        ingest_day(conn, day, listing, minute=listing + minute)

            return run

        def drop() -> None:
            for _ in range(15):
                for day in wanted:
                    if found(database, archive, day).needs_export:
                        export(database, archive, day)
                retire(database, archive, patience_s=0.3)

        threads = [threading.Thread(target=guarded(work)) for work in (write(20), write(40), drop)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        there = stored(database)
        with database.connect() as conn:
            hot = conn.execute("select count(*) from core.captures").fetchone()
        cold = archive.scan_captures([day for day in wanted if day not in there]).collect().height
        assert hot is not None
        assert hot[0] + cold == 3 + 2 * 12


def test_life_is_deleted_by_the_date_of_kickoff(database: Database) -> None:
    with database.connect() as conn:
        for day in (FIRST, BEFORE):
            insert(conn, "mart.listing_lead_time", {"sr_id": day.day, "kickoff_date": day})
        assert retention.delete_lifecycle(conn, BEFORE) == 1
        assert conn.execute("select kickoff_date from mart.listing_lead_time").fetchall() == [(BEFORE,)]


def late_answer(database: Database, day: date) -> None:
    with database.connect() as conn:
        ingest_day(conn, day, 9, minute=50)


class Hooked(Archive):
    """An archive that does something before it answers the first look at a day, or a later one."""

    def __init__(self, archive: Archive, before: Callable[[], None], at_look: int = 1) -> None:
        super().__init__(archive.address)
        self.n_looks = 0
        self._before, self._at_look = before, at_look

    def check_day(self, day: date):  # type: ignore[no-untyped-def]
        self.n_looks += 1
        if self.n_looks == self._at_look:
            self._before()
        return super().check_day(day)
