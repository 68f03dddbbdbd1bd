"""The list of the products that this installation derives from a cycle, and queries for the due ones.

Imports no Dagster. Belongs here: the only list of all products of core and mart that are derived cycle by cycle. Does
not belong here: deriving them (`pipeline.ingest.core_products`, `pipeline.marts.derive_marts`).
"""

from collections.abc import Iterable
from datetime import datetime

import psycopg

from palimpsest_pipeline.storage.derivation.due_products import DueProduct, DueQuery, Product, read_due_products

from .context import Pipeline
from .ingest.core_products import CORE_PRODUCTS, list_marks
from .marts import derive_marts


def make_due_query(pipeline: Pipeline, products: Iterable[Product] | None = None) -> DueQuery:
    """Return the argument of `read_due_products`: `products` (default: all) and their current versions."""
    return DueQuery(
        pipeline.parser_version,
        pipeline.vocabulary.version,
        tuple(list_products(pipeline) if products is None else products),
    )


def list_products(pipeline: Pipeline) -> list[Product]:
    """Return every product that is derived cycle by cycle.

    A product that is derived platform by platform has one entry per platform.
    """
    core = [Product("core", name) for name in list_marks(CORE_PRODUCTS, pipeline.platforms)]
    coverage = Product("mart", derive_marts.COVERAGE_PRODUCT, derive_marts.COVERAGE_SCOPES)
    return [
        *core,
        coverage,
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
    return read_due_products(conn, make_due_query(pipeline), first=first, end=end, cycle_ids=cycle_ids)
