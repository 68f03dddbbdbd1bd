"""Mart: what is derived from core, as of each cycle of the hour."""

from collections.abc import Iterator

import dagster as dg

from ...domain.instants import parse_hour_key
from ...domain.words import Triage
from ...storage import mapping, mart_readers, products, trends
from ..automation import when_late
from ..core.assets import matched_events, odds_snapshots
from ..hourly import derive_hour
from ..landed_hours import landed_hours
from ..metadata import figures, plain, table_metadata
from ..partitions import HOURS_PER_RUN, hours
from ..pipeline import Pipeline
from ..plots import plotted
from . import derive

MART = {"group_name": "mart", "kinds": {"polars", "postgres"}}


def _spec(name: str, description: str) -> dg.AssetSpec:
    late = when_late(derive.COVERAGE)
    return dg.AssetSpec(
        ["mart", name],
        description=description,
        deps=[matched_events],
        metadata=table_metadata(f"mart.{name}"),
        automation_condition=late,
        skippable=True,
        **MART,
    )


@dg.multi_asset(
    name="coverage",
    partitions_def=hours,
    backfill_policy=HOURS_PER_RUN,
    specs=[
        _spec("coverage_fixture", "Who lists which fixture, as of each full cycle."),
        _spec("coverage_tournament", "Coverage per tournament and competitor, as of each full cycle. Sums to match_rate_platform."),
        _spec("match_rate_platform", "Match rates per platform and overall, each with its denominator in its name."),
    ],
)
def coverage(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Coverage and match rates from one reading of the universe, so that the three tables add up."""
    landed = landed_hours(context, pipeline)
    for key in landed:
        hour = parse_hour_key(key)
        done = derive_hour(pipeline, hour, "mart", derive.COVERAGE, derive.derive_coverage, derive.COVERAGE_SCOPES, needs=["matched_events"])
        with pipeline.connect() as conn:
            rows = {table: mart_readers.of_hour(conn, f"mart.{table}", hour) for table in derive.COVERAGE_TABLES}
            plots = plotted(overall_match_rate=trends.match_rates(conn, hour))
        headline = mart_readers.headline(rows["match_rate_platform"])
        context.log.info(f"coverage {key}: {len(done.cycles)} cycles computed, {done.up_to_date} up to date; {headline}")
        shown_on = {"report": dg.MetadataValue.path(pipeline.settings.report_path)}
        for table in derive.COVERAGE_TABLES:
            context.add_asset_metadata(
                {**figures(rows[table].height, cycles=len(done.cycles), cycles_up_to_date=done.up_to_date), **plain(headline), **plots, **shown_on},
                asset_key=["mart", table],
                partition_key=key,
            )
    for table in derive.COVERAGE_TABLES if landed else ():
        yield dg.MaterializeResult(asset_key=["mart", table])


@dg.asset(
    key=["mart", "run_quality"],
    partitions_def=hours,
    backfill_policy=HOURS_PER_RUN,
    output_required=False,
    deps=[odds_snapshots],
    metadata=table_metadata("mart.run_quality"),
    automation_condition=when_late(derive.RUN_QUALITY),
    **MART,
)
def run_quality(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """How complete and how fast each stage of each platform's part of a cycle was."""
    landed = landed_hours(context, pipeline)
    for key in landed:
        done = derive_hour(
            pipeline,
            parse_hour_key(key),
            "mart",
            "run_quality",
            derive.derive_run_quality,
            needs=products.of_platforms(products.ODDS, pipeline.platforms),
        )
        numbers = figures(done.standing_rows, rows_written=done.rows, cycles=len(done.cycles), cycles_up_to_date=done.up_to_date)
        context.add_asset_metadata(numbers, partition_key=key)
    if landed:
        yield dg.MaterializeResult()


@dg.asset(
    key=["mart", "mapping_coverage"],
    partitions_def=hours,
    backfill_policy=HOURS_PER_RUN,
    output_required=False,
    deps=[odds_snapshots],
    metadata=table_metadata("mart.mapping_coverage"),
    automation_condition=when_late(derive.MAPPING_COVERAGE),
    **MART,
)
def mapping_coverage(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """How much of what each platform showed the market vocabulary knows, by market family, as of each cycle."""
    landed = landed_hours(context, pipeline)
    for key in landed:
        hour = parse_hour_key(key)
        done = derive_hour(
            pipeline,
            hour,
            "mart",
            derive.MAPPING_COVERAGE,
            derive.derive_mapping_coverage,
            needs=products.of_platforms(products.ODDS, pipeline.platforms),
        )
        with pipeline.connect() as conn:
            rates = mart_readers.mapped_rates(mart_readers.of_hour(conn, "mart.mapping_coverage", hour))
            plots = plotted(mapped_rate=trends.mapped_rates(conn, hour))
        numbers = figures(done.standing_rows, rows_written=done.rows, cycles=len(done.cycles), cycles_up_to_date=done.up_to_date, **rates, **plots)
        context.add_asset_metadata(numbers, partition_key=key)
    if landed:
        yield dg.MaterializeResult()


@dg.asset(
    key=["mart", "unmapped_market"],
    partitions_def=hours,
    backfill_policy=HOURS_PER_RUN,
    output_required=False,
    deps=[odds_snapshots, matched_events],  # it counts matches: what matching knows of the listings is part of the rows
    metadata=table_metadata("mart.unmapped_market"),
    automation_condition=when_late(derive.MAPPING_COVERAGE),  # it has no marks of its own, and is made of the same
    **MART,
)
def unmapped_market(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Markets that the vocabulary does not know, over all cycles, ranked by the matches that carry them. Every hour replaces the whole of it."""
    landed = landed_hours(context, pipeline)
    if not landed:
        return
    with pipeline.connect() as conn:
        rows = derive.refresh_unmapped_market(pipeline, conn)
        statuses = dict(mapping.ranking(conn)["status"].value_counts().sort("status").iter_rows())
    for key in landed:
        context.add_asset_metadata(figures(rows, **{f"n_{status}": statuses.get(status, 0) for status in Triage}), partition_key=key)
    yield dg.MaterializeResult()
