"""The cycles that a Dagster run derives and judges.

A run that scrapes derives only its own cycles, so its duration does not grow during the day. Any other run derives the
cycles of its day, or of those hours of the day that a run tag names.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.instants import HOUR, format_hour_key, get_day_start, list_hours, parse_hour_key
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.run_tags import FOLLOWS_TAG, HOURS_TAG, SKIPPED_TAG
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.ledger import cycle_ledger

RESCAN_ADVICE: Final = "If you restored files of the landing by hand, run `palimpsest landing rescan`"
LANDING_KEY_PREFIX: Final = "landing"
"""First part of the asset keys of the landing, whose assets send requests to the platforms."""
LANDING_STEP_PREFIX: Final = f"{LANDING_KEY_PREFIX}__"
SCRAPING_JOBS: Final = ("full_cycle", "refresh", "kickoff_window")
"""Jobs with assets of the landing."""


@dataclass(frozen=True, slots=True)
class RunCycles:
    """The landed cycles of a run."""

    cycle_ids: list[int]
    """Ids of the cycles, in order."""
    is_own: bool
    """Whether the run, or a run that it repeats, has scraped the cycles."""


def list_repeated_runs(run: dg.DagsterRun) -> tuple[str, ...]:
    """Return the ids of the runs that this run repeats. They are over."""
    earlier_run_ids = (run.parent_run_id, run.root_run_id, run.tags.get(FOLLOWS_TAG))
    return tuple(dict.fromkeys(run_id for run_id in earlier_run_ids if run_id))


def find_run_cycles(conn: psycopg.Connection, run: dg.DagsterRun, day: date) -> RunCycles:
    """Return the cycles that the run derives and judges.

    A run that scrapes has only its own cycles. It has none if another run considered it dead and took over its cycle. A
    run that repeats other runs has the cycles that these runs scraped, if any. Any other run has the landed cycles of
    `day`, or of the hours in its tag.
    """
    if is_scraping_run(run):
        return RunCycles(cycle_ledger.read_cycles_of_runs(conn, [run.run_id]), is_own=True)
    for run_ids in ([run.run_id], list_repeated_runs(run)):
        if run_ids and (own_cycles := cycle_ledger.read_cycles_of_runs(conn, run_ids)):
            return RunCycles(own_cycles, is_own=True)
    first, last = find_run_hours(run, day)
    return RunCycles(
        [cycle.cycle_id for cycle in landed_cycles.read_cycles(conn, first, last + HOUR) if not cycle.is_gone],
        is_own=False,
    )


def is_scraping_run(run: dg.DagsterRun) -> bool:
    """Return whether the run executes a step that scrapes.

    A re-execution of failed steps may have no such step, even if its job has landing assets.
    """
    if run.step_keys_to_execute is not None:
        return any(key.startswith(LANDING_STEP_PREFIX) for key in run.step_keys_to_execute)
    if run.asset_selection is not None:
        return any(key.path[0] == LANDING_KEY_PREFIX for key in run.asset_selection)
    return run.job_name in SCRAPING_JOBS


def find_run_hours(run: dg.DagsterRun, day: date) -> tuple[datetime, datetime]:
    """Return the first and last hour of the day that the run derives: by its tag, or of the whole day."""
    if HOURS_TAG in run.tags:
        first, last = (parse_hour_key(key) for key in run.tags[HOURS_TAG].split("/"))
        return first, last
    begins_at = get_day_start(day)
    return begins_at, begins_at + 23 * HOUR


def find_cycles_or_skip(context: dg.AssetExecutionContext, pipeline: Pipeline) -> RunCycles | None:
    """Return the run's cycles; None if there are none, with the reason in the run's log and in a tag.

    After None, the asset must return without a result, so that nothing is materialized and no step downstream runs.
    """
    day = date.fromisoformat(context.partition_key)
    with pipeline.connect() as conn:
        cycles = find_run_cycles(conn, context.run, day)
        if cycles.cycle_ids and HOURS_TAG not in context.run.tags:
            return cycles
        if not cycles.cycle_ids and cycles.is_own:
            _mark_skipped(context, "another run has taken over the cycle of this run, and derives it")
            return None
        first, last = find_run_hours(context.run, day)
        landed_hours = {
            cycle.partition_hour for cycle in landed_cycles.read_cycles(conn, first, last + HOUR) if not cycle.is_gone
        }
    empty_hours = [hour for hour in list_hours(first, last) if hour not in landed_hours]
    period = f"{day}" if len(empty_hours) == 24 else ", ".join(format_hour_ranges(empty_hours))
    reason = f"nothing is landed of {period}: never scraped, or its raw answers have expired. {RESCAN_ADVICE}"
    if cycles.cycle_ids:
        if empty_hours:
            context.log.warning(f"skipped: {reason}")
        return cycles
    _mark_skipped(context, reason)
    return None


def _mark_skipped(context: dg.AssetExecutionContext, reason: str) -> None:
    context.log.warning(f"skipped: {reason}")
    context.instance.add_run_tags(context.run.run_id, {SKIPPED_TAG: reason})


def format_hour_ranges(hours: list[datetime]) -> list[str]:
    """Return ascending hours as texts. Consecutive hours become `FIRST to LAST`."""
    ranges: list[list[datetime]] = []
    for hour in hours:
        if ranges and hour - ranges[-1][-1] == HOUR:
            ranges[-1] = [ranges[-1][0], hour]
        else:
            ranges.append([hour])
    return [" to ".join(map(format_hour_key, hour_range)) for hour_range in ranges]
