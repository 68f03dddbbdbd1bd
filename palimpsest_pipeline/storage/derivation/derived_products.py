"""Record which products of a cycle were derived, from which content and with which versions.

The caller commits these rows together with the product's rows.

The tables are `core.cycle_products` and `mart.cycle_products`; `due_products` finds the products still to derive.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import psycopg
from psycopg import sql

from ..db.locks import AdvisoryLock

ProductSchema = Literal["core", "mart"]

ODDS_PRODUCT: Final = "odds_snapshots"
"""The product of prices. It is derived platform by platform: see `name_platform_product`."""

COVERAGE_PRODUCT: Final = "coverage"
"""The product of coverage. It depends on the primary listings, and so on answers of earlier cycles.

See `mark_due_by_book_sizes`.
"""


def name_platform_product(product: str, platform: str) -> str:
    """Return the name under which one platform's part of a product is recorded: `odds_snapshots/bet9ja`."""
    return f"{product}/{platform}"


def claim_product(conn: psycopg.Connection, product: str, cycle_id: int) -> None:
    """Take the lock of a product of a cycle until the transaction ends, and wait for it if needed.

    Only one session derives a product of a cycle at a time. Call it before taking any other lock.
    """
    conn.execute(
        "select pg_advisory_xact_lock(%s, hashtext(%s))", [AdvisoryLock.CYCLE_PRODUCT, f"{product} {cycle_id}"]
    )


def mark_derived(
    conn: psycopg.Connection,
    schema: ProductSchema,
    product: str,
    cycle_id: int,
    *,
    landing_digest: str,
    parser_version: str,
    mapping_version: str,
    n_rows: int,
) -> None:
    """Record that the product of the cycle was derived.

    Call it in the transaction that writes the product's rows. `n_rows` counts all rows of the product, not only the new
    ones. For the odds product it is more than 0 exactly when there are answers.
    """
    query = sql.SQL(
        """
        insert into {} (cycle_id, product, landing_digest, parser_version, mapping_version, n_rows, computed_at)
        values (%s, %s, %s, %s, %s, %s, clock_timestamp())
        on conflict (cycle_id, product) do update
        set landing_digest = excluded.landing_digest, parser_version = excluded.parser_version,
            mapping_version = excluded.mapping_version, n_rows = excluded.n_rows, computed_at = excluded.computed_at
        """
    ).format(sql.Identifier(schema, "cycle_products"))
    conn.execute(query, [cycle_id, product, landing_digest, parser_version, mapping_version, n_rows])


def mark_product_due(conn: psycopg.Connection, schema: ProductSchema, product: str, cycle_ids: Sequence[int]) -> None:
    """Make a product of these cycles due again, by deleting the record that it was derived."""
    query = sql.SQL("delete from {} where product = %s and cycle_id = any(%s)").format(
        sql.Identifier(schema, "cycle_products")
    )
    conn.execute(query, [product, list(cycle_ids)])


def mark_cycles_due(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> None:
    """Make every product of these cycles due again, in core and mart.

    The rows of the products stay until they are replaced.
    """
    for schema in get_args(ProductSchema):
        conn.execute(
            sql.SQL("delete from {} where cycle_id = any(%s)").format(sql.Identifier(schema, "cycle_products")),
            [list(cycle_ids)],
        )


def mark_carrying_cycles_due(
    conn: psycopg.Connection, product: str, cycle_id: int, carry_limit: timedelta
) -> list[int]:
    """Make a mart product of later cycles due again, because they may use a discovery of `cycle_id`.

    A later cycle uses (carries) a complete discovery that is at most `carry_limit` old. The call has an effect only
    when `cycle_id` is a full cycle. Returns the ids of the later cycles.
    """
    query = """
        delete from mart.cycle_products p using core.cycles late, core.cycles this
        where this.cycle_id = %s and this.scope = 'full' and p.product = %s and late.cycle_id = p.cycle_id
            and late.as_of > this.as_of and late.as_of <= this.as_of + %s
        returning p.cycle_id
    """
    return [carrying_id for (carrying_id,) in conn.execute(query, [cycle_id, product, carry_limit]).fetchall()]


def mark_due_by_book_sizes(
    conn: psycopg.Connection,
    product: str,
    cycle_id: int,
    listing_ids: Sequence[int],
    since: datetime,
    carry_limit: timedelta,
) -> list[int]:
    """Make a mart product of other cycles due again, because they used book sizes of `listing_ids`.

    These are the cycles at or after `since` that may contain one of the listings, last seen at most `carry_limit`
    before the cycle. Only listings that share their fixture with another listing of the same platform count. Returns
    the ids of the cycles; `cycle_id`, whose answers changed the sizes, is not among them.
    """
    query = """
        delete from mart.cycle_products p using core.cycles late
        where p.product = %(product)s and late.cycle_id = p.cycle_id and late.cycle_id <> %(cycle_id)s
            and late.as_of >= %(since)s and exists (
            select from unnest(%(listings)s::int[]) as changed (listing_id)
            join core.event_listings e using (listing_id)
            join core.event_listings r on r.fixture_sr_id = e.fixture_sr_id and r.platform = e.platform
                and r.listing_id <> e.listing_id
            where e.first_seen_at <= late.as_of and e.last_seen_at > late.as_of - %(carry_limit)s
        )
        returning p.cycle_id
    """
    params = {
        "product": product,
        "cycle_id": cycle_id,
        "listings": list(listing_ids),
        "since": since,
        "carry_limit": carry_limit,
    }
    return [affected_id for (affected_id,) in conn.execute(query, params).fetchall()]


def read_product_marks(conn: psycopg.Connection, schema: ProductSchema, cycle_id: int) -> dict[str, int]:
    """Return the derived products of a cycle: number of rows by product name."""
    query = sql.SQL("select product, n_rows from {} where cycle_id = %s order by product").format(
        sql.Identifier(schema, "cycle_products")
    )
    return dict(conn.execute(query, [cycle_id]).fetchall())


def count_product_rows(conn: psycopg.Connection, schema: ProductSchema, product: str, cycle_ids: Sequence[int]) -> int:
    """Return the number of rows that the product has for these cycles, by its marks."""
    query = sql.SQL(
        "select coalesce(sum(n_rows), 0)::bigint from {} where split_part(product, '/', 1) = %s and cycle_id = any(%s)"
    )
    row = conn.execute(query.format(sql.Identifier(schema, "cycle_products")), [product, list(cycle_ids)]).fetchone()
    return row[0] if row else 0
