"""Mart: the life of a fixture on each platform, by UTC date of kickoff."""

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import lifecycle

from ..asset_metadata import build_metadata, build_table_metadata
from ..core.assets import matched_events, odds_snapshots
from ..partitions import kickoff_date_partitions, parse_day_key

# A fixture's life is made of all days since it was first listed: no day is a date's own.
HISTORY_DEPS = [
    dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in (odds_snapshots, matched_events)
]


def _build_spec(table: str, description: str) -> dg.AssetSpec:
    """In a group of its own: whoever backfills a day of the mart would get all kickoff dates with it, since each
    depends on every day.
    """
    return dg.AssetSpec(
        table.split("."),
        description=description,
        deps=HISTORY_DEPS,
        group_name="life",
        kinds={"polars", "postgres"},
        metadata=build_table_metadata(table),
    )


@dg.multi_asset(
    name="lives",
    partitions_def=kickoff_date_partitions,
    specs=[
        _build_spec(
            lifecycle.AVAILABILITY,
            "What each platform offered of each market of a fixture, from when to when, and why not.",
        ),
        _build_spec(
            lifecycle.OPEN_CLOSE,
            "First and last price of each outcome before kickoff, each with how far it can be trusted.",
        ),
        _build_spec(
            lifecycle.LEAD_TIME, "How long before kickoff each platform listed and priced a fixture, and who was first."
        ),
        _build_spec(
            lifecycle.MARGINS, "Margins of the main markets on each platform, for as long as the prices stood still."
        ),
        _build_spec(
            lifecycle.CURVES,
            "Margins of the main markets by time to kickoff, tournament by tournament, weighted by how long they stood.",
        ),
        _build_spec(
            lifecycle.GAPS,
            "How many markets home and a competitor offered so many hours before kickoff, and how many only one of them did.",
        ),
    ],
)
def fixture_life_tables(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """The life of all fixtures that kick off on a date, from one reading of their history, so that the tables speak
    of the same.
    """
    done = lifecycle.derive_kickoff_date(pipeline, parse_day_key(context.partition_key))
    context.log.info(f"{done.n_fixtures} fixtures, {done.n_listings} listings; {dict(done.rows_by_table)}")
    shared = {"fixtures": done.n_fixtures, "listings": done.n_listings, "cycles_since_last": done.n_marks}
    for table in lifecycle.TABLES:
        yield dg.MaterializeResult(
            asset_key=table.split("."),
            metadata=build_metadata(done.rows_by_table[table], **shared, **done.counts_by_table[table]),
        )
