"""The job that looks at the pipeline itself, and its schedule. On unless switched off: it asks no platform."""

import dagster as dg

from palimpsest_pipeline.runtime import run_priorities

from ..mart.current_prices import no_fixture_is_due_for_long
from ..upkeep.checks import partitions_are_ahead, storage_is_within_its_limit
from .checks import (
    columns_are_as_declared,
    freshness_checks,
    kickoff_slots_were_kept,
    last_ticks_succeeded,
    nothing_is_left_undone,
    nothing_is_stuck,
)

PRESENT_STATE_CHECKS = dg.AssetSelection.checks(
    freshness_checks,
    nothing_is_stuck,
    last_ticks_succeeded,
    nothing_is_left_undone,
    kickoff_slots_were_kept,
    columns_are_as_declared,
    no_fixture_is_due_for_long,
)
"""Checks that say how things stand now: of no partition, and no part of a run that derives one."""

health_job = dg.define_asset_job(
    "health",
    selection=PRESENT_STATE_CHECKS | dg.AssetSelection.checks(partitions_are_ahead, storage_is_within_its_limit),
    tags=run_priorities.LIVE_DERIVATION_TAGS,
    description="Is everything new enough, as declared and within its limits; does anything stand still; was anything left undone. Checks alone.",
)

health_schedule = dg.ScheduleDefinition(
    name="health_schedule",
    job=health_job,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The checks of the job health, every quarter of an hour.",
)
