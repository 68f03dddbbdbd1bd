"""A closed day in files says what Postgres says, is opened in one line, and comes back as it was."""

import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.archive import (
    Archive,
    ArchiveError,
    ExportMismatch,
    compute_day_version,
    day_reader,
    day_writer,
)
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline.tables import metadata

from ..history_worlds import CYCLE_ID, DAYS
from .rows import DAY, EXPORTED_AT, LATE, answer_late, read_stored_rows
from .rows import export as exported

CHANGES_SQL = """
select listing_id, observed_at, line_id, state::text as state, coalesce(off_mask, 0) as off_mask, odds_milli, keyframe
from core.market_changes where (observed_at at time zone 'UTC')::date = %s order by listing_id, line_id, observed_at
"""


def in_postgres(conn: psycopg.Connection, day: date = DAY) -> pl.DataFrame:
    return read_frame(conn, CHANGES_SQL, [day])


def test_rows_read_from_files_are_those_of_postgres(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_reader, "CHUNK_ROWS", 10)
    for day in DAYS:
        exported(archive, conn, day)
    assert archive.scan_changes(DAYS[:1]).collect().equals(in_postgres(conn))
    assert (
        archive.scan_changes([DAY], [2, 5])
        .collect()
        .equals(in_postgres(conn).filter(pl.col("listing_id").is_in([2, 5])))
    )
    assert archive.scan_changes(reversed(DAYS)).collect().equals(pl.concat(in_postgres(conn, day) for day in DAYS))
    captures = archive.scan_captures(DAYS[:1]).collect()
    names = ", ".join(captures.columns)
    query = f"select {names} from core.captures where observed_at < %s order by listing_id, observed_at".encode()
    assert captures.rows() == conn.execute(query, [DAYS[1]]).fetchall()
    assert set(captures.columns) == {column.name for column in metadata.tables["core.captures"].columns}
    assert archive.scan_captures([DAY], [99]).collect().is_empty()


def test_a_question_on_the_rows_is_answered_as_on_the_frame(conn: psycopg.Connection, archive: Archive) -> None:
    exported(archive, conn)
    rows = in_postgres(conn)
    asked = archive.scan_changes([DAY])
    late = pl.col("observed_at") > rows["observed_at"].median()
    assert (
        asked.filter(late & (pl.col("state") == "offered"))
        .select("line_id")
        .collect()
        .equals(rows.filter(late & (pl.col("state") == "offered")).select("line_id"))
    )
    assert asked.head(3).collect().equals(rows.head(3))
    assert asked.select(pl.len()).collect().item() == rows.height


def test_the_catalogue_tells_what_was_exported(conn: psycopg.Connection, archive: Archive) -> None:
    assert archive.read_catalogue() == {}
    assert archive.read_entry(DAY) is None
    entries = [exported(archive, conn, day) for day in DAYS]
    assert archive.read_catalogue() == {entry.day: entry for entry in entries}
    first = entries[0]
    assert archive.check_day(DAY) == archive.read_entry(DAY) == first
    rows = in_postgres(conn)
    assert (first.n_rows, first.n_captures) == (rows.height, len(read_stored_rows(conn, "captures", DAY)))
    assert first.n_prices == sum(price is not None for odds in rows["odds_milli"] for price in odds)
    assert first.bytes == sum(first.files.values()) > 0
    assert (first.version, first.exported_at) == (compute_day_version(conn, DAY), EXPORTED_AT)


def test_equal_facts_have_equal_digests(conn: psycopg.Connection, archive: Archive) -> None:
    first, again = exported(archive, conn), exported(archive, conn)
    assert first == again
    answer_late(conn)
    assert exported(archive, conn).digest != first.digest


def test_polars_and_duckdb_open_it_with_one_line(conn: psycopg.Connection, archive: Archive) -> None:
    entries = [exported(archive, conn, day) for day in DAYS]
    by_day = {entry.day: entry.n_captures for entry in entries}
    polars = pl.scan_parquet(f"{archive.address}/captures").group_by("date").len().collect()
    assert dict(polars.iter_rows()) == by_day
    assert (
        dict(
            duckdb.sql(f"from '{archive.address}/captures/*/*.parquet' select date, count(*) group by date").fetchall()
        )
        == by_day
    )
    n_odds = sum(max(len(odds), 1) for day in DAYS for odds in in_postgres(conn, day)["odds_milli"])
    assert pl.scan_parquet(f"{archive.address}/odds").select(pl.len()).collect().item() == n_odds
    assert duckdb.sql(f"from '{archive.address}/odds/*/*.parquet' select count(*)").fetchall() == [(n_odds,)]


def test_the_views_name_every_price(conn: psycopg.Connection, archive: Archive) -> None:
    for day in DAYS:
        exported(archive, conn, day)
    asked = duckdb.connect()
    asked.execute((Path(archive.address) / "open.sql").read_text())
    asked.execute("set timezone = 'UTC'")
    expected = conn.execute(
        """
        select m.listing_id, m.observed_at, i.platform, e.fixture_sr_id, k.market_key, l.specifier,
            coalesce(o.outcome_key, nullif(l.outcome, '')), p.odds / 1000.0, m.state::text,
            p.odds is not null and m.state = 'offered' and (coalesce(m.off_mask, 0) >> (p.ordinal - 1)::int) & 1 = 0, m.keyframe
        from core.market_changes m
        join ops.market_lines l using (line_id)
        join core.markets k using (market_id)
        join ops.listing_ids i using (listing_id)
        join core.event_listings e using (listing_id)
        cross join lateral unnest(m.odds_milli) with ordinality as p (odds, ordinal)
        left join core.market_outcomes o on o.market_id = l.market_id and o.ordinal = p.ordinal and l.outcome = ''
        """
    ).fetchall()
    found = asked.execute(
        "select listing_id, observed_at, platform, sr_id, market_key, specifier, outcome_key, odds, state, is_active, keyframe from prices"
    ).fetchall()
    assert len(found) == len(expected) > 0
    assert set(found) == set(expected)


def test_named_prices_say_which_listing_speaks_for_its_platform(conn: psycopg.Connection, archive: Archive) -> None:
    """Of bet9ja's two listings of one fixture one does; of a listing of which nothing but its number is known,
    nobody can say that it does.
    """
    conn.execute("delete from core.event_listings where listing_id = 5")
    exported(archive, conn)
    asked = duckdb.connect()
    asked.execute(Path(archive.address, "open.sql").read_text())
    theirs = asked.execute("select distinct listing_id, is_primary from prices order by 1").fetchall()
    assert theirs == [(1, True), (2, True), (3, True), (4, False), (5, False), (6, False)]
    assert archive.prices().select("listing_id", "is_primary").unique().sort("listing_id").collect().rows() == theirs


def test_a_day_comes_back_as_it_was(conn: psycopg.Connection, archive: Archive) -> None:
    entry = exported(archive, conn)
    before = {table: read_stored_rows(conn, table) for table in partitions.PARTITIONED_TABLES}
    partitions.drop_day(conn, DAY)
    assert not read_stored_rows(conn, "captures", DAY)
    assert archive.restore(conn, DAY) == entry.n_rows + entry.n_captures
    assert {table: read_stored_rows(conn, table) for table in partitions.PARTITIONED_TABLES} == before
    assert compute_day_version(conn, DAY) == entry.version
    assert archive.restore(conn, DAY) == 0


def test_of_two_who_bring_a_day_back_one_does(conn: psycopg.Connection, database: Database, archive: Archive) -> None:
    entry = exported(archive, conn)
    partitions.drop_day(conn, DAY)
    conn.commit()
    written: list[int] = []

    def restore() -> None:
        with database.connect() as own:
            written.append(archive.restore(own, DAY))

    threads = [threading.Thread(target=restore) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [0, 0, entry.n_rows + entry.n_captures]


def test_nobody_sees_a_day_before_all_of_it_is_back(
    conn: psycopg.Connection, database: Database, archive: Archive
) -> None:
    exported(archive, conn)
    partitions.drop_day(conn, DAY)
    conn.commit()
    archive.restore(conn, DAY)
    with database.connect() as other:
        assert partitions.find_missing_partitions(other, [DAY])
        assert not read_stored_rows(other, "captures", DAY)
        conn.commit()
        assert not partitions.find_missing_partitions(other, [DAY])


def test_what_differs_is_named_and_nothing_is_switched(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = exported(archive, conn)
    answer_late(conn, 2)

    def wrongly(right: Callable[..., pl.DataFrame]) -> Callable[..., pl.DataFrame]:
        return lambda *given: right(*given).with_columns(
            odds_milli=pl.when((pl.col("listing_id") == 5) & (pl.col("odds_milli") == 1800))
            .then(1801)
            .otherwise("odds_milli")
            .cast(pl.Int32)
        )

    monkeypatch.setattr(day_writer, "build_odds_rows", wrongly(day_writer.build_odds_rows))
    with pytest.raises(ExportMismatch, match=r"2026-03-01.*listing 5\. Nothing was switched") as raised:
        exported(archive, conn)
    assert raised.value.listing_ids == (5,)
    assert archive.check_day(DAY) == entry
    assert archive.scan_changes([DAY]).filter(pl.col("observed_at") == LATE).collect().is_empty()


def test_rows_without_an_answer_are_no_day_to_export(conn: psycopg.Connection, archive: Archive) -> None:
    conn.execute("delete from core.captures where listing_id = 2 and observed_at < %s", [DAY + timedelta(days=1)])
    with pytest.raises(ExportMismatch, match="listing 2"):
        exported(archive, conn)


def test_an_export_waits_outside_transactions(conn: psycopg.Connection, archive: Archive) -> None:
    conn.execute("select 1")
    with pytest.raises(ValueError, match="outside a transaction"):
        archive.export(conn, DAY, exported_at=EXPORTED_AT)


def test_days_that_nobody_has_are_refused(conn: psycopg.Connection, archive: Archive) -> None:
    absent = date(2026, 4, 10)
    with pytest.raises(partitions.MissingPartitionError, match="2026-04-10"):
        exported(archive, conn, absent)
    with pytest.raises(ArchiveError, match=r"2026-04-10 is not in the export"):
        archive.scan_changes([absent])
    with pytest.raises(ArchiveError, match=r"2026-04-10 is not in the export"):
        archive.restore(conn, absent)
    conn.rollback()
    assert exported(archive, conn).n_rows  # the connection can still be used


def test_an_empty_day_does_not_replace_a_full_one(conn: psycopg.Connection, archive: Archive) -> None:
    entry = exported(archive, conn)
    for table in partitions.PARTITIONED_TABLES:
        conn.execute(f"truncate core.{partitions.build_partition_name(table, DAY)}".encode())
    with pytest.raises(ArchiveError, match=f"the export at .* has {entry.n_captures}"):
        exported(archive, conn)
    assert archive.check_day(DAY) == entry


def test_a_day_without_answers_can_be_exported(conn: psycopg.Connection, archive: Archive) -> None:
    empty = date(2026, 3, 3)
    partitions.ensure_partitions(conn, [empty])
    assert exported(archive, conn, empty).n_captures == 0
    assert archive.scan_changes([empty]).collect().is_empty()
    assert archive.scan_captures([empty]).collect().is_empty()


def test_the_archive_of_another_database_is_refused(conn: psycopg.Connection, archive: Archive) -> None:
    exported(archive, conn)
    conn.execute("update ops.listing_ids set external_id = 'another' where listing_id = 4")
    with pytest.raises(
        ArchiveError, match=r"from another database: 1 of its numbers in listings\.parquet .* listing_id 4"
    ):
        exported(archive, conn)
    conn.execute("update ops.listing_ids set external_id = 'b2' where listing_id = 4")
    conn.execute("update ops.market_lines set specifier = 'total=9' where specifier = 'total=3.5'")
    with pytest.raises(ArchiveError, match=r"lines\.parquet"):
        exported(archive, conn)
    partitions.drop_day(conn, DAY)
    with pytest.raises(ArchiveError, match="another database"):
        archive.restore(conn, DAY)


def test_a_listing_that_core_forgot_keeps_its_names(conn: psycopg.Connection, archive: Archive) -> None:
    exported(archive, conn)
    before = pl.read_parquet(f"{archive.address}/listings.parquet")
    conn.execute("delete from core.event_listings where listing_id in (1, 6)")
    conn.execute("update core.event_listings set home_team = 'Renamed' where listing_id = 2")
    exported(archive, conn, DAYS[1])
    after = pl.read_parquet(f"{archive.address}/listings.parquet")
    assert after.filter(pl.col("listing_id") != 2).equals(before.filter(pl.col("listing_id") != 2))
    assert after.filter(pl.col("listing_id") == 2)["home_team"].to_list() == ["Renamed"]


def test_a_listing_that_core_forgot_speaks_no_more_when_another_one_does(
    conn: psycopg.Connection, archive: Archive
) -> None:
    exported(archive, conn)
    query = """
        select a.listing_id, b.listing_id from core.event_listings a join core.event_listings b using (platform, fixture_sr_id)
        where a.is_primary and not b.is_primary
    """
    [(forgotten, left)] = conn.execute(query).fetchall()
    conn.execute("delete from core.event_listings where listing_id in (1, %s)", [forgotten])
    conn.execute("update core.event_listings set is_primary = true where listing_id = %s", [left])
    exported(archive, conn, DAYS[1])
    speaks = dict(pl.read_parquet(f"{archive.address}/listings.parquet").select("listing_id", "is_primary").iter_rows())
    assert (speaks[forgotten], speaks[left], speaks[1]) == (False, True, True)


def test_days_can_be_exported_at_the_same_time(database: Database, archive: Archive) -> None:
    def write() -> None:
        with database.connect() as conn:
            for day in DAYS:
                archive.export(conn, day, exported_at=EXPORTED_AT)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(archive.read_catalogue()) == list(DAYS)
    assert all(archive.check_day(day) for day in DAYS)
    assert archive.scan_changes(DAYS).collect().height == sum(
        entry.n_rows for entry in archive.read_catalogue().values()
    )


class TestVersion:
    """What a day rests on: the marks of the cycles that have answers on it."""

    @staticmethod
    def mark(
        conn: psycopg.Connection, product: str = "odds_snapshots/betpawa", cycle_id: int = CYCLE_ID, **changed: str
    ) -> None:
        versions = {"landing_digest": "one", "parser_version": "1", "mapping_version": "1", **changed}
        derived_products.mark_derived(conn, "core", product, cycle_id, **versions, n_rows=1)

    def test_deriving_the_same_again_changes_nothing(self, conn: psycopg.Connection) -> None:
        self.mark(conn)
        before = compute_day_version(conn, DAY)
        self.mark(conn)
        self.mark(conn, cycle_id=1, landing_digest="x")
        self.mark(conn, "tournaments", landing_digest="x")
        assert compute_day_version(conn, DAY) == before

    @pytest.mark.parametrize("what", ["landing_digest", "parser_version", "mapping_version"])
    def test_deriving_from_something_else_changes_it(self, conn: psycopg.Connection, what: str) -> None:
        self.mark(conn)
        before = compute_day_version(conn, DAY)
        self.mark(conn, **{what: "other"})
        assert compute_day_version(conn, DAY) != before

    def test_a_cycle_that_joins_or_leaves_changes_it(self, conn: psycopg.Connection) -> None:
        unmarked = compute_day_version(conn, DAY)
        self.mark(conn)
        marked = compute_day_version(conn, DAY)
        others = compute_day_version(conn, DAYS[1])
        answer_late(conn)
        joined = compute_day_version(conn, DAY)
        assert len({unmarked, marked, joined}) == 3
        assert compute_day_version(conn, DAYS[1]) == others
        conn.execute("delete from core.captures where observed_at = %s", [LATE])
        assert compute_day_version(conn, DAY) == marked

    def test_of_a_day_that_is_not_there_nothing_is_said(self, conn: psycopg.Connection) -> None:
        with pytest.raises(partitions.MissingPartitionError):
            compute_day_version(conn, date(2026, 4, 10))
