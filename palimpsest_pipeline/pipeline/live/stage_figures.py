"""The figures of a stage of a scrape (discovery or capture), shown beside its asset.

Names and units do not depend on the result, so that Dagster can plot the figures by partition.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from palimpsest_pipeline.domain.cycles import CycleResult
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus
from palimpsest_pipeline.runtime.progress import ProgressRow
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.outcomes import combine_statuses
from palimpsest_pipeline.scrape.shortest_duration import compute_floors_s
from palimpsest_pipeline.scrape.stage_tally import compute_percentile

from .kickoff_minutes import SlotRun

StageFigures = dict[str, float | str | None]
"""Figures by name. None is a figure that is not known."""


def build_stage_figures(
    result: CycleResult,
    rows: Mapping[Platform, ProgressRow],
    budgets: Mapping[Platform, HostBudget],
    skews_ms: Sequence[float] = (),
) -> StageFigures:
    """Return the figures of one stage.

    `rows` are the rows of `ScrapeProgress` for this stage, `result` is the cycle's result after the stage. `skews_ms`
    are those of the cycle's fixtures, none after a discovery. Among the figures, `errors_<class>` counts attempts,
    including those of requests that succeeded later. `duration_s` is the time in seconds from the first request to the
    last answer. `floor_s` is the shortest time in which the request budgets allow requests of the same durations, and
    `ratio_to_floor` is `duration_s` divided by `floor_s`.
    """
    counts = {platform: row.counts for platform, row in rows.items()}
    began = min((c.first_at for c in counts.values() if c.first_at), default=None)
    ended = max((c.last_at for c in counts.values() if c.last_at), default=None)
    duration_s = (ended - began).total_seconds() if began and ended else 0.0
    least_s = max(
        compute_floors_s({platform: c.durations_s for platform, c in counts.items()}, budgets).values(), default=0.0
    )
    return _build_figures([result], rows, skews_ms, duration_s, least_s)


def build_slot_figures(run: SlotRun, rows: Mapping[Platform, ProgressRow], skews_ms: Sequence[float]) -> StageFigures:
    """Return the figures of a slot of the kickoff cadence: those of a stage, and its numbers of minutes.

    `rows` are the platforms' rows of `ScrapeProgress` for the run, `skews_ms` the skews of fixtures in its cycles.
    Durations are sums over the cycles. A platform's status, its clock offset and `cycle_id` are those of the last one.
    """
    duration_s = sum(max((r.capture_s or 0.0 for r in result.runs), default=0.0) for result in run.results)
    least_s = sum(max((r.floor_s or 0.0 for r in result.runs), default=0.0) for result in run.results)
    return _build_figures(run.results, rows, skews_ms, duration_s, least_s) | {
        "cycles": len(run.results),
        "minutes_left_out": len(run.left_out_minutes),
        "left_out": "; ".join(f"{at:%H:%M}: {why}" for at, why in run.left_out_minutes.items()) or None,
    }


def _build_figures(
    results: Sequence[CycleResult],
    rows: Mapping[Platform, ProgressRow],
    skews_ms: Sequence[float],
    duration_s: float,
    least_s: float,
) -> StageFigures:
    """Return the figures of one stage, or of consecutive cycles."""
    counts = {platform: row.counts for platform, row in rows.items()}
    errors = sum((c.failures for c in counts.values()), Counter[FailureClass]())
    n_requests = sum(c.requests for c in counts.values())
    numbers: StageFigures = {
        "status": combine_statuses(result.status for result in results).value
        if len(results) > 1
        else results[0].status.value,
        "requests": n_requests,
        "requests_per_s": _round_value(n_requests / duration_s, 1) if duration_s else None,
        "duration_s": _round_value(duration_s, 3),
        "floor_s": _round_value(least_s, 3),
        "ratio_to_floor": _round_value(duration_s / least_s, 3) if least_s else None,
    }
    numbers |= {
        f"skew_ms_p{percent}": _round_value(compute_percentile(skews_ms, percent), 1) for percent in (50, 95, 99)
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
    return numbers


def _round_value(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
