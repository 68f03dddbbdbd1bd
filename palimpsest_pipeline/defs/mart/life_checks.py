"""Checks of a fixture's life: laws that hold on every date, and that no date is forgotten."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from ...metrics import laws
from ...storage import life as stored
from ..partitions import kickoff_date_key, kickoff_dates, parse_kickoff_date_key
from ..pipeline import Pipeline
from . import life
from .checks import result

MEND = "Materialize the date again; if it stays, the derivation is wrong: please report it with the date."


def _of_dates(context: dg.AssetCheckExecutionContext, pipeline: Pipeline, table: str, law: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Violations of a law of single dates, one date in memory at a time."""
    with pipeline.connect() as conn:
        return pl.concat([law(stored.of_date(conn, table, parse_kickoff_date_key(key))) for key in context.partition_keys])


@dg.asset_check(asset=life.AVAILABILITY.split("."), blocking=True, partitions_def=kickoff_dates)
def intervals_do_not_overlap(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Of one market on one platform no two intervals hold at the same time."""
    return result(_of_dates(context, pipeline, life.AVAILABILITY, laws.intervals_do_not_overlap), MEND)


@dg.asset_check(asset=life.AVAILABILITY.split("."), blocking=True, partitions_def=kickoff_dates)
def intervals_have_no_holes(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """From the first time a market was seen on, each interval ends where the next one begins."""
    return result(_of_dates(context, pipeline, life.AVAILABILITY, laws.intervals_have_no_holes), MEND)


@dg.asset_check(asset=life.OPEN_CLOSE.split("."), blocking=True, partitions_def=kickoff_dates)
def prices_are_from_before_kickoff(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Nothing that was seen at kickoff or after it is an opening or a closing price, and no price is a closing one before it."""
    return result(_of_dates(context, pipeline, life.OPEN_CLOSE, laws.prices_are_from_before_kickoff), MEND)


@dg.asset_check(
    asset=life.LEAD_TIME.split("."),
    blocking=True,
    partitions_def=kickoff_dates,
    additional_deps=[life.AVAILABILITY.split("."), life.OPEN_CLOSE.split(".")],
)
def fixtures_have_one_life(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """The three tables speak of the same fixtures and platforms on the same date."""
    with pipeline.connect() as conn:
        found = [stored.strays(conn, parse_kickoff_date_key(key)) for key in context.partition_keys]
    strays = pl.concat(found)
    row = pl.format("{} {}", "platform", "sr_id")
    sentence = pl.format("{}: has rows in {} on {}, where mart.listing_lead_time has none of it", row, "table", "kickoff_date")
    strays = strays.select(law=pl.lit("fixtures have one life"), subject=row, violation=sentence)
    return result(strays, MEND)


@dg.asset_check(asset=life.LEAD_TIME.split("."))
def no_kickoff_date_is_dirty_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No date on which a cycle changed something waits longer than PALIMPSEST_LIFE_OVERDUE_HOURS to be derived anew."""
    limit_s = pipeline.settings.life_overdue_hours * 3600
    with pipeline.connect() as conn:
        waiting = stored.waiting(conn)
    in_reach = [kickoff_dates.has_partition_key(kickoff_date_key(day)) for day in waiting["kickoff_date"]]
    reachable = waiting.filter(pl.Series(in_reach, dtype=pl.Boolean))
    overdue = reachable.filter(pl.col("waits_s") > limit_s).sort("waits_s", "kickoff_date", descending=[True, False])
    named = ", ".join(overdue["kickoff_date"].head(5).cast(pl.String))
    return dg.AssetCheckResult(
        passed=overdue.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Behind: {named}. Switch the schedule fixture_life_schedule on, or materialize these dates." if named else None,
        metadata={"dates_dirty": reachable.height, "dates_overdue": overdue.height, "dates_out_of_reach": waiting.height - reachable.height},
    )
