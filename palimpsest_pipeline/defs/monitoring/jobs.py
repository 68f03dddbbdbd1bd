"""The job that checks the pipeline itself, and its schedule.

The schedule is on by default, because it sends no requests to platforms.
"""

import dagster as dg

from palimpsest_pipeline.runtime import run_priorities

from ..mart.checks import no_fixture_is_due_for_long
from ..upkeep.checks import partitions_are_ahead, storage_is_within_its_limit
from .checks import (
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
    no_fixture_is_due_for_long,
)
"""Checks of the current state. They have no partition, so runs of a partition leave them out."""

health_job = dg.define_asset_job(
    "health",
    selection=PRESENT_STATE_CHECKS | dg.AssetSelection.checks(partitions_are_ahead, storage_is_within_its_limit),
    tags=run_priorities.LIVE_DERIVATION_TAGS,
    description="Check freshness, limits, stuck runs and unfinished work. Runs only checks.",
)

health_schedule = dg.ScheduleDefinition(
    name="health_schedule",
    job=health_job,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Runs the checks of the job health every 15 minutes.",
)
