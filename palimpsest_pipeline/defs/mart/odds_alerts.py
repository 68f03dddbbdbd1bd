"""The assets of alerts to traders and of price leads, and the checks of rules that hold on alerts."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.domain.enums import OddsAlertLevel
from palimpsest_pipeline.metrics.alerts import odds_alert_laws as laws
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import odds_alerts
from palimpsest_pipeline.storage.marts import odds_alerts as stored

from ..asset_metadata import build_metadata, build_table_metadata
from ..core.assets import matched_events, odds_snapshots
from .checks import build_check_result


def _build_asset(table: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.split("."),
        description=description,
        deps=[odds_snapshots, matched_events],
        group_name="mart",
        kinds={"polars", "postgres"},
        metadata=build_table_metadata(table),
    )


@dg.multi_asset(
    name="moved_prices",
    specs=[
        _build_asset(
            stored.ODDS_ALERT_TABLE,
            "Alerts to traders: moving prices, disagreeing books, and markets and listings that disappear.",
        ),
        _build_asset(
            stored.PRICE_LEAD_TABLE,
            "Pairs of platforms that moved alike or suspended the same market: which was first, and by how long.",
        ),
    ],
)
def moved_prices(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Alerts and price leads of the due fixtures, from one reading of their history."""
    derivation = odds_alerts.derive_alerts(pipeline)
    context.log.info(
        f"{derivation.n_fixtures} fixtures derived in {derivation.seconds:.1f} s, {derivation.n_watched} near enough to"
        f" kickoff; alerts: {dict(derivation.rows_by_type)}; price leads: {derivation.lead_rows}"
    )
    with pipeline.connect() as conn:
        n_alerts, open_by_severity = stored.count_alerts(conn)
        leads_by_type = stored.count_leads(conn)
    shared = {
        "fixtures_derived": derivation.n_fixtures,
        "fixtures_watched": derivation.n_watched,
        "derive_s": round(derivation.seconds, 3),
    }
    counts = {f"open_{level.value}": open_by_severity.get(level.value, 0) for level in OddsAlertLevel}
    yield dg.MaterializeResult(
        asset_key=stored.ODDS_ALERT_TABLE.split("."),
        metadata=build_metadata(n_alerts, rows_written=derivation.rows_by_type.total(), **shared, **counts),
    )
    written = {f"rows_{kind}": n for kind, n in asdict(derivation.lead_rows).items()}
    yield dg.MaterializeResult(
        asset_key=stored.PRICE_LEAD_TABLE.split("."),
        metadata=build_metadata(sum(leads_by_type.values()), **written, **shared, **leads_by_type),
    )


DERIVE_AGAIN: Final = (
    "The next full cycle derives all of them again; if it stays, the derivation is wrong: please report it with the"
    " alert's id."
)
LOOKED_BACK: Final = timedelta(days=1)
"""How long after kickoff the rows of a fixture are checked.

Rows of older fixtures change only by a replay of past days.
"""


def _build_spec(name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=stored.ODDS_ALERT_TABLE.split("."), description=description, blocking=True)


EPISODES_CHECK: Final = _build_spec(
    "episodes_are_apart", "No two episodes of the same subject overlap, and each episode ends after it begins."
)
PEAKS_CHECK: Final = _build_spec(
    "peaks_reach_their_level",
    "For fixtures that have not begun, the peak of an episode follows from its prices and reaches the level of its"
    " severity.",
)


@dg.multi_asset_check(name="odds_alerts_are_lawful", specs=[EPISODES_CHECK, PEAKS_CHECK], can_subset=True)
def odds_alerts_are_lawful(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of the rules for alerts of upcoming and recent fixtures, read together."""
    first = (pipeline.clock.now() - LOOKED_BACK).date()
    with pipeline.connect() as conn:
        alerts, begun = stored.read_alerts(conn, first), stored.read_begun_fixtures(conn, first)
    # Alerts of fixtures that have begun are not derived again, so they may follow alert levels of earlier settings.
    upcoming = alerts.join(begun, on="sr_id", how="anti")
    violations_by_check = (
        (EPISODES_CHECK, pl.concat([laws.episodes_do_not_overlap(alerts), laws.episodes_end_after_they_begin(alerts)])),
        (PEAKS_CHECK, laws.peaks_reach_their_level(upcoming, pipeline.settings.odds_alert_levels)),
    )
    for spec, violations in violations_by_check:
        if spec.key in context.selected_asset_check_keys:
            yield build_check_result(violations, DERIVE_AGAIN)._replace(asset_key=spec.asset_key, check_name=spec.name)


@dg.asset_check(asset=stored.ODDS_ALERT_TABLE.split("."), blocking=True)
def begun_fixtures_have_no_open_alert(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """A fixture that had begun at the last full cycle has no open alert, unless it is due for derivation."""
    with pipeline.connect() as conn:
        return build_check_result(laws.begun_fixtures_are_closed(stored.read_open_after_kickoff(conn)), DERIVE_AGAIN)
