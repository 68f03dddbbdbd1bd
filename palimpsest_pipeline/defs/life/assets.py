"""The mart assets on the life of fixtures, partitioned by UTC date of kickoff, and their checks."""

from datetime import date
from typing import Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts.derive_lifecycle import (
    AVAILABILITY,
    CURVES,
    GAP_COUNTS,
    LEAD_TIME,
    MARGINS,
    OPEN_CLOSE,
    TABLES,
    derive_kickoff_date,
)
from palimpsest_pipeline.storage.marts import dates_of_other_settings, lifecycle_rows

from ..asset_metadata import build_metadata, build_table_spec
from ..asset_partitions import kickoff_date_partitions
from ..check_results import build_result
from ..core.assets import matched_events, odds_snapshots

# A fixture's life depends on all days since it was first listed, so a kickoff date depends on all day partitions.
HISTORY_DEPS = [
    dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in (odds_snapshots, matched_events)
]


DESCRIPTIONS = {
    AVAILABILITY: "Intervals in which each platform offered each market of a fixture, and the reason where it did not.",
    OPEN_CLOSE: "First and last price of each outcome before kickoff, each with its reliability.",
    LEAD_TIME: "How long before kickoff each platform listed and priced a fixture, and which platform was first.",
    MARGINS: "Margins of the main markets on each platform, one row for each interval with unchanged prices.",
    CURVES: "Margins of the main markets by time to kickoff and tournament, weighted by the duration of each margin.",
    GAP_COUNTS: "Numbers of markets that home, a competitor or both offered at given hours before kickoff.",
}


@dg.multi_asset(
    name="lives",
    partitions_def=kickoff_date_partitions,
    # In the group `mart`, a backfill of one day would include all kickoff dates, because each depends on every day.
    specs=[build_table_spec(table, text, HISTORY_DEPS, group="life") for table, text in DESCRIPTIONS.items()],
)
def fixture_life_tables(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """The life of all fixtures that kick off on a date.

    All tables are derived from one reading of the history, so that they agree.
    """
    derivation = derive_kickoff_date(pipeline, date.fromisoformat(context.partition_key))
    context.log.info(
        f"{derivation.n_fixtures} fixtures, {derivation.n_listings} listings; {dict(derivation.rows_by_table)}"
    )
    shared = {
        "fixtures": derivation.n_fixtures,
        "listings": derivation.n_listings,
        "cycles_since_last": derivation.n_marks,
    }
    for table in TABLES:
        yield dg.MaterializeResult(
            asset_key=table.split("."),
            metadata=build_metadata(derivation.rows_by_table[table], **shared, **derivation.counts_by_table[table]),
        )


LIFE_OVERDUE_S: Final = 26 * 3600
"""Seconds after which a kickoff date that waits for its derivation is overdue."""


@dg.asset_check(asset=CURVES.split("."))
def dates_follow_the_settings(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every date was derived with the current PALIMPSEST_HOME_PLATFORM and PALIMPSEST_MAIN_MARKETS.

    A changed setting applies to a date only when the date is derived again.
    """
    with pipeline.connect() as conn:
        old_dates = dates_of_other_settings.find_dates_of_other_settings(
            conn, pipeline.settings.home_platform, pipeline.main_markets
        )
    lines = [
        f"{reason.capitalize()}: {_describe_dates(rows)}."
        for (reason,), rows in old_dates.group_by("why", maintain_order=True)
    ]
    if lines:
        lines.insert(0, "These dates were derived before a setting was changed.")
        lines.append("`palimpsest backfill --stale` derives them again.")
    return build_result(" ".join(lines), dg.AssetCheckSeverity.WARN, dates=old_dates["kickoff_date"].n_unique())


def _describe_dates(rows: pl.DataFrame) -> str:
    dates = rows["kickoff_date"].unique().to_list()
    return f"{', '.join(rows['named'].unique().sort())} on {len(dates)} dates from {min(dates)} to {max(dates)}"


@dg.asset_check(asset=LEAD_TIME.split("."))
def no_kickoff_date_is_dirty_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No date changed by a cycle waits longer than 26 hours for its derivation."""
    with pipeline.connect() as conn:
        due_dates = lifecycle_rows.read_due_dates(conn)
    has_partition = [kickoff_date_partitions.has_partition_key(str(day)) for day in due_dates["kickoff_date"]]
    reachable = due_dates.filter(pl.Series(has_partition, dtype=pl.Boolean))
    overdue = reachable.filter(pl.col("waits_s") > LIFE_OVERDUE_S).sort(
        "waits_s", "kickoff_date", descending=[True, False]
    )
    overdue_dates = ", ".join(overdue["kickoff_date"].head(5).cast(pl.String))
    advice = "Switch the schedule fixture_life_schedule on; `palimpsest backfill --stale` derives them, too."
    return build_result(
        f"Behind: {overdue_dates}. {advice}" if overdue_dates else "",
        dg.AssetCheckSeverity.WARN,
        dates_dirty=reachable.height,
        dates_overdue=overdue.height,
        dates_out_of_reach=due_dates.height - reachable.height,
    )
