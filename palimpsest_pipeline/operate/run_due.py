"""Runs that derive the due kickoff dates and fixtures, at the end of a backfill and in the demo."""

from collections.abc import Callable

import dagster as dg

from palimpsest_pipeline.defs.asset_partitions import format_day_key
from palimpsest_pipeline.defs.cycle_jobs import PRESENT_JOB
from palimpsest_pipeline.defs.life.jobs import list_due_dates
from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_lifecycle
from palimpsest_pipeline.storage.derivation import dirty_fixtures

from .run_job import run_job


def rebuild_dirty_dates(pipeline: Pipeline, instance: dg.DagsterInstance, say: Callable[[str], None]) -> dict[str, str]:
    """Derive every due kickoff date, each in its own run.

    Return the dates that failed, with the reason.
    """
    failed = {}
    for day in list_due_dates(pipeline, include_far=True):
        outcome = run_job(instance, pipeline, derive_lifecycle.LIFECYCLE_JOB, day)
        if not outcome.success:
            failed[format_day_key(day)] = outcome.error or "failed"
        say(f"fixtures that kick off {day}: {failed.get(format_day_key(day), 'derived')}")
    return failed


def derive_due_fixtures(pipeline: Pipeline, instance: dg.DagsterInstance, say: Callable[[str], None]) -> str | None:
    """Derive all due fixtures in one run. Return the error, or None on success."""
    with pipeline.connect() as conn:
        dirty_fixtures.mark_fixtures_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        n_due = sum(dirty_fixtures.count_due_fixtures(conn, product)[0] for product in FixtureProduct)
    if not n_due:
        return None
    outcome = run_job(instance, pipeline, PRESENT_JOB)
    say("current prices and alerts to traders: " + ("derived" if outcome.success else outcome.error or "failed"))
    return None if outcome.success else outcome.error or "failed"
