"""A full cycle in a process of its own that is killed in its capture: `python -m` with the settings in the
environment and the run's id.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence

from palimpsest_pipeline.defs import run_heartbeat
from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import PayloadKind, Scope, Trigger
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.scrape.sinks import ScrapeObserver
from palimpsest_pipeline.settings import load_settings


class Dies(ScrapeObserver):
    """A Watch: kills the process once so many askings are over and some listing's answer is landed."""

    def __init__(self, pipeline: Pipeline, cycle_id: int, n: int) -> None:
        self.pipeline, self.cycle_id, self.left = pipeline, cycle_id, n

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        self.left -= len(outcomes)
        if self.left <= 0:
            while PayloadKind.DETAIL not in self.pipeline.landing.read_landed_listings(self.cycle_id)["kind"]:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGKILL)


def main(run_id: str) -> None:
    pipeline = Pipeline(load_settings())
    begun = live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, run_id)
    with run_heartbeat.start_run_heartbeat(pipeline, run_id, "full_cycle"):
        cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
        never = Dies(pipeline, cycle.cycle_id, sys.maxsize)
        live_cycle.run_discovery(pipeline, cycle, never)
        live_cycle.run_capture(pipeline, begun, Dies(pipeline, cycle.cycle_id, 20))


if __name__ == "__main__":
    main(sys.argv[1])
