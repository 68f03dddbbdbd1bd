"""The one resource. It yields the plain `Pipeline` object, so no function below an asset sees a Dagster type."""

import dagster as dg

from ..settings import load_settings
from .pipeline import Pipeline


class PipelineResource(dg.ConfigurableResource):
    """The pipeline with the settings of the environment (`PALIMPSEST_*`)."""

    def create_resource(self, context: dg.InitResourceContext) -> Pipeline:
        return Pipeline(load_settings())
