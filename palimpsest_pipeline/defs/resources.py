"""The only resource.

It yields the plain `Pipeline` object, so that functions below an asset see no Dagster type.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.settings import load_settings

from . import run_heartbeat
from .instance import pool_connections
from .partitions import FIRST_DAY


class PipelineResource(dg.ConfigurableResource):
    """The pipeline with the settings of the environment (`PALIMPSEST_*`).

    During a run it also writes the heartbeats of the run.
    """

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Pipeline]:
        pipeline = Pipeline(load_settings())
        if context.run is None:  # a sensor's or a schedule's tick
            yield pipeline
            return
        if context.instance is not None:
            pool_connections(context.instance)
        with run_heartbeat.start_run_heartbeat(pipeline, context.run.run_id, context.run.job_name, FIRST_DAY):
            yield pipeline
