"""The cycles that a run derives and judges. Knows no assets.

A run that scrapes derives its own cycles only: what it costs does not grow with the day. A run that does not scrape derives the cycles of its day, or
of those hours of the day that a tag names.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.instants import HOUR, begin_of_day, hour_key, list_hours, parse_hour_key
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.run_tags import FOLLOWS_TAG, HOURS_TAG, SKIPPED_TAG
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.ledger import cycle_ledger

from .partitions import parse_day_key

RESCAN: Final = "If you restored files of the landing by hand, run `palimpsest landing rescan`"
LANDING: Final = "landing"
"""First part of the keys of the assets that ask the platforms."""
LANDING_STEPS: Final = f"{LANDING}__"
SCRAPING_JOBS: Final = ("full_cycle", "refresh", "kickoff_window")
"""Jobs with assets of the landing."""


@dataclass(frozen=True, slots=True)
class RunCycles:
    """Landed cycles by id, in order. `own`: the run, or one that it repeats, has scraped them."""

    cycle_ids: list[int]
    own: bool


def repeated_runs(run: dg.DagsterRun) -> tuple[str, ...]:
    """Return the ids of the runs that this one is another try of. They are over."""
    before = (run.parent_run_id, run.root_run_id, run.tags.get(FOLLOWS_TAG))
    return tuple(dict.fromkeys(run_id for run_id in before if run_id))


def cycles_of_run(conn: psycopg.Connection, run: dg.DagsterRun, day: date) -> RunCycles:
    """Return the cycles that the run derives and judges.

    A run that scrapes has only its own cycles. It has none when another run, which took it for dead, has taken over its cycle. Any other run has the
    cycles that the runs which it repeats have scraped; without any, the landed cycles of its hours of `day`.
    """
    if scrapes(run):
        return RunCycles(cycle_ledger.cycles_of_runs(conn, [run.run_id]), own=True)
    for run_ids in ([run.run_id], repeated_runs(run)):
        if run_ids and (own := cycle_ledger.cycles_of_runs(conn, run_ids)):
            return RunCycles(own, own=True)
    first, last = hours_of_run(run, day)
    return RunCycles([cycle.cycle_id for cycle in landed_cycles.read(conn, first, last + HOUR) if not cycle.is_gone], own=False)


def scrapes(run: dg.DagsterRun) -> bool:
    """Return whether the run executes a step of the landing. One that repeats failed steps of another run may not, whatever its job has."""
    if run.step_keys_to_execute is not None:
        return any(key.startswith(LANDING_STEPS) for key in run.step_keys_to_execute)
    if run.asset_selection is not None:
        return any(key.path[0] == LANDING for key in run.asset_selection)
    return run.job_name in SCRAPING_JOBS


def hours_of_run(run: dg.DagsterRun, day: date) -> tuple[datetime, datetime]:
    """Return the first and the last hour of the day that the run derives: those of its tag, else the whole day."""
    if HOURS_TAG in run.tags:
        first, last = (parse_hour_key(key) for key in run.tags[HOURS_TAG].split("/"))
        return first, last
    begins_at = begin_of_day(day)
    return begins_at, begins_at + 23 * HOUR


def hours_tag(first: datetime, last: datetime) -> dict[str, str]:
    """Return the tag of a run that derives these hours of its day only."""
    return {HOURS_TAG: f"{hour_key(first)}/{hour_key(last)}"}


def or_skip(context: dg.AssetExecutionContext, pipeline: Pipeline) -> RunCycles | None:
    """Return the cycles of the run. Without any, say so in the run's log and in a tag, and return None.

    The asset must then return without a result, so that nothing is materialized and nothing downstream runs.
    """
    day = parse_day_key(context.partition_key)
    with pipeline.connect() as conn:
        cycles = cycles_of_run(conn, context.run, day)
        if cycles.cycle_ids and HOURS_TAG not in context.run.tags:
            return cycles
        if not cycles.cycle_ids and cycles.own:
            return _skip(context, "another run has taken up the cycle of this run, and derives it")
        first, last = hours_of_run(context.run, day)
        there = {cycle.partition_hour for cycle in landed_cycles.read(conn, first, last + HOUR) if not cycle.is_gone}
    empty = [hour for hour in list_hours(first, last) if hour not in there]
    named = f"{day}" if len(empty) == 24 else ", ".join(stretches(empty))
    reason = f"nothing is landed of {named}: never scraped, or its raw answers have expired. {RESCAN}"
    if cycles.cycle_ids:
        if empty:
            context.log.warning(f"skipped: {reason}")
        return cycles
    return _skip(context, reason)


def _skip(context: dg.AssetExecutionContext, reason: str) -> None:
    context.log.warning(f"skipped: {reason}")
    context.instance.add_run_tags(context.run.run_id, {SKIPPED_TAG: reason})


def stretches(hours: list[datetime]) -> list[str]:
    """Return hours, given in order, as text: hours that follow each other as `FIRST to LAST`."""
    found: list[list[datetime]] = []
    for hour in hours:
        if found and hour - found[-1][-1] == HOUR:
            found[-1] = [found[-1][0], hour]
        else:
            found.append([hour])
    return [" to ".join(map(hour_key, stretch)) for stretch in found]
