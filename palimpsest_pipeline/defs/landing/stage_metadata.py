"""The result of a stage of a scrape (discovery or capture) as metadata of its asset.

Names and units do not depend on the result, so that Dagster can plot the figures by partition.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dagster import MarkdownMetadataValue

from palimpsest_pipeline.domain.cycles import CycleResult
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live.kickoff_minutes import SlotRun
from palimpsest_pipeline.runtime.progress import ProgressRow
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.outcomes import combine_statuses
from palimpsest_pipeline.scrape.shortest_duration import compute_floors_s
from palimpsest_pipeline.scrape.stage_tally import compute_percentile
from palimpsest_pipeline.storage.marts import asset_trends

from ..asset_metadata import build_metadata
from ..plots import draw_plots

RATE_POINTS: Final = 40


def build_stage_metadata(
    n_rows: int, result: CycleResult, rows: Mapping[Platform, ProgressRow], budgets: Mapping[Platform, HostBudget]
) -> dict[str, Any]:
    """Return the metadata of one stage.

    `n_rows` is the number of listings that the stage received, `rows` are the progress board's rows of this stage,
    `result` is the cycle's result after the stage. In the metadata, `errors_<class>` counts attempts, including those
    of requests that succeeded later. `duration_s` is the time in seconds from the first request to the last answer.
    `floor_s` is the shortest time in which the request budgets allow requests of the same durations, and
    `ratio_to_floor` is `duration_s` divided by `floor_s`.
    """
    counts = {platform: row.counts for platform, row in rows.items()}
    began = min((c.first_at for c in counts.values() if c.first_at), default=None)
    ended = max((c.last_at for c in counts.values() if c.last_at), default=None)
    duration_s = (ended - began).total_seconds() if began and ended else 0.0
    least_s = max(
        compute_floors_s({platform: c.durations_s for platform, c in counts.items()}, budgets).values(), default=0.0
    )
    return build_metadata(n_rows, **_build_numbers([result], rows, duration_s, least_s))


def build_slot_metadata(run: SlotRun, rows: Mapping[Platform, ProgressRow]) -> dict[str, Any]:
    """Return the metadata of a slot of the kickoff cadence, under the keys of `build_stage_metadata`.

    `rows` are the platforms' rows of the progress table of the run. Durations are sums over the cycles. A platform's
    status, its clock offset and `cycle_id` are those of the last cycle.
    """
    duration_s = sum(max((r.capture_s or 0.0 for r in result.runs), default=0.0) for result in run.results)
    least_s = sum(max((r.floor_s or 0.0 for r in result.runs), default=0.0) for result in run.results)
    numbers = _build_numbers(run.results, rows, duration_s, least_s)
    n_fetched = sum(r.fetched for result in run.results for r in result.runs)
    return build_metadata(
        n_fetched,
        **numbers,
        cycles=len(run.results),
        minutes_left_out=len(run.left_out_minutes),
        left_out=_describe_left_out(run),
    )


def _describe_left_out(run: SlotRun) -> str | None:
    return "; ".join(f"{at:%H:%M}: {why}" for at, why in run.left_out_minutes.items()) or None


def _build_numbers(
    results: Sequence[CycleResult], rows: Mapping[Platform, ProgressRow], duration_s: float, least_s: float
) -> dict[str, float | str | MarkdownMetadataValue | None]:
    """Return the figures of one stage, or of consecutive cycles."""
    counts = {platform: row.counts for platform, row in rows.items()}
    errors = sum((c.failures for c in counts.values()), Counter[FailureClass]())
    skew_ms = [ms for result in results for ms in result.skew_ms]
    numbers: dict[str, float | str | MarkdownMetadataValue | None] = {
        "status": combine_statuses(result.status for result in results).value
        if len(results) > 1
        else results[0].status.value,
        "requests": sum(c.requests for c in counts.values()),
        "duration_s": _round_value(duration_s, 3),
        "floor_s": _round_value(least_s, 3),
        "ratio_to_floor": _round_value(duration_s / least_s, 3) if least_s else None,
    }
    numbers |= {
        f"skew_ms_p{percent}": _round_value(compute_percentile(skew_ms, percent), 1) for percent in (50, 95, 99)
    }
    numbers |= {f"errors_{failure}": errors[failure] for failure in FailureClass}
    fetched = Counter[Platform]()
    for run in (run for result in results for run in result.runs):
        fetched[run.platform] += run.fetched
        numbers[f"{run.platform}_status"] = run.status.value
        numbers[f"{run.platform}_listings"] = run.discovered
        numbers[f"{run.platform}_fetched"] = fetched[run.platform]
        numbers[f"clock_offset_s_{run.platform}"] = _round_value(run.clock_offset_s, 2)
    numbers["late"] = (
        ", ".join(run.platform for result in results for run in result.runs if run.status is RunStatus.RUNNING) or None
    )
    unknown = sorted(
        {sr_id for r in results for sr_id in set(r.cycle.sr_ids) - {outcome.sr_id for outcome in r.outcomes}}
    )
    numbers["unknown_sr_ids"] = ", ".join(map(str, unknown)) or None
    numbers["bytes"] = sum(c.bytes for c in counts.values())
    numbers["cycle_id"] = str(results[-1].cycle.cycle_id)  # as text: Dagster would plot a number
    numbers |= draw_plots(requests_per_s=compute_request_rates([at for row in rows.values() for at in row.arrived_at]))
    return numbers


def compute_request_rates(times_s: Sequence[float]) -> list[float]:
    """Return requests per second in `RATE_POINTS` equal parts of the time from first to last request.

    `times_s` are the times of the requests in seconds. The result is empty without two different times.
    """
    if len(times_s) < 2 or (begin := min(times_s)) == (end := max(times_s)):
        return []
    part_s = (end - begin) / RATE_POINTS
    rates = [0.0] * RATE_POINTS
    for at in times_s:
        rates[min(int((at - begin) / part_s), RATE_POINTS - 1)] += 1 / part_s
    return rates


def draw_scrape_plots(pipeline: Pipeline, cycle_id: int) -> dict[str, MarkdownMetadataValue]:
    """Return plots of the last cycles of the same scope: fetched listings and durations of captures.

    The grey line is the shortest duration that the request budgets allow.
    """
    with pipeline.connect() as conn:
        fetched, took_s, least_s = asset_trends.read_scrape_figures(conn, cycle_id)
    return draw_plots(fetched=fetched, capture_s=(took_s, least_s))


def _round_value(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
