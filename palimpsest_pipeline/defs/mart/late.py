"""Marts that are behind the core they are derived from: what automation asks for. Knows no Dagster."""

from datetime import datetime

from ...domain.instants import hour_key
from ...domain.words import Scope
from ...storage import staleness
from ..core.derive import PRODUCTS, marks_of
from ..pipeline import Pipeline
from . import derive


def late_hours(pipeline: Pipeline, product: str, first: datetime) -> list[str]:
    """Keys of the hours from `first` on of which core stands and the mart product does not, or rests on what core was before; in order."""
    with pipeline.connect() as conn:
        found = staleness.behind(
            conn,
            first,
            product,
            derive.COVERAGE_SCOPES if product == derive.COVERAGE else tuple(Scope),
            core=marks_of(PRODUCTS, pipeline.platforms),
            parser_version=pipeline.parser_version,
            mapping_version=pipeline.vocabulary.version,
        )
    return [hour_key(hour) for hour in found]
