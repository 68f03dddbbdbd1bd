"""The products of core, in the order in which they are derived: what derives each, and what must stand before. Knows no Dagster."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.storage.derivation import derived_products

from ..context import Pipeline
from ..derive_hour import Derive, Derived, derive_cycles, derive_platforms
from . import write_core


@dataclass(frozen=True, slots=True)
class Product:
    """One way of deriving it, of whole cycles or platform by platform; `needs` are products of the same cycle."""

    whole: Derive | None = None
    of_platform: Callable[[Platform], Derive] | None = None
    needs: tuple[str, ...] = ()


PRODUCTS: Final[Mapping[str, Product]] = {
    "tournaments": Product(write_core.derive_tournaments),
    "home_events": Product(write_core.derive_home_events, needs=("tournaments",)),
    "competitor_events": Product(write_core.derive_competitor_events, needs=("tournaments",)),
    derived_products.ODDS: Product(of_platform=write_core.derive_odds, needs=("home_events", "competitor_events")),
    "matched_events": Product(write_core.derive_matched, needs=(derived_products.ODDS,)),
}


def marks_of(names: Iterable[str], platforms: Sequence[Platform]) -> list[str]:
    """The names under which products are marked: one that is derived platform by platform has one for each."""
    return [mark for name in names for mark in ([name] if PRODUCTS[name].whole else derived_products.of_platforms(name, platforms))]


def derive(pipeline: Pipeline, name: str, manifests: Sequence[Manifest]) -> Derived:
    """One product of these cycles, as `derive_cycles` does it."""
    product = PRODUCTS[name]
    needs = marks_of(product.needs, pipeline.platforms)
    if product.whole:
        return derive_cycles(pipeline, manifests, "core", name, product.whole, needs=needs)
    assert product.of_platform is not None
    return derive_platforms(pipeline, manifests, name, product.of_platform, needs=needs)


def ingest_cycle(pipeline: Pipeline, cycle_id: int) -> None:
    """All of core of one cycle that has just been landed."""
    manifest = pipeline.landing.manifest(cycle_id)
    for name in PRODUCTS:
        derive(pipeline, name, [manifest])
