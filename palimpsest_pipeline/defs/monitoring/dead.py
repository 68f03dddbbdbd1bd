"""The sensor that finds what died: runs and cycles of which nothing is heard any more, and cycles that were ended before anything was derived."""

import time
from collections.abc import Iterator
from typing import Final

import dagster as dg

from ...domain.instants import hour_key
from ...storage import ledger
from .. import vitals
from ..jobs import replay
from ..landing.recover import close_dead
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
    """One replay of the hour for each cycle that was ended early and nothing is derived from, whoever closed it; never a second one for the same."""
    if vitals.silent(context.instance, pipeline) or _silent_cycles(pipeline):
        # This machine may have slept, or the database been away: who lives gives a sign with its next heartbeat.
        time.sleep(min(2 * pipeline.settings.heartbeat_s, LONGEST_WAIT_S))
    dead = [silent.run.run_id for silent in vitals.report_dead(context.instance, pipeline)]
    close_dead(pipeline, dead)
    with pipeline.connect() as conn:
        left = [batch.cycle for batch in ledger.underived(conn)]
    for cycle in left:
        yield dg.RunRequest(run_key=str(cycle.cycle_id), partition_key=hour_key(cycle.partition_hour), tags=DERIVING)


def _silent_cycles(pipeline: Pipeline) -> list[ledger.Batch]:
    with pipeline.connect() as conn:
        return ledger.silent_batches(conn, pipeline.settings.silent_after_s)
