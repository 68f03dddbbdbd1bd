"""Checks of the mart: laws that hold on every row set, whatever the platforms say. They block what is downstream."""

import dagster as dg
import polars as pl

from ...domain.instants import parse_hour_key
from ...metrics import laws
from ...storage import mart_readers
from ..partitions import hours
from ..pipeline import Pipeline


def _result(violations: pl.DataFrame, mend: str) -> dg.AssetCheckResult:
    description = "" if violations.is_empty() else "; ".join(violations["violation"].head(5).to_list()) + f". {mend}"
    return dg.AssetCheckResult(
        passed=violations.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        description=description or None,
        metadata={"violations": violations.height},
    )


MEND = "Rebuild the hour (`palimpsest backfill`); if it stays, the derivation is wrong: please report it with the cycle id."


def _hour_frames(context: dg.AssetCheckExecutionContext, pipeline: Pipeline, *tables: str) -> list[pl.DataFrame]:
    with pipeline.connect() as conn:
        return [pl.concat([mart_readers.of_hour(conn, f"mart.{table}", parse_hour_key(key)) for key in context.partition_keys]) for table in tables]


@dg.asset_check(asset=["mart", "match_rate_platform"], blocking=True, partitions_def=hours)
def classes_add_up_to_the_union(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Matched, home-only, competitor-only and undetermined fixtures together are all fixtures, once each."""
    (rates,) = _hour_frames(context, pipeline, "match_rate_platform")
    return _result(laws.classes_add_up(rates), MEND)


@dg.asset_check(asset=["mart", "coverage_tournament"], blocking=True, partitions_def=hours, additional_deps=[["mart", "match_rate_platform"]])
def tournaments_add_up_to_the_platforms(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every count of coverage_tournament, summed over tournaments, is the platform's own."""
    by_tournament, rates = _hour_frames(context, pipeline, "coverage_tournament", "match_rate_platform")
    return _result(laws.tournaments_add_up(by_tournament, rates), MEND)


@dg.asset_check(asset=["mart", "coverage_fixture"], blocking=True, partitions_def=hours, additional_deps=[["mart", "match_rate_platform"]])
def fixtures_add_up_to_the_rates(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """The classes of coverage_fixture, counted, are those of match_rate_platform."""
    fixtures, rates = _hour_frames(context, pipeline, "coverage_fixture", "match_rate_platform")
    return _result(laws.fixtures_add_up(fixtures, rates), MEND)
