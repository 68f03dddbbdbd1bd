"""Cycles whose process died: found by their silence, or by their missing process on this machine; closed with what is
landed. Knows no Dagster.

Belongs here: closing them, in the landing and in the ledger. Does not: deriving what they landed, which is a replay of
their day.
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
from ..landed_cycles import record_landed

DIED_REASON = "its process died"
MAX_WAIT_S: Final = 20.0
"""How long a silent cycle is given at most for one more sign of life."""
log = logging.getLogger(__name__)


def recover_dead_cycles(pipeline: Pipeline, ended_run_ids: Sequence[str] = ()) -> list[Cycle]:
    """Close every cycle whose process is dead, and those of `run_ids`, runs known to be over.

    A process is dead when it gave no sign of life for PALIMPSEST_SILENT_AFTER_S; one of this machine also as soon as it
    is gone. A silent one is given two more heartbeats first. Each cycle is `interrupted` then, with what its landed
    answers prove. Returns the cycles closed; those that another process is just closing are its. Raises
    DatabaseUnreachable.
    """
    closed = []
    with pipeline.connect() as conn:
        gone = [
            sign.run.run_id
            for sign in run_heartbeats.read_last_heartbeats(conn, cycle_ledger.read_running_run_ids(conn))
            if is_gone(sign.run.machine, sign.run.pid)
        ]
        silent = cycle_ledger.read_silent_cycles(conn, pipeline.settings.silent_after_s)
        conn.commit()
        if any(batch.cycle.run_id not in {*ended_run_ids, *gone} for batch in silent):
            # The database may have been away, and its recovery from a crash leaves no instant to count from: whoever
            # lives gives a sign now.
            time.sleep(min(2 * pipeline.settings.heartbeat_s, MAX_WAIT_S))
        for batch in cycle_ledger.claim_dead_cycles(conn, pipeline.settings.silent_after_s, [*ended_run_ids, *gone]):
            try:
                with conn.transaction():
                    _close_cycle(pipeline, conn, batch)
            except Exception as error:  # whatever is wrong with one cycle, the others are closed
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
            closed.append(batch.cycle)
    return closed


def describe_closed_cycle(cycle: Cycle) -> str:
    """What a user is told of a cycle that was found dead."""
    day = cycle.partition_hour.date()
    return f"cycle {cycle.cycle_id} of {day}: {DIED_REASON}; closed, what it had landed is kept (derive it with `palimpsest backfill {day} {day}`)"


def _close_cycle(pipeline: Pipeline, conn: psycopg.Connection, batch: cycle_ledger.CycleRecord) -> None:
    """The landing first: it is the truth, and closing it again changes nothing should this process die as well."""
    cycle = batch.cycle
    record_landed(pipeline, conn, pipeline.landing.close_interrupted(cycle, batch.heartbeat_at))
    discovered = {run.platform: run.discovered for run in cycle_reader.read_result(conn, batch).runs}
    outcomes, runs = rebuild_outcomes(
        pipeline.landing.read_landed_listings(cycle.cycle_id), message=DIED_REASON, n_discovered=discovered
    )
    cycle_ledger.interrupt_cycle(
        conn, cycle.cycle_id, CycleResult(cycle, RunStatus.INTERRUPTED, batch.heartbeat_at, runs, outcomes)
    )
