"""Which products of which cycles stand, from what they were derived, and which are due. Callers commit, together with the rows.

Belongs here: `core.cycle_products` and `mart.cycle_products`. Does not: knowing what a product is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import psycopg
from psycopg import sql

Schema = Literal["core", "mart"]

ODDS: Final = "odds_snapshots"
"""Product that stands platform by platform: see `of_platforms`."""

COVERAGE: Final = "coverage"
"""Product that rests on which listings are primary as of a cycle, and so on the answers of earlier cycles: see `unmark_resting_on_books`."""

PRODUCT_LOCK: Final = 7_016
"""First half of the advisory lock of `claim`; the second half is made of product and cycle."""


def of_platforms(product: str, platforms: Iterable[str]) -> list[str]:
    """The products of which one that is derived platform by platform consists, e.g. odds_snapshots/bet9ja."""
    return [f"{product}/{platform}" for platform in platforms]


def pending(
    conn: psycopg.Connection, schema: Schema, product: str, manifest_digests: Mapping[int, str], *, parser_version: str, mapping_version: str
) -> list[int]:
    """Cycles of `manifest_digests` (cycle id to digest of its landing manifest) that are due, oldest first.

    Due is what has no mark, or one of another digest, parser version or mapping version.
    """
    if not manifest_digests:
        return []
    query = sql.SQL(
        """
        select cycle_id, landing_digest from {}
        where product = %s and parser_version = %s and mapping_version = %s and cycle_id = any(%s)
        """
    ).format(sql.Identifier(schema, "cycle_products"))
    done: dict[int, str] = dict(conn.execute(query, [product, parser_version, mapping_version, list(manifest_digests)]).fetchall())
    return sorted(cycle_id for cycle_id, digest in manifest_digests.items() if done.get(cycle_id) != digest)


def underived(conn: psycopg.Connection, schema: Schema, wanted: Sequence[str], manifest_digests: Mapping[int, str]) -> list[int]:
    """Cycles of `manifest_digests` for which one of the `wanted` products stands in no version or from other landed content, oldest first."""
    query = sql.SQL("select cycle_id, landing_digest from {} where product = any(%s) and cycle_id = any(%s)").format(
        sql.Identifier(schema, "cycle_products")
    )
    marks = conn.execute(query, [list(wanted), list(manifest_digests)]).fetchall()
    done = Counter(cycle_id for cycle_id, digest in marks if digest == manifest_digests[cycle_id])
    return sorted(cycle_id for cycle_id in manifest_digests if done[cycle_id] < len(set(wanted)))


def claim(conn: psycopg.Connection, product: str, cycle_id: int) -> None:
    """Wait until nobody else derives this product of the cycle, and keep others waiting until the transaction ends. Before any other lock."""
    conn.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", [PRODUCT_LOCK, f"{product} {cycle_id}"])


def mark(
    conn: psycopg.Connection,
    schema: Schema,
    product: str,
    cycle_id: int,
    *,
    landing_digest: str,
    parser_version: str,
    mapping_version: str,
    n_rows: int,
) -> None:
    """Say that the product of the cycle stands. In the transaction that writes its rows, so that neither is there without the other.

    `n_rows`: the rows that stand for it, whether they were there before or not; of odds more than 0 just when there are answers.
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


def unmark(conn: psycopg.Connection, schema: Schema, product: str, cycle_ids: Sequence[int]) -> None:
    """Make products due again."""
    query = sql.SQL("delete from {} where product = %s and cycle_id = any(%s)").format(sql.Identifier(schema, "cycle_products"))
    conn.execute(query, [product, list(cycle_ids)])


def unmark_cycles(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> None:
    """Make every product of these cycles due again, in core and mart. Their rows stay until they are replaced."""
    for schema in get_args(Schema):
        conn.execute(sql.SQL("delete from {} where cycle_id = any(%s)").format(sql.Identifier(schema, "cycle_products")), [list(cycle_ids)])


def unmark_carrying(conn: psycopg.Connection, product: str, cycle_id: int, carry_limit: timedelta) -> list[int]:
    """Make a mart product of later cycles due again that may carry what the full cycle `cycle_id` discovered; returns their ids."""
    query = """
        delete from mart.cycle_products p using core.cycles late, core.cycles this
        where this.cycle_id = %s and this.scope = 'full' and p.product = %s and late.cycle_id = p.cycle_id
            and late.as_of > this.as_of and late.as_of <= this.as_of + %s
        returning p.cycle_id
    """
    return [late for (late,) in conn.execute(query, [cycle_id, product, carry_limit]).fetchall()]


def unmark_resting_on_books(
    conn: psycopg.Connection, product: str, cycle_id: int, listing_ids: Sequence[int], since: datetime, carry_limit: timedelta
) -> list[int]:
    """Make a mart product due again for other cycles that used the book sizes of `listing_ids` from `since` on. Return the ids of these cycles.

    These are the cycles at or after `since` that may show one of the listings, if it shares its fixture with another listing of its platform.
    """
    query = """
        delete from mart.cycle_products p using core.cycles late
        where p.product = %(product)s and late.cycle_id = p.cycle_id and late.cycle_id <> %(cycle_id)s and late.as_of >= %(since)s and exists (
            select from unnest(%(listings)s::int[]) as changed (listing_id)
            join core.event_listings e using (listing_id)
            join core.event_listings r on r.fixture_sr_id = e.fixture_sr_id and r.platform = e.platform and r.listing_id <> e.listing_id
            where e.first_seen_at <= late.as_of and e.last_seen_at > late.as_of - %(carry_limit)s
        )
        returning p.cycle_id
    """
    params = {"product": product, "cycle_id": cycle_id, "listings": list(listing_ids), "since": since, "carry_limit": carry_limit}
    return [late for (late,) in conn.execute(query, params).fetchall()]


def marks(conn: psycopg.Connection, schema: Schema, cycle_id: int) -> dict[str, int]:
    """Products that stand for a cycle, with their rows (`mark`)."""
    query = sql.SQL("select product, n_rows from {} where cycle_id = %s order by product").format(sql.Identifier(schema, "cycle_products"))
    return dict(conn.execute(query, [cycle_id]).fetchall())
