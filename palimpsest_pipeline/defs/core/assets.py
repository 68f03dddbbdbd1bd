"""Core: what the landing says, hour by hour. Each asset derives its product for the hour's cycles that lack it."""

from collections.abc import Iterator

import dagster as dg

from ...domain.instants import parse_hour_key
from ...storage import products, trends
from ..failures import of_partition
from ..landed_hours import landed_hours
from ..landing.assets import discovery_payloads, odds_payloads
from ..metadata import figures, table_metadata
from ..partitions import HOURS_PER_RUN, hours
from ..pipeline import Pipeline
from ..plots import plotted
from .derive import derive


def _materialize(context: dg.AssetExecutionContext, pipeline: Pipeline, product: str) -> Iterator[dg.MaterializeResult]:
    landed = landed_hours(context, pipeline)
    for key in landed:
        with of_partition(context, key):
            done = derive(pipeline, product, pipeline.landing.cycles(hour=parse_hour_key(key)))
        numbers = figures(done.standing_rows, rows_written=done.rows, cycles=len(done.cycles), cycles_up_to_date=done.up_to_date)
        context.add_asset_metadata(numbers, partition_key=key)
        context.log.info(
            f"{product} {key}: {len(done.cycles)} cycles derived, {done.up_to_date} up to date, {len(done.waiting)} waiting, {done.rows} rows"
        )
    if landed:
        yield dg.MaterializeResult()  # what it held would be repeated at every hour of a backfill's run


CORE = {
    "partitions_def": hours,
    "group_name": "core",
    "kinds": {"polars", "postgres"},
    "key_prefix": "core",
    "backfill_policy": HOURS_PER_RUN,
    "output_required": False,
}


@dg.asset(**CORE, deps=[discovery_payloads, odds_payloads], metadata=table_metadata("core.tournament_listings", also=["core.discovery_manifest"]))
def tournaments(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Tournaments of every platform, and per tournament what discovery was promised and what it received."""
    yield from _materialize(context, pipeline, "tournaments")


@dg.asset(**CORE, deps=[tournaments], metadata=table_metadata("core.event_listings", also=["core.listing_claims", "core.listing_observations"]))
def home_events(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """The home platform's listings: its claims of teams, kickoff and SportRadar id, versioned."""
    yield from _materialize(context, pipeline, "home_events")


@dg.asset(**CORE, deps=[tournaments], metadata=table_metadata("core.event_listings", also=["core.listing_claims", "core.listing_observations"]))
def competitor_events(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """The competitors' listings, every one of them and not only those that home has too."""
    yield from _materialize(context, pipeline, "competitor_events")


@dg.asset(
    **CORE,
    deps=[home_events, competitor_events],
    metadata=table_metadata(
        "core.market_changes",
        also=["core.captures", "core.current_markets", "core.unmapped_markets", "core.mapping_counts", "core.player_lists"],
    ),
)
def odds_snapshots(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Odds in the canonical vocabulary: one capture per answer, and the markets that changed since the answer before."""
    results = list(_materialize(context, pipeline, products.ODDS))
    if results and len(context.partition_keys) == 1:  # it counts all captures of the cycles before: too much for every hour of a backfill
        with pipeline.connect() as conn:
            changed = trends.markets_changed(conn, parse_hour_key(context.partition_key))
        context.add_asset_metadata(plotted(markets_changed=changed), partition_key=context.partition_key)
    yield from results


@dg.asset(
    **CORE,
    deps=[home_events, competitor_events, odds_snapshots],
    metadata=table_metadata("core.fixtures", also=["core.tournaments", "core.tournament_links", "core.player_links"]),
)
def matched_events(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Fixtures: all listings with one SportRadar id, joined anew each time, so that order of arrival cannot matter; and who their players may be."""
    yield from _materialize(context, pipeline, "matched_events")
