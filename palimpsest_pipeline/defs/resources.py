"""The only Dagster resource of the project.

It provides the plain `Pipeline` object, so that the functions called by assets do not depend on Dagster.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.settings import load_settings

from . import run_heartbeat
from .instance import pool_connections


class PipelineResource(dg.ConfigurableResource):
    """A resource that provides the pipeline with the settings of the environment (`PALIMPSEST_*`).

    During a run it also writes the run's heartbeats.
    """

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Pipeline]:
        pipeline = Pipeline(load_settings())
        if context.run is None:  # evaluation of a sensor or schedule
            yield pipeline
            return
        if context.instance is not None:
            pool_connections(context.instance)
        with run_heartbeat.start_run_heartbeat(pipeline, context.run.run_id, context.run.job_name):
            try:
                yield pipeline
            finally:
                pipeline.book_reader.drop_all()
