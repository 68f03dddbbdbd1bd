"""The checks on the life of fixtures: rules for every date, and that no date stays due for long."""

from collections.abc import Sequence
from typing import Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.metrics.lifecycle import lifecycle_laws
from palimpsest_pipeline.metrics.lifecycle.gap_counts import HOURS_BEFORE
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import lifecycle
from palimpsest_pipeline.storage.marts import lifecycle as stored
from palimpsest_pipeline.storage.marts import lifecycle_reader

from ..mart.checks import build_check_result
from ..partitions import format_day_key, kickoff_date_partitions, parse_day_key


def advise_derive_again(key: str) -> str:
    """Return the advice for a date whose rows contradict each other."""
    return (
        f"Launch the job {lifecycle.JOB_NAME} for {key} in the UI; if it stays, the derivation is wrong: please report"
        " it with the date."
    )


MARGIN_COLUMNS: Final = (
    *("sr_id", "platform", "market_key", "specifier", "observed_from", "observed_to", "as_of"),
    *("winners_k", "margin", "payout", "margin_status", "margin_reference_pct"),
)
"""Columns of market_margin that the rules on margins use."""


def _read_rows(pipeline: Pipeline, key: str, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    with pipeline.connect() as conn:
        return stored.read_rows_of_date(conn, table, parse_day_key(key), columns)


@dg.asset_check(asset=lifecycle.AVAILABILITY.split("."), blocking=True, partitions_def=kickoff_date_partitions)
def intervals_do_not_overlap(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """The intervals of a market on a platform do not overlap."""
    return build_check_result(
        coverage_laws.intervals_do_not_overlap(_read_rows(pipeline, context.partition_key, lifecycle.AVAILABILITY)),
        advise_derive_again(context.partition_key),
    )


@dg.asset_check(asset=lifecycle.AVAILABILITY.split("."), blocking=True, partitions_def=kickoff_date_partitions)
def intervals_have_no_holes(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """After a market was first seen, each interval ends where the next one begins."""
    return build_check_result(
        coverage_laws.intervals_have_no_holes(_read_rows(pipeline, context.partition_key, lifecycle.AVAILABILITY)),
        advise_derive_again(context.partition_key),
    )


@dg.asset_check(asset=lifecycle.OPEN_CLOSE.split("."), blocking=True, partitions_def=kickoff_date_partitions)
def prices_are_from_before_kickoff(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """Opening and closing prices were seen before kickoff; closing prices exist only after the kickoff."""
    return build_check_result(
        coverage_laws.prices_are_from_before_kickoff(_read_rows(pipeline, context.partition_key, lifecycle.OPEN_CLOSE)),
        advise_derive_again(context.partition_key),
    )


@dg.asset_check(
    asset=lifecycle.LEAD_TIME.split("."),
    blocking=True,
    partitions_def=kickoff_date_partitions,
    additional_deps=[table.split(".") for table in stored.FIXTURE_TABLES if table != lifecycle.LEAD_TIME],
)
def fixtures_have_one_life(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """All tables have the same fixtures and platforms on the same date."""
    with pipeline.connect() as conn:
        strays = stored.find_strays(conn, parse_day_key(context.partition_key))
    row = pl.format("{} {}", "platform", "sr_id")
    sentence = pl.format(
        "{}: has rows in {} on {}, where mart.listing_lead_time has none of it", row, "table", "kickoff_date"
    )
    strays = strays.select(law=pl.lit("fixtures have one life"), subject=row, violation=sentence)
    return build_check_result(strays, advise_derive_again(context.partition_key))


@dg.asset_check(asset=lifecycle.MARGINS.split("."), blocking=True, partitions_def=kickoff_date_partitions)
def margins_contradict_nothing(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """The margins of a line on a platform do not overlap and agree with their status and reference.

    The number of winners is taken into account in the comparison with the reference.
    """
    margins = _read_rows(pipeline, context.partition_key, lifecycle.MARGINS, MARGIN_COLUMNS)
    violations = (
        law(margins)
        for law in (
            lifecycle_laws.stretches_do_not_overlap,
            lifecycle_laws.margins_follow_their_status,
            lifecycle_laws.margins_reconcile,
        )
    )
    return build_check_result(pl.concat(violations), advise_derive_again(context.partition_key))


@dg.asset_check(
    asset=lifecycle.CURVES.split("."),
    blocking=True,
    partitions_def=kickoff_date_partitions,
    additional_deps=[lifecycle.MARGINS.split(".")],
)
def bucket_minutes_add_up(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """In both bucket schemes, the minutes of all buckets equal the total duration of the margins.

    Shares of observed time lie in [0, 1].
    """
    margins, curves = (
        _read_rows(pipeline, context.partition_key, lifecycle.MARGINS, MARGIN_COLUMNS),
        _read_rows(pipeline, context.partition_key, lifecycle.CURVES),
    )
    return build_check_result(
        pl.concat([lifecycle_laws.bucket_minutes_add_up(margins, curves), coverage_laws.rates_are_ratios(curves)]),
        advise_derive_again(context.partition_key),
    )


@dg.asset_check(
    asset=lifecycle.GAPS.split("."),
    blocking=True,
    partitions_def=kickoff_date_partitions,
    additional_deps=[lifecycle.AVAILABILITY.split(".")],
)
def gap_counts_add_up(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """Every market offered before kickoff is counted once: as common, or for home or a competitor."""
    with pipeline.connect() as conn:
        offered = lifecycle_reader.count_offered_markets(conn, parse_day_key(context.partition_key), HOURS_BEFORE)
    return build_check_result(
        lifecycle_laws.gap_counts_add_up(_read_rows(pipeline, context.partition_key, lifecycle.GAPS), offered),
        advise_derive_again(context.partition_key),
    )


@dg.asset_check(asset=lifecycle.CURVES.split("."))
def dates_follow_the_settings(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every date was derived with the current PALIMPSEST_HOME_PLATFORM and PALIMPSEST_MAIN_MARKETS.

    A changed setting applies to a date only when the date is derived again.
    """
    with pipeline.connect() as conn:
        old_dates = lifecycle_reader.find_dates_of_other_settings(
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
    """No date changed by a cycle waits longer than PALIMPSEST_LIFE_OVERDUE_HOURS for its derivation."""
    limit_s = pipeline.settings.life_overdue_hours * 3600
    with pipeline.connect() as conn:
        due_dates = stored.read_due_dates(conn)
    has_partition = [
        kickoff_date_partitions.has_partition_key(format_day_key(day)) for day in due_dates["kickoff_date"]
    ]
    reachable = due_dates.filter(pl.Series(has_partition, dtype=pl.Boolean))
    overdue = reachable.filter(pl.col("waits_s") > limit_s).sort("waits_s", "kickoff_date", descending=[True, False])
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
