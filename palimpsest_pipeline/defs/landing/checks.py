"""Checks of the landing."""

from typing import Final

import dagster as dg

from ...domain.instants import parse_hour_key
from ...storage import ledger_readers
from ..partitions import hours
from ..pipeline import Pipeline

LARGEST_OFFSET_S: Final = 30.0
"""Of a host's clock to ours. What a host says of time (when to ask again, since when an answer is cached) is wrong by so much."""


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


@dg.asset_check(asset=["landing", "odds_payloads"], partitions_def=hours)
def clocks_of_the_hosts_agree(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """In the hour's last cycle no host's clock was more than half a minute from ours. If all are off alike, it is ours."""
    with pipeline.connect() as conn:
        offsets = [(p, s) for key in context.partition_keys for p, s in ledger_readers.clock_offsets_s(conn, parse_hour_key(key)).items()]
    far = [f"the clock of {platform} is {offset_s:+.0f} s from ours" for platform, offset_s in offsets if abs(offset_s) > LARGEST_OFFSET_S]
    return dg.AssetCheckResult(
        passed=not far,
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if not far
        else "; ".join(far) + ". No instant is corrected by it: ours are landed as they were. Look at this machine's clock.",
        metadata={"hosts": len(offsets), "largest_offset_s": max((abs(offset_s) for _, offset_s in offsets), default=0.0)},
    )
