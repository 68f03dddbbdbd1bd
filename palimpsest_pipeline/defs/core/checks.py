"""Checks of core: what is stored agrees with itself. They block what is downstream."""

import dagster as dg

from ...domain.instants import parse_hour_key
from ...storage import current
from ..partitions import hours
from ..pipeline import Pipeline


@dg.asset_check(asset=["core", "odds_snapshots"], blocking=True, partitions_def=hours)
def history_equals_current(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """What the hour's cycles wrote stands in core.current_markets as the history says it, and the reverse; the first answer of a listing's day
    compares all its markets. Listings that were answered again since are a later hour's matter."""
    cycle_ids = [m.cycle_id for key in context.partition_keys for m in pipeline.landing.cycles(hour=parse_hour_key(key))]
    with pipeline.connect() as conn:
        found = current.check_step(conn, cycle_ids)
    return dg.AssetCheckResult(
        passed=not found.violations,
        severity=dg.AssetCheckSeverity.ERROR,
        description=None
        if not found.violations
        else f"{found.violations} markets differ between core.current_markets and core.market_changes. Somebody else wrote to them, or the writer is"
        " wrong: please report it. Delete the rows of the listings concerned from core.current_markets: their next answer brings them back.",
        metadata={"violations": found.violations, "listings": found.n_listings, "markets": found.n_markets},
    )
