"""The sizes of listings' books, in priced markets.

Belongs here: reading the largest book up to an instant, from the answers in Postgres and from the stored sizes of days
that have left it, and storing the largest books of a day that leaves. Does not belong here: the choice of a platform's
primary listing (`matching`), the odds themselves (`history`). Callers commit.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.schemas import INSTANT

from ..db.copy_frames import Schema, read_frame

LARGEST_BOOKS_SCHEMA: Final[Schema] = {"listing_id": pl.Int64, "n_markets": pl.Int32}
BOOK_SIZES_SCHEMA: Final[Schema] = {"listing_id": pl.Int64, "observed_at": INSTANT, "n_markets": pl.Int32}

CYCLE_BOOK_SIZES_SQL: Final = """
select c.listing_id, c.observed_at, c.n_markets_priced as n_markets
from core.captures c join ops.listing_ids i using (listing_id)
where c.cycle_id = %s and i.platform = %s
"""
LARGEST_BOOKS_SQL: Final = """
select listing_id, max(n_markets_priced) as n_markets
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
# A cycle's own answers count as of its instant although they are later. So an answer makes a later one of another cycle
# superfluous only if it is not later than that cycle's instant.


def read_book_sizes_of_cycle(conn: psycopg.Connection[Any], cycle_id: int, platform: str) -> pl.DataFrame:
    """Return the number of priced markets of each stored answer of a platform in a cycle.

    The columns are `BOOK_SIZES_SCHEMA`.
    """
    return read_frame(conn, CYCLE_BOOK_SIZES_SQL, [cycle_id, platform], BOOK_SIZES_SCHEMA)


def add_largest_books(
    conn: psycopg.Connection[Any],
    listings: pl.DataFrame,
    wanted_ids: Sequence[int],
    *,
    until: datetime | None = None,
    cycle_id: int | None = None,
) -> pl.DataFrame:
    """Return `listings` with n_markets, the largest number of markets that one answer of it priced.

    `listings` has listing_id. `n_markets` is computed for the listings of `wanted_ids`. It counts the answers up to
    `until` and those of the cycle, or all answers without `until`. It is null for listings without such an answer, and
    for listings that are not in `wanted_ids`.
    """
    params = {"listings": list(wanted_ids), "until": until, "cycle_id": cycle_id}
    largest = (
        read_frame(conn, LARGEST_BOOKS_SQL, params, LARGEST_BOOKS_SCHEMA)
        if wanted_ids
        else pl.DataFrame(schema=LARGEST_BOOKS_SCHEMA)
    )
    return listings.join(largest, on="listing_id", how="left", maintain_order="left")


def save_largest_books(conn: psycopg.Connection[Any], day: date) -> None:
    """Store the answers of a UTC day that priced more markets than any earlier answer of their listing.

    Call it in the transaction that removes the day from Postgres. An answer that an earlier day already surpassed is
    not stored; it would only be needed again if old payloads were imported.
    """
    conn.execute(SAVE_LARGEST_BOOKS_SQL, _build_day_bounds(day))


def delete_largest_books(conn: psycopg.Connection[Any], day: date) -> None:
    """Delete the stored answers of a UTC day that is in Postgres again."""
    conn.execute(
        "delete from core.largest_books where observed_at >= %(from_at)s and observed_at < %(until)s",
        _build_day_bounds(day),
    )


def _build_day_bounds(day: date) -> dict[str, datetime]:
    return {"from_at": get_day_start(day), "until": get_day_start(day + timedelta(days=1))}
