"""Landing: the platforms' answers as they came. Live only; a past hour is replayed from here, never scraped again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import dagster as dg
from pydantic import Field

from ...domain.instants import Clock, parse_hour_key
from ...domain.words import Scope, Trigger
from ...scrape.sinks import Watch, Watches
from ..partitions import HOURS_PER_RUN, hours
from ..pipeline import Pipeline
from ..progress import LogBoard, Phase
from ..run_tags import rest_tag
from . import kickoff, live
from .figures import scrape_plots, slot_figures, stage_figures

TRIGGER_TAG = "palimpsest/trigger"
"""Run tag that says what started the cycle; without it a run from the launchpad is manual."""

FOLLOWS_TAG = "palimpsest/follows"
"""Run tag that names the run, which is over, whose work this one takes up."""

SKIPPED_TAG = "palimpsest/skipped"
"""Run tag that says why a run had nothing to do."""


SHORTEST_REST_S: Final = 2.0
"""A run is not tagged as resting for a shorter wait."""


class CaptureConfig(dg.Config):
    """What to capture when discovery is not part of the run."""

    sr_ids: list[int] = Field(default=[], description="SportRadar ids of the fixtures to refresh; empty: every upcoming fixture that is known")
    slot_at: str = Field(
        default="",
        description="Begin of a slot of the kickoff cadence, e.g. 2026-06-26T19:05:00Z: what is due at each of its minutes; empty: none",
    )


def _begun(context: dg.AssetExecutionContext, sr_ids: tuple[int, ...] = ()) -> live.Begun:
    trigger = Trigger(context.run.tags.get(TRIGGER_TAG, Trigger.MANUAL))
    # Of several hours at most the last can be live; the first one refuses with what to do instead.
    before = (context.run.parent_run_id, context.run.root_run_id, context.run.tags.get(FOLLOWS_TAG))
    repeats = tuple(dict.fromkeys(run_id for run_id in before if run_id))
    return live.Begun(parse_hour_key(min(context.partition_keys)), trigger, context.run.run_id, sr_ids, repeats=repeats)


@contextmanager
def _watched(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[tuple[LogBoard, Watch]]:
    """The board of this run, which writes to its log, and all that looks on."""
    with LogBoard(context.log.info) as board:
        yield board, Watches([board, *filter(None, [pipeline.progress])])


@contextmanager
def _or_skipped(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Where there is nothing to do, the run says why, in its log and in a tag, and ends well: nothing is materialized, nothing downstream runs."""
    try:
        yield
    except live.Skipped as reason:
        context.log.warning(f"skipped: {reason}")
        context.instance.add_run_tags(context.run.run_id, {SKIPPED_TAG: str(reason)})


def _resting_wait(context: dg.AssetExecutionContext) -> kickoff.Wait:
    """Return a function that waits for a minute and tags the run as resting, so that `palimpsest down` can end it then without a loss."""

    def wait(clock: Clock, at: datetime) -> None:
        rest_s = (at - clock.now()).total_seconds()
        if rest_s > SHORTEST_REST_S:
            try:
                context.instance.add_run_tags(context.run.run_id, rest_tag(rest_s))
            except Exception as error:  # noqa: BLE001 - a storage of Dagster's that is away costs no minute
                context.log.warning(f"cannot tag this run as resting: {error}")
        kickoff.wait_until(clock, at)

    return wait


LANDING = {
    "partitions_def": hours,
    "group_name": "landing",
    "kinds": {"http", "parquet"},
    "key_prefix": "landing",
    "backfill_policy": HOURS_PER_RUN,
}


@dg.asset(**LANDING, output_required=False)
def discovery_payloads(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """What every platform lists: its tree and its lists, paged to the end, all platforms at once. Opens a full cycle."""
    with _or_skipped(context), _watched(context, pipeline) as (board, watch):
        cycle = live.begin(pipeline, _begun(context), Scope.FULL)
        result = live.run_discovery(pipeline, cycle, watch, goes_on=odds_payloads.key in context.job_def.asset_layer.executable_asset_keys)
        live.require_answers(result)
        n_listed = sum(run.discovered for run in result.runs)
        yield dg.MaterializeResult(metadata=stage_figures(n_listed, result, board.phase(Phase.DISCOVERY), pipeline.budgets(cycle.scope)))


@dg.asset(**LANDING, deps=[discovery_payloads], output_required=False)
def odds_payloads(context: dg.AssetExecutionContext, config: CaptureConfig, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult]:
    """Full-depth odds of every target, all platforms of a fixture at once. Completes the run's full cycle, or opens one for given fixtures, or one
    at each minute of a slot of the kickoff cadence."""
    begun = _begun(context, tuple(config.sr_ids))
    with _or_skipped(context), _watched(context, pipeline) as (board, watch):
        if config.slot_at:
            run = kickoff.run_slot(pipeline, begun, kickoff.parse_slot(pipeline, config.slot_at, begun.hour), watch, wait=_resting_wait(context))
            context.log.info(run.sentence())
            last, numbers = run.results[-1], slot_figures(run, board.phase(Phase.CAPTURE))
        else:
            last = live.require_answers(live.run_capture(pipeline, begun, watch))
            n_fetched = sum(run.fetched for run in last.runs)
            numbers = stage_figures(n_fetched, last, board.phase(Phase.CAPTURE), pipeline.budgets(last.cycle.scope))
        yield dg.MaterializeResult(metadata=numbers | scrape_plots(pipeline, last.cycle.cycle_id))
