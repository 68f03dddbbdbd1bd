"""Dagster's entry point: gathers the assets, checks, jobs, schedules and sensors of `defs`, and applies the policy that holds for all assets."""

import dagster as dg

from palimpsest_pipeline.defs import automation, cadence, jobs
from palimpsest_pipeline.defs.core import assets as core
from palimpsest_pipeline.defs.core import checks as core_checks
from palimpsest_pipeline.defs.landing import assets as landing
from palimpsest_pipeline.defs.landing import checks as landing_checks
from palimpsest_pipeline.defs.mart import assets as mart
from palimpsest_pipeline.defs.mart import checks as mart_checks
from palimpsest_pipeline.defs.mart import (
    life_assets,
    life_checks,
    life_jobs,
    odds_alert_assets,
    odds_alert_checks,
    present_assets,
    present_checks,
    present_jobs,
)
from palimpsest_pipeline.defs.metadata import OWNER
from palimpsest_pipeline.defs.monitoring import alerts, dead
from palimpsest_pipeline.defs.monitoring import checks as monitoring_checks
from palimpsest_pipeline.defs.monitoring import jobs as monitoring_jobs
from palimpsest_pipeline.defs.report import assets as report
from palimpsest_pipeline.defs.resources import PipelineResource
from palimpsest_pipeline.defs.upkeep import assets as upkeep
from palimpsest_pipeline.defs.upkeep import checks as upkeep_checks
from palimpsest_pipeline.defs.upkeep import jobs as upkeep_jobs


def _owned(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec if spec.owners else spec.replace_attributes(owners=[OWNER])


defs = dg.Definitions(
    assets=[
        a.map_asset_specs(_owned)
        for a in dg.load_assets_from_modules([landing, core, mart, life_assets, present_assets, odds_alert_assets, report, upkeep])
        if isinstance(a, dg.AssetsDefinition)
    ],
    asset_checks=dg.load_asset_checks_from_modules(
        [landing_checks, core_checks, mart_checks, life_checks, present_checks, odds_alert_checks, upkeep_checks, monitoring_checks]
    ),
    jobs=[
        *(jobs.full_cycle, jobs.refresh, jobs.kickoff_window, jobs.replay, jobs.cycle_marts, life_jobs.fixture_life_job, present_jobs.present_job),
        *(upkeep_jobs.export, upkeep_jobs.upkeep, monitoring_jobs.health),
    ],
    schedules=[
        *(cadence.full_cycle_schedule, life_jobs.fixture_life_schedule),
        *(upkeep_jobs.nightly_export, upkeep_jobs.nightly_upkeep, monitoring_jobs.health_schedule),
    ],
    sensors=[cadence.kickoff_sensor, dead.dead_runs, alerts.alerts, automation.late_marts],
    resources={"pipeline": PipelineResource()},
    # A step in a process of its own costs seconds: a cycle has few steps, and they run one after the other anyway.
    executor=dg.in_process_executor,
)
