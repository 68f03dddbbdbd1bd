"""Read the names of listings, lines and outcomes, which the odds history stores as ids.

`export_reader` reads the same names from the files of an export.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import polars as pl
import psycopg

from palimpsest_pipeline.tables.frame_types import Schema

from ..db.copy_frames import read_frame
from . import market_lines

LISTING_IDS_SQL: Final = """
select e.listing_id
from core.event_listings e
left join core.fixtures f on f.sr_id = e.fixture_sr_id
where (%(sr_ids)s::bigint[] is null or e.fixture_sr_id = any(%(sr_ids)s::bigint[]))
    and (%(tournament_keys)s::text[] is null or f.tournament_key = any(%(tournament_keys)s::text[]))
    and (%(listing_ids)s::int[] is null or e.listing_id = any(%(listing_ids)s::int[]))
"""

_LISTINGS_SQL: Final = """
select i.listing_id, i.platform, i.external_id, e.fixture_sr_id as sr_id, coalesce(e.is_primary, false) as is_primary
from ops.listing_ids i
left join core.event_listings e using (listing_id)
where i.listing_id = any(%(listings)s::int[])
"""

_MARKETS_SQL: Final = "select market_id, market_key from core.markets where market_id = any(%(markets)s::int[])"

_OUTCOMES_SQL: Final = """
select k.market_key, o.ordinal, o.outcome_key
from core.market_outcomes o
join core.markets k using (market_id)
where k.market_key = any(%(markets)s::text[])
"""

NAMED_LISTINGS_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int32,
    "platform": pl.String,
    "external_id": pl.String,
    "sr_id": pl.Int64,
    "is_primary": pl.Boolean,
}

IdFilter = Sequence[int] | None
"""Ids of listings, fixtures or lines to read; None reads all."""


class HistoryNames(Protocol):
    """The interface of a source of names."""

    listings_source: str
    """Where listings are looked up, as text for error messages."""
    markets_source: str
    """Where markets are looked up, as text for error messages."""
    outcomes_source: str
    """Where outcomes are looked up, as text for error messages."""
    remedy: str
    """The remedy for a missing name, as text for error messages."""

    def find_listing_ids(
        self, sr_ids: IdFilter, tournament_keys: Sequence[str] | None, listing_ids: IdFilter
    ) -> list[int]:
        """Return the ids of the listings that satisfy all given filters; None does not filter."""

    def add_market_names(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `rows` with market_key, specifier and outcome in place of line_id.

        `outcome` is '' but for markets with open outcomes, which have a line for each. `market_key` is null when the
        vocabulary has no such market. Raises LookupError for an unknown line_id.
        """

    def read_listings(self, listing_ids: Iterable[int]) -> pl.DataFrame:
        """Return the known listings among the given ids (NAMED_LISTINGS_SCHEMA)."""

    def read_outcomes(self, market_keys: Iterable[str]) -> pl.DataFrame:
        """Return the outcomes of the given markets in the vocabulary (OUTCOME_NAMES)."""


class PostgresNames:
    """The names in the database that contains the history."""

    listings_source, markets_source, outcomes_source = "ops.listing_ids", "core.markets", "core.market_outcomes"
    remedy = "run `palimpsest db upgrade`, which writes the vocabulary"

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn

    def find_listing_ids(
        self, sr_ids: IdFilter, tournament_keys: Sequence[str] | None, listing_ids: IdFilter
    ) -> list[int]:
        params = {"sr_ids": sr_ids, "tournament_keys": tournament_keys, "listing_ids": listing_ids}
        return read_frame(self._conn, LISTING_IDS_SQL, params).to_series().to_list()

    def add_market_names(self, rows: pl.DataFrame) -> pl.DataFrame:
        named_rows = market_lines.name_lines(self._conn, rows)
        keys = read_frame(self._conn, _MARKETS_SQL, {"markets": named_rows["market_id"].unique().to_list()})
        return named_rows.join(keys, on="market_id", how="left").drop("market_id")

    def read_listings(self, listing_ids: Iterable[int]) -> pl.DataFrame:
        return read_frame(self._conn, _LISTINGS_SQL, {"listings": list(listing_ids)})

    def read_outcomes(self, market_keys: Iterable[str]) -> pl.DataFrame:
        return read_frame(self._conn, _OUTCOMES_SQL, {"markets": list(market_keys)})
