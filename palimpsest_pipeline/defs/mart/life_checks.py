"""Checks of a fixture's life: laws that hold on every date, and that no date is forgotten."""

import dagster as dg
import polars as pl

from ...metrics import laws
from ...storage import life as stored
from ..partition_checks import partition_check
from ..partitions import kickoff_date_key, kickoff_dates, parse_kickoff_date_key
from ..pipeline import Pipeline
from . import life
from .checks import result


def derive_again(key: str) -> str:
    """What to do about rows of a date that contradict themselves."""
    return f"Launch the job {life.JOB} for {key} in the UI; if it stays, the derivation is wrong: please report it with the date."


def _rows(pipeline: Pipeline, key: str, table: str) -> pl.DataFrame:
    with pipeline.connect() as conn:
        return stored.of_date(conn, table, parse_kickoff_date_key(key))


@partition_check(asset=life.AVAILABILITY.split("."), blocking=True, partitions_def=kickoff_dates)
def intervals_do_not_overlap(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Of one market on one platform no two intervals hold at the same time."""
    return result(laws.intervals_do_not_overlap(_rows(pipeline, key, life.AVAILABILITY)), derive_again(key))


@partition_check(asset=life.AVAILABILITY.split("."), blocking=True, partitions_def=kickoff_dates)
def intervals_have_no_holes(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """From the first time a market was seen on, each interval ends where the next one begins."""
    return result(laws.intervals_have_no_holes(_rows(pipeline, key, life.AVAILABILITY)), derive_again(key))


@partition_check(asset=life.OPEN_CLOSE.split("."), blocking=True, partitions_def=kickoff_dates)
def prices_are_from_before_kickoff(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Nothing that was seen at kickoff or after it is an opening or a closing price, and no price is a closing one before it."""
    return result(laws.prices_are_from_before_kickoff(_rows(pipeline, key, life.OPEN_CLOSE)), derive_again(key))


@partition_check(
    asset=life.LEAD_TIME.split("."),
    blocking=True,
    partitions_def=kickoff_dates,
    additional_deps=[life.AVAILABILITY.split("."), life.OPEN_CLOSE.split(".")],
)
def fixtures_have_one_life(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """The three tables speak of the same fixtures and platforms on the same date."""
    with pipeline.connect() as conn:
        strays = stored.strays(conn, parse_kickoff_date_key(key))
    row = pl.format("{} {}", "platform", "sr_id")
    sentence = pl.format("{}: has rows in {} on {}, where mart.listing_lead_time has none of it", row, "table", "kickoff_date")
    strays = strays.select(law=pl.lit("fixtures have one life"), subject=row, violation=sentence)
    return result(strays, derive_again(key))


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
        description=f"Behind: {named}. Switch the schedule fixture_life_schedule on; `palimpsest backfill --stale` derives them, too."
        if named
        else None,
        metadata={"dates_dirty": reachable.height, "dates_overdue": overdue.height, "dates_out_of_reach": waiting.height - reachable.height},
    )
