"""The job that derives prices, alerts and price leads of due fixtures, such as at the end of a replay."""

from typing import Final

import dagster as dg

from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.storage.marts import odds_alerts
from palimpsest_pipeline.storage.marts.current_prices import COMPARED_TABLES
from palimpsest_pipeline.storage.marts.odds_alerts import PRICE_LEAD_TABLE

from ..monitoring.jobs import PRESENT_STATE_CHECKS

JOB_NAME: Final = "present"
FIXTURE_ASSETS: Final = dg.AssetSelection.assets(
    *(table.split(".") for table in (*COMPARED_TABLES, odds_alerts.ODDS_ALERT_TABLE, PRICE_LEAD_TABLE))
)
"""Assets that are derived fixture by fixture, and not cycle by cycle."""

current_prices_job = dg.define_asset_job(
    JOB_NAME,
    selection=FIXTURE_ASSETS - PRESENT_STATE_CHECKS,
    tags=run_priorities.LIVE_DERIVATION_TAGS,
    description="Derive price comparisons, gaps, alerts to traders and price leads for the due fixtures. Cycles also do"
    " this themselves.",
)
