"""A live cycle in a process of its own, to be killed: `python -m ...faults.live_cycle RUN_ID`, settings from the
environment. Says when it begins.
"""

import os
import sys

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Scope, Trigger
from palimpsest_pipeline.landing import CycleWriter, Landing
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.scrape.sinks import ObserverGroup
from palimpsest_pipeline.settings import load_settings

FLUSH_AGE_S = 0.3
"""In place of production's, so that a cycle of seconds is long."""


def begun(pipeline: Pipeline, run_id: str, repeats: str | None = None) -> live_cycle.ScrapeRequest:
    return live_cycle.ScrapeRequest(
        pipeline.clock.now().date(), Trigger.MANUAL, run_id, repeats=(repeats,) if repeats else ()
    )


def main(run_id: str) -> None:
    """Discovery and capture, as a run of the full cycle does them."""
    pipeline = Pipeline(load_settings())
    cycle = live_cycle.open_cycle(pipeline, begun(pipeline, run_id), Scope.FULL)
    print(cycle.cycle_id, flush=True)
    live_cycle.run_discovery(pipeline, cycle, ObserverGroup())
    live_cycle.run_capture(pipeline, begun(pipeline, run_id), ObserverGroup())


def quick_writer(landing: Landing, cycle: Cycle) -> CycleWriter:
    return CycleWriter(landing, cycle, flush_age_s=FLUSH_AGE_S)


if __name__ == "__main__":
    os.fsync = lambda _: None  # a kill loses nothing that was written, and the disk may be slow
    Landing.open_writer = quick_writer  # type: ignore[method-assign]
    main(sys.argv[1])
