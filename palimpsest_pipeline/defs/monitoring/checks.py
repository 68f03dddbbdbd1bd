"""The checks of the pipeline as a whole: freshness, stuck runs and unfinished work.

They judge the current state and do not depend on the partition of a run. A check that cannot read its inputs raises an
error and gives no result.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import STUCK_AFTER, list_cycles_without_pack, make_due_query
from palimpsest_pipeline.pipeline.kickoff_slots import MAX_SLOT_AGE, report_slots
from palimpsest_pipeline.pipeline.monitoring.freshness import FamilyAge, measure_ages
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.storage.derivation.due_products import read_due_hours

from ..asset_partitions import day_partitions
from ..check_results import build_result
from ..core import assets as core
from ..dagster_private import InstigatorState, SensorInstigatorData
from ..life import assets as life_assets
from ..mart import assets as mart
from .stuck_runs import describe_failing_ticks, describe_silent_cycles, describe_stuck_runs

FULL_CYCLE_SCHEDULE: Final = "full_cycle_schedule"
KICKOFF_SENSOR: Final = "kickoff"
RUNNING_STATUS: Final = "RUNNING"
"""Status of a schedule or sensor that is switched on."""

LANDING_ASSET, ODDS_ASSET = dg.AssetKey(["landing", "odds_payloads"]), dg.AssetKey(["core", "odds_snapshots"])
DERIVED_SPECS: Final[tuple[dg.AssetSpec, ...]] = tuple(
    spec
    for module in (core, mart, life_assets)
    for asset in dg.load_assets_from_modules([module])
    if isinstance(asset, dg.AssetsDefinition)
    for spec in asset.specs
    if spec.key.path[0] in ("core", "mart")
)
DAILY_ASSETS: Final = tuple(dict.fromkeys(spec.key for spec in DERIVED_SPECS if spec.partitions_def == day_partitions))
"""Assets of core and mart with daily partitions, which can be derived again.

Landing assets are left out: a past day cannot be scraped again, so it never counts as unfinished work.
"""


def _build_spec(asset: dg.AssetKey | Sequence[str], name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name, asset=dg.AssetKey(asset) if not isinstance(asset, dg.AssetKey) else asset, description=description
    )


# The active platforms are read only once, like the first day: Dagster shows the checks that exist when it starts.
FRESHNESS_SPECS: Final[Mapping[tuple[FreshnessFamily, Platform | None], dg.AssetCheckSpec]] = {
    (FreshnessFamily.DISCOVERY, None): _build_spec(
        ("landing", "discovery_payloads"),
        "discovery_is_fresh",
        "The newest discovery of each platform, complete or partial, is not too old.",
    ),
    **{
        (FreshnessFamily.ODDS, platform): _build_spec(
            ODDS_ASSET,
            f"odds_of_{platform.replace('-', '_')}_are_fresh",
            f"The newest answer of {platform} in the history is not too old.",
        )
        for platform in load_settings().platforms
    },
    (FreshnessFamily.COVERAGE, None): _build_spec(
        ("mart", "match_rate_platform"),
        "coverage_is_fresh",
        "The newest cycle with coverage and match rates is not too old.",
    ),
    (FreshnessFamily.FIXTURE_LIFE, None): _build_spec(
        ("mart", "listing_lead_time"),
        "fixture_life_is_fresh",
        "Availability, open and close of the fixtures around today were derived not too long ago.",
    ),
    (FreshnessFamily.EXPORT, None): _build_spec(
        ("report", "odds_history_export"), "export_is_fresh", "The newest exported day ended not too long ago."
    ),
}


@dg.multi_asset_check(name="freshness", specs=list(FRESHNESS_SPECS.values()), can_subset=True)
def freshness_checks(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """Yield the freshness of each family, judged by PALIMPSEST_STALE_AFTER_MINUTES.

    The age comes from the instants in the family's own rows, so a backfill of the past makes nothing newer.
    """
    ages: defaultdict[tuple[FreshnessFamily, Platform | None], list[FamilyAge]] = defaultdict(list)
    for age in measure_ages(pipeline):
        by_platform = age.family is FreshnessFamily.ODDS
        ages[age.family, age.platform if by_platform else None].append(age)
    state = _find_state(context.instance, FULL_CYCLE_SCHEDULE)
    cadence_on = state is not None and state.status.value == RUNNING_STATUS
    for key, spec in FRESHNESS_SPECS.items():
        if spec.key in context.selected_asset_check_keys:
            yield judge_freshness(
                spec, ages.get(key, []), pipeline.settings.stale_after_minutes[key[0]], cadence_on=cadence_on
            )


def judge_freshness(
    spec: dg.AssetCheckSpec, family_ages: Sequence[FamilyAge], limits: tuple[int, int], *, cadence_on: bool
) -> dg.AssetCheckResult:
    """Return the check result of a family of data; its oldest age decides.

    `limits` are the ages in minutes from which on the result is a warning and an error. While the schedule of full
    cycles is off, an old family is only a warning, because the schedule may be off on purpose.
    """
    warn, fail = limits
    metadata: dict[str, float | int | str] = {"warn_after_minutes": warn, "fail_after_minutes": fail}
    if not family_ages:
        message = "No cycle has begun yet, so no data is expected."
        return dg.AssetCheckResult(
            passed=True, asset_key=spec.asset_key, check_name=spec.name, description=message, metadata=metadata
        )
    oldest = max(family_ages, key=lambda age: age.age)
    metadata |= {
        "age_minutes": round(oldest.minutes, 1),
        "newest_at": "none" if oldest.newest_at is None else oldest.newest_at.isoformat(),
    }
    stale = [age for age in family_ages if age.minutes > warn]
    lines = "; ".join(
        f"{age.subject}: nothing yet, {age.minutes:.0f} min after the first cycle"
        if age.newest_at is None
        else f"{age.subject}: {age.minutes:.0f} min old"
        for age in stale
    )
    return dg.AssetCheckResult(
        passed=not stale,
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=dg.AssetCheckSeverity.ERROR if oldest.minutes > fail and cadence_on else dg.AssetCheckSeverity.WARN,
        description=f"{lines}; at most {warn} min are expected. {_advise(oldest.family, cadence_on)}"
        if stale
        else None,
        metadata=metadata,
    )


def _advise(family: FreshnessFamily, cadence_on: bool) -> str:
    if family is FreshnessFamily.EXPORT:
        return (
            "Check that the schedule nightly_export is on, look at the last runs of the job export, or run"
            " `palimpsest export DAY`."
        )
    if not cadence_on:
        return (
            f"The schedule {FULL_CYCLE_SCHEDULE} is off: `palimpsest cadence on` switches it on, and `palimpsest"
            " scrape` runs one cycle."
        )
    if family is FreshnessFamily.FIXTURE_LIFE:
        return "Check that the schedule fixture_life_schedule is on, and look at the last runs of the job fixture_life."
    return (
        "Look at the last runs of the job full_cycle, and at ops.scrape_runs.message of the last cycle; `palimpsest"
        " doctor` checks the prerequisites of a run."
    )


def _find_state(instance: dg.DagsterInstance, name: str) -> InstigatorState | None:
    """Return the state of a schedule or sensor.

    Return None if it was never switched on or off, or if the instance has no schedule storage.
    """
    if instance.schedule_storage is None:
        return None
    return next((state for state in instance.all_instigator_state() if state.instigator_name == name), None)


def _find_kickoff_switch_times(instance: dg.DagsterInstance) -> tuple[datetime | None, datetime | None]:
    """Return when the sensor `kickoff` was switched on, and its last tick before it was switched off.

    Each value is None if unknown.
    """
    state = _find_state(instance, KICKOFF_SENSOR)
    if state is None or not isinstance(state.instigator_data, SensorInstigatorData):
        return None, None
    data, is_on = state.instigator_data, state.status.value == RUNNING_STATUS
    at_s = data.last_sensor_start_timestamp if is_on else data.last_tick_timestamp
    at = None if at_s is None else datetime.fromtimestamp(at_s, UTC)
    return (at, None) if is_on else (None, at)


@dg.asset_check(asset=LANDING_ASSET)
def kickoff_slots_were_kept(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """In the last 24 hours, each fixture was requested and answered by a platform at every due slot.

    Slots count from the first use of the kickoff cadence until it is switched off. When the cadence was switched off
    and on again, the slots in between count as lost, because Dagster does not store when it was switched off.
    """
    now = pipeline.clock.now()
    on_since, on_until = _find_kickoff_switch_times(context.instance)
    with pipeline.connect() as conn:
        report = report_slots(pipeline, conn, now - MAX_SLOT_AGE, on_until or now, on_since)
    lost, sentence, silence = report.lost_slots, report.describe_losses(), report.describe_silences()
    return dg.AssetCheckResult(
        passed=not sentence,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{sentence}. They cannot be asked again. `palimpsest slots` lists them; check that `palimpsest up`"
        " runs and that the sensor is on."
        if sentence
        else silence or None,
        metadata={
            "in_use": report.is_in_use,
            "slots_due": report.slots.height,
            "slots_lost": lost.height,
            "slots_unanswered": int(lost["asked"].sum()),
            "silent_platforms": silence or "none",
            "fixtures_with_lost_slots": lost["sr_id"].n_unique(),
        },
    )


@dg.asset_check(asset=LANDING_ASSET)
def nothing_is_stuck(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """Every run and cycle under way writes heartbeats; queued runs wait only while others execute."""
    runs, cycles = describe_stuck_runs(context.instance, pipeline), describe_silent_cycles(pipeline)
    return build_result("; ".join([*runs, *cycles]), stuck_runs=len(runs), silent_cycles=len(cycles))


@dg.asset_check(asset=LANDING_ASSET)
def last_ticks_succeeded(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """The last tick of every schedule and sensor that is on succeeded.

    Without this check, nobody would notice a sensor that fails at every tick, e.g. the sensor that sends alerts.
    """
    failing = describe_failing_ticks(context.instance)
    problem = f"{'; '.join(failing)}. The ticks and their tracebacks are in the UI under Automation." if failing else ""
    return build_result(problem, failing_ticks=len(failing))


MAX_PLANNED_HOURS: Final = 48
"""Maximum number of hours whose landing is examined. Further hours are only counted."""
MAX_NAMED_HOURS: Final = 5


@dataclass(frozen=True, slots=True)
class UnfinishedWork:
    """The unfinished work of an installation, by hour and by day.

    The number of retries is limited everywhere, so a lasting failure would become silent without this list.
    """

    due_hours: Mapping[str, str]
    """Key of each hour with due products to the reason."""
    refused_hours: Mapping[str, str]
    """Key of each hour from which nothing can be derived to the reason."""
    failed_days: Mapping[str, Sequence[str]]
    """Key of each UTC day to the assets whose last run of that day failed."""
    n_unplanned_hours: int
    """Number of further hours that were not examined because of `MAX_PLANNED_HOURS`."""

    def __bool__(self) -> bool:
        return bool(self.due_hours or self.refused_hours or self.failed_days or self.n_unplanned_hours)

    @property
    def sentence(self) -> str:
        """The unfinished work as a sentence with advice; empty if there is none."""
        sentences = []
        if self.due_hours or self.n_unplanned_hours:
            reasons = "; ".join(f"{key}: {why}" for key, why in list(self.due_hours.items())[:MAX_NAMED_HOURS])
            sentences.append(
                f"{len(self.due_hours) + self.n_unplanned_hours} hours are due ({reasons or 'not examined'}): run"
                " `palimpsest backfill --stale`"
            )
        if self.refused_hours:
            key, why = next(iter(self.refused_hours.items()))
            sentences.append(f"{len(self.refused_hours)} hours cannot be derived, e.g. {key}: {why}")
        named_days = {key[: len("2026-06-26")] for key in (*self.due_hours, *self.refused_hours)}
        if only_failed := {key: assets for key, assets in self.failed_days.items() if key not in named_days}:
            first, last = min(only_failed), max(only_failed)
            key, assets = next(iter(only_failed.items()))
            sentences.append(
                f"{len(only_failed)} days are up to date, but their last run failed, e.g. {key} of"
                f" {', '.join(assets)}: run `palimpsest backfill {first} {last} --again`, or"
                " materialize the failed partitions in the UI"
            )
        return ". ".join(sentences)


def find_unfinished_work(
    instance: dg.DagsterInstance, pipeline: Pipeline, assets: Sequence[dg.AssetKey]
) -> UnfinishedWork:
    """Return the unfinished work of these daily assets and of all products derived by cycle.

    A cycle that has just ended is left to its own run, unless that run has failed. An hour that is no longer in the
    landing is left out: it cannot be derived.
    """
    now = pipeline.clock.now()
    landed = set(pipeline.landing.list_hours())
    failed = _find_failed_days(instance, assets, sorted({str(hour.date()) for hour in landed}))
    with pipeline.connect() as conn:
        suspected = set(read_due_hours(conn, make_due_query(pipeline, conn), now - STUCK_AFTER))
        suspected.update(cycle.partition_hour for cycle in list_cycles_without_pack(pipeline, conn))
        if failed:
            suspected.update(
                hour for hour in read_due_hours(conn, make_due_query(pipeline, conn), now) if str(hour.date()) in failed
            )
    hours = sorted(suspected & landed, reverse=True)
    due, refused = {}, {}
    for hour in hours[:MAX_PLANNED_HOURS]:
        (plan,) = plan_hours(pipeline, hour, hour)
        if plan.can_be_derived:
            due[plan.key] = plan.why()
        elif cycles := (*(plan.damaged_cycles if plan.due else ()), *plan.cycles_without_pack):
            refused[plan.key] = "; ".join(cycle.sentence for cycle in cycles)
    return UnfinishedWork(due, refused, failed, len(hours[MAX_PLANNED_HOURS:]))


def _find_failed_days(
    instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey], keys: Sequence[str]
) -> dict[str, list[str]]:
    """Return the days with the assets whose last run failed, from Dagster's partition status per asset."""
    assets_by_day: defaultdict[str, list[str]] = defaultdict(list)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        for asset in assets:
            status = instance.get_status_by_partition(asset, keys, day_partitions) or {}
            for key, state in status.items():
                if state is not None and state.value == "FAILED":
                    assets_by_day[key].append(asset.to_user_string())
    return dict(assets_by_day)


@dg.asset_check(asset=ODDS_ASSET)
def nothing_is_left_undone(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """Core and mart are complete for every landed hour, and no partition's last run failed.

    Complete means: derived from the answers landed now, with the current versions of parsers and vocabulary.
    """
    work = find_unfinished_work(context.instance, pipeline, DAILY_ASSETS)
    return build_result(
        work.sentence,
        dg.AssetCheckSeverity.WARN,
        hours_due=len(work.due_hours) + work.n_unplanned_hours,
        hours_refused=len(work.refused_hours),
        days_failed=len(work.failed_days),
        partitions_failed=sum(map(len, work.failed_days.values())),
    )
