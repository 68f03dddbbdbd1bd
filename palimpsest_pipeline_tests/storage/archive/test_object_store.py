"""The same on an object store: a server of S3's language on loopback."""

from collections.abc import Iterator

import polars as pl
import psycopg
import pytest
import s3fs

from palimpsest_pipeline.storage.archive import Archive, ArchiveDamaged, ArchiveError
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.fixtures.object_store import s3_bucket

from ..history_worlds import DAYS
from .rows import DAY, answer_late, export, read_stored_rows


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with s3_bucket("odds-history") as url:
        yield f"{url}/some/export"


def test_an_object_store_is_as_good_as_a_folder(conn: psycopg.Connection, store: str) -> None:
    archive = Archive(store)
    assert archive.read_catalogue() == {}
    assert archive.read_entry(DAY) is None
    first = export(archive, conn)
    export(archive, conn, DAYS[1])
    rows = {table: read_stored_rows(conn, table, DAY) for table in partitions.PARTITIONED_TABLES}
    assert archive.scan_changes([DAY]).collect().height == first.n_rows == len(rows["market_changes"])
    assert archive.scan_changes([DAY], [2]).collect().height == sum(row[2] == 2 for row in rows["market_changes"])
    assert Archive(store).read_catalogue()[DAY] == archive.check_day(DAY) == first
    assert archive.prices(first_day=DAY, last_day=DAY).select("odds").collect()["odds"].count() == first.n_prices

    options = {"aws_allow_http": "true"}  # a server of one's own without TLS
    opened = pl.scan_parquet(f"{store}/captures/**/*.parquet", hive_partitioning=True, storage_options=options)
    assert dict(opened.group_by("date").len().collect().iter_rows()) == {
        day: entry.n_captures for day, entry in archive.read_catalogue().items()
    }

    partitions.drop_day(conn, DAY)
    archive.restore(conn, DAY)
    assert {table: read_stored_rows(conn, table, DAY) for table in partitions.PARTITIONED_TABLES} == rows

    answer_late(conn)
    again = export(archive, conn)
    assert again.n_rows > first.n_rows
    assert archive.scan_changes([DAY]).collect().height == again.n_rows

    files = s3fs.S3FileSystem()
    files.rm(f"{store}/odds/date=2026-03-01/odds.parquet")
    with pytest.raises(ArchiveDamaged, match=r"2026-03-01: odds/date=2026-03-01/odds\.parquet is missing"):
        archive.scan_changes([DAY]).collect()
    files.pipe(f"{store}/odds/date=2026-03-01/odds.parquet", b"\0" * again.files["odds/date=2026-03-01/odds.parquet"])
    with pytest.raises(ArchiveDamaged, match="2026-03-01"):
        archive.scan_changes([DAY]).collect()


def test_a_bucket_that_is_not_there_is_no_empty_archive(conn: psycopg.Connection, store: str) -> None:
    archive = Archive("s3://another-bucket/export")
    for ask in (archive.read_catalogue, lambda: archive.read_entry(DAY), lambda: export(archive, conn)):
        with pytest.raises(ArchiveError, match=r"export at s3://another-bucket/export: .*bucket.*AWS_ENDPOINT_URL"):
            ask()
