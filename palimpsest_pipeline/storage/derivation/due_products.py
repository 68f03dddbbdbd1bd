"""Find the due products of cycles, and record derivations that failed.

The SQL function `ops.due_products` returns the due products.

Failures are stored in `ops.cycle_failures`. The list of products is in `pipeline.installed_products`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
import psycopg

from palimpsest_pipeline.domain.enums import Platform, Scope

from .derived_products import ProductSchema

DUE_SQL: Final = (
    "ops.due_products(%(versions)s::jsonb, %(products)s::jsonb, %(first)s, %(end)s, %(cycle_ids)s::bigint[])"
)
"""SQL for a FROM clause that calls `ops.due_products`. `DueQuery.build_params` returns its parameters."""


class DueReason(StrEnum):
    """Why a product of a cycle is due, in order of precedence."""

    MISSING = "not derived"
    CONTENT = "other content was landed"
    PARSER = "another parser version"
    MAPPING = "another mapping version"


NEW_CONTENT_REASONS: Final = (DueReason.MISSING, DueReason.CONTENT)
"""Reasons which mean that landed answers were never derived into core or mart, with any version."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product that must be derived from each cycle with one of these scopes.

    `scopes` None means every cycle. `by_platform`: it has a mark `<name>/<platform>` for each platform of a cycle.
    """

    schema: ProductSchema
    name: str
    scopes: tuple[Scope, ...] | None = None
    by_platform: bool = False


@dataclass(frozen=True, slots=True)
class CycleVersions:
    """The versions of parsers and vocabulary for cycles that cover exactly these platforms."""

    platforms: tuple[Platform, ...]
    """In the order of their keys."""
    parser: str
    mapping: str


@dataclass(frozen=True, slots=True)
class DueQuery:
    """The input of `ops.due_products`: the products that must exist, and the versions they must be of.

    Cycles with a set of platforms that is not in `versions` are never due, because one of their packs is missing.
    """

    versions: tuple[CycleVersions, ...]
    products: tuple[Product, ...]

    def build_params(
        self, first: datetime | None = None, end: datetime | None = None, cycle_ids: Iterable[int] | None = None
    ) -> dict[str, Any]:
        """Return the parameters of `DUE_SQL` for the hours from `first` (included) to `end` (excluded).

        With `cycle_ids` only these cycles are searched.
        """
        products = [
            {"schema": item.schema, "product": item.name, "scopes": item.scopes, "by_platform": item.by_platform}
            for item in self.products
        ]
        return {
            "versions": msgspec.json.encode(self.versions).decode(),
            "products": msgspec.json.encode(products).decode(),
            "first": first or "-infinity",
            "end": end or "infinity",
            "cycle_ids": None if cycle_ids is None else list(cycle_ids),
        }


def read_platform_sets(conn: psycopg.Connection) -> list[tuple[Platform, ...]]:
    """Return the different sets of platforms that landed cycles cover."""
    rows = conn.execute("select distinct platforms from ops.landed_cycles").fetchall()
    return sorted(tuple(map(Platform, platforms)) for (platforms,) in rows)


@dataclass(frozen=True, slots=True)
class DueProduct:
    """A due product of a cycle."""

    cycle_id: int
    partition_hour: datetime
    schema: ProductSchema
    product: str
    reason: DueReason
    can_be_derived: bool
    """True when the cycle is in the landing and its files are complete."""
    is_gone: bool
    """True when the cycle is no longer in the landing.

    If this and `can_be_derived` are both false, the cycle is in the landing but damaged.
    """
    has_failed: bool
    """True when a derivation from the same content with the same versions has failed."""


def read_due_products(
    conn: psycopg.Connection,
    query: DueQuery,
    *,
    first: datetime | None = None,
    end: datetime | None = None,
    cycle_ids: Iterable[int] | None = None,
) -> list[DueProduct]:
    """Return the due products of cycles in the hours [first, end), or of `cycle_ids`, by cycle.

    Cycles that cannot be derived are included (`can_be_derived`).
    """
    statement = f"""
        select cycle_id, partition_hour, schema, product, reason, can_be_derived, is_gone, has_failed from {DUE_SQL}
        order by cycle_id, schema, product
    """
    rows = conn.execute(statement.encode(), query.build_params(first, end, cycle_ids)).fetchall()
    return [
        DueProduct(cycle_id, hour, schema, product, DueReason(reason), *flags)
        for cycle_id, hour, schema, product, reason, *flags in rows
    ]


def read_due_hours(conn: psycopg.Connection, query: DueQuery, before: datetime) -> list[datetime]:
    """Return the hours with a scraped cycle from which a product must, and can, be derived.

    A cycle counts when it sent requests, got answers, ended before `before`, and is still in the landing.
    """
    statement = f"""
        select d.partition_hour
        from {DUE_SQL} d join ops.scrape_batches b using (cycle_id)
        where not d.is_gone and b.finished_at < %(before)s and b.status <> 'running' and b.scope <> 'recorded'
            and exists (select from ops.scrape_runs r where r.cycle_id = b.cycle_id and r.bytes > 0)
        group by d.partition_hour order by d.partition_hour
    """
    rows = conn.execute(statement.encode(), {**query.build_params(), "before": before}).fetchall()
    return [hour for (hour,) in rows]


@dataclass(frozen=True, slots=True)
class DueCycle:
    """A cycle that has ended and has products that were not derived from its present landed content.

    `run_id` is the Dagster run that scraped the cycle.
    """

    cycle_id: int
    partition_hour: datetime
    ended_at: datetime
    run_id: str | None
    ended_early: bool
    """True when the cycle was interrupted, was cancelled or failed."""


def read_due_cycles(conn: psycopg.Connection, query: DueQuery, first: datetime) -> list[DueCycle]:
    """Return the scraped cycles since the hour `first` that have ended and are due, by cycle.

    A cycle is due when it is complete in the landing and a product lacks its landed content. An older parser or mapping
    version does not count, because the user starts a backfill for that. Cycles whose derivation has failed are left
    out.
    """
    statement = f"""
        select d.cycle_id, d.partition_hour, coalesce(b.finished_at, b.heartbeat_at), b.run_id,
            b.status in ('interrupted', 'cancelled', 'failed')
        from {DUE_SQL} d join ops.scrape_batches b using (cycle_id)
        where d.can_be_derived and b.status <> 'running' and b.scope <> 'recorded'
        group by d.cycle_id, d.partition_hour, b.cycle_id
        having bool_or(d.reason = any(%(reasons)s)) and not bool_or(d.has_failed)
        order by d.cycle_id
    """
    params = {**query.build_params(first), "reasons": [str(reason) for reason in NEW_CONTENT_REASONS]}
    return [DueCycle(*row) for row in conn.execute(statement.encode(), params).fetchall()]


@dataclass(frozen=True, slots=True)
class DueCount:
    """The number of cycles of which one product is due, all platforms of a product together."""

    schema: ProductSchema
    product: str
    is_new_content: bool
    """True when the landed content was never derived, False when only a version is older."""
    n_due: int
    """Products of cycles and platforms that are due and can be derived."""
    n_failed: int
    """Those of them whose derivation has failed."""
    oldest_ended_at: datetime | None
    """End of the oldest of these cycles; None when the ledger has none of them."""


def count_due_products(conn: psycopg.Connection, query: DueQuery) -> list[DueCount]:
    """Return how many products are due and can be derived, by product and by new content or version."""
    statement = f"""
        select d.schema, split_part(d.product, '/', 1), d.reason = any(%(reasons)s), count(*),
            count(*) filter (where d.has_failed), min(coalesce(b.finished_at, b.heartbeat_at))
        from {DUE_SQL} d left join ops.scrape_batches b using (cycle_id)
        where d.can_be_derived
        group by 1, 2, 3 order by 1, 2, 3
    """
    params = {**query.build_params(), "reasons": [str(reason) for reason in NEW_CONTENT_REASONS]}
    return [DueCount(*row) for row in conn.execute(statement.encode(), params).fetchall()]


def record_failure(
    conn: psycopg.Connection,
    product: str,
    cycle_id: int,
    *,
    landing_digest: str | None,
    parser_version: str,
    mapping_version: str,
    error: str,
) -> None:
    """Record that the derivation of a product of a cycle failed. `error` must not contain a secret."""
    conn.execute(
        """
        insert into ops.cycle_failures (cycle_id, product, landing_digest, parser_version, mapping_version, error,
            failed_at)
        values (%s, %s, %s, %s, %s, %s, clock_timestamp())
        on conflict (cycle_id, product) do update set landing_digest = excluded.landing_digest,
            parser_version = excluded.parser_version,
            mapping_version = excluded.mapping_version, error = excluded.error, failed_at = excluded.failed_at
        """,
        [
            cycle_id,
            product,
            landing_digest,
            parser_version,
            mapping_version,
            error.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        ],
    )


def delete_failure(conn: psycopg.Connection, product: str, cycle_id: int) -> None:
    """Delete the failure of a product of a cycle, after the product was derived."""
    conn.execute("delete from ops.cycle_failures where cycle_id = %s and product = %s", [cycle_id, product])


def delete_failures(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> None:
    """Delete all recorded failures of these cycles."""
    conn.execute("delete from ops.cycle_failures where cycle_id = any(%s)", [list(cycle_ids)])


@dataclass(frozen=True, slots=True)
class ProductFailure:
    """A product of a cycle whose last derivation failed. `error` has the error's class and message."""

    cycle_id: int
    product: str
    error: str
    failed_at: datetime


def read_due_failures(conn: psycopg.Connection, query: DueQuery) -> list[ProductFailure]:
    """Return the failures of products that are still due, sorted by cycle and product."""
    # The ids are passed as values instead of a subquery, because only then does Postgres inline the function and use
    # its index (3.7 ms instead of 20 ms with 100,000 cycles).
    params = query.build_params(
        cycle_ids=[
            cycle_id for (cycle_id,) in conn.execute("select distinct cycle_id from ops.cycle_failures").fetchall()
        ]
    )
    statement = f"""
        select f.cycle_id, f.product, f.error, f.failed_at from ops.cycle_failures f
        join {DUE_SQL} d using (cycle_id, product)
        order by f.cycle_id, f.product
    """
    return [ProductFailure(*row) for row in conn.execute(statement.encode(), params).fetchall()]


def read_failures(
    conn: psycopg.Connection, cycle_ids: Sequence[int], *, run_ids: Sequence[str] | None = None
) -> dict[tuple[int, str], str]:
    """Return error messages by (cycle id, product), in that order.

    With `run_ids`, only errors since the start of the earliest of these Dagster runs are returned.
    """
    statement = """
        select cycle_id, product, error from ops.cycle_failures
        where cycle_id = any(%s) and (%s or failed_at >= (select min(started_at) from ops.run_heartbeats
            where run_id = any(%s)))
        order by cycle_id, product
    """
    rows = conn.execute(statement, [list(cycle_ids), run_ids is None, list(run_ids or ())]).fetchall()
    return {(cycle_id, product): error for cycle_id, product, error in rows}
