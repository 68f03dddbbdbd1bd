"""Reading the odds history: as of an instant, and by cycle.

Belongs here: questions that others ask of captures and market_changes. Does not: anything that writes, or that interprets prices.
As-of means as of observed_at, and stays within one UTC day: each day begins with the whole book, so no earlier day is read.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from .change_rows import CONTENT_SCHEMA, INSTANT
from .frames import read_frame

AS_OF_SQL: Final = """
select asked.listing_id, l.market_id, l.specifier, l.outcome, m.state::text as state, coalesce(m.off_mask, 0) as off_mask, m.odds_milli,
    m.observed_at, confirmed.observed_at as last_confirmed_at
from unnest(%(listings)s::int[]) as asked (listing_id)
cross join lateral (
    select observed_at from core.captures
    where listing_id = asked.listing_id
        and observed_at >= date_trunc('day', %(instant)s::timestamptz, 'UTC') and observed_at <= %(instant)s::timestamptz
    order by observed_at desc limit 1
) confirmed
cross join lateral (
    select distinct on (line_id) line_id, state, off_mask, odds_milli, observed_at
    from core.market_changes
    where listing_id = asked.listing_id
        and observed_at >= date_trunc('day', %(instant)s::timestamptz, 'UTC') and observed_at <= confirmed.observed_at
    order by line_id, observed_at desc
) m
join ops.market_lines l using (line_id)
order by 1, 2, 3, 4
"""

CAPTURES_SQL: Final = """
select listing_id, observed_at, cycle_id, keyframe, n_markets_listed, n_markets_mapped, n_markets_priced, n_prices, n_prices_merged, n_changed,
    mapping_version, ingested_at
from core.captures where cycle_id = %(cycle_id)s order by listing_id, observed_at
"""

ANSWERS_SQL: Final = """
select c.listing_id, c.observed_at from core.captures c join ops.listing_ids i using (listing_id)
where c.cycle_id = %(cycle_id)s and i.platform = %(platform)s
"""

CAPTURES_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "cycle_id": pl.Int64,
    "keyframe": pl.Boolean,
    "n_markets_listed": pl.Int32,
    "n_markets_mapped": pl.Int32,
    "n_markets_priced": pl.Int32,
    "n_prices": pl.Int32,
    "n_prices_merged": pl.Int32,
    "n_changed": pl.Int32,
    "mapping_version": pl.String,
    "ingested_at": INSTANT,
}
"""Columns of core.captures."""

PRICES_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    **{name: kind for name, kind in CONTENT_SCHEMA.items() if name not in {"listing_id", "observed_at"}},
    "observed_at": INSTANT,
    "last_confirmed_at": INSTANT,
}
"""Columns of `prices_as_of`."""


def captures_of_cycle(conn: psycopg.Connection[Any], cycle_id: int) -> pl.DataFrame:
    """Rows of core.captures that a cycle wrote (CAPTURES_SCHEMA), by listing and instant."""
    return read_frame(conn, CAPTURES_SQL, {"cycle_id": cycle_id}, CAPTURES_SCHEMA)


def answers_of_cycle(conn: psycopg.Connection[Any], cycle_id: int, platform: str) -> pl.DataFrame:
    """Keys (listing_id, observed_at) of a platform's captures that a cycle wrote."""
    return read_frame(conn, ANSWERS_SQL, {"cycle_id": cycle_id, "platform": platform}, {"listing_id": pl.Int32, "observed_at": INSTANT})


def stats_of_cycle(conn: psycopg.Connection[Any], cycle_id: int) -> pl.DataFrame:
    """Per answer of a cycle: `listing_id`, `keyframe` (then n_changed is its whole book, not a change), `n_changed`."""
    return captures_of_cycle(conn, cycle_id).select("listing_id", "keyframe", "n_changed")


def prices_as_of(conn: psycopg.Connection[Any], instant: datetime, listing_ids: Iterable[int]) -> pl.DataFrame:
    """Every market of the listings as it stood at `instant` (aware), by the answers of its UTC day up to then (PRICES_SCHEMA).

    `observed_at` is the answer since which the row stands within that day, `last_confirmed_at` the listing's last answer at or before `instant`.
    Markets that went since the day began are there with state withdrawn. A listing that was not answered that day before `instant` has no row.
    Raises ValueError on a naive `instant`.
    """
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}: instants carry a time zone here")
    return read_frame(conn, AS_OF_SQL, {"instant": instant, "listings": sorted(set(listing_ids))}, PRICES_SCHEMA)
