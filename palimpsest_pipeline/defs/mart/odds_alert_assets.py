"""The assets of alerts to traders and of price leads, and a check of open alerts."""

from dataclasses import asdict

import dagster as dg

from palimpsest_pipeline.domain.enums import OddsAlertLevel
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_odds_alerts
from palimpsest_pipeline.storage.marts import odds_alert_rows

from ..asset_metadata import build_metadata, build_table_spec
from ..check_results import build_result
from .current_price_assets import INPUT_ASSETS


@dg.multi_asset(
    name="moved_prices",
    specs=[
        build_table_spec(
            odds_alert_rows.ODDS_ALERT_TABLE,
            "Alerts to traders: moving prices, disagreeing books, and markets and listings that disappear.",
            INPUT_ASSETS,
        ),
        build_table_spec(
            odds_alert_rows.PRICE_LEAD_TABLE,
            "Pairs of platforms that moved alike or suspended the same market: which was first, and by how long.",
            INPUT_ASSETS,
        ),
    ],
)
def moved_prices(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Alerts and price leads of the due fixtures, from one reading of their history."""
    derivation = derive_odds_alerts.derive_alerts(pipeline)
    context.log.info(
        f"{derivation.n_fixtures} fixtures derived in {derivation.seconds:.1f} s, {derivation.n_watched} near enough to"
        f" kickoff; alerts: {dict(derivation.rows_by_type)}; price leads: {derivation.lead_rows}"
    )
    with pipeline.connect() as conn:
        n_alerts, open_by_severity = odds_alert_rows.count_alerts(conn)
        leads_by_type = odds_alert_rows.count_leads(conn)
    shared = {
        "fixtures_derived": derivation.n_fixtures,
        "fixtures_watched": derivation.n_watched,
        "derive_s": round(derivation.seconds, 3),
    }
    counts = {f"open_{level.value}": open_by_severity.get(level.value, 0) for level in OddsAlertLevel}
    yield dg.MaterializeResult(
        asset_key=odds_alert_rows.ODDS_ALERT_TABLE.split("."),
        metadata=build_metadata(n_alerts, rows_written=derivation.rows_by_type.total(), **shared, **counts),
    )
    written = {f"rows_{kind}": n for kind, n in asdict(derivation.lead_rows).items()}
    yield dg.MaterializeResult(
        asset_key=odds_alert_rows.PRICE_LEAD_TABLE.split("."),
        metadata=build_metadata(sum(leads_by_type.values()), **written, **shared, **leads_by_type),
    )


@dg.asset_check(asset=odds_alert_rows.ODDS_ALERT_TABLE.split("."), blocking=True)
def begun_fixtures_have_no_open_alert(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """A fixture that had begun at the last full cycle has no open alert, unless it is due for derivation."""
    with pipeline.connect() as conn:
        alerts = odds_alert_rows.list_open_after_kickoff(conn)
    problem = alerts and (
        f"{len(alerts)} alerts are open though their fixtures have begun, e.g. alert {alerts[0]}. The next full cycle"
        " derives all of them again; if it stays, the derivation is wrong: please report it with the alert's id."
    )
    return build_result(problem or "", violations=len(alerts))
