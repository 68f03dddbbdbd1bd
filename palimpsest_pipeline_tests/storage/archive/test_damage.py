"""A file that is not as it was written, and a place that cannot be used, are errors that say what and where: never
an empty answer.
"""

from pathlib import Path

import psycopg
import pytest

from palimpsest_pipeline.storage.archive import Archive, ArchiveDamaged, ArchiveError, EntryUnreadable
from palimpsest_pipeline.storage.odds import partitions

from ..history_worlds import DAYS
from .rows import DAY, export

ODDS = "odds/date=2026-03-01/odds.parquet"
CAPTURES = "captures/date=2026-03-01/captures.parquet"


@pytest.mark.parametrize("file", [ODDS, CAPTURES])
@pytest.mark.parametrize("harm", ["gone", "cut", "garbled"])
def test_a_damaged_file_is_named_with_its_day(conn: psycopg.Connection, archive: Archive, file: str, harm: str) -> None:
    export(archive, conn)
    export(archive, conn, DAYS[1])
    path = Path(archive.address) / file
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-10] if harm == "cut" else bytes(len(whole)))
    with pytest.raises(
        ArchiveDamaged, match=f"export of 2026-03-01: .*{file}.*palimpsest export 2026-03-01 2026-03-01"
    ):
        archive.scan_changes(DAYS[:2]).collect()
    if harm != "garbled":
        with pytest.raises(ArchiveDamaged, match=f"2026-03-01: {file}"):
            archive.check_day(DAY)
    partitions.drop_day(conn, DAY)
    with pytest.raises(ArchiveDamaged, match=file):
        archive.restore(conn, DAY)
    conn.rollback()
    assert archive.scan_changes([DAYS[1]]).collect().height > 0
    assert export(archive, conn) == archive.check_day(DAY)  # exporting again mends it
    assert archive.scan_changes([DAY]).collect().height > 0


def test_what_was_swapped_for_another_day_does_not_come_back(conn: psycopg.Connection, archive: Archive) -> None:
    entry = export(archive, conn)
    conn.execute(
        "update core.market_changes set odds_milli[1] = odds_milli[1] + 1 where listing_id = 1 and odds_milli[1] is not null"
    )
    other = export(archive, conn)
    catalogue = Path(archive.address) / "catalogue/2026-03-01.json"
    catalogue.write_text(catalogue.read_text().replace(other.digest, entry.digest))
    partitions.drop_day(conn, DAY)
    with pytest.raises(ArchiveDamaged, match="not what was exported"):
        archive.restore(conn, DAY)


def test_a_day_whose_entry_is_damaged_is_replaced_by_force_and_not_by_nothing(
    conn: psycopg.Connection, archive: Archive
) -> None:
    before = export(archive, conn)
    entry = Path(archive.address) / "catalogue/2026-03-01.json"
    entry.write_text("{")
    with pytest.raises(EntryUnreadable, match="palimpsest export --force 2026-03-01"):
        export(archive, conn)
    assert archive.export(conn, DAY, exported_at=before.exported_at, force=True) == archive.check_day(DAY) == before
    entry.write_text("{")
    conn.execute("delete from core.market_changes")
    conn.execute("delete from core.captures")
    conn.commit()
    with pytest.raises(EntryUnreadable):
        archive.export(conn, DAY, exported_at=before.exported_at, force=True)


def test_an_entry_that_is_none_is_named(conn: psycopg.Connection, archive: Archive) -> None:
    export(archive, conn)
    (Path(archive.address) / "catalogue/2026-03-01.json").write_text('{"day": 1}')
    for ask in (
        archive.read_catalogue,
        lambda: archive.read_entry(DAY),
        lambda: archive.scan_changes([DAY]),
        lambda: archive.check_day(DAY),
    ):
        with pytest.raises(ArchiveError, match=r"catalogue/2026-03-01\.json is not a valid entry of the catalogue"):
            ask()


def test_a_catalogue_with_a_file_that_is_no_day_is_named(conn: psycopg.Connection, archive: Archive) -> None:
    export(archive, conn)
    assert archive.list_catalogued_days() == [DAYS[0]]
    (Path(archive.address) / "catalogue/2026-03-01 copy.json").write_text("{}")
    with pytest.raises(ArchiveError, match="2026-03-01 copy"):
        archive.list_catalogued_days()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nowhere://bucket/export", "no archive at nowhere://bucket/export: .*set the export to another URL"),
        ("memory://export", "Polars does not read memory://"),
    ],
)
def test_a_store_that_cannot_be_one_is_refused_at_once(url: str, why: str) -> None:
    with pytest.raises(ArchiveError, match=why):
        Archive(url)


def test_a_place_that_cannot_be_written_is_named(conn: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ArchiveError,
        match=r"cannot write to the export at .*file/export: Not a directory.* or set PALIMPSEST_EXPORT_URL",
    ):
        export(Archive(tmp_path / "file" / "export"), conn)


def test_nothing_unfinished_is_left_behind(conn: psycopg.Connection, archive: Archive) -> None:
    export(archive, conn)
    export(archive, conn)
    files = {str(path.relative_to(archive.address)) for path in Path(archive.address).rglob("*") if path.is_file()}
    assert files == {
        ODDS,
        CAPTURES,
        "catalogue/2026-03-01.json",
        "listings.parquet",
        "lines.parquet",
        "outcomes.parquet",
        "open.sql",
    }
