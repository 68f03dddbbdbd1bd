"""Checks of alerts to traders: laws that hold on every row."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.metrics.alerts import odds_alert_laws as laws
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.marts import odds_alerts as stored

from .checks import result

DERIVE_AGAIN: Final = "The next full cycle derives all of them anew; if it stays, the derivation is wrong: please report it with the alert's id."
LOOKED_BACK: Final = timedelta(days=1)
"""Rows of fixtures that kicked off earlier are looked at no more: nothing writes them, but a replay of days long past."""


def _spec(name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=stored.TABLE.split("."), description=description, blocking=True)


EPISODES: Final = _spec("episodes_are_apart", "Of one thing no two episodes last at the same time, and each ends after it begins.")
PEAKS: Final = _spec(
    "peaks_reach_their_level",
    "Of fixtures that have not begun, the peak of an episode is what its prices make, and as large as its severity says.",
)


@dg.multi_asset_check(name="odds_alerts_are_lawful", specs=[EPISODES, PEAKS], can_subset=True)
def odds_alerts_are_lawful(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.AssetCheckResult]:
    """Laws of the rows of fixtures that are to come or kicked off lately, from one reading of them."""
    first = (pipeline.clock.now() - LOOKED_BACK).date()
    with pipeline.connect() as conn:
        alerts, begun = stored.rows_of(conn, first), stored.begun(conn, first)
    # What has begun is not derived any more, so it may still be told by levels that have been changed since.
    to_come = alerts.join(begun, on="sr_id", how="anti")
    found = (
        (EPISODES, pl.concat([laws.episodes_do_not_overlap(alerts), laws.episodes_end_after_they_begin(alerts)])),
        (PEAKS, laws.peaks_reach_their_level(to_come, pipeline.settings.odds_alert_levels)),
    )
    for spec, violations in found:
        if spec.key in context.selected_asset_check_keys:
            yield result(violations, DERIVE_AGAIN)._replace(asset_key=spec.asset_key, check_name=spec.name)


@dg.asset_check(asset=stored.TABLE.split("."), blocking=True)
def begun_fixtures_have_no_open_alert(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Of a fixture that had begun at the last full cycle, and that is not due, nothing is open."""
    with pipeline.connect() as conn:
        return result(laws.begun_fixtures_are_closed(stored.open_though_begun(conn)), DERIVE_AGAIN)
