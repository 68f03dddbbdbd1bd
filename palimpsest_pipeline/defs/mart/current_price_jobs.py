"""The job that derives what is due fixture by fixture, for when no cycle does: at the end of a replay."""

from collections.abc import Callable
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.operate.run_job import run_whole
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.storage.derivation import dirty_fixtures
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


def refresh_due(pipeline: Pipeline, instance: dg.DagsterInstance, say: Callable[[str], None]) -> str | None:
    """Derive what is due fixture by fixture, in one run on the instance; returns why it failed, if it did."""
    with pipeline.connect() as conn:
        dirty_fixtures.mark_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        n_due = sum(dirty_fixtures.waiting(conn, product)[0] for product in FixtureProduct)
    if not n_due:
        return None
    outcome = run_whole(instance, pipeline, JOB)
    say("prices as they stand, and alerts to traders: " + ("derived" if outcome.success else outcome.error or "failed"))
    return None if outcome.success else outcome.error or "failed"
