"""The coverage page as an asset.

The other asset of its group, the exported odds history, is in `upkeep`.
"""

from dataclasses import asdict

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.coverage_page import write_page
from palimpsest_pipeline.pipeline.marts.derive_lifecycle import CURVES, GAP_COUNTS, LEAD_TIME

from ..asset_metadata import stringify_values
from ..mart.assets import coverage
from ..mart.current_price_assets import current_prices

LIFE_TABLE_KEYS = [table.split(".") for table in (LEAD_TIME, CURVES, GAP_COUNTS)]


@dg.asset(key_prefix="report", group_name="report", kinds={"html"}, deps=[coverage, current_prices, *LIFE_TABLE_KEYS])
def coverage_report(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """The coverage page: one HTML file that opens in a browser without a server.

    It shows the coverage as of the newest cycle, fixtures by tournament and trends.
    """
    page = write_page(pipeline)
    context.log.info(page.describe())
    links = {"path": dg.MetadataValue.path(page.path), "url": dg.MetadataValue.url(page.path.as_uri())}
    return dg.MaterializeResult(
        metadata={
            **links,
            **stringify_values({name: value for name, value in asdict(page).items() if name != "path"}),
        }
    )
