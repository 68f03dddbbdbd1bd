"""Mart: what is derived from core, as of each cycle of the run."""

from collections.abc import Iterator, Sequence

import dagster as dg

from palimpsest_pipeline.domain.enums import Triage
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import Derive, Derived, derive_cycles
from palimpsest_pipeline.pipeline.ingest.core_products import marks_of
from palimpsest_pipeline.pipeline.marts import derive_marts
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.marts import asset_trends, mapping_ledger, mart_reader

from ..asset_metadata import figures, plain, table_metadata
from ..core.assets import matched_events, odds_snapshots
from ..derive_run import DerivedOfRun, derive_run, products_named, raise_failures
from ..partitions import days
from ..plots import plotted
from ..run_cycles import or_skip

MART = {"group_name": "mart", "kinds": {"polars", "postgres"}}
ONE = {"partitions_def": days, "output_required": False, **MART}


def _spec(name: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        ["mart", name], description=description, deps=[matched_events], metadata=table_metadata(f"mart.{name}"), skippable=True, **MART
    )


def _derive_product(
    context: dg.AssetExecutionContext, pipeline: Pipeline, product: str, derive_cycle: Derive, needs: Sequence[str]
) -> DerivedOfRun | None:
    """Derive the product for the run's cycles for which it is due; return None when the run has no cycles.

    `needs`: products of core that a cycle must have before. Every cycle is tried; then the first error of a failed one is raised.
    """
    cycles = or_skip(context, pipeline)
    if cycles is None:
        return None
    marks = marks_of(needs, pipeline.platforms)

    def derive_manifests(manifests: Sequence[Manifest]) -> Derived:
        return derive_cycles(pipeline, manifests, "mart", product, derive_cycle, needs=marks)

    done = derive_run(pipeline, context.run, cycles, products_named(pipeline, product), derive_manifests)
    done.raise_errors()
    return done


@dg.multi_asset(
    name="coverage",
    partitions_def=days,
    specs=[
        _spec("coverage_fixture", "Who lists which fixture, as of each full cycle."),
        _spec("coverage_tournament", "Coverage per tournament and competitor, as of each full cycle. Sums to match_rate_platform."),
        _spec("match_rate_platform", "Match rates per platform and overall, each with its denominator in its name."),
    ],
)
def coverage(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Coverage and match rates from one reading of the universe, so that the three tables add up."""
    done = _derive_product(context, pipeline, derive_marts.COVERAGE, derive_marts.derive_coverage, ["matched_events"])
    if done is None:
        return
    with pipeline.connect() as conn:
        headline = mart_reader.headline(mart_reader.newest(conn, "mart.match_rate_platform", done.newest_cycle))
        counts = {table: mart_reader.count(conn, f"mart.{table}", done.cycle_ids) for table in derive_marts.COVERAGE_TABLES}
        plots = plotted(overall_match_rate=asset_trends.match_rates(conn, done.newest_cycle))
    context.log.info(f"coverage: {done.sentence()}; {headline}")
    shown_on = {"report": dg.MetadataValue.path(pipeline.settings.report_path)}
    for table in derive_marts.COVERAGE_TABLES:
        metadata = {**figures(counts[table], **done.counts()), **plain(headline), **plots, **shown_on}
        yield dg.MaterializeResult(asset_key=["mart", table], metadata=metadata)


@dg.asset(key=["mart", "run_quality"], deps=[odds_snapshots], metadata=table_metadata("mart.run_quality"), **ONE)
def run_quality(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """How complete and how fast each stage of each platform's part of a cycle was."""
    done = _derive_product(context, pipeline, derive_marts.RUN_QUALITY, derive_marts.derive_run_quality, [derived_products.ODDS])
    if done is None:
        return
    yield dg.MaterializeResult(metadata=figures(done.standing_rows, **done.counts()))


@dg.asset(key=["mart", "mapping_coverage"], deps=[odds_snapshots], metadata=table_metadata("mart.mapping_coverage"), **ONE)
def mapping_coverage(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """How much of what each platform showed the market vocabulary knows, by market family, as of each cycle."""
    done = _derive_product(context, pipeline, derive_marts.MAPPING_COVERAGE, derive_marts.derive_mapping_coverage, [derived_products.ODDS])
    if done is None:
        return
    with pipeline.connect() as conn:
        rates = mart_reader.mapped_rates(mart_reader.newest(conn, "mart.mapping_coverage", done.newest_cycle))
        plots = plotted(mapped_rate=asset_trends.mapped_rates(conn, done.newest_cycle))
    yield dg.MaterializeResult(metadata=figures(done.standing_rows, **done.counts(), **rates, **plots))


@dg.asset(
    key=["mart", "unmapped_market"],
    deps=[odds_snapshots, matched_events],  # it counts matches: what matching knows of the listings is part of the rows
    metadata=table_metadata("mart.unmapped_market"),
    **ONE,
)
def unmapped_market(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Markets that the vocabulary does not know, over all cycles, ranked by the matches that carry them. Every run replaces the whole of it."""
    cycles = or_skip(context, pipeline)
    if cycles is None:
        return
    with pipeline.connect() as conn:
        rows = derive_marts.refresh_unmapped_market(pipeline, conn)
        statuses = dict(mapping_ledger.ranking(conn)["status"].value_counts().sort("status").iter_rows())
    raise_failures(pipeline, context.run, cycles)  # reports failures of core in a step on which no other step depends
    yield dg.MaterializeResult(metadata=figures(rows, **{f"n_{status}": statuses.get(status, 0) for status in Triage}))
