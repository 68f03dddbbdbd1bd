"""The list of the products that this installation derives from a cycle, and queries for the due ones.

Imports no Dagster. No other list has all products of core and mart that are derived cycle by cycle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.storage.derivation.derived_products import COVERAGE_PRODUCT
from palimpsest_pipeline.storage.derivation.due_products import (
    NEW_CONTENT_REASONS,
    CycleVersions,
    DueProduct,
    DueQuery,
    Product,
    read_due_products,
    read_platform_sets,
)

from .context import Pipeline
from .ingest.write_core import CORE_PRODUCTS
from .marts import derive_marts

STUCK_AFTER: Final = timedelta(minutes=30)
"""A check fails when a run or a product has waited this long and no run has made progress."""


def make_due_query(pipeline: Pipeline, conn: psycopg.Connection, products: Iterable[Product] | None = None) -> DueQuery:
    """Return the argument of `read_due_products`: `products` (default: all) and their current versions."""
    versions = (pipeline.find_cycle_versions(platforms) for platforms in read_platform_sets(conn))
    return DueQuery(
        tuple(dict.fromkeys(cycle_versions for cycle_versions in versions if cycle_versions is not None)),
        tuple(list_products() if products is None else products),
    )


def list_products() -> list[Product]:
    """Return every marked product of a cycle."""
    return [
        *(Product("core", name, by_platform=each.derive_cycle is None) for name, each in CORE_PRODUCTS.items()),
        Product("mart", COVERAGE_PRODUCT, derive_marts.COVERAGE_SCOPES),
        Product("mart", derive_marts.RUN_QUALITY_PRODUCT),
        Product("mart", derive_marts.MAPPING_COVERAGE_PRODUCT),
    ]


def name_asset(product: Product) -> str:
    """Return `schema/name` of the Dagster asset that writes the product, of the first one of several."""
    name = product.name.partition("/")[0]
    return f"{product.schema}/{derive_marts.COVERAGE_TABLES[0] if name == COVERAGE_PRODUCT else name}"


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


@dataclass(frozen=True, slots=True)
class CycleWithoutPack:
    """A landed cycle that was not derived, and cannot be: `platforms` of it have no pack that can be used."""

    cycle_id: int
    partition_hour: datetime
    platforms: tuple[Platform, ...]

    @property
    def sentence(self) -> str:
        key = format_hour_key(self.partition_hour)
        return (
            f"cycle {self.cycle_id} covers {', '.join(self.platforms)}, whose pack cannot be used: mend or install it,"
            f" then run `palimpsest backfill {key} {key}`"
        )


def list_cycles_without_pack(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    *,
    first: datetime | None = None,
    end: datetime | None = None,
    cycle_ids: Sequence[int] | None = None,
) -> list[CycleWithoutPack]:
    """Return the landed cycles whose answers are not all in core because a pack cannot be used, by cycle.

    They are never due, so this is the only list that names them. Their answers must be kept until the pack is mended.
    Marts do not count, because other cycles make some of them due again.
    """
    core = tuple(product for product in list_products() if product.schema == "core")
    cycles = {}
    for platforms in read_platform_sets(conn):
        if unusable := pipeline.list_unusable_platforms(platforms):
            query = DueQuery((CycleVersions(platforms, "", ""),), core)  # NEW_CONTENT_REASONS compare no version
            for each in read_due_products(conn, query, first=first, end=end, cycle_ids=cycle_ids):
                if each.reason in NEW_CONTENT_REASONS and not each.is_gone:
                    cycles[each.cycle_id] = CycleWithoutPack(each.cycle_id, each.partition_hour, unusable)
    return [cycles[cycle_id] for cycle_id in sorted(cycles)]
