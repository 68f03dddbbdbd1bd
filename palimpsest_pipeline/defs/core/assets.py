"""Core: what the landing says, cycle by cycle. Each asset derives its product for the cycles of the run that lack it.

The checks say that what is stored agrees with itself, and that what the platforms showed is all there. The first blocks
what is downstream.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import dagster as dg
import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.core_products import derive_product
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader
from palimpsest_pipeline.storage.ledger.check_verdicts import Verdict
from palimpsest_pipeline.storage.marts import asset_trends, quality_inputs
from palimpsest_pipeline.storage.odds import current_markets

from ..asset_metadata import build_metadata, build_table_metadata
from ..cycle_checks import make_cycle_check
from ..derive_run import derive_run, find_products, raise_for_failed_cycles
from ..landing.assets import discovery_payloads, odds_payloads
from ..partitions import day_partitions
from ..plots import draw_plots
from ..run_cycles import find_cycles_or_skip

ReadPlots = Callable[[psycopg.Connection, int], dict[str, dg.MarkdownMetadataValue]]
"""Returns plots, by name, of the last cycles up to one."""


def _materialize(
    context: dg.AssetExecutionContext, pipeline: Pipeline, product: str, read_plots: ReadPlots | None = None
) -> Iterator[dg.MaterializeResult]:
    """Derive the product for the run's cycles; show its figures, and the plots up to the newest of these cycles.

    A cycle that fails does not stop the others: the run continues with them, marts included, and fails at its end. This
    step fails itself when all cycles have failed, or when no later step of the run reports the failure.
    """
    cycles = find_cycles_or_skip(context, pipeline)
    if cycles is None:
        return
    done = derive_run(
        pipeline,
        context.run,
        cycles,
        find_products(pipeline, product),
        lambda manifests: derive_product(pipeline, product, manifests),
    )
    context.log.info(f"{product}: {done.describe()}")
    in_run = context.job_def.asset_layer.executable_asset_keys
    tells = next((key for key in FAILURE_REPORTING_ASSETS if key in in_run), context.asset_key)
    if tells != context.asset_key and len(done.failed_ids) < len(cycles.cycle_ids):
        for error in done.errors:
            context.log.error(f"the run goes on with the other cycles, and fails at its end: {error}")
    else:
        done.raise_errors()
        raise_for_failed_cycles(pipeline, context.run, cycles)
    plots: dict[str, dg.MarkdownMetadataValue] = {}
    if read_plots is not None:
        with pipeline.connect() as conn:
            plots = read_plots(conn, done.newest_cycle_id)
    yield dg.MaterializeResult(metadata=build_metadata(done.n_rows, **done.build_figures(), **plots))


FAILURE_REPORTING_ASSETS = (dg.AssetKey(["mart", "unmapped_market"]), dg.AssetKey(["core", "matched_events"]))
"""The first of these assets that is in a run fails when a cycle has failed in an earlier step.

No other step of the run depends on it.
"""

EVENT_TABLES = [
    "core.listing_claims",
    "core.listing_observations",
    "core.kickoff_versions",
    "ops.listing_ids",
    "ops.known_kickoffs",
]

CORE_ASSET_OPTIONS: Final[dict[str, Any]] = {
    "partitions_def": day_partitions,
    "group_name": "core",
    "kinds": {"polars", "postgres"},
    "key_prefix": "core",
    "output_required": False,
}


@dg.asset(
    **CORE_ASSET_OPTIONS,
    deps=[discovery_payloads, odds_payloads],
    metadata=build_table_metadata(
        "core.tournament_listings", other_tables=["core.discovery_manifest", "core.cycles", "core.rejects"]
    ),
)
def tournaments(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Tournaments of every platform, and per tournament what discovery was promised and what it received."""
    yield from _materialize(context, pipeline, "tournaments")


@dg.asset(
    **CORE_ASSET_OPTIONS,
    deps=[tournaments],
    metadata=build_table_metadata("core.event_listings", EVENT_TABLES, {"core.tournament_listings": ["deleted_at"]}),
)
def home_events(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """The home platform's listings: its claims of teams, kickoff and SportRadar id, versioned."""
    yield from _materialize(context, pipeline, "home_events")


@dg.asset(
    **CORE_ASSET_OPTIONS,
    deps=[tournaments],
    metadata=build_table_metadata("core.event_listings", EVENT_TABLES, {"core.tournament_listings": ["deleted_at"]}),
)
def competitor_events(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """The competitors' listings, every one of them and not only those that home has too."""
    yield from _materialize(context, pipeline, "competitor_events")


@dg.asset(
    **CORE_ASSET_OPTIONS,
    deps=[home_events, competitor_events],
    metadata=build_table_metadata(
        "core.market_changes",
        other_tables=[
            *("core.captures", "core.current_markets", "core.unmapped_markets", "core.mapping_counts", "core.rejects"),
            *("core.player_lists", "core.player_list_observations", "ops.market_lines"),
        ],
        changed_columns={"core.event_listings": ["n_markets_priced"]},
    ),
)
def odds_snapshots(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Odds in the canonical vocabulary: one capture per answer, and the markets that changed since the answer
    before.
    """
    yield from _materialize(context, pipeline, derived_products.ODDS_PRODUCT, _plot_changes)


def _plot_changes(conn: psycopg.Connection, newest_cycle: int) -> dict[str, dg.MarkdownMetadataValue]:
    return draw_plots(markets_changed=asset_trends.count_markets_changed(conn, newest_cycle))


@dg.asset(
    **CORE_ASSET_OPTIONS,
    deps=[home_events, competitor_events, odds_snapshots],
    metadata=build_table_metadata(
        "core.fixtures",
        other_tables=[
            "core.tournaments",
            "core.tournament_links",
            "core.player_links",
            "ops.known_kickoffs",
            "mart.dirty_kickoff_dates",
        ],
        changed_columns={"core.event_listings": ["fixture_sr_id", "is_primary", "match_method"]},
    ),
)
def matched_events(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Fixtures: all listings with one SportRadar id, joined anew each time, so that order of arrival cannot matter;
    and who their players may be.
    """
    yield from _materialize(context, pipeline, "matched_events")


MOST_NAMED: Final = 5
BACKFILL_ADVICE: Final = "run `palimpsest backfill` for the hour of the cycle"


@make_cycle_check(asset=["core", "odds_snapshots"], product=("core", derived_products.ODDS_PRODUCT), blocking=True)
def history_equals_current(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """The markets that a cycle wrote are the same in core.current_markets and core.market_changes. For the first answer
    of a listing on a day all its markets are compared. Listings with a newer answer are left out: the check of the
    later cycle compares them."""
    for cycle_id in cycle_ids:
        if found := current_markets.check_cycles(conn, [cycle_id]).violations:
            yield Verdict(
                cycle_id,
                Severity.ERROR,
                found,
                f"{found} markets differ between core.current_markets and core.market_changes. Another program wrote to these tables, or this one has"
                f" a bug: please report it. {BACKFILL_ADVICE.capitalize()} with --again; if the difference stays, delete the rows of these listings from"
                " core.current_markets: their next answer writes them again",
            )


@make_cycle_check(asset=["core", "odds_snapshots"], product=("core", derived_products.ODDS_PRODUCT))
def answers_are_readable(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """Of each cycle and platform at most PALIMPSEST_MAX_REFUSED_SHARE of the answers were refused."""
    found = cycle_reader.read_refusals(conn, cycle_ids)
    many = found.filter(pl.col("refused") > pipeline.settings.max_refused_share * pl.col("fetched"))
    for (cycle_id,), rows in many.group_by("cycle_id", maintain_order=True):
        nearly_all = rows.filter(
            pl.col("fetched") - pl.col("refused") < cycle_ledger.MIN_READ_SHARE * pl.col("fetched")
        )
        lines = [
            f"{row['platform']}: {row['refusal'] or '{refused} of {fetched} answers were refused'.format(**row)}"
            for row in rows.iter_rows(named=True)
        ]
        mend = (
            "core.rejects has every reason. If a proxy or cache gives wrong answers, mend that and scrape again; if the platform has changed its"
            f" answers, mend its parser and {BACKFILL_ADVICE}"
        )
        severity = Severity.WARN if nearly_all.is_empty() else Severity.ERROR
        yield Verdict(int(cycle_id), severity, rows.height, f"{', '.join(lines)}. {mend}")


@make_cycle_check(asset=["core", "tournaments"], product=("core", "tournaments"))
def discovery_is_complete(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """In each full cycle every platform's tree and tournaments were received as a whole: as many listings as
    declared, every page.
    """
    for cycle_id in quality_inputs.filter_ended_cycles(conn, cycle_ids):
        lacking = quality_inputs.read_incomplete_discovery(conn, cycle_id)
        if lacking.is_empty():
            continue
        trees, tournaments = lacking.filter(external_id="*"), lacking.filter(lacking["external_id"] != "*")
        said = [
            f"{platform}: {completeness}, {missing}"
            for platform, completeness, missing in trees.select("platform", "completeness", "missing").iter_rows()
        ]
        named = tournaments.select("platform", "external_id", "completeness", "missing").head(MOST_NAMED).iter_rows()
        said += [
            f"{platform} tournament {external_id}: {completeness}, {missing}"
            for platform, external_id, completeness, missing in named
        ]
        said += [f"and {tournaments.height - MOST_NAMED} tournaments more"] if tournaments.height > MOST_NAMED else []
        mend = (
            "Nothing in them is concluded absent; the next full cycle looks again. If it stays, see core.discovery_manifest and the failed requests"
            " in ops.scrape_runs.errors_by_class"
        )
        yield Verdict(cycle_id, Severity.WARN, lacking.height, f"{', '.join(said)}. {mend}")
