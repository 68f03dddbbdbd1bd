"""The checks on the life of fixtures: every date follows the settings, and no date stays due for long."""

from typing import Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import lifecycle
from palimpsest_pipeline.storage.marts import dates_of_other_settings
from palimpsest_pipeline.storage.marts import lifecycle as stored

from ..partitions import format_day_key, kickoff_date_partitions

LIFE_OVERDUE_S: Final = 26 * 3600
"""Seconds after which a kickoff date that waits for its derivation is overdue."""


@dg.asset_check(asset=lifecycle.CURVES.split("."))
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
    sentences = [
        "These dates were derived before a setting was changed.",
        *lines,
        "`palimpsest backfill --stale` derives them again.",
    ]
    return dg.AssetCheckResult(
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) if lines else None,
        metadata={"dates": old_dates["kickoff_date"].n_unique()},
    )


def _describe_dates(rows: pl.DataFrame) -> str:
    dates = rows["kickoff_date"].unique().to_list()
    return f"{', '.join(rows['named'].unique().sort())} on {len(dates)} dates from {min(dates)} to {max(dates)}"


@dg.asset_check(asset=lifecycle.LEAD_TIME.split("."))
def no_kickoff_date_is_dirty_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No date changed by a cycle waits longer than 26 hours for its derivation."""
    with pipeline.connect() as conn:
        due_dates = stored.read_due_dates(conn)
    has_partition = [
        kickoff_date_partitions.has_partition_key(format_day_key(day)) for day in due_dates["kickoff_date"]
    ]
    reachable = due_dates.filter(pl.Series(has_partition, dtype=pl.Boolean))
    overdue = reachable.filter(pl.col("waits_s") > LIFE_OVERDUE_S).sort(
        "waits_s", "kickoff_date", descending=[True, False]
    )
    overdue_dates = ", ".join(overdue["kickoff_date"].head(5).cast(pl.String))
    return dg.AssetCheckResult(
        passed=overdue.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Behind: {overdue_dates}. Switch the schedule fixture_life_schedule on; `palimpsest backfill"
        " --stale` derives them, too."
        if overdue_dates
        else None,
        metadata={
            "dates_dirty": reachable.height,
            "dates_overdue": overdue.height,
            "dates_out_of_reach": due_dates.height - reachable.height,
        },
    )
