"""Mart: what traders are told of."""

import dagster as dg

from palimpsest_pipeline.domain.enums import OddsAlertLevel
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import odds_alerts
from palimpsest_pipeline.storage.marts import odds_alerts as stored

from ..asset_metadata import figures, table_metadata
from ..core.assets import matched_events, odds_snapshots
from ..plots import plotted


@dg.asset(
    key=stored.TABLE.split("."),
    deps=[odds_snapshots, matched_events],
    group_name="mart",
    kinds={"polars", "postgres"},
    metadata=table_metadata(stored.TABLE),
)
def odds_alert(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Episodes that traders are told of: prices that move, books that disagree, markets and listings that go; of the fixtures that cycles bore on."""
    done = odds_alerts.derive_alerts(pipeline)
    context.log.info(f"{done.n_fixtures} fixtures derived in {done.seconds:.1f} s, {done.n_watched} near enough; {dict(done.rows)}")
    with pipeline.connect() as conn:
        n_rows, open_by_severity = stored.counts(conn)
        opened = stored.opened_by_hour(conn)
    counts = {f"open_{level.value}": open_by_severity.get(level.value, 0) for level in OddsAlertLevel}
    told = {
        "fixtures_derived": done.n_fixtures,
        "fixtures_watched": done.n_watched,
        "rows_written": done.rows.total(),
        "derive_s": round(done.seconds, 3),
    }
    return dg.MaterializeResult(metadata=figures(n_rows, **told, **counts, **plotted(opened_by_hour=opened)))
