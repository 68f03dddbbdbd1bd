"""Read and write due marks of fixtures: the table `mart.dirty_fixtures`. Callers commit.

A due mark says that the rows of a product must be derived again for a fixture.

Kickoff dates are marked in `storage.marts.lifecycle_rows`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureProduct, Platform

from ..db.copy_frames import read_frame

AFFECTED_FIXTURES_SQL: Final = """
looked_at as (
    select listing_id from core.listing_observations where cycle_id = %(cycle_id)s
    union
    select e.listing_id from ops.event_scrape_status s join core.event_listings e using (platform, external_id)
    where s.cycle_id = %(cycle_id)s
    union
    select e.listing_id from core.rejects r join core.event_listings e using (platform, external_id)
    where r.cycle_id = %(cycle_id)s and r.kind = 'detail' and r.whole_answer
),
bears_on as (
    select f.sr_id, f.effective_kickoff from looked_at
    join core.event_listings e using (listing_id)
    join core.fixtures f on f.sr_id = e.fixture_sr_id
    union
    select sr_id, effective_kickoff from core.fixtures where sr_id = any(%(moved)s)
    union
    select f.sr_id, f.effective_kickoff
    from core.cycles this
    join core.fixtures f on f.effective_kickoff > coalesce(
        (select max(c.as_of) from core.cycles c where c.scope = 'full' and c.as_of < this.as_of), '-infinity'
    )
    where this.cycle_id = %(cycle_id)s and this.scope = 'full'
)
"""
"""SQL for the fixtures that a cycle (`cycle_id`) affects.

A fixture is affected when the cycle observed it, when its kickoff has passed by the cycle's instant, or when it is in
`moved`: a listing left or joined it, or its tournament changed. A full cycle observes all fixtures that had not kicked
off at the previous full cycle.
"""

_MARK_SQL: Final = f"""
with {AFFECTED_FIXTURES_SQL}
insert into mart.dirty_fixtures as d (product, sr_id, marked_at)
select product, sr_id, clock_timestamp() from bears_on
cross join unnest(%(products)s::text[]) as due (product) order by product, sr_id
on conflict (product, sr_id) do update set marked_at = excluded.marked_at
"""
MARK_OTHER_HOME_SQL: Final = """
with of_other_home as materialized (
    select f.sr_id
    from core.fixtures f
    where f.effective_kickoff > %(now)s
        and exists (select from mart.compared_listing c where c.sr_id = f.sr_id and c.home_platform::text <> %(home)s)
)
insert into mart.dirty_fixtures (product, sr_id, marked_at)
select product, f.sr_id, clock_timestamp()
from core.fixtures f
cross join unnest(%(products)s::text[]) as due (product)
where f.effective_kickoff > %(now)s and (
    f.sr_id in (select sr_id from of_other_home)
    -- a fixture without rows had nothing to compare for the other home, and may have something for this one
    or exists (select from of_other_home) and not exists (select from mart.compared_listing c where c.sr_id = f.sr_id)
)
order by product, f.sr_id
on conflict (product, sr_id) do nothing
"""
# If another session is updating a mark, the mark is locked. It is skipped, so it stays.
_UNMARK_SQL: Final = """
with taken as (
    select d.sr_id from mart.dirty_fixtures d
    join unnest(%(sr_id)s::bigint[], %(marked_at)s::timestamptz[]) as seen (sr_id, marked_at) using (sr_id, marked_at)
    where d.product = %(product)s
    order by d.sr_id
    for update of d skip locked
)
delete from mart.dirty_fixtures d using taken where d.product = %(product)s and d.sr_id = taken.sr_id
"""
MARKS_SQL: Final = """
select sr_id, marked_at from mart.dirty_fixtures
where product = %(product)s and (%(sr_ids)s::bigint[] is null or sr_id = any(%(sr_ids)s::bigint[]))
"""
COUNT_DUE_SQL: Final = """
select count(*), extract(epoch from clock_timestamp() - min(marked_at))::float8 from mart.dirty_fixtures
where product = %s
"""


def mark_fixtures(conn: psycopg.Connection, cycle_id: int, moved_sr_ids: Sequence[int]) -> None:
    """Mark the fixtures that the cycle affects as due, for every product.

    `moved_sr_ids` are fixtures that matching changed. Call it in the transaction that matches. If a fixture no longer
    exists when it is derived, its marks are deleted then.
    """
    conn.execute(
        _MARK_SQL,
        {"cycle_id": cycle_id, "moved": list(moved_sr_ids), "products": [product.value for product in FixtureProduct]},
    )


def mark_fixtures_of_other_home(conn: psycopg.Connection, home: Platform, now: datetime) -> int:
    """Mark upcoming fixtures as due if their rows were derived for another home platform.

    If there is such a fixture, upcoming fixtures without rows are marked too. Existing marks stay unchanged. Returns
    the number of marks set.
    """
    params = {"home": home, "now": now, "products": [product.value for product in FixtureProduct]}
    return conn.execute(MARK_OTHER_HOME_SQL, params).rowcount


def read_fixture_marks(
    conn: psycopg.Connection, product: FixtureProduct, sr_ids: Sequence[int] | None = None
) -> pl.DataFrame:
    """Return the due marks of a product (sr_id, marked_at), of all or the given fixtures, by sr_id."""
    params = {"product": product.value, "sr_ids": None if sr_ids is None else list(sr_ids)}
    return read_frame(conn, MARKS_SQL, params).sort("sr_id")


def unmark_fixtures(conn: psycopg.Connection, product: FixtureProduct, marks: pl.DataFrame) -> None:
    """Delete these due marks (sr_id, marked_at) without waiting for other sessions.

    A mark that was set again after it was read stays. Call it after the repeatable-read transaction in which the marks
    were read; inside it, deleting a mark that was set again would raise an error.
    """
    conn.execute(_UNMARK_SQL, {"product": product.value, **marks.select("sr_id", "marked_at").to_dict(as_series=False)})


def count_due_fixtures(conn: psycopg.Connection, product: FixtureProduct) -> tuple[int, float]:
    """Return the number of due fixtures and the age of the oldest mark in seconds, 0 without marks."""
    row = conn.execute(COUNT_DUE_SQL, [product.value]).fetchone()
    n, waits_s = row or (0, None)
    return n, waits_s or 0.0
