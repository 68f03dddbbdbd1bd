"""An export that dies at any moment leaves every day readable, and one that would lose cycles switches nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.archive import (
    Archive,
    ArchiveDamaged,
    ArchiveError,
    CyclesMissing,
    day_reader,
)
from palimpsest_pipeline.storage.archive.catalogue import read_recorded_days
from palimpsest_pipeline.storage.archive.file_store import FileStore
from palimpsest_pipeline.storage.odds import partitions, retention

from ..history_worlds import CYCLE_ID, DAYS, RESULT, Said, offered, take_in
from .rows import DAY, LATE, answer_late, export, read_stored_rows

OTHER_CYCLE = CYCLE_ID + 1
PUBLISHED_BY_A_REPLACEMENT = 10
"""Files that an export puts in place when the day was exported before."""


class KilledError(BaseException):
    """The process dies."""


def die_at_publication(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process die when it is about to put the file of that number in place."""
    publish, n_published = FileStore.publish, 0

    def publish_or_die(store: FileStore, source: Path, name: str) -> None:
        nonlocal n_published
        n_published += 1
        if n_published == number:
            raise KilledError
        publish(store, source, name)

    patch.setattr(FileStore, "publish", publish_or_die)


def take_in_other_cycle(conn: psycopg.Connection) -> None:
    take_in(conn, [Said(1, LATE, {RESULT: offered(2222, 3333, 4444)})], cycle_id=OTHER_CYCLE)
    conn.commit()


@pytest.mark.parametrize("number", range(1, PUBLISHED_BY_A_REPLACEMENT + 1))
def test_a_killed_export_leaves_the_day_readable(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = export(archive, conn)
    answer_late(conn)
    n_rows_after = len(read_stored_rows(conn, "market_changes", DAY))
    with monkeypatch.context() as patch:
        die_at_publication(patch, number)
        with pytest.raises(KilledError):
            export(archive, conn)
    conn.rollback()
    assert archive.scan_changes([DAY]).collect().height in {before.n_rows, n_rows_after}
    assert archive.scan_captures([DAY]).collect().height in {before.n_captures, before.n_captures + 1}
    assert archive.prices().collect().height > 0
    assert pl.scan_parquet(f"{archive.address}/captures").select(pl.len()).collect().item() in {
        before.n_captures,
        before.n_captures + 1,
    }
    if retention.read_day_status(conn, archive, DAY) is not retention.DayStatus.EXPORTED:
        conn.rollback()
        after = export(archive, conn)  # the next export finishes what broke off
        assert archive.check_day(DAY) == after
    assert archive.scan_changes([DAY]).collect().height == n_rows_after
    assert not list(Path(archive.address, "staged").rglob("*.parquet"))


def test_a_replacing_export_publishes_as_many_files_as_are_tried(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(archive, conn)
    die_at_publication(monkeypatch, PUBLISHED_BY_A_REPLACEMENT + 1)
    export(archive, conn)


def test_a_day_restored_from_a_broken_off_export_is_whole(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(archive, conn)
    answer_late(conn)
    rows = {table: read_stored_rows(conn, table, DAY) for table in partitions.PARTITIONED_TABLES}
    with monkeypatch.context() as patch:
        die_at_publication(patch, 8)  # the answers have their fixed name already, the odds do not
        with pytest.raises(KilledError):
            export(archive, conn)
    conn.rollback()
    with pytest.raises(ArchiveDamaged, match="an export is running, or was interrupted"):
        archive.check_day(DAY)
    partitions.drop_day(conn, DAY)
    archive.restore(conn, DAY)
    assert {table: read_stored_rows(conn, table, DAY) for table in partitions.PARTITIONED_TABLES} == rows


def test_a_panic_of_polars_while_a_day_is_read_is_read_again(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = export(archive, conn)
    changes_in, n_reads = day_reader.read_changes, 0

    def panic_once(captures: pl.LazyFrame, odds: pl.LazyFrame, **given: Any) -> Iterator[pl.DataFrame]:
        nonlocal n_reads
        n_reads += 1
        if n_reads == 1:
            raise pl.exceptions.PanicException("the file was replaced under the scan")
        yield from changes_in(captures, odds, **given)

    monkeypatch.setattr("palimpsest_pipeline.storage.archive.archive.read_changes", panic_once)
    assert archive.scan_changes([DAY]).collect().height == entry.n_rows
    assert n_reads == 2


def test_a_panic_of_polars_while_prices_are_read_is_read_again(
    conn: psycopg.Connection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = export(archive, conn)
    prices, n_panics = day_reader.scan_prices, 0

    def panic(_: pl.DataFrame) -> pl.DataFrame:
        raise pl.exceptions.PanicException("the file was replaced under the scan")

    def panic_once(*given: object) -> pl.LazyFrame:
        nonlocal n_panics
        rows = prices(*given)  # type: ignore[arg-type]
        n_panics += 1
        return rows.map_batches(panic) if n_panics == 1 else rows

    monkeypatch.setattr(day_reader, "scan_prices", panic_once)
    assert archive.prices().select("odds").collect()["odds"].count() == entry.n_prices
    assert n_panics > 1


@pytest.mark.parametrize("kind", ["head", "filter", "select", "nothing"])
def test_prices_answer_as_a_plain_frame_does(
    conn: psycopg.Connection, archive: Archive, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "palimpsest_pipeline.storage.archive.archive.PRICES_PER_PART", 1
    )  # every day is a part of its own
    for day in DAYS:
        export(archive, conn, day)
    every = archive.prices().collect()
    assert every["date"].n_unique() == len([day for day in DAYS if (entry := archive.read_entry(day)) and entry.n_rows])
    late = (pl.col("date") == DAY) & (pl.col("odds") > 2)
    asked = {
        "head": (lambda rows: rows.head(every.height - 1), every.height - 1),
        "filter": (lambda rows: rows.filter(late), every.filter(late).height),
        "select": (lambda rows: rows.filter(late).select("platform"), every.filter(late).height),
        "nothing": (lambda rows: rows.filter(pl.col("sr_id") == -1), 0),
    }
    ask, n_rows = asked[kind]
    found = ask(archive.prices()).collect()  # type: ignore[no-untyped-call]
    assert found.height == n_rows
    assert archive.prices(first_day=DAYS[-1] + timedelta(days=9)).collect().is_empty()


def test_an_export_without_cycles_that_were_exported_is_refused(conn: psycopg.Connection, archive: Archive) -> None:
    take_in_other_cycle(conn)
    entry = export(archive, conn)
    conn.execute("delete from core.market_changes where observed_at = %s", [LATE])
    conn.execute("delete from core.captures where cycle_id = %s", [OTHER_CYCLE])
    with pytest.raises(CyclesMissing, match=f"{OTHER_CYCLE}.*palimpsest export --force {DAY}") as raised:
        export(archive, conn)
    assert raised.value.cycle_ids == (OTHER_CYCLE,)
    assert archive.check_day(DAY) == entry
    conn.rollback()
    forced = export(archive, conn, force=True)
    assert archive.check_day(DAY) == forced
    assert forced.n_captures == entry.n_captures - 1


def test_an_export_with_fewer_answers_than_a_damaged_file_had_is_refused(
    conn: psycopg.Connection, archive: Archive
) -> None:
    take_in_other_cycle(conn)
    entry = export(archive, conn)
    Path(archive.address, entry.captures_path).unlink()
    conn.execute("delete from core.market_changes where observed_at = %s", [LATE])
    conn.execute("delete from core.captures where cycle_id = %s", [OTHER_CYCLE])
    with pytest.raises(ArchiveError, match=f"palimpsest export --force {DAY}"):
        export(archive, conn)


class TestMarker:
    """A root that must be marked is not taken for an empty one."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Archive:
        return Archive(tmp_path / "export", requires_marker=True)

    def test_without_its_marker_a_root_says_nothing_of_days(self, conn: psycopg.Connection, archive: Archive) -> None:
        for ask in (archive.read_catalogue, lambda: archive.read_entry(DAY), lambda: export(archive, conn)):
            with pytest.raises(ArchiveError, match=r"palimpsest-export\.txt is missing there"):
                ask()
            conn.rollback()
        assert not Path(archive.address, "odds").exists()

    def test_a_marked_root_without_days_is_an_empty_export(self, conn: psycopg.Connection, archive: Archive) -> None:
        archive.write_marker()
        assert archive.is_marked()
        assert archive.read_catalogue() == {}
        assert archive.read_entry(DAY) is None
        entry = export(archive, conn)
        assert read_recorded_days(conn)[DAY].n_captures == entry.n_captures

    def test_a_recorded_day_that_the_root_lost_is_not_replaced_by_a_part_of_it(
        self, conn: psycopg.Connection, archive: Archive
    ) -> None:
        archive.write_marker()
        take_in_other_cycle(conn)
        entry = export(archive, conn)
        Path(archive.address, "catalogue", f"{DAY}.json").unlink()
        conn.execute("delete from core.market_changes where observed_at = %s", [LATE])
        conn.execute("delete from core.captures where cycle_id = %s", [OTHER_CYCLE])
        with pytest.raises(ArchiveError, match=f"{entry.n_captures} were exported.*palimpsest export --force {DAY}"):
            export(archive, conn)
        conn.rollback()
        assert export(archive, conn, force=True).n_captures == entry.n_captures - 1

    def test_a_root_that_lacks_recorded_days_is_not_exported_to(
        self, conn: psycopg.Connection, archive: Archive, tmp_path: Path
    ) -> None:
        archive.write_marker()
        export(archive, conn)
        other = Archive(tmp_path / "other", requires_marker=True)
        other.write_marker()
        with pytest.raises(ArchiveError, match=rf"lacks 1 days that were exported, e\.g\. {DAY}"):
            export(other, conn, DAYS[1])
        assert other.read_catalogue() == {}
