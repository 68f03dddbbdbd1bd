"""Count the priced markets of listings' books.

A book is all markets of one listing in one answer.

Sizes come from the captures in Postgres and, for days that were dropped, from sizes stored before. Callers commit.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start

from ..db.copy_frames import read_frame

CYCLE_BOOK_SIZES_SQL: Final = """
select c.listing_id::bigint as listing_id, c.observed_at, c.n_markets_priced as n_markets
from core.captures c join ops.listing_ids i using (listing_id)
where c.cycle_id = %s and i.platform = %s
"""
LARGEST_BOOKS_SQL: Final = """
select listing_id::bigint as listing_id, max(n_markets_priced) as n_markets
from (
    select listing_id, n_markets_priced from core.captures
    where listing_id = any(%(listings)s::int[])
        and (%(until)s::timestamptz is null or observed_at <= %(until)s::timestamptz or cycle_id = %(cycle_id)s::bigint)
    union all
    select listing_id, n_markets_priced from core.largest_books
    where listing_id = any(%(listings)s::int[])
        and (%(until)s::timestamptz is null or observed_at <= %(until)s::timestamptz or cycle_id = %(cycle_id)s::bigint)
) books
group by listing_id
"""
SAVE_LARGEST_BOOKS_SQL: Final = """
with answers as (
    select c.listing_id, c.observed_at, c.cycle_id, c.n_markets_priced, coalesce(k.as_of, c.observed_at) as as_of
    from core.captures c left join core.cycles k using (cycle_id)
    where c.observed_at >= %(from_at)s and c.observed_at < %(until)s and c.n_markets_priced > 0
)
insert into core.largest_books (listing_id, observed_at, cycle_id, n_markets_priced)
select listing_id, observed_at, cycle_id, n_markets_priced
from answers a
where not exists (
    select from core.captures b
    where b.listing_id = a.listing_id and b.observed_at >= %(from_at)s and b.observed_at < a.observed_at
        and b.n_markets_priced >= a.n_markets_priced and (b.cycle_id = a.cycle_id or b.observed_at <= a.as_of)
) and not exists (
    select from core.largest_books b
    where b.listing_id = a.listing_id and b.observed_at < a.observed_at
        and b.n_markets_priced >= a.n_markets_priced and (b.cycle_id = a.cycle_id or b.observed_at <= a.as_of)
)
on conflict (listing_id, observed_at) do update set cycle_id = excluded.cycle_id,
    n_markets_priced = excluded.n_markets_priced
"""
# The answers of a cycle count even if they are later than its instant. So an answer makes a later answer of another
# cycle redundant only if it is not later than that cycle's instant.


def read_book_sizes_of_cycle(conn: psycopg.Connection[Any], cycle_id: int, platform: str) -> pl.DataFrame:
    """Return listing_id, observed_at and n_markets of each stored answer of a platform in a cycle."""
    return read_frame(conn, CYCLE_BOOK_SIZES_SQL, [cycle_id, platform])


def add_largest_books(
    conn: psycopg.Connection[Any],
    listings: pl.DataFrame,
    wanted_ids: Sequence[int],
    *,
    until: datetime | None = None,
    cycle_id: int | None = None,
) -> pl.DataFrame:
    """Add the column n_markets to `listings`: the largest number of markets that one answer priced.

    `listings` has the column listing_id. The value is computed for the listings in `wanted_ids` and null for the
    others. It counts answers up to `until` and all answers of the cycle `cycle_id`; without `until` it counts all
    answers. It is null for listings without such an answer.
    """
    params = {"listings": list(wanted_ids), "until": until, "cycle_id": cycle_id}
    largest = read_frame(conn, LARGEST_BOOKS_SQL, params)
    return listings.join(largest, on="listing_id", how="left", maintain_order="left")


def save_largest_books(conn: psycopg.Connection[Any], day: date) -> None:
    """Store the answers of a UTC day that priced more markets than any earlier answer of their listing.

    Call it in the transaction that drops the day from Postgres. An answer with a smaller book than an earlier day's is
    not stored.
    """
    conn.execute(SAVE_LARGEST_BOOKS_SQL, _build_day_bounds(day))


def delete_largest_books(conn: psycopg.Connection[Any], day: date) -> None:
    """Delete the book sizes stored for a UTC day, because the day was restored into Postgres."""
    conn.execute(
        "delete from core.largest_books where observed_at >= %(from_at)s and observed_at < %(until)s",
        _build_day_bounds(day),
    )


def _build_day_bounds(day: date) -> dict[str, datetime]:
    return {"from_at": get_day_start(day), "until": get_day_start(day + timedelta(days=1))}
