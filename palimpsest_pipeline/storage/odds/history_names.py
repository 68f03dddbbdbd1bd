"""What the numbers of the odds history stand for: who its listings are, what its lines and outcomes are called.

Belongs here: finding the listings that a question is about, and names for the numbers in an answer, by what the database says. Does not: the same by
the files of an export (`export_reader`), or what a name means (`markets`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import polars as pl
import psycopg

from palimpsest_pipeline.domain.schemas import OUTCOME_NAMES

from ..db.copy_frames import Schema, read_frame
from . import market_lines

ASKED_SQL: Final = """
select e.listing_id
from core.event_listings e
left join core.fixtures f on f.sr_id = e.fixture_sr_id
where (%(sr_ids)s::bigint[] is null or e.fixture_sr_id = any(%(sr_ids)s::bigint[]))
    and (%(tournament_keys)s::text[] is null or f.tournament_key = any(%(tournament_keys)s::text[]))
    and (%(listing_ids)s::int[] is null or e.listing_id = any(%(listing_ids)s::int[]))
"""

LISTINGS_SQL: Final = """
select i.listing_id, i.platform, i.external_id, e.fixture_sr_id as sr_id, coalesce(e.is_primary, false) as is_primary
from ops.listing_ids i
left join core.event_listings e using (listing_id)
where i.listing_id = any(%(listings)s::int[])
"""

MARKETS_SQL: Final = "select market_id, market_key from core.markets where market_id = any(%(markets)s::int[])"

OUTCOMES_SQL: Final = """
select k.market_key, o.ordinal, o.outcome_key
from core.market_outcomes o
join core.markets k using (market_id)
where k.market_key = any(%(markets)s::text[])
"""

LISTINGS_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int32,
    "platform": pl.String,
    "external_id": pl.String,
    "sr_id": pl.Int64,
    "is_primary": pl.Boolean,
}

Ids = Sequence[int] | None
"""Numbers asked for; None: all."""


class Names(Protocol):
    """Where names come from."""

    listings_in: str
    """Where it looks listings, markets and outcomes up, for messages."""
    markets_in: str
    outcomes_in: str
    remedy: str
    """What to do when a name is not there."""

    def asked(self, sr_ids: Ids, tournament_keys: Sequence[str] | None, listing_ids: Ids) -> list[int]:
        """Listings of these fixtures, of these tournaments, and among these listings."""

    def with_markets(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with market_key (null when it has no name), specifier, outcome in place of line_id. LookupError on a line never given."""

    def listings(self, listing_ids: Iterable[int]) -> pl.DataFrame:
        """Those of the listings that are known (LISTINGS_SCHEMA)."""

    def outcomes(self, market_keys: Iterable[str]) -> pl.DataFrame:
        """The vocabulary's outcomes of the markets (OUTCOME_NAMES)."""


class StoredNames:
    """By the database that holds the history."""

    listings_in, markets_in, outcomes_in = "ops.listing_ids", "core.markets", "core.market_outcomes"
    remedy = "run `palimpsest db upgrade`, which writes the vocabulary"

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn

    def asked(self, sr_ids: Ids, tournament_keys: Sequence[str] | None, listing_ids: Ids) -> list[int]:
        params = {"sr_ids": sr_ids, "tournament_keys": tournament_keys, "listing_ids": listing_ids}
        return read_frame(self._conn, ASKED_SQL, params, {"listing_id": pl.Int32}).to_series().to_list()

    def with_markets(self, rows: pl.DataFrame) -> pl.DataFrame:
        named = market_lines.named(self._conn, rows)
        schema: Schema = {"market_id": pl.Int16, "market_key": pl.String}
        keys = read_frame(self._conn, MARKETS_SQL, {"markets": named["market_id"].unique().to_list()}, schema)
        return named.join(keys, on="market_id", how="left").drop("market_id")

    def listings(self, listing_ids: Iterable[int]) -> pl.DataFrame:
        return read_frame(self._conn, LISTINGS_SQL, {"listings": list(listing_ids)}, LISTINGS_SCHEMA)

    def outcomes(self, market_keys: Iterable[str]) -> pl.DataFrame:
        return read_frame(self._conn, OUTCOMES_SQL, {"markets": list(market_keys)}, OUTCOME_NAMES)
