"""The products that this installation derives from a cycle, and queries for the due ones among them. Knows no Dagster.

Belongs here: the only list of all marked products of core and mart. Does not belong here: deriving them (`core.derive`, `mart.derive`).
"""

from collections.abc import Iterable
from datetime import datetime

import psycopg

from ..storage.due import Due, DueQuery, Product, due_products
from .core.derive import PRODUCTS, marks_of
from .mart import derive
from .pipeline import Pipeline


def make_due_query(pipeline: Pipeline, wanted: Iterable[Product] | None = None) -> DueQuery:
    """Return the input of `due_products` for the `wanted` products (default: all), with the versions of this pipeline."""
    return DueQuery(pipeline.parser_version, pipeline.vocabulary.version, tuple(all_products(pipeline) if wanted is None else wanted))


def all_products(pipeline: Pipeline) -> list[Product]:
    """Return every product that is derived from a cycle and marked; a product that is marked platform by platform gives one per platform."""
    core = [Product("core", name) for name in marks_of(PRODUCTS, pipeline.platforms)]
    coverage = Product("mart", derive.COVERAGE, derive.COVERAGE_SCOPES)
    return [*core, coverage, Product("mart", derive.RUN_QUALITY), Product("mart", derive.MAPPING_COVERAGE)]


def asset_of(product: Product) -> str:
    """Return the asset that holds a product; of several the first."""
    name = product.name.partition("/")[0]
    return f"{product.schema}/{derive.COVERAGE_TABLES[0] if name == derive.COVERAGE else name}"


def due_now(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    *,
    first: datetime | None = None,
    end: datetime | None = None,
    cycle_ids: Iterable[int] | None = None,
) -> list[Due]:
    """Return what is due of all products in the hours in [first, end), or of these cycles."""
    return due_products(conn, make_due_query(pipeline), first=first, end=end, cycle_ids=cycle_ids)
