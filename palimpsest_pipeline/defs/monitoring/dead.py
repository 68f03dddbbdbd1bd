"""The sensor that finds what died: runs and cycles of which nothing is heard any more, and cycles that were ended before anything was derived."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from ...domain.instants import hour_key
from ...landing import LandingError
from ...storage import ledger
from .. import vitals
from ..jobs import replay
from ..landing.recover import close_dead
from ..partitions import hours
from ..pipeline import Pipeline
from ..priorities import DERIVING

LONGEST_WAIT_S: Final = 20.0
"""Within a tick."""


@dg.sensor(
    job=replay,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Reports runs whose process died, closes their cycles, and derives what those landed that were ended early. "
        "On unless switched off: it asks no platform."
    ),
)
def dead_runs(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.RunRequest]:
    """One replay of each hour that has cycles which were ended early and from which nothing is derived, whoever closed them; never a second one for
    the same."""
    if vitals.silent(context.instance, pipeline) or _silent_cycles(pipeline):
        # This machine may have slept, or the database been away: who lives gives a sign with its next heartbeat.
        time.sleep(min(2 * pipeline.settings.heartbeat_s, LONGEST_WAIT_S))
    dead = [silent.run.run_id for silent in vitals.report_dead(context.instance, pipeline)]
    close_dead(pipeline, dead)
    for hour, (cycle_ids, ended_at) in _to_derive(pipeline, context.log).items():
        # Of all of them: one that dies after a newer one has been asked for is asked for too, and so is a second death.
        yield dg.RunRequest(run_key=f"{' '.join(map(str, cycle_ids))} until {ended_at.isoformat()}", partition_key=hour_key(hour), tags=DERIVING)


def _to_derive(pipeline: Pipeline, log: logging.Logger) -> dict[datetime, tuple[list[int], datetime]]:
    """Hours that have such cycles, with their ids and when the last of them ended.

    A cycle of which the landing holds nothing, since it refused writes or has let go of it, cannot be derived, however often that is asked for."""
    left: defaultdict[datetime, dict[int, datetime]] = defaultdict(dict)
    with pipeline.connect() as conn:
        for batch in ledger.underived(conn, pipeline.clock.now() - timedelta(days=pipeline.settings.landing_retention_days)):
            left[batch.cycle.partition_hour][batch.cycle.cycle_id] = batch.finished_at or batch.heartbeat_at
    found = {}
    for hour, ends in left.items():
        try:
            landed = pipeline.landing.closed(hour, ends)
        except (LandingError, ValueError) as error:
            log.warning(f"{hour_key(hour)} cannot be looked at, and nothing of it is asked for: {error}")
            continue
        if landed and not hours.has_partition_key(hour_key(hour)):
            log.warning(f"{hour_key(hour)} is no partition, and nothing of it is asked for: see that this machine's clock is right")
        elif landed:
            found[hour] = landed, max(ends[cycle_id] for cycle_id in landed)
    return found


def _silent_cycles(pipeline: Pipeline) -> list[ledger.Batch]:
    with pipeline.connect() as conn:
        return ledger.silent_batches(conn, pipeline.settings.silent_after_s)
