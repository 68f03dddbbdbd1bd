"""Dagster's entry point: all assets, checks, jobs, schedules and sensors of `defs`.

It also sets the default owner of all assets.
"""

import dagster as dg

from palimpsest_pipeline.defs import cycle_jobs, cycle_triggers
from palimpsest_pipeline.defs.asset_metadata import ASSET_OWNER
from palimpsest_pipeline.defs.core import assets as core
from palimpsest_pipeline.defs.landing import assets as landing
from palimpsest_pipeline.defs.life import assets as life
from palimpsest_pipeline.defs.life import jobs as life_jobs
from palimpsest_pipeline.defs.mart import assets as mart
from palimpsest_pipeline.defs.mart import checks as mart_checks
from palimpsest_pipeline.defs.mart import (
    late_marts_sensor,
)
from palimpsest_pipeline.defs.monitoring import alert_sensor, dead_run_sensor
from palimpsest_pipeline.defs.monitoring import checks as monitoring_checks
from palimpsest_pipeline.defs.monitoring import jobs as monitoring_jobs
from palimpsest_pipeline.defs.resources import PipelineResource
from palimpsest_pipeline.defs.upkeep import assets as upkeep
from palimpsest_pipeline.defs.upkeep import checks as upkeep_checks
from palimpsest_pipeline.defs.upkeep import jobs as upkeep_jobs

defs = dg.Definitions(
    assets=[
        a.map_asset_specs(lambda spec: spec if spec.owners else spec.replace_attributes(owners=[ASSET_OWNER]))
        for a in dg.load_assets_from_modules([landing, core, mart, life, upkeep])
        if isinstance(a, dg.AssetsDefinition)
    ],
    asset_checks=dg.load_asset_checks_from_modules(
        [landing, core, mart_checks, life, upkeep_checks, monitoring_checks]
    ),
    jobs=[
        cycle_jobs.full_cycle_job,
        cycle_jobs.refresh_job,
        cycle_jobs.kickoff_window_job,
        cycle_jobs.replay_job,
        cycle_jobs.cycle_marts_job,
        life_jobs.fixture_life_job,
        cycle_jobs.current_prices_job,
        upkeep_jobs.export_job,
        upkeep_jobs.upkeep_job,
        monitoring_jobs.health_job,
    ],
    schedules=[
        cycle_triggers.full_cycle_schedule,
        life_jobs.fixture_life_schedule,
        upkeep_jobs.nightly_export,
        upkeep_jobs.nightly_upkeep,
        monitoring_jobs.health_schedule,
    ],
    sensors=[
        cycle_triggers.kickoff_sensor,
        dead_run_sensor.dead_runs,
        alert_sensor.alert_sensor,
        late_marts_sensor.late_marts,
    ],
    resources={"pipeline": PipelineResource()},
    # Starting a process for each step takes seconds, and the few steps of a cycle run one after the other anyway.
    executor=dg.in_process_executor,
)
