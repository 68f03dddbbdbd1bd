"""Write and read the dimension files: the names of listing, line and outcome ids.

The files make an export readable without the database. They contain every id of every exported day: an id is never used
twice, and an export writes the dimension files before the day becomes visible.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import psycopg

from ..db.copy_frames import read_frame
from ..db.locks import AdvisoryLock
from .errors import ArchiveError
from .file_store import FileStore

_LISTINGS_SQL: Final = """
select i.listing_id, i.platform, i.external_id, e.fixture_sr_id as sr_id, e.home_team, e.away_team, e.kickoff_at,
    e.tournament_name,
    e.country_raw as country, f.tournament_key, e.is_primary
from ops.listing_ids i
left join core.event_listings e using (listing_id)
left join core.fixtures f on f.sr_id = e.fixture_sr_id
order by 1
"""
_LINES_SQL: Final = """
select l.line_id, l.market_id, m.market_key, l.specifier, l.outcome
from ops.market_lines l left join core.markets m using (market_id) order by 1
"""
_OUTCOMES_SQL: Final = "select market_id, ordinal, outcome_key, name from core.market_outcomes order by 1, 2"

LISTINGS_FILE: Final = "listings.parquet"
LINES_FILE: Final = "lines.parquet"
OUTCOMES_FILE: Final = "outcomes.parquet"


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The names of ids: the rows of _LISTINGS_SQL, _LINES_SQL and _OUTCOMES_SQL."""

    listings: pl.DataFrame
    lines: pl.DataFrame
    outcomes: pl.DataFrame


def read_dimensions(store: FileStore) -> Dimensions:
    """Read the newest dimension files.

    Raises ArchiveError when a file is missing: nothing was exported yet, or the folder is not an archive.
    """
    frames = [_read_stored_frame(store, file) for file in (LISTINGS_FILE, LINES_FILE, OUTCOMES_FILE)]
    listings, lines, outcomes = frames
    if listings is None or lines is None or outcomes is None:
        raise ArchiveError(
            f"nothing was exported to {store.address} yet: run `palimpsest export`, or "
            "name the folder or URL of the export"
        )
    return Dimensions(listings, lines, outcomes)


def require_same_numbers(conn: psycopg.Connection[Any], store: FileStore) -> None:
    """Raise ArchiveError when an id of the archive has another or no meaning in this database.

    Such an archive was written from another database.
    """
    for file, sql, number, meaning in (
        (LISTINGS_FILE, _LISTINGS_SQL, "listing_id", ("platform", "external_id")),
        (LINES_FILE, _LINES_SQL, "line_id", ("market_id", "specifier", "outcome")),
    ):
        archived = _read_stored_frame(store, file)
        if archived is None:
            continue
        foreign = archived.join(read_frame(conn, sql), on=[number, *meaning], how="anti")
        if foreign.height:
            example = ", ".join(f"{name} {foreign[name][0]}" for name in (number, *meaning))
            raise ArchiveError(
                f"the export at {store.address} was written from another database: {foreign.height} of its numbers in "
                f"{file} have another meaning here, e.g. {example}. Set PALIMPSEST_EXPORT_URL to a place of this "
                "database's own, or restore the database that the export belongs to."
            )


def write_dimensions(conn: psycopg.Connection[Any], store: FileStore, workspace: Path) -> None:
    """Write the dimension files from the database.

    `conn` must be outside a transaction. `workspace` is a local folder for unfinished files. A listing that is no
    longer in core keeps its last names.
    """
    conn.execute("select pg_advisory_lock(%s)", [AdvisoryLock.EXPORT_DIMENSIONS])
    conn.commit()
    try:
        listings = read_frame(conn, _LISTINGS_SQL)
        before = _read_stored_frame(store, LISTINGS_FILE)
        if before is not None:
            named_listings = listings.filter(pl.col("home_team").is_not_null())
            remembered = before.join(named_listings, on="listing_id", how="anti")
            # A listing that is no longer in core stays primary only if core has no other primary listing of the same
            # platform and fixture.
            primary_listings = named_listings.filter("is_primary").select("platform", "sr_id", taken=pl.lit(True))
            stays_primary = pl.col("is_primary") & pl.col("taken").is_null()
            remembered = (
                remembered.join(primary_listings, on=["platform", "sr_id"], how="left")
                .with_columns(is_primary=stays_primary)
                .drop("taken")
            )
            nameless = listings.join(named_listings, on="listing_id", how="anti").join(
                remembered, on="listing_id", how="anti"
            )
            listings = pl.concat([named_listings, remembered, nameless]).sort("listing_id")
        frames = {
            LISTINGS_FILE: listings,
            LINES_FILE: read_frame(conn, _LINES_SQL),
            OUTCOMES_FILE: read_frame(conn, _OUTCOMES_SQL),
        }
        for name, frame in frames.items():
            frame.write_parquet(workspace / name, compression="zstd")
            store.publish(workspace / name, name)
    finally:
        conn.rollback()
        conn.execute("select pg_advisory_unlock(%s)", [AdvisoryLock.EXPORT_DIMENSIONS])
        conn.commit()


def _read_stored_frame(store: FileStore, name: str) -> pl.DataFrame | None:
    content = store.read(name)
    if content is None:
        return None
    try:
        return pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise ArchiveError(
            f"{store.address}/{name} cannot be read: {error}. Move it away and export a day again: the export writes "
            "it again."
        ) from error
