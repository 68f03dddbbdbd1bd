"""Checks of alerts to traders: laws that hold on every row."""

import dagster as dg
import polars as pl

from ...metrics import odds_alert_laws as laws
from ...storage import odds_alerts as stored
from ..pipeline import Pipeline
from .checks import result

DERIVE_AGAIN = "The next full cycle derives all of them anew; if it stays, the derivation is wrong: please report it with the alert's id."


@dg.asset_check(asset=stored.TABLE.split("."), blocking=True)
def episodes_are_apart(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Of one thing no two episodes last at the same time, and each ends after it begins."""
    with pipeline.connect() as conn:
        alerts = stored.rows_of(conn)
    return result(pl.concat([laws.episodes_do_not_overlap(alerts), laws.episodes_end_after_they_begin(alerts)]), DERIVE_AGAIN)


@dg.asset_check(asset=stored.TABLE.split("."), blocking=True)
def peaks_reach_their_level(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Of fixtures that have not begun, the peak of an episode is what its prices make, and as large as its severity says."""
    with pipeline.connect() as conn:
        alerts, begun = stored.rows_of(conn), stored.begun(conn)
    # What has begun is not derived any more, so it may still be told by levels that have been changed since.
    to_come = alerts.join(begun, on="sr_id", how="anti")
    return result(laws.peaks_reach_their_level(to_come, pipeline.settings.odds_alert_levels), DERIVE_AGAIN)


@dg.asset_check(asset=stored.TABLE.split("."), blocking=True)
def begun_fixtures_have_no_open_alert(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Of a fixture that has begun nothing is open."""
    with pipeline.connect() as conn:
        return result(laws.begun_fixtures_are_closed(stored.rows_of(conn), stored.begun(conn)), DERIVE_AGAIN)
