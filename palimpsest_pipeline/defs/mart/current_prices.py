"""Mart: current prices of fixtures that have not begun; laws that hold on every row, and that no fixture is
forgotten.
"""

from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import current_prices as current_price_marts
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_laws
from palimpsest_pipeline.storage.marts import current_prices as stored

from ..asset_metadata import build_metadata, build_table_metadata
from ..core.assets import matched_events, odds_snapshots
from ..plots import draw_plots
from .checks import build_check_result


def _spec(table: str, description: str, also: Sequence[str] = ()) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.split("."),
        description=description,
        deps=[odds_snapshots, matched_events],
        group_name="mart",
        kinds={"polars", "postgres"},
        metadata=build_table_metadata(table, also),
    )


@dg.multi_asset(
    name="present_prices",
    specs=[
        _spec(
            stored.COMPARISON_TABLE,
            "Home's price of each outcome against each competitor's as they stand, and what the best of all comes to.",
            (stored.LISTING_TABLE,),
        ),
        _spec(
            stored.GAP_TABLE,
            "Markets that home and a competitor do not both offer as they stand: who lacks what, and since when.",
            ("ops.market_lines",),
        ),
    ],
)
def current_prices(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Comparisons and gaps of the fixtures that cycles bore on, from one reading of their markets; fixtures that
    have begun are taken out.
    """
    done = current_price_marts.derive_prices(pipeline)
    context.log.info(
        f"{done.n_fixtures} fixtures derived in {done.seconds:.1f} s, {done.n_removed} taken out, {done.n_flips} listings comparable or not any more;"
        f" rows: {dict(done.rows_by_table)}"
    )
    with pipeline.connect() as conn:
        found = {table: stored.read_figures(conn, table) for table in stored.COMPARED_TABLES}
    plots = {
        stored.COMPARISON_TABLE: draw_plots(home_is_best_by_day=found[stored.COMPARISON_TABLE][1]),
        stored.GAP_TABLE: draw_plots(home_lacks_by_day=found[stored.GAP_TABLE][1]),
    }
    shared = {
        "fixtures_derived": done.n_fixtures,
        "fixtures_removed": done.n_removed,
        "comparable_flips": done.n_flips,
        "derive_s": round(done.seconds, 3),
    }
    for table, (numbers, _) in found.items():
        written = {f"rows_{kind}": n for kind, n in asdict(done.rows_by_table[table]).items()}
        metadata = build_metadata(int(numbers.pop("rows") or 0), **written, **shared, **numbers, **plots[table])
        yield dg.MaterializeResult(asset_key=table.split("."), metadata=metadata)


DERIVE_AGAIN = (
    "The next full cycle derives all of them anew; if it stays, the derivation is wrong: please report it with the fixture and what"
    " `palimpsest compare SR_ID --json` says."
)


@dg.asset_check(asset=stored.COMPARISON_TABLE.split("."), blocking=True)
def comparisons_do_not_contradict_themselves(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Comparable are prices that can be backed, the best is no worse than home, a tie is no win, ranks, differences and
    probabilities are what they say, and nothing is from after the kickoff."""
    with pipeline.connect() as conn:
        return build_check_result(current_price_laws.find_violations(conn, stored.COMPARISON_TABLE), DERIVE_AGAIN)


@dg.asset_check(asset=stored.GAP_TABLE.split("."), blocking=True)
def gaps_agree_with_their_states(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """The type of a gap is what the states of both sides say, it is open since the later of the two, and nothing is
    from after the kickoff.
    """
    with pipeline.connect() as conn:
        return build_check_result(current_price_laws.find_violations(conn, stored.GAP_TABLE), DERIVE_AGAIN)


@dg.asset_check(asset=stored.COMPARISON_TABLE.split("."))
def no_fixture_is_due_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No fixture on which a cycle bore waits longer than PALIMPSEST_FIXTURES_OVERDUE_MINUTES for what is derived of
    it.
    """
    limit_s = pipeline.settings.fixtures_overdue_minutes * 60
    with pipeline.connect() as conn:
        waiting = {product: dirty_fixtures.count_due_fixtures(conn, product) for product in FixtureProduct}
    behind = [
        f"{product} of {n} fixtures, for {waits_s / 60:.0f} min"
        for product, (n, waits_s) in waiting.items()
        if waits_s > limit_s
    ]
    return dg.AssetCheckResult(
        passed=not behind,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Behind: {'; '.join(behind)}. Launch the job present in the UI; the next full cycle derives them, too."
        if behind
        else None,
        metadata={f"{product}_due": n for product, (n, _) in waiting.items()},
    )
