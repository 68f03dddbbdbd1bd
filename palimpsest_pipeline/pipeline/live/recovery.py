"""Recovery of cycles whose process died: closing them with the answers that they landed.

Imports no Dagster. A process counts as dead if its heartbeats have stopped, or if it ran on this machine and is gone.
Their landed answers are derived by a replay of their day.
"""

import logging
import time
from collections.abc import Sequence
from typing import Final

import psycopg

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult
from palimpsest_pipeline.domain.enums import RunStatus
from palimpsest_pipeline.landing import LandingError
from palimpsest_pipeline.runtime.processes import is_gone
from palimpsest_pipeline.scrape import rebuild_outcomes
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader, run_heartbeats

from ..context import Pipeline
from ..record_landed_cycles import record_landed

DIED_REASON = "its process died"
_MAX_WAIT_S: Final = 20.0
"""Maximum wait in seconds for one more heartbeat of a cycle that looks dead."""
log = logging.getLogger(__name__)


def recover_dead_cycles(pipeline: Pipeline, ended_run_ids: Sequence[str] = ()) -> list[Cycle]:
    """Close every cycle whose process is dead, and the cycles of the runs `ended_run_ids`; return them.

    A process is dead if it wrote no heartbeat for PALIMPSEST_SILENT_AFTER_S, or if it ran on this machine and is gone.
    In the first case this function waits for the time of two more heartbeats first. A closed cycle has the status
    `interrupted` and the outcomes that its landed answers prove. Cycles that another process is closing at the same
    time are not returned. Raises DatabaseUnreachable.
    """
    closed_cycles = []
    with pipeline.connect() as conn:
        gone_run_ids = [
            sign.run.run_id
            for sign in run_heartbeats.read_last_heartbeats(conn, cycle_ledger.read_running_run_ids(conn))
            if is_gone(sign.run.machine, sign.run.pid)
        ]
        silent = cycle_ledger.read_silent_cycles(conn, pipeline.settings.silent_after_s)
        conn.commit()
        if any(batch.cycle.run_id not in {*ended_run_ids, *gone_run_ids} for batch in silent):
            # The database may have been unreachable, which looks the same as a dead process. A live process writes its
            # next heartbeat during this wait.
            time.sleep(min(2 * pipeline.settings.heartbeat_s, _MAX_WAIT_S))
        for batch in cycle_ledger.claim_dead_cycles(
            conn, pipeline.settings.silent_after_s, [*ended_run_ids, *gone_run_ids]
        ):
            try:
                with conn.transaction():
                    _close_cycle(pipeline, conn, batch)
            except Exception as error:  # an error of one cycle must not prevent closing the others
                if conn.closed:
                    raise
                log.warning(
                    "cycle %d: %s, and it cannot be closed: %s",
                    batch.cycle.cycle_id,
                    DIED_REASON,
                    error,
                    exc_info=not isinstance(error, LandingError),
                )
                continue
            closed_cycles.append(batch.cycle)
    return closed_cycles


def describe_closed_cycle(cycle: Cycle) -> str:
    """Return the message to the user about a cycle whose process died."""
    day = cycle.partition_hour.date()
    return (
        f"cycle {cycle.cycle_id} of {day}: {DIED_REASON}; closed, its landed answers are kept (derive them with"
        f" `palimpsest backfill {day} {day}`)"
    )


def _close_cycle(pipeline: Pipeline, conn: psycopg.Connection, batch: cycle_ledger.CycleRecord) -> None:
    """Close a cycle in the landing, then in the ledger.

    If this process dies in between, the next recovery repeats the first step, which changes nothing.
    """
    cycle = batch.cycle
    record_landed(pipeline, conn, pipeline.landing.close_interrupted(cycle, batch.heartbeat_at))
    discovered = {run.platform: run.discovered for run in cycle_reader.read_result(conn, batch).runs}
    outcomes, runs = rebuild_outcomes(
        pipeline.landing.read_landed_listings(cycle.cycle_id), message=DIED_REASON, n_discovered=discovered
    )
    cycle_ledger.interrupt_cycle(
        conn, cycle.cycle_id, CycleResult(cycle, RunStatus.INTERRUPTED, batch.heartbeat_at, runs, outcomes)
    )
