"""The mart assets, derived from the state of core as of each cycle of the run."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from palimpsest_pipeline.domain.enums import TriageStatus
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import DerivedCycles, DeriveProduct, derive_cycles
from palimpsest_pipeline.pipeline.ingest.write_core import make_core_needs
from palimpsest_pipeline.pipeline.marts import derive_marts
from palimpsest_pipeline.storage.derivation.derived_products import COVERAGE_PRODUCT, ODDS_PRODUCT
from palimpsest_pipeline.storage.marts import cycle_marts, mapping_ledger

from ..asset_metadata import build_metadata, build_table_metadata, build_table_spec, stringify_values
from ..asset_partitions import day_partitions
from ..core.assets import matched_events, odds_snapshots
from ..derive_run import RunDerivation, derive_run, find_product, raise_for_failed_cycles
from ..run_cycles import find_cycles_or_skip

CYCLE_ASSET_OPTIONS: Final[dict[str, Any]] = {
    "partitions_def": day_partitions,
    "output_required": False,
    "group_name": "mart",
    "kinds": {"polars", "postgres"},
}


def _build_spec(name: str, description: str) -> dg.AssetSpec:
    return build_table_spec(f"mart.{name}", description, [matched_events], skippable=True)


def _derive_product(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    product: str,
    derive_cycle: DeriveProduct,
    needs: Sequence[str],
) -> RunDerivation | None:
    """Derive the product for the run's cycles for which it is due; return None when the run has no cycles.

    `needs` names the core products that must be derived before. All cycles are processed; then the first error of a
    failed cycle is raised.
    """
    cycles = find_cycles_or_skip(context, pipeline)
    if cycles is None:
        return None

    def derive_manifests(manifests: Sequence[Manifest]) -> DerivedCycles:
        return derive_cycles(pipeline, manifests, "mart", product, derive_cycle, needs=make_core_needs(needs))

    derivation = derive_run(pipeline, context.run, cycles, find_product(product), derive_manifests)
    derivation.raise_errors()
    return derivation


@dg.multi_asset(
    name="coverage",
    partitions_def=day_partitions,
    specs=[
        _build_spec("coverage_fixture", "The platforms that list each fixture, as of each full cycle."),
        _build_spec(
            "coverage_tournament",
            "Coverage per tournament and competitor, as of each full cycle. The sums equal match_rate_platform.",
        ),
        _build_spec(
            "match_rate_platform",
            "Match rates per platform and overall. The name of each rate contains its denominator.",
        ),
    ],
)
def coverage(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Coverage and match rates as of each cycle, computed together so that the three tables add up."""
    derivation = _derive_product(context, pipeline, COVERAGE_PRODUCT, derive_marts.derive_coverage, ["matched_events"])
    if derivation is None:
        return
    with pipeline.connect() as conn:
        headline = cycle_marts.pick_headline(
            cycle_marts.read_rows_before(conn, "mart.match_rate_platform", derivation.newest_cycle_id + 1)
        )
        counts = {
            table: cycle_marts.count_rows(conn, f"mart.{table}", derivation.cycle_ids)
            for table in derive_marts.COVERAGE_TABLES
        }
    context.log.info(f"coverage: {derivation.describe()}; {headline}")
    report_link = {"report": dg.MetadataValue.path(pipeline.settings.report_path)}
    for table in derive_marts.COVERAGE_TABLES:
        metadata = {
            **build_metadata(counts[table], **derivation.build_figures()),
            **stringify_values(headline),
            **report_link,
        }
        yield dg.MaterializeResult(asset_key=["mart", table], metadata=metadata)


@dg.asset(
    key=["mart", "run_quality"],
    deps=[odds_snapshots],
    metadata=build_table_metadata("mart.run_quality"),
    **CYCLE_ASSET_OPTIONS,
)
def run_quality(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Completeness and duration of each stage of a cycle, per platform."""
    derivation = _derive_product(
        context, pipeline, derive_marts.RUN_QUALITY_PRODUCT, derive_marts.derive_run_quality, [ODDS_PRODUCT]
    )
    if derivation is None:
        return
    with pipeline.connect() as conn:
        newest = cycle_marts.read_rows_before(conn, "mart.run_quality", derivation.newest_cycle_id + 1)
    figures = derivation.build_figures() | {"markets_changed": int(newest["changed"].sum())}
    yield dg.MaterializeResult(metadata=build_metadata(derivation.n_rows, **figures))


@dg.asset(
    key=["mart", "mapping_coverage"],
    deps=[odds_snapshots],
    metadata=build_table_metadata("mart.mapping_coverage"),
    **CYCLE_ASSET_OPTIONS,
)
def mapping_coverage(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Share of each platform's markets that the vocabulary knows, by market family, as of each cycle."""
    derivation = _derive_product(
        context, pipeline, derive_marts.MAPPING_COVERAGE_PRODUCT, derive_marts.derive_mapping_coverage, [ODDS_PRODUCT]
    )
    if derivation is None:
        return
    with pipeline.connect() as conn:
        newest = cycle_marts.read_rows_before(conn, "mart.mapping_coverage", derivation.newest_cycle_id + 1)
        rates = mapping_ledger.read_mapped_rates(conn, newest["cycle_id"].unique().to_list())
    figures = {f"mapped_rate_{platform}": round(rate, 6) for _, platform, rate in rates.iter_rows()}
    yield dg.MaterializeResult(metadata=build_metadata(derivation.n_rows, **derivation.build_figures(), **figures))


@dg.asset(
    key=["mart", "unmapped_market"],
    deps=[odds_snapshots, matched_events],  # the rows count fixtures, so they depend on matching too
    metadata=build_table_metadata("mart.unmapped_market"),
    **CYCLE_ASSET_OPTIONS,
)
def unmapped_market(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Markets of all cycles that the vocabulary does not know, ranked by their number of fixtures.

    Every run replaces the whole table.
    """
    cycles = find_cycles_or_skip(context, pipeline)
    if cycles is None:
        return
    with pipeline.connect() as conn:
        rows = derive_marts.refresh_unmapped_market(pipeline, conn)
        statuses = dict(mapping_ledger.read_unmapped_ranking(conn)["status"].value_counts().sort("status").iter_rows())
    # This step reports failures of core products, because no other step depends on it.
    raise_for_failed_cycles(pipeline, context.run, cycles)
    yield dg.MaterializeResult(
        metadata=build_metadata(rows, **{f"n_{status}": statuses.get(status, 0) for status in TriageStatus})
    )
