"""The core assets. Each derives one product of the run's cycles for which the product is due.

The checks verify that the stored rows agree with each other, and that the answers of the platforms are complete. A
failure of `history_equals_current` blocks the assets downstream.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import derive_product
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader
from palimpsest_pipeline.storage.ledger.check_verdicts import CheckVerdict
from palimpsest_pipeline.storage.marts import quality_inputs
from palimpsest_pipeline.storage.odds import current_markets

from ..asset_metadata import build_metadata, build_table_metadata
from ..asset_partitions import day_partitions
from ..cycle_checks import JudgedCycles, make_cycle_check
from ..derive_run import derive_run, find_product, raise_for_failed_cycles
from ..landing.assets import discovery_payloads, odds_payloads
from ..run_cycles import find_cycles_or_skip

FAILURE_REPORTING_ASSETS = (dg.AssetKey(["mart", "unmapped_market"]), dg.AssetKey(["core", "matched_events"]))
"""Assets that report failed cycles.

The first of them in a run fails when a cycle has failed in an earlier step.
"""

EVENT_TABLES = [
    "core.listing_claims",
    "core.listing_observations",
    "core.kickoff_versions",
    "ops.listing_ids",
    "ops.known_kickoffs",
]


def _make_asset(
    name: str, description: str, deps: Sequence[dg.AssetsDefinition], metadata: Mapping[str, Any]
) -> dg.AssetsDefinition:
    """Return the asset that derives the product `name` for the run's cycles.

    A failed cycle does not stop the others: the run continues with them, marts included, and fails at its end. The
    asset's step fails only when all cycles have failed, or when no later step of the run reports the failure.
    """

    @dg.asset(
        key=["core", name],
        description=description,
        deps=deps,
        metadata=metadata,
        partitions_def=day_partitions,
        group_name="core",
        kinds={"polars", "postgres"},
        output_required=False,
    )
    def derive(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult]:
        cycles = find_cycles_or_skip(context, pipeline)
        if cycles is None:
            return
        derivation = derive_run(
            pipeline,
            context.run,
            cycles,
            find_product(name),
            lambda manifests: derive_product(pipeline, name, manifests),
        )
        context.log.info(f"{name}: {derivation.describe()}")
        run_assets = context.job_def.asset_layer.executable_asset_keys
        reporting_asset = next((key for key in FAILURE_REPORTING_ASSETS if key in run_assets), context.asset_key)
        if reporting_asset != context.asset_key and len(derivation.failed_ids) < len(cycles.cycle_ids):
            for error in derivation.errors:
                context.log.error(f"the run continues with the other cycles and fails at its end: {error}")
        else:
            derivation.raise_errors()
            raise_for_failed_cycles(pipeline, context.run, cycles)
        yield dg.MaterializeResult(metadata=build_metadata(derivation.n_rows, **derivation.build_figures()))

    return derive


tournaments = _make_asset(
    "tournaments",
    "Tournaments of every platform, with their numbers of declared and received listings.",
    [discovery_payloads, odds_payloads],
    build_table_metadata(
        "core.tournament_listings", other_tables=["core.discovery_manifest", "core.cycles", "core.rejects"]
    ),
)
EVENT_METADATA: Final = build_table_metadata(
    "core.event_listings", EVENT_TABLES, {"core.tournament_listings": ["deleted_at"]}
)
home_events = _make_asset(
    "home_events",
    "Listings of the home platform, with all versions of their teams, kickoff and SportRadar id.",
    [tournaments],
    EVENT_METADATA,
)
competitor_events = _make_asset(
    "competitor_events",
    "All listings of the competitors, including those that the home platform does not have.",
    [tournaments],
    EVENT_METADATA,
)
odds_snapshots = _make_asset(
    derived_products.ODDS_PRODUCT,
    "Odds in the canonical vocabulary: captures, and markets changed since the previous answer.",
    [home_events, competitor_events],
    build_table_metadata(
        "core.market_changes",
        other_tables=[
            "core.captures",
            "core.current_markets",
            "core.unmapped_markets",
            "core.mapping_counts",
            "core.rejects",
            "core.player_lists",
            "core.player_list_observations",
            "ops.market_lines",
            "ops.line_names",
        ],
        changed_columns={"core.event_listings": ["n_markets_priced"]},
    ),
)
matched_events = _make_asset(
    "matched_events",
    "Fixtures: all listings with the same SportRadar id, and the possible matches of their players.\n\nEach derivation"
    " joins all listings again, so the order in which they arrive does not matter.",
    [home_events, competitor_events, odds_snapshots],
    build_table_metadata(
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


MAX_NAMED_TOURNAMENTS: Final = 5
BACKFILL_ADVICE: Final = "run `palimpsest backfill` for the hour of the cycle"


@make_cycle_check(asset=["core", "odds_snapshots"], product=("core", derived_products.ODDS_PRODUCT), blocking=True)
def history_equals_current(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """The markets that a cycle wrote are equal in core.current_markets and core.market_changes.

    For the first answer of a listing on a day, all its markets are compared. A listing with a newer answer is left out:
    the check of the later cycle compares it.
    """
    for cycle_id in cycles.ids:
        if n_violations := current_markets.check_current_markets(cycles.conn, [cycle_id]).violations:
            yield CheckVerdict(
                cycle_id,
                Severity.ERROR,
                n_violations,
                f"{n_violations} markets differ between core.current_markets and core.market_changes. Another program"
                f" wrote to these tables, or this one has a bug: please report it. {BACKFILL_ADVICE.capitalize()} with"
                " --again; if the difference stays, delete the rows of these listings from core.current_markets: their"
                " next answer writes them again",
            )


@make_cycle_check(asset=["core", "odds_snapshots"], product=("core", derived_products.ODDS_PRODUCT))
def answers_are_readable(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In each cycle, the parser refused at most PALIMPSEST_MAX_REFUSED_SHARE of each platform's answers."""
    refusals = cycle_reader.read_refusals(cycles.conn, cycles.ids)
    violations = refusals.filter(pl.col("refused") > cycles.pipeline.settings.max_refused_share * pl.col("fetched"))
    for (cycle_id,), rows in violations.group_by("cycle_id", maintain_order=True):
        nearly_all = rows.filter(
            pl.col("fetched") - pl.col("refused") < cycle_ledger.MIN_READ_SHARE * pl.col("fetched")
        )
        lines = [
            f"{row['platform']}: {row['refusal'] or '{refused} of {fetched} answers were refused'.format(**row)}"
            for row in rows.iter_rows(named=True)
        ]
        advice = (
            "core.rejects has every reason. If a proxy or cache gives wrong answers, fix it and scrape again; if the"
            f" platform has changed its answers, fix its parser and {BACKFILL_ADVICE}"
        )
        severity = Severity.WARN if nearly_all.is_empty() else Severity.ERROR
        yield CheckVerdict(int(cycle_id), severity, rows.height, f"{', '.join(lines)}. {advice}")


@make_cycle_check(asset=["core", "tournaments"], product=("core", "tournaments"))
def discovery_is_complete(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In each full cycle, discovery received every platform's tree and tournaments completely.

    Complete means: every page, and as many listings as the platform declares.
    """
    for cycle_id in quality_inputs.filter_ended_cycles(cycles.conn, cycles.ids):
        incomplete = quality_inputs.read_incomplete_discovery(cycles.conn, cycle_id)
        if incomplete.is_empty():
            continue
        trees = incomplete.filter(external_id="*")
        tournaments = incomplete.filter(incomplete["external_id"] != "*")
        lines = [
            f"{platform}: {completeness}, {missing}"
            for platform, completeness, missing in trees.select("platform", "completeness", "missing").iter_rows()
        ]
        first_rows = tournaments.select("platform", "external_id", "completeness", "missing")
        lines += [
            f"{platform} tournament {external_id}: {completeness}, {missing}"
            for platform, external_id, completeness, missing in first_rows.head(MAX_NAMED_TOURNAMENTS).iter_rows()
        ]
        if tournaments.height > MAX_NAMED_TOURNAMENTS:
            lines.append(f"and {tournaments.height - MAX_NAMED_TOURNAMENTS} tournaments more")
        advice = (
            "Listings in them are not marked as absent; the next full cycle asks again. If this stays, see"
            " core.discovery_manifest and the failed requests in ops.scrape_runs.errors_by_class"
        )
        yield CheckVerdict(cycle_id, Severity.WARN, incomplete.height, f"{', '.join(lines)}. {advice}")
