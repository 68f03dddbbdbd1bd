"""Core: what the landing says, cycle by cycle. Each asset derives its product for the cycles of the run that lack it."""

from collections.abc import Callable, Iterator

import dagster as dg
import psycopg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.core_products import derive
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.marts import asset_trends

from ..asset_metadata import figures, table_metadata
from ..derive_run import derive_run, products_named, raise_failures
from ..landing.assets import discovery_payloads, odds_payloads
from ..partitions import days
from ..plots import plotted
from ..run_cycles import or_skip

ReadPlots = Callable[[psycopg.Connection, int], dict[str, dg.MarkdownMetadataValue]]
"""Returns plots, by name, of the last cycles up to one."""


def _materialize(
    context: dg.AssetExecutionContext, pipeline: Pipeline, product: str, read_plots: ReadPlots | None = None
) -> Iterator[dg.MaterializeResult]:
    """Derive the product for the run's cycles; show its figures, and the plots up to the newest of these cycles.

    A cycle that fails does not stop the others: the run continues with them, marts included, and fails at its end. This step fails itself when all
    cycles have failed, or when no later step of the run reports the failure.
    """
    cycles = or_skip(context, pipeline)
    if cycles is None:
        return
    done = derive_run(pipeline, context.run, cycles, products_named(pipeline, product), lambda manifests: derive(pipeline, product, manifests))
    context.log.info(f"{product}: {done.sentence()}")
    in_run = context.job_def.asset_layer.executable_asset_keys
    tells = next((key for key in TELLS_OF_FAILURES if key in in_run), context.asset_key)
    if tells != context.asset_key and len(done.failed) < len(cycles.cycle_ids):
        for error in done.errors:
            context.log.error(f"the run goes on with the other cycles, and fails at its end: {error}")
    else:
        done.raise_errors()
        raise_failures(pipeline, context.run, cycles)
    plots: dict[str, dg.MarkdownMetadataValue] = {}
    if read_plots is not None:
        with pipeline.connect() as conn:
            plots = read_plots(conn, done.newest_cycle)
    yield dg.MaterializeResult(metadata=figures(done.standing_rows, **done.counts(), **plots))


TELLS_OF_FAILURES = (dg.AssetKey(["mart", "unmapped_market"]), dg.AssetKey(["core", "matched_events"]))
"""The first of these assets that is in a run fails when a cycle has failed in an earlier step. No other step of the run depends on it."""

EVENT_TABLES = ["core.listing_claims", "core.listing_observations", "core.kickoff_versions", "ops.listing_ids", "ops.known_kickoffs"]

CORE = {
    "partitions_def": days,
    "group_name": "core",
    "kinds": {"polars", "postgres"},
    "key_prefix": "core",
    "output_required": False,
}


@dg.asset(
    **CORE,
    deps=[discovery_payloads, odds_payloads],
    metadata=table_metadata("core.tournament_listings", also=["core.discovery_manifest", "core.cycles", "core.rejects"]),
)
def tournaments(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Tournaments of every platform, and per tournament what discovery was promised and what it received."""
    yield from _materialize(context, pipeline, "tournaments")


@dg.asset(**CORE, deps=[tournaments], metadata=table_metadata("core.event_listings", EVENT_TABLES, {"core.tournament_listings": ["deleted_at"]}))
def home_events(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """The home platform's listings: its claims of teams, kickoff and SportRadar id, versioned."""
    yield from _materialize(context, pipeline, "home_events")


@dg.asset(**CORE, deps=[tournaments], metadata=table_metadata("core.event_listings", EVENT_TABLES, {"core.tournament_listings": ["deleted_at"]}))
def competitor_events(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """The competitors' listings, every one of them and not only those that home has too."""
    yield from _materialize(context, pipeline, "competitor_events")


@dg.asset(
    **CORE,
    deps=[home_events, competitor_events],
    metadata=table_metadata(
        "core.market_changes",
        also=[
            *("core.captures", "core.current_markets", "core.unmapped_markets", "core.mapping_counts", "core.rejects"),
            *("core.player_lists", "core.player_list_observations", "ops.market_lines"),
        ],
        columns={"core.event_listings": ["n_markets_priced"]},
    ),
)
def odds_snapshots(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Odds in the canonical vocabulary: one capture per answer, and the markets that changed since the answer before."""
    yield from _materialize(context, pipeline, derived_products.ODDS, _plot_changes)


def _plot_changes(conn: psycopg.Connection, newest_cycle: int) -> dict[str, dg.MarkdownMetadataValue]:
    return plotted(markets_changed=asset_trends.markets_changed(conn, newest_cycle))


@dg.asset(
    **CORE,
    deps=[home_events, competitor_events, odds_snapshots],
    metadata=table_metadata(
        "core.fixtures",
        also=["core.tournaments", "core.tournament_links", "core.player_links", "ops.known_kickoffs", "mart.dirty_kickoff_dates"],
        columns={"core.event_listings": ["fixture_sr_id", "is_primary", "match_method"]},
    ),
)
def matched_events(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Fixtures: all listings with one SportRadar id, joined anew each time, so that order of arrival cannot matter; and who their players may be."""
    yield from _materialize(context, pipeline, "matched_events")
