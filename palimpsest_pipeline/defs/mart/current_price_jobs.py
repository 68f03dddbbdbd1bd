"""The job that derives what is due fixture by fixture, for when no cycle does: at the end of a replay."""

from typing import Final

import dagster as dg

from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.storage.marts import odds_alerts
from palimpsest_pipeline.storage.marts.current_prices import TABLES

from ..monitoring.jobs import OF_NOW

JOB: Final = "present"
PRESENT: Final = dg.AssetSelection.assets(*(table.split(".") for table in (*TABLES, odds_alerts.TABLE)))
"""What is derived fixture by fixture."""

present_job = dg.define_asset_job(
    JOB,
    selection=PRESENT - OF_NOW,
    tags=run_priorities.DERIVING,
    description="Prices side by side, gaps and alerts to traders of the fixtures that are due. Cycles do it by themselves.",
)
