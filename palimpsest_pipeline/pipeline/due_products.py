"""The list of the products that this installation derives from a cycle, and queries for the due ones.

Imports no Dagster. Belongs here: the only list of all products of core and mart that are derived cycle by cycle. Does
not belong here: deriving them (`pipeline.ingest.core_products`, `pipeline.marts.derive_marts`).
"""

from collections.abc import Iterable
from datetime import datetime

import psycopg

from palimpsest_pipeline.storage.derivation.due_products import (
    DueProduct,
    DueQuery,
    Product,
    read_due_products,
    read_platform_sets,
)

from .context import Pipeline
from .ingest.core_products import CORE_PRODUCTS
from .marts import derive_marts


def make_due_query(pipeline: Pipeline, conn: psycopg.Connection, products: Iterable[Product] | None = None) -> DueQuery:
    """Return the argument of `read_due_products`: `products` (default: all) and their current versions."""
    versions = (pipeline.find_cycle_versions(platforms) for platforms in read_platform_sets(conn))
    return DueQuery(
        tuple(cycle_versions for cycle_versions in versions if cycle_versions is not None),
        tuple(list_products() if products is None else products),
    )


def list_products() -> list[Product]:
    """Return every marked product of a cycle."""
    return [
        *(Product("core", name, by_platform=each.derive_cycle is None) for name, each in CORE_PRODUCTS.items()),
        Product("mart", derive_marts.COVERAGE_PRODUCT, derive_marts.COVERAGE_SCOPES),
        Product("mart", derive_marts.RUN_QUALITY_PRODUCT),
        Product("mart", derive_marts.MAPPING_COVERAGE_PRODUCT),
    ]


def name_asset(product: Product) -> str:
    """Return `schema/name` of the Dagster asset that writes the product, of the first one of several."""
    name = product.name.partition("/")[0]
    return f"{product.schema}/{derive_marts.COVERAGE_TABLES[0] if name == derive_marts.COVERAGE_PRODUCT else name}"


def list_due_products(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    *,
    first: datetime | None = None,
    end: datetime | None = None,
    cycle_ids: Iterable[int] | None = None,
) -> list[DueProduct]:
    """Return the due products of the hours in [first, end), or of the given cycles."""
    return read_due_products(conn, make_due_query(pipeline, conn), first=first, end=end, cycle_ids=cycle_ids)
