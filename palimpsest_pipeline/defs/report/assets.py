"""The coverage page as an asset.

The exported odds history, the other asset of its group, is kept with the upkeep of the history.
"""

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.coverage_page import write_page
from palimpsest_pipeline.pipeline.marts import lifecycle

from ..asset_metadata import stringify_values
from ..mart.assets import coverage
from ..mart.current_prices import current_prices

LIFE_TABLE_KEYS = [
    table.split(".")
    for table in (lifecycle.AVAILABILITY, lifecycle.LEAD_TIME, lifecycle.MARGINS, lifecycle.CURVES, lifecycle.GAPS)
]


@dg.asset(key_prefix="report", group_name="report", kinds={"html"}, deps=[coverage, current_prices, *LIFE_TABLE_KEYS])
def coverage_report(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """The coverage page, one HTML file to be opened as it is: coverage as of the newest cycle, fixtures by
    tournament, trends, price movement.
    """
    written = write_page(pipeline)
    context.log.info(written.describe())
    place = {"path": dg.MetadataValue.path(written.path), "url": dg.MetadataValue.url(written.path.as_uri())}
    return dg.MaterializeResult(
        metadata={
            **place,
            **stringify_values({name: value for name, value in written.as_dict().items() if name != "path"}),
        }
    )
