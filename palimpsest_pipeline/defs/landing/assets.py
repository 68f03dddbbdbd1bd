"""Landing: the platforms' answers as they came. Live only; a past hour is replayed from here, never scraped again."""

import dagster as dg
from pydantic import Field

from ...domain.cycles import CycleResult
from ...domain.instants import parse_hour_key
from ...domain.words import Scope, Trigger
from ..metadata import figures
from ..partitions import HOURS_PER_RUN, hours
from ..pipeline import Pipeline
from ..progress import LogProgress
from . import live

TRIGGER_TAG = "palimpsest/trigger"
"""Run tag that says what started the cycle; without it a run from the launchpad is manual."""


class CaptureConfig(dg.Config):
    """What to capture when discovery is not part of the run."""

    sr_ids: list[int] = Field(default=[], description="SportRadar ids of the fixtures to refresh; empty: every upcoming fixture that is known")


def _begun(context: dg.AssetExecutionContext, sr_ids: tuple[int, ...] = ()) -> live.Begun:
    trigger = Trigger(context.run.tags.get(TRIGGER_TAG, Trigger.MANUAL))
    # Of several hours at most the last can be live; the first one refuses with what to do instead.
    return live.Begun(parse_hour_key(min(context.partition_keys)), trigger, context.run.run_id, sr_ids)


def _figures(result: CycleResult) -> dict[str, object]:
    numbers: dict[str, float | str | None] = {"cycle_id": result.cycle.cycle_id, "status": result.status.value}
    for run in result.runs:
        numbers[f"{run.platform}_status"] = run.status.value
        numbers[f"{run.platform}_listings"] = run.discovered
        numbers[f"{run.platform}_fetched"] = run.fetched
    if result.skew_ms:
        ordered = sorted(result.skew_ms)
        numbers["skew_ms_p50"] = ordered[len(ordered) // 2]
        numbers["skew_ms_p95"] = ordered[int(len(ordered) * 0.95)]
    return figures(
        sum(run.fetched or run.discovered for run in result.runs),
        requests=sum(run.requests for run in result.runs),
        bytes=sum(run.bytes for run in result.runs),
        failed_requests=sum(sum(run.errors_by_class.values()) for run in result.runs),
        **numbers,
    )


LANDING = {
    "partitions_def": hours,
    "group_name": "landing",
    "kinds": {"http", "parquet"},
    "key_prefix": "landing",
    "backfill_policy": HOURS_PER_RUN,
}


@dg.asset(**LANDING)
def discovery_payloads(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """What every platform lists: its tree and its lists, paged to the end, all platforms at once. Opens a full cycle."""
    cycle = live.begin(pipeline, _begun(context), Scope.FULL)
    result = live.run_discovery(pipeline, cycle, pipeline.progress or LogProgress(context.log.info))
    return dg.MaterializeResult(metadata=_figures(result))


@dg.asset(**LANDING, deps=[discovery_payloads])
def odds_payloads(context: dg.AssetExecutionContext, config: CaptureConfig, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Full-depth odds of every target, all platforms of a fixture at once. Completes the run's full cycle, or opens one for given fixtures."""
    result = live.run_capture(pipeline, _begun(context, tuple(config.sr_ids)), pipeline.progress or LogProgress(context.log.info))
    return dg.MaterializeResult(metadata=_figures(result))
