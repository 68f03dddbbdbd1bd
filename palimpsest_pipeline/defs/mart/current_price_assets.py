"""The assets of current prices, and the check that no fixture stays due for long."""

from dataclasses import asdict
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_prices
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_rows

from ..asset_metadata import build_metadata, build_table_spec
from ..check_results import build_result
from ..core.assets import matched_events, odds_snapshots

FIXTURES_OVERDUE_S: Final = 90 * 60
"""Seconds after which a fixture that waits for its marts is overdue."""


INPUT_ASSETS: Final = (odds_snapshots, matched_events)


@dg.multi_asset(
    name="present_prices",
    specs=[
        build_table_spec(
            current_price_rows.COMPARISON_TABLE,
            "Home's current price of each outcome against each competitor's, and the best price of all platforms.",
            INPUT_ASSETS,
            other_tables=[current_price_rows.LISTING_TABLE],
        ),
        build_table_spec(
            current_price_rows.GAP_TABLE,
            "Markets that currently only home or only a competitor offers, and since when the other side lacks them.",
            INPUT_ASSETS,
            other_tables=["ops.market_lines", "ops.line_names"],
        ),
    ],
)
def current_prices(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Price comparisons and availability gaps of the due fixtures, from one reading of their markets.

    Rows of fixtures that have begun are deleted.
    """
    derivation = derive_prices.derive_prices(pipeline)
    context.log.info(
        f"{derivation.n_fixtures} fixtures derived in {derivation.seconds:.1f} s, {derivation.n_removed} removed,"
        f" {derivation.n_flips} listings became comparable or stopped being so; rows: {dict(derivation.rows_by_table)}"
    )
    with pipeline.connect() as conn:
        figures = {table: current_price_rows.read_figures(conn, table) for table in current_price_rows.COMPARED_TABLES}
    shared = {
        "fixtures_derived": derivation.n_fixtures,
        "fixtures_removed": derivation.n_removed,
        "comparable_flips": derivation.n_flips,
        "derive_s": round(derivation.seconds, 3),
    }
    for table, numbers in figures.items():
        written = {f"rows_{kind}": n for kind, n in asdict(derivation.rows_by_table[table]).items()}
        metadata = build_metadata(int(numbers.pop("rows") or 0), **written, **shared, **numbers)
        yield dg.MaterializeResult(asset_key=table.split("."), metadata=metadata)


@dg.asset_check(asset=current_price_rows.COMPARISON_TABLE.split("."))
def no_fixture_is_due_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No due fixture waits longer than 90 minutes for its derivation."""
    with pipeline.connect() as conn:
        due_counts = {product: dirty_fixtures.count_due_fixtures(conn, product) for product in FixtureProduct}
    late_products = [
        f"{product} of {n} fixtures, for {waits_s / 60:.0f} min"
        for product, (n, waits_s) in due_counts.items()
        if waits_s > FIXTURES_OVERDUE_S
    ]
    advice = "Launch the job present in the UI; the next full cycle derives them, too."
    return build_result(
        f"Behind: {'; '.join(late_products)}. {advice}" if late_products else "",
        dg.AssetCheckSeverity.WARN,
        **{f"{product}_due": n for product, (n, _) in due_counts.items()},
    )
