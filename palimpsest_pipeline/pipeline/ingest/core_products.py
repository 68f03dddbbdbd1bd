"""The products of core in order of derivation, each with its function and the products it needs.

Imports no Dagster.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.derivation.due_products import Product

from ..context import Pipeline
from ..derive_hour import DerivedCycles, DeriveProduct, derive_cycles, derive_platforms
from . import write_core


@dataclass(frozen=True, slots=True)
class CoreProduct:
    """One product of core, with one function: for whole cycles, or for one platform of a cycle.

    `needs` names products of the same cycle that must be derived before.
    """

    derive_cycle: DeriveProduct | None = None
    make_platform_derivation: Callable[[Platform], DeriveProduct] | None = None
    needs: tuple[str, ...] = ()


CORE_PRODUCTS: Final[Mapping[str, CoreProduct]] = {
    "tournaments": CoreProduct(write_core.derive_tournaments),
    "home_events": CoreProduct(write_core.derive_home_events, needs=("tournaments",)),
    "competitor_events": CoreProduct(write_core.derive_competitor_events, needs=("tournaments",)),
    derived_products.ODDS_PRODUCT: CoreProduct(
        make_platform_derivation=write_core.make_odds_derivation, needs=("home_events", "competitor_events")
    ),
    "matched_events": CoreProduct(write_core.derive_matched_events, needs=(derived_products.ODDS_PRODUCT,)),
}


def derive_product(pipeline: Pipeline, name: str, manifests: Sequence[Manifest]) -> DerivedCycles:
    """Derive the product `name` for those cycles of `manifests` for which it is due (see `derive_cycles`)."""
    product = CORE_PRODUCTS[name]
    needs = make_core_needs(product.needs)
    if product.derive_cycle:
        return derive_cycles(pipeline, manifests, "core", name, product.derive_cycle, needs=needs)
    assert product.make_platform_derivation is not None
    return derive_platforms(pipeline, manifests, name, product.make_platform_derivation, needs=needs)


def make_core_needs(names: Iterable[str]) -> tuple[Product, ...]:
    """Return these products of core."""
    return tuple(Product("core", name, by_platform=CORE_PRODUCTS[name].derive_cycle is None) for name in names)


def ingest_cycle(pipeline: Pipeline, cycle_id: int) -> None:
    """Derive all products of core for one cycle that has just been landed."""
    manifest = pipeline.landing.read_manifest(cycle_id)
    for name in CORE_PRODUCTS:
        derive_product(pipeline, name, [manifest])
