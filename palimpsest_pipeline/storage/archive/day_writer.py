"""Write the files of a day from Postgres, verify them against Postgres, then publish them.

The script of DuckDB views (`open.sql`) is written beside them.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import uuid4

import polars as pl
import psycopg
from polars.io.plugins import register_io_source

from palimpsest_pipeline.tables.frame_types import Schema

from ..db.copy_frames import read_frame
from ..db.locks import AdvisoryLock
from . import catalogue, dimensions
from .catalogue import ExportedDay, build_captures_path, build_odds_path, build_staging_path, read_recorded_days
from .checksums import (
    CAPTURES_TABLE,
    CHANGES_TABLE,
    CHECKSUMS_SCHEMA,
    DAY_AND_LISTINGS_SQL,
    ComparedTable,
    build_day_bounds,
    build_select_list,
    compute_day_version,
    compute_digest,
    compute_frame_checksums,
    compute_postgres_checksums,
)
from .day_reader import (
    read_answer_numbers,
    read_archived_captures,
    read_archived_cycles,
    read_changes,
    split_listing_ranges,
)
from .day_shapes import ANSWER_NUMBERS_SCHEMA, ODDS_FILE_SCHEMA, build_odds_rows, number_answers
from .errors import ArchiveError, CyclesMissing, ExportMismatch
from .file_store import FileStore

ROW_GROUP_ROWS: Final = 100_000
"""Number of rows in a Parquet row group.

It is small enough to read one listing without many others, and large enough to compress well.
"""
_ZSTD_LEVEL: Final = 9
ROW_COUNTS_SQL: Final = """
select listing_id, sum(n_changed) as n from core.captures
where observed_at >= %(begins_at)s::timestamptz and observed_at < %(ends_at)s::timestamptz group by 1
"""


CYCLES_OF_DAY_SQL: Final = """
select distinct cycle_id from core.captures where observed_at >= %(begins_at)s::timestamptz
    and observed_at < %(ends_at)s::timestamptz
"""


def write_day(
    conn: psycopg.Connection[Any],
    store: FileStore,
    day: date,
    previous_entry: ExportedDay | None,
    exported_at: datetime,
    *,
    force: bool = False,
) -> ExportedDay:
    """Write and publish a day. `previous_entry` is its catalogue entry before the export, or None.

    The caller holds the day's lock (`hold_day_lock`). Raises CyclesMissing when the exported day has cycles that
    Postgres lacks, unless `force` is true.
    """
    with store.open_workspace(day.isoformat()) as workspace:
        with _open_snapshot(conn):
            version = compute_day_version(conn, day)
            cycle_ids = {cycle_id for (cycle_id,) in conn.execute(CYCLES_OF_DAY_SQL, build_day_bounds(day)).fetchall()}
            last_captures = build_captures_path(day) if previous_entry is None else previous_entry.captures_path
            entry = _write_files(conn, day, workspace, version, exported_at, read_answer_numbers(store, last_captures))
            recorded = read_recorded_days(conn).get(day)
        if previous_entry is not None and previous_entry.n_captures and not entry.n_captures:
            raise ArchiveError(
                f"Postgres holds no answer of {day}, and the export at {store.address} has "
                f"{previous_entry.n_captures}: nothing was changed. If the day must be empty, remove "
                f"{catalogue.build_entry_path(day)} there first."
            )
        if previous_entry is not None and not force:
            _require_cycles(store, previous_entry, entry, cycle_ids)
        if previous_entry is None and not force and recorded is not None and entry.n_captures < recorded.n_captures:
            raise ArchiveError(
                f"export of {day}: Postgres has {entry.n_captures} answers of the day, {recorded.n_captures} were "
                f"exported, and the export at {store.address} does not have the day any more. Restore "
                f"{catalogue.build_entry_path(day)} and its files from a copy, or export the answers of Postgres with "
                f"`palimpsest export --force {day}`"
            )
        dimensions.write_dimensions(conn, store, workspace)
        if previous_entry is not None:
            _stage_files(store, workspace, entry)
        # Captures are published before odds, because the new captures contain all answers of the old odds.
        for file in (entry.captures_path, entry.odds_path):
            store.publish(workspace / Path(file).name, file)
        _publish_bytes(store, workspace, VIEWS_FILE, build_views_sql(store.address))
        _publish_bytes(store, workspace, catalogue.build_entry_path(day), catalogue.encode_entry(entry))
        store.remove(build_staging_path(day))
    return entry


def _require_cycles(store: FileStore, before: ExportedDay, entry: ExportedDay, cycle_ids: set[int]) -> None:
    """Raise CyclesMissing when the new export would lose cycles of the earlier one.

    This happens when Postgres was filled from only a part of the landed answers. Raises ArchiveError when the earlier
    file cannot be read and has more answers.
    """
    archived = read_archived_cycles(store, before.captures_path)
    if archived is None and entry.n_captures < before.n_captures:
        raise ArchiveError(
            f"export of {entry.day}: Postgres has {entry.n_captures} answers of the day, {before.n_captures} were "
            f"exported, and the file of these cannot be read. The archive is unchanged. Restore {before.captures_path} "
            f"from a copy, or replace the exported day with `palimpsest export --force {entry.day}`"
        )
    if missing := (archived or frozenset()) - cycle_ids:
        raise CyclesMissing(entry.day, sorted(missing))


def _stage_files(store: FileStore, workspace: Path, entry: ExportedDay) -> None:
    """Publish copies of the new files and let the day's catalogue entry point to them.

    If the process dies while it replaces the files with fixed names, the day can still be read from the copies.
    """
    folder = f"{build_staging_path(entry.day)}/{uuid4().hex[:8]}"
    staged = replace(entry, files={f"{folder}/{PurePosixPath(file).name}": size for file, size in entry.files.items()})
    for file in staged.files:
        source = workspace / PurePosixPath(file).name
        copy = workspace / f"{source.name}.copy"
        shutil.copyfile(source, copy)  # the original is published under its fixed name afterwards
        store.publish(copy, file)
    _publish_bytes(store, workspace, catalogue.build_entry_path(entry.day), catalogue.encode_entry(staged))


def _publish_bytes(store: FileStore, workspace: Path, name: str, content: bytes) -> None:
    file = workspace / "text"
    file.write_bytes(content)
    store.publish(file, name)


@contextmanager
def hold_day_lock(conn: psycopg.Connection[Any], day: date) -> Iterator[None]:
    """Block other exports and restores of the day during the block.

    `conn` must be outside a transaction. Raises ValueError otherwise.
    """
    if conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise ValueError("an export needs a connection outside a transaction: commit or roll back first")
    conn.execute("select pg_advisory_lock(%s, %s)", [AdvisoryLock.EXPORTED_DAY, day.toordinal()])
    conn.commit()
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(%s, %s)", [AdvisoryLock.EXPORTED_DAY, day.toordinal()])
            conn.commit()


@contextmanager
def _open_snapshot(conn: psycopg.Connection[Any]) -> Iterator[None]:
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        yield


def read_table_rows(
    conn: psycopg.Connection[Any], table: ComparedTable, day: date, first: int, last: int
) -> pl.DataFrame:
    """Return the table's rows of a UTC day, for listing ids from `first` to `last`."""
    query = f"select {build_select_list(table)} from core.{table.name} where {DAY_AND_LISTINGS_SQL}"
    return read_frame(conn, query, {**build_day_bounds(day), "first": first, "last": last})


def _write_files(
    conn: psycopg.Connection[Any],
    day: date,
    workspace: Path,
    version: str,
    exported_at: datetime,
    last_answers: pl.DataFrame,
) -> ExportedDay:
    """Write both files of a day into `workspace`, verify them and return their catalogue entry.

    `last_answers` (ANSWER_NUMBERS_SCHEMA) has the numbers of answers in the previous export, which stay the same.
    Raises ExportMismatch when the files differ from Postgres.
    """
    parts = split_listing_ranges(read_frame(conn, ROW_COUNTS_SQL, build_day_bounds(day)))
    captures = number_answers(
        pl.concat(read_table_rows(conn, CAPTURES_TABLE, day, *part) for part in parts), last_answers
    )
    files = {file: workspace / Path(file).name for file in (build_captures_path(day), build_odds_path(day))}
    captures.write_parquet(
        files[build_captures_path(day)],
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        row_group_size=ROW_GROUP_ROWS,
    )
    numbers = captures.select(list(ANSWER_NUMBERS_SCHEMA))
    del captures

    def rows() -> Iterator[pl.DataFrame]:
        for first, last in parts:
            chunk = build_odds_rows(
                read_table_rows(conn, CHANGES_TABLE, day, first, last),
                numbers.filter(pl.col("listing_id").is_between(first, last)),
            )
            if unnumbered_ids := chunk.filter(pl.col("answer").is_null())["listing_id"].unique().to_list():
                raise ExportMismatch(day, unnumbered_ids)
            yield chunk

    _sink_frames(rows, ODDS_FILE_SCHEMA, files[build_odds_path(day)])
    n_prices, changes, answers = _verify_files(
        conn, day, parts, files[build_captures_path(day)], files[build_odds_path(day)]
    )
    sizes = {file: path.stat().st_size for file, path in files.items()}
    return ExportedDay(
        day=day,
        version=version,
        n_captures=int(answers["n_rows"].sum()),
        n_rows=int(changes["n_rows"].sum()),
        n_prices=n_prices,
        bytes=sum(sizes.values()),
        digest=compute_digest(changes, answers),
        exported_at=exported_at,
        files=sizes,
    )


def _sink_frames(rows: Callable[[], Iterator[pl.DataFrame]], schema: Schema, path: Path) -> None:
    """Write frames into one Parquet file while they are produced."""

    def source(
        columns: list[str] | None, _predicate: pl.Expr | None, _n_rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        for frame in rows():
            yield frame if columns is None else frame.select(columns)

    register_io_source(source, schema=schema).sink_parquet(
        path, compression="zstd", compression_level=_ZSTD_LEVEL, row_group_size=ROW_GROUP_ROWS, maintain_order=True
    )


def _verify_files(
    conn: psycopg.Connection[Any], day: date, parts: Sequence[tuple[int, int]], captures_path: Path, odds_path: Path
) -> tuple[int, pl.DataFrame, pl.DataFrame]:
    """Compare the files with Postgres. Return the number of prices and the checksums of both tables.

    The checksums are (CHECKSUMS_SCHEMA) frames of market_changes and captures. Raises ExportMismatch when files and
    Postgres differ.
    """
    captures, odds = (
        pl.scan_parquet(captures_path, hive_partitioning=False),
        pl.scan_parquet(odds_path, hive_partitioning=False),
    )
    n_prices = 0
    change_checksums = [pl.DataFrame(schema=CHECKSUMS_SCHEMA)]
    for chunk in read_changes(captures, odds):
        n_prices += int(chunk["odds_milli"].explode(empty_as_null=False, keep_nulls=False).count())
        change_checksums.append(compute_frame_checksums(CHANGES_TABLE, chunk))
    changes = pl.concat(change_checksums)
    answers = pl.concat(
        compute_frame_checksums(CAPTURES_TABLE, rows)
        for part in parts
        for rows in read_archived_captures(captures.filter(pl.col("listing_id").is_between(*part)), odds)
    )
    postgres_changes, postgres_answers = (
        pl.concat(compute_postgres_checksums(conn, table, day, *part) for part in parts)
        for table in (CHANGES_TABLE, CAPTURES_TABLE)
    )
    differing = {
        listing
        for file_rows, postgres_rows in ((changes, postgres_changes), (answers, postgres_answers))
        for left_rows, right_rows in ((file_rows, postgres_rows), (postgres_rows, file_rows))
        for listing in left_rows.join(right_rows, on=list(CHECKSUMS_SCHEMA), how="anti")["listing_id"]
    }
    if differing:
        raise ExportMismatch(day, sorted(differing))
    return n_prices, changes, answers


VIEWS_FILE: Final = "open.sql"

VIEWS_TEMPLATE: Final = """\
-- Views over the exported odds history. In DuckDB: .read {root}/open.sql, or duckdb -init {root}/open.sql
-- Every export writes this file again; the addresses are those of the export's place.

create or replace view listings as select * from read_parquet('{quoted}/listings.parquet');
create or replace view lines as select * from read_parquet('{quoted}/lines.parquet');
create or replace view outcomes as select * from read_parquet('{quoted}/outcomes.parquet');

-- One row per listing and answer. An answer confirms all earlier rows of odds. date is the UTC day.
create or replace view captures as select *
from read_parquet('{quoted}/captures/*/captures.parquet', hive_partitioning = true);

-- One row per outcome and change, as in the files. keyframe: written because the day begins, not because of a change.
create or replace view odds as
select o.date, o.listing_id, o.line_id, o.ordinal, c.observed_at, o.odds_milli, o.state, o.off, c.keyframe, c.cycle_id
from read_parquet('{quoted}/odds/*/odds.parquet', hive_partitioning = true) o
join captures c using (date, listing_id, answer);

-- The same with names. odds: decimal, null without a price. is_active: it could be backed. is_primary: the listing is
-- the platform's primary one of several for the fixture; false where that is not known. A price holds until the
-- outcome's next row; the captures in between confirm it.
create or replace view prices as
select o.date, o.observed_at, l.platform, l.sr_id, l.home_team, l.away_team, l.kickoff_at, l.tournament_name,
    l.country, n.market_key, n.specifier,
    coalesce(u.outcome_key, nullif(n.outcome, '')) as outcome_key,
    (o.odds_milli / 1000)::decimal(9, 3) as odds, o.state,
    o.odds_milli is not null and o.state = 'offered' and not o.off as is_active,
    o.keyframe, o.listing_id, l.external_id, coalesce(l.is_primary, false) as is_primary, o.line_id, o.ordinal,
    o.cycle_id
from odds o
join listings l using (listing_id)
join lines n using (line_id)
left join outcomes u on u.market_id = n.market_id and u.ordinal = o.ordinal and n.outcome = '';
"""


def build_views_sql(root: str) -> bytes:
    """Return the content of `open.sql` for an archive at `root`, a folder or URL."""
    return VIEWS_TEMPLATE.format(root=root, quoted=root.replace("'", "''")).encode()
