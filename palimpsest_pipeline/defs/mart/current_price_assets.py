"""Mart: prices as they stand, of fixtures that have not begun."""

from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import current_prices
from palimpsest_pipeline.storage.marts import current_prices as stored

from ..asset_metadata import figures, table_metadata
from ..core.assets import matched_events, odds_snapshots
from ..plots import plotted


def _spec(table: str, description: str, also: Sequence[str] = ()) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.split("."),
        description=description,
        deps=[odds_snapshots, matched_events],
        group_name="mart",
        kinds={"polars", "postgres"},
        metadata=table_metadata(table, also),
    )


@dg.multi_asset(
    name="present_prices",
    specs=[
        _spec(
            stored.COMPARISON,
            "Home's price of each outcome against each competitor's as they stand, and what the best of all comes to.",
            (stored.LISTING,),
        ),
        _spec(
            stored.GAP, "Markets that home and a competitor do not both offer as they stand: who lacks what, and since when.", ("ops.market_lines",)
        ),
    ],
)
def present_prices(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Comparisons and gaps of the fixtures that cycles bore on, from one reading of their markets; fixtures that have begun are taken out."""
    done = current_prices.derive_prices(pipeline)
    context.log.info(
        f"{done.n_fixtures} fixtures derived in {done.seconds:.1f} s, {done.n_removed} taken out, {done.n_flips} listings comparable or not any more;"
        f" rows: {dict(done.rows)}"
    )
    with pipeline.connect() as conn:
        found = {table: stored.figures(conn, table) for table in stored.TABLES}
    plots = {
        stored.COMPARISON: plotted(home_is_best_by_day=found[stored.COMPARISON][1]),
        stored.GAP: plotted(home_lacks_by_day=found[stored.GAP][1]),
    }
    shared = {
        "fixtures_derived": done.n_fixtures,
        "fixtures_removed": done.n_removed,
        "comparable_flips": done.n_flips,
        "derive_s": round(done.seconds, 3),
    }
    for table, (numbers, _) in found.items():
        written = {f"rows_{kind}": n for kind, n in asdict(done.rows[table]).items()}
        metadata = figures(numbers.pop("rows"), **written, **shared, **numbers, **plots[table])
        yield dg.MaterializeResult(asset_key=table.split("."), metadata=metadata)
