"""The mart assets, and the coverage page.

Most are derived cycle by cycle. Price comparisons, gaps, alerts to traders and price leads are derived fixture by
fixture, for the due fixtures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import dagster as dg

from palimpsest_pipeline.domain.enums import OddsAlertLevel, TriageStatus
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.coverage_page import write_page
from palimpsest_pipeline.pipeline.derive_hour import DerivedCycles, DeriveProduct, derive_cycles
from palimpsest_pipeline.pipeline.ingest.write_core import make_core_needs
from palimpsest_pipeline.pipeline.marts import derive_marts, derive_odds_alerts, derive_prices
from palimpsest_pipeline.pipeline.marts.derive_lifecycle import CURVES, GAP_COUNTS, LEAD_TIME
from palimpsest_pipeline.storage.derivation.derived_products import COVERAGE_PRODUCT, ODDS_PRODUCT
from palimpsest_pipeline.storage.marts import current_price_rows, cycle_marts, mapping_ledger, odds_alert_rows

from ..asset_metadata import build_metadata, build_table_metadata, build_table_spec, stringify_values
from ..asset_partitions import day_partitions
from ..core.assets import matched_events, odds_snapshots
from ..derive_run import RunDerivation, derive_run, find_product, raise_for_failed_cycles
from ..run_cycles import find_cycles_or_skip

CYCLE_ASSET_OPTIONS: Final[dict[str, Any]] = {
    "partitions_def": day_partitions,
    "output_required": False,
    "group_name": "mart",
    "kinds": {"polars", "postgres"},
}
INPUT_ASSETS: Final = (odds_snapshots, matched_events)
LIFE_TABLE_KEYS: Final = [table.split(".") for table in (LEAD_TIME, CURVES, GAP_COUNTS)]


def _build_spec(name: str, description: str) -> dg.AssetSpec:
    return build_table_spec(f"mart.{name}", description, [matched_events], skippable=True)


def _derive_product(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    product: str,
    derive_cycle: DeriveProduct,
    needs: Sequence[str],
) -> RunDerivation | None:
    """Derive the product for the run's cycles for which it is due; return None when the run has no cycles.

    `needs` names the core products that must be derived before. All cycles are processed; then the first error of a
    failed cycle is raised.
    """
    cycles = find_cycles_or_skip(context, pipeline)
    if cycles is None:
        return None

    def derive_manifests(manifests: Sequence[Manifest]) -> DerivedCycles:
        return derive_cycles(pipeline, manifests, "mart", product, derive_cycle, needs=make_core_needs(needs))

    derivation = derive_run(pipeline, context.run, cycles, find_product(product), derive_manifests)
    derivation.raise_errors()
    return derivation


@dg.multi_asset(
    name="coverage",
    partitions_def=day_partitions,
    specs=[
        _build_spec("coverage_fixture", "The platforms that list each fixture, as of each full cycle."),
        _build_spec(
            "coverage_tournament",
            "Coverage per tournament and competitor, as of each full cycle. The sums equal match_rate_platform.",
        ),
        _build_spec(
            "match_rate_platform",
            "Match rates per platform and overall. The name of each rate contains its denominator.",
        ),
    ],
)
def coverage(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]):
    """Coverage and match rates as of each cycle, computed together so that the three tables add up."""
    derivation = _derive_product(context, pipeline, COVERAGE_PRODUCT, derive_marts.derive_coverage, ["matched_events"])
    if derivation is None:
        return
    with pipeline.connect() as conn:
        headline = cycle_marts.pick_headline(
            cycle_marts.read_rows_before(conn, "mart.match_rate_platform", derivation.newest_cycle_id + 1)
        )
        counts = {
            table: cycle_marts.count_rows(conn, f"mart.{table}", derivation.cycle_ids)
            for table in derive_marts.COVERAGE_TABLES
        }
    context.log.info(f"coverage: {derivation.describe()}; {headline}")
    report_link = {"report": dg.MetadataValue.path(pipeline.settings.report_path)}
    for table in derive_marts.COVERAGE_TABLES:
        metadata = {
            **build_metadata(counts[table], **derivation.build_figures()),
            **stringify_values(headline),
            **report_link,
        }
        yield dg.MaterializeResult(asset_key=["mart", table], metadata=metadata)


@dg.asset(
    key=["mart", "run_quality"],
    deps=[odds_snapshots],
    metadata=build_table_metadata("mart.run_quality"),
    **CYCLE_ASSET_OPTIONS,
)
def run_quality(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Completeness and duration of each stage of a cycle, per platform."""
    derivation = _derive_product(
        context, pipeline, derive_marts.RUN_QUALITY_PRODUCT, derive_marts.derive_run_quality, [ODDS_PRODUCT]
    )
    if derivation is None:
        return
    with pipeline.connect() as conn:
        newest = cycle_marts.read_rows_before(conn, "mart.run_quality", derivation.newest_cycle_id + 1)
    figures = derivation.build_figures() | {"markets_changed": int(newest["changed"].sum())}
    yield dg.MaterializeResult(metadata=build_metadata(derivation.n_rows, **figures))


@dg.asset(
    key=["mart", "mapping_coverage"],
    deps=[odds_snapshots],
    metadata=build_table_metadata("mart.mapping_coverage"),
    **CYCLE_ASSET_OPTIONS,
)
def mapping_coverage(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Share of each platform's markets that the vocabulary knows, by market family, as of each cycle."""
    derivation = _derive_product(
        context, pipeline, derive_marts.MAPPING_COVERAGE_PRODUCT, derive_marts.derive_mapping_coverage, [ODDS_PRODUCT]
    )
    if derivation is None:
        return
    with pipeline.connect() as conn:
        newest = cycle_marts.read_rows_before(conn, "mart.mapping_coverage", derivation.newest_cycle_id + 1)
        rates = mapping_ledger.read_mapped_rates(conn, newest["cycle_id"].unique().to_list())
    figures = {f"mapped_rate_{platform}": round(rate, 6) for _, platform, rate in rates.iter_rows()}
    yield dg.MaterializeResult(metadata=build_metadata(derivation.n_rows, **derivation.build_figures(), **figures))


@dg.asset(
    key=["mart", "unmapped_market"],
    deps=[odds_snapshots, matched_events],  # the rows count fixtures, so they depend on matching too
    metadata=build_table_metadata("mart.unmapped_market"),
    **CYCLE_ASSET_OPTIONS,
)
def unmapped_market(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Markets of all cycles that the vocabulary does not know, ranked by their number of fixtures.

    Every run replaces the whole table.
    """
    cycles = find_cycles_or_skip(context, pipeline)
    if cycles is None:
        return
    with pipeline.connect() as conn:
        rows = derive_marts.refresh_unmapped_market(pipeline, conn)
        statuses = dict(mapping_ledger.read_unmapped_ranking(conn)["status"].value_counts().sort("status").iter_rows())
    # This step reports failures of core products, because no other step depends on it.
    raise_for_failed_cycles(pipeline, context.run, cycles)
    yield dg.MaterializeResult(
        metadata=build_metadata(rows, **{f"n_{status}": statuses.get(status, 0) for status in TriageStatus})
    )


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
