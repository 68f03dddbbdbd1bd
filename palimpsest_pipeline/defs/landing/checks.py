"""Checks of the landing."""

import dagster as dg

from ...domain.instants import parse_hour_key
from ...storage import ledger_readers
from ..partitions import hours
from ..pipeline import Pipeline


@dg.asset_check(asset=["landing", "odds_payloads"], partitions_def=hours)
def every_platform_answered(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """In the hour's last cycle no platform came to nothing. A failed platform never hides behind a good one."""
    with pipeline.connect() as conn:
        failed = [line for key in context.partition_keys for line in ledger_readers.failed_platforms(conn, parse_hour_key(key))]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=None
        if not failed
        else "; ".join(failed) + ". Nothing of it is concluded absent; see ops.scrape_runs, then materialize the current hour again.",
        metadata={"failed_platforms": len(failed)},
    )
