"""The mart assets on the life of fixtures, partitioned by UTC date of kickoff."""

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import lifecycle

from ..asset_metadata import build_metadata, build_table_metadata
from ..core.assets import matched_events, odds_snapshots
from ..partitions import kickoff_date_partitions, parse_day_key

# A fixture's life depends on all days since it was first listed, so a kickoff date depends on all day partitions.
HISTORY_DEPS = [
    dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in (odds_snapshots, matched_events)
]


def _build_spec(table: str, description: str) -> dg.AssetSpec:
    """Return the Dagster spec of a table in the asset group `life`.

    In the group `mart`, a backfill of one day would include all kickoff dates, because each depends on every day.
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
            "Intervals in which each platform offered each market of a fixture, and the reason where it did not.",
        ),
        _build_spec(
            lifecycle.OPEN_CLOSE,
            "First and last price of each outcome before kickoff, each with its reliability.",
        ),
        _build_spec(
            lifecycle.LEAD_TIME,
            "How long before kickoff each platform listed and priced a fixture, and which platform was first.",
        ),
        _build_spec(
            lifecycle.MARGINS,
            "Margins of the main markets on each platform, one row for each interval with unchanged prices.",
        ),
        _build_spec(
            lifecycle.CURVES,
            "Margins of the main markets by time to kickoff and tournament, weighted by the duration of each margin.",
        ),
        _build_spec(
            lifecycle.GAPS,
            "Numbers of markets that home, a competitor or both offered at given hours before kickoff.",
        ),
    ],
)
def fixture_life_tables(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """The life of all fixtures that kick off on a date.

    All tables are derived from one reading of the history, so that they agree.
    """
    derivation = lifecycle.derive_kickoff_date(pipeline, parse_day_key(context.partition_key))
    context.log.info(
        f"{derivation.n_fixtures} fixtures, {derivation.n_listings} listings; {dict(derivation.rows_by_table)}"
    )
    shared = {
        "fixtures": derivation.n_fixtures,
        "listings": derivation.n_listings,
        "cycles_since_last": derivation.n_marks,
    }
    for table in lifecycle.TABLES:
        yield dg.MaterializeResult(
            asset_key=table.split("."),
            metadata=build_metadata(derivation.rows_by_table[table], **shared, **derivation.counts_by_table[table]),
        )
