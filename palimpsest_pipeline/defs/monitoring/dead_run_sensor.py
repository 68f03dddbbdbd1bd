"""The sensor that finds dead runs and cycles, and cycles that ended before their answers were derived."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_products, make_due_query
from palimpsest_pipeline.pipeline.live.recovery import recover_dead_cycles
from palimpsest_pipeline.runtime.run_priorities import LIVE_DERIVATION_TAGS
from palimpsest_pipeline.runtime.run_tags import LEAVES_FAILED_TAG
from palimpsest_pipeline.storage.derivation.due_products import read_due_cycles
from palimpsest_pipeline.storage.ledger import cycle_ledger

from .. import run_heartbeat
from ..asset_partitions import day_partitions
from ..cycle_jobs import replay_job

_MAX_WAIT_S: Final = 20.0
"""Maximum wait in seconds within a tick for one more heartbeat of a run that looks dead."""
BROKEN_OFF_STATUSES: Final = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
"""Final states of runs that may have ended before their cycle was derived."""


@dg.sensor(
    job=replay_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Reports runs whose process died, closes their cycles, and derives the landed answers that their runs did not "
        "derive. On by default: it sends no requests to platforms."
    ),
)
def dead_runs(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.RunRequest]:
    """Request one replay for each day with incomplete cycles whose run ended without success.

    It does not matter which process closed the cycles. A replay is requested only once for the same cycles and the same
    end.
    """
    with pipeline.connect() as conn:
        silent_cycles = cycle_ledger.read_silent_cycles(conn, pipeline.settings.silent_after_s)
    if silent_cycles or run_heartbeat.list_silent_runs(context.instance, pipeline):
        # After sleep of the machine or an outage of the database, a live process writes its next heartbeat during this
        # wait.
        time.sleep(min(2 * pipeline.settings.heartbeat_s, _MAX_WAIT_S))
    dead = [silent.run.run_id for silent in run_heartbeat.report_dead_runs(context.instance, pipeline)]
    recover_dead_cycles(pipeline, dead)
    for day, (cycle_ids, ended_at) in _find_underived_days(pipeline, context.instance, context.log).items():
        # The key contains all cycles and the latest end, so that another dead cycle, or a second death, is requested
        # too.
        yield dg.RunRequest(
            run_key=f"{' '.join(map(str, cycle_ids))} until {ended_at.isoformat()}",
            partition_key=str(day),
            tags={**LIVE_DERIVATION_TAGS, LEAVES_FAILED_TAG: "true"},
        )


def _find_underived_days(
    pipeline: Pipeline, instance: dg.DagsterInstance, log: logging.Logger
) -> dict[date, tuple[list[int], datetime]]:
    """Return each day with cycles that ended before they were derived: cycle ids and the latest end.

    A cycle that is not in the landing (its writes failed, or its hour was removed) is left out: it cannot be derived.
    """
    first = pipeline.clock.now() - timedelta(days=pipeline.settings.landing_retention_days)
    with pipeline.connect() as conn:
        core = make_due_query(pipeline, conn, [product for product in list_products() if product.schema == "core"])
        cycles = read_due_cycles(conn, core, first)
    run_ids = [cycle.run_id for cycle in cycles if cycle.run_id]
    runs = instance.get_runs(dg.RunsFilter(run_ids=run_ids)) if run_ids else []
    status = {run.run_id: run.status for run in runs}
    ends_by_day: defaultdict[date, dict[int, datetime]] = defaultdict(dict)
    for cycle in cycles:
        run_status = status.get(cycle.run_id or "")
        if run_status in BROKEN_OFF_STATUSES or (
            cycle.ended_early and run_status not in run_heartbeat.UNFINISHED_STATUSES
        ):
            ends_by_day[cycle.partition_hour.date()][cycle.cycle_id] = cycle.ended_at
    for day in [day for day in ends_by_day if not day_partitions.has_partition_key(str(day))]:
        log.warning(
            f"{day} has no partition in Dagster, so no replay is requested for its cycles: check this machine's clock"
        )
        del ends_by_day[day]
    return {day: (list(ends), max(ends.values())) for day, ends in ends_by_day.items()}
