"""The landing assets: the platforms' unchanged answers, with their checks.

They are made only live. A past day is replayed from the landed answers and never scraped again.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any, Final

import dagster as dg
from pydantic import Field

from palimpsest_pipeline.domain.cycles import CycleResult
from palimpsest_pipeline.domain.enums import Scope, Severity, Trigger
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import kickoff_minutes, live_cycle
from palimpsest_pipeline.pipeline.live.stage_figures import build_slot_figures, build_stage_figures
from palimpsest_pipeline.pipeline.marts.derive_prices import PriceDerivation
from palimpsest_pipeline.runtime.progress import LogBoard, Phase
from palimpsest_pipeline.runtime.run_tags import SKIPPED_TAG, TRIGGER_TAG, build_rest_tag
from palimpsest_pipeline.scrape.sinks import ObserverGroup, ScrapeObserver
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader
from palimpsest_pipeline.storage.ledger.check_verdicts import CheckVerdict

from ..asset_metadata import ALSO_WRITES_KEY, build_metadata
from ..asset_partitions import day_partitions
from ..cycle_checks import JudgedCycles, make_cycle_check
from ..run_cycles import list_repeated_runs

MIN_TAGGED_REST_S: Final = 2.0
"""Minimum wait in seconds during which a run has the tag for resting runs."""


class CaptureConfig(dg.Config):
    """The fixtures to capture in a run without discovery."""

    sr_ids: list[int] = Field(
        default=[], description="SportRadar ids of the fixtures to refresh; empty: all known upcoming fixtures"
    )
    slot_at: str = Field(
        default="",
        description="Begin of a slot of the kickoff cadence, e.g. 2026-06-26T19:05:00Z: the run captures the fixtures"
        " that are due at each minute of the slot; empty: no slot",
    )


def _build_scrape_request(context: dg.AssetExecutionContext, sr_ids: tuple[int, ...] = ()) -> live_cycle.ScrapeRequest:
    trigger = Trigger(context.run.tags.get(TRIGGER_TAG, Trigger.MANUAL))
    return live_cycle.ScrapeRequest(
        date.fromisoformat(context.partition_key),
        trigger,
        context.run.run_id,
        sr_ids,
        repeats=list_repeated_runs(context.run),
    )


def _warn_if_repeated(context: dg.AssetExecutionContext, scope_text: str) -> None:
    """Log a warning in a repeated run: it requests the platforms again, for `scope_text`.

    The new answers differ from those of the first run.
    """
    if repeated := list_repeated_runs(context.run):
        day = context.partition_key
        context.log.warning(
            f"this run repeats run {repeated[0]} and asks the platforms again {scope_text}. The answers that the"
            " earlier run landed stay; to derive them without asking a platform, run"
            f" `palimpsest backfill {day} {day}`"
        )


@contextmanager
def _open_board(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[tuple[LogBoard, ScrapeObserver]]:
    """Yield a progress board that writes to the run's log, and the observer to pass to the scrape.

    The observer passes each event to the board and, if there is one, to the pipeline's progress display.
    """
    with LogBoard(context.log.info) as board:
        yield board, ObserverGroup([board, *filter(None, [pipeline.progress])])


@contextmanager
def _skip_without_work(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Turn `live_cycle.Skipped` into a successful end of the run, with the reason in its log and in a tag.

    Nothing is materialized then, and no step downstream runs.
    """
    try:
        yield
    except live_cycle.Skipped as reason:
        context.log.warning(f"skipped: {reason}")
        context.instance.add_run_tags(context.run.run_id, {SKIPPED_TAG: str(reason)})


def _make_resting_wait(context: dg.AssetExecutionContext) -> kickoff_minutes.WaitUntil:
    """Return a function that waits until an instant and meanwhile tags the run as resting.

    While a run rests, `palimpsest down` can end it without losing answers.
    """

    def wait(clock: Clock, at: datetime) -> None:
        rest_s = (at - clock.now()).total_seconds()
        if rest_s > MIN_TAGGED_REST_S:
            try:
                context.instance.add_run_tags(context.run.run_id, build_rest_tag(rest_s))
            except Exception as error:  # noqa: BLE001 - an outage of Dagster's storage must not cost a minute
                context.log.warning(f"cannot tag this run as resting: {error}")
        kickoff_minutes.wait_until(clock, at)

    return wait


LEDGER_TABLES: Final = "ops.scrape_batches; ops.scrape_runs; ops.event_scrape_status; ops.host_state; ops.landed_cycles"
"""Tables that a scrape writes, as text for the asset's metadata."""
SLOT_ASSETS: Final = tuple(
    dg.AssetKey(key.split("/"))
    for key in (
        "core/tournaments",
        "core/home_events",
        "core/competitor_events",
        "core/odds_snapshots",
        "core/matched_events",
        "mart/price_comparison",
        "mart/availability_gap",
    )
)
"""Assets whose tables a slot of the kickoff cadence writes each minute, before their own steps."""


def _report_materializations(context: dg.AssetExecutionContext, pipeline: Pipeline, prices: PriceDerivation) -> None:
    """Report a materialization of each asset whose table the minutes of this run have written.

    The table `core.cycle_products` tells for which core assets the run's cycles have rows.
    """
    with pipeline.connect() as conn:
        cycle_ids = cycle_ledger.read_cycles_of_runs(conn, [context.run.run_id])
        written_products = {
            mark.partition("/")[0]
            for cycle_id in cycle_ids
            for mark in derived_products.read_product_marks(conn, "core", cycle_id)
        }
    has_prices = bool(prices.n_fixtures or prices.n_removed)
    for key in SLOT_ASSETS:
        is_core = key.path[0] == "core"
        if key.path[-1] in written_products if is_core else has_prices:
            partition = context.partition_key if is_core else None
            context.log_event(
                dg.AssetMaterialization(
                    key, partition=partition, metadata={"written_by": context.asset_key.to_user_string()}
                )
            )


FRESHNESS_POLICY: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6), warn_window=timedelta(hours=2))
"""Freshness policy of the landing assets; no other asset has one.

A replay of the past would make old data of other assets look fresh.
"""

LANDING_ASSET_OPTIONS: Final[dict[str, Any]] = {
    "freshness_policy": FRESHNESS_POLICY,
    "partitions_def": day_partitions,
    "group_name": "landing",
    "kinds": {"http", "parquet"},
    "key_prefix": "landing",
}


@dg.asset(**LANDING_ASSET_OPTIONS, output_required=False, metadata={ALSO_WRITES_KEY: LEDGER_TABLES})
def discovery_payloads(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """The tree and all pages of the listings of every platform.

    Opens a full cycle and asks all platforms at the same time. `odds_payloads` completes the discovery of a platform
    that is late.
    """
    with _skip_without_work(context), _open_board(context, pipeline) as (board, watch):
        cycle = live_cycle.open_cycle(pipeline, _build_scrape_request(context), Scope.FULL)
        _warn_if_repeated(context, "for everything, in a cycle of its own")
        result = live_cycle.run_discovery(
            pipeline,
            cycle,
            watch,
            has_capture_next=odds_payloads.key in context.job_def.asset_layer.executable_asset_keys,
        )
        live_cycle.require_answers(result)
        n_listed = sum(run.discovered for run in result.runs)
        figures = build_stage_figures(result, board.select_phase(Phase.DISCOVERY), pipeline.split_budgets(cycle.scope))
        yield dg.MaterializeResult(metadata=build_metadata(n_listed, **figures))


@dg.asset(
    **LANDING_ASSET_OPTIONS,
    deps=[discovery_payloads],
    output_required=False,
    metadata={
        ALSO_WRITES_KEY: LEDGER_TABLES,
        "also_materializes": ", ".join(key.to_user_string() for key in SLOT_ASSETS),
    },
)
def odds_payloads(
    context: dg.AssetExecutionContext, config: CaptureConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult]:
    """Full-depth odds of every target, and the listings of late platforms.

    All platforms of a fixture are asked at the same time. Completes the run's full cycle, or opens a cycle for given
    fixtures, or one cycle at each minute of a slot of the kickoff cadence.
    """
    request = _build_scrape_request(context, tuple(config.sr_ids))
    with _skip_without_work(context), _open_board(context, pipeline) as (board, watch):
        if config.slot_at:
            slot_at, prices = kickoff_minutes.parse_slot(pipeline, config.slot_at, request.day), PriceDerivation()
            try:
                run = kickoff_minutes.run_slot(
                    pipeline, request, slot_at, watch, wait=_make_resting_wait(context), prices=prices
                )
            finally:  # the rows of the successful minutes are reported even when another minute has failed
                _report_materializations(context, pipeline, prices)
            context.log.info(run.describe())
            n_fetched = sum(part.fetched for result in run.results for part in result.runs)
            skews_ms = _read_skews_ms(pipeline, run.results)
            figures = build_slot_figures(run, board.select_phase(Phase.CAPTURE), skews_ms)
        else:
            with pipeline.connect() as conn:
                has_cycle = cycle_ledger.read_cycle_of_run(conn, context.run.run_id) is not None
            if not has_cycle:  # otherwise the discovery step of this run has warned
                _warn_if_repeated(
                    context,
                    "for the answers that its cycle still lacks, or in a cycle of its own when that lacks nothing",
                )
            result = live_cycle.require_answers(live_cycle.run_capture(pipeline, request, watch))
            n_fetched = sum(run.fetched for run in result.runs)
            figures = build_stage_figures(
                result,
                board.select_phase(Phase.CAPTURE),
                pipeline.split_budgets(result.cycle.scope),
                _read_skews_ms(pipeline, [result]),
            )
        yield dg.MaterializeResult(metadata=build_metadata(n_fetched, **figures))


def _read_skews_ms(pipeline: Pipeline, results: Sequence[CycleResult]) -> list[float]:
    with pipeline.connect() as conn:
        return cycle_reader.read_skews_ms(conn, [result.cycle.cycle_id for result in results])


MAX_CLOCK_OFFSET_S: Final = 30.0
"""Maximum difference in seconds between a host's clock and this machine's clock.

Times that a host sends, such as Retry-After dates and cache dates, are wrong by this difference.
"""


@make_cycle_check(asset=["landing", "odds_payloads"], product=("core", "odds_snapshots"))
def every_platform_answered(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """No platform failed in any cycle.

    A failed platform is reported even when the other platforms answered.
    """
    for cycle_id, failed in _group_by_cycle(cycle_reader.read_failed_platforms(cycles.conn, cycles.ids)).items():
        advice = "Its listings are not marked as absent; see ops.scrape_runs. The next cycle asks again"
        yield CheckVerdict(cycle_id, Severity.ERROR, len(failed), f"{', '.join(failed)}. {advice}")


@make_cycle_check(asset=["landing", "odds_payloads"], product=("core", "odds_snapshots"))
def clocks_of_the_hosts_agree(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In every cycle, each host's clock is within half a minute of ours.

    If all hosts differ in the same way, our clock is wrong.
    """
    offsets = cycle_reader.read_clock_offsets_s(cycles.conn, cycles.ids)
    far_clocks = [
        (cycle_id, f"the clock of {name} is {offset_s:+.0f} s from ours")
        for cycle_id, name, offset_s in offsets
        if abs(offset_s) > MAX_CLOCK_OFFSET_S
    ]
    for cycle_id, lines in _group_by_cycle(far_clocks).items():
        advice = "Landed instants come from our clock and are not corrected. Check this machine's clock"
        yield CheckVerdict(cycle_id, Severity.WARN, len(lines), f"{', '.join(lines)}. {advice}")


def _group_by_cycle(lines: list[tuple[int, str]]) -> dict[int, list[str]]:
    lines_by_cycle: defaultdict[int, list[str]] = defaultdict(list)
    for cycle_id, line in lines:
        lines_by_cycle[cycle_id].append(line)
    return lines_by_cycle
