"""Runs that derive what is due by kickoff date and by fixture: at the end of a backfill, and for the demo."""

from collections.abc import Callable

import dagster as dg

from palimpsest_pipeline.defs.life.jobs import due_dates
from palimpsest_pipeline.defs.mart.current_price_jobs import JOB
from palimpsest_pipeline.defs.partitions import day_key
from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import lifecycle
from palimpsest_pipeline.storage.derivation import dirty_fixtures

from .run_job import run_date, run_whole


def rebuild_dirty(pipeline: Pipeline, instance: dg.DagsterInstance, say: Callable[[str], None]) -> dict[str, str]:
    """Derive every date that is due, each in a run of its own on the instance. Return the dates that failed, each with the reason."""
    failed = {}
    for day in due_dates(pipeline, at_once=True):
        outcome = run_date(instance, pipeline, lifecycle.JOB, day)
        if not outcome.success:
            failed[day_key(day)] = outcome.error or "failed"
        say(f"fixtures that kick off {day}: {failed.get(day_key(day), 'derived')}")
    return failed


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
