"""Checks of the pipeline as a whole: is what it gives new enough, does anything stand still, was anything left undone,
are the tables as declared.

They look at now, whatever partition was run last. What cannot be looked at raises: that is no result.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.kickoff_slots import LOOK_BACK, report_slots
from palimpsest_pipeline.pipeline.monitoring.freshness import FamilyAge, measure_ages
from palimpsest_pipeline.storage.db import drift

from ..asset_metadata import list_written_tables
from ..core import assets as core
from ..dagster_private import InstigatorState, SensorInstigatorData
from ..life import assets as life_assets
from ..mart import assets as mart
from ..mart import current_prices, odds_alerts
from ..partitions import day_partitions
from .stuck_runs import describe_failing_ticks, describe_silent_cycles, describe_stuck_runs
from .unfinished_work import find_unfinished_work

FULL_CYCLE_SCHEDULE: Final = "full_cycle_schedule"
KICKOFF_SENSOR: Final = "kickoff"
RUNNING_STATUS: Final = "RUNNING"
"""Status of a schedule or sensor that somebody has switched on."""

LANDING_ASSET, ODDS_ASSET = dg.AssetKey(["landing", "odds_payloads"]), dg.AssetKey(["core", "odds_snapshots"])
DERIVED_SPECS: Final[tuple[dg.AssetSpec, ...]] = tuple(
    spec
    for module in (core, mart, life_assets, current_prices, odds_alerts)
    for asset in dg.load_assets_from_modules([module])
    if isinstance(asset, dg.AssetsDefinition)
    for spec in asset.specs
    if spec.key.path[0] in ("core", "mart")
)
DAILY_ASSETS: Final = tuple(dict.fromkeys(spec.key for spec in DERIVED_SPECS if spec.partitions_def == day_partitions))
"""Assets of core and mart by days: what can be derived again.

The landing of a past day cannot be scraped again, and is no unfinished work.
"""

TABLES_BY_ASSET: Final[Mapping[dg.AssetKey, Sequence[str]]] = {
    spec.key: tuple(table for table, columns in list_written_tables(spec).items() if "*" in columns)
    for spec in DERIVED_SPECS
}
"""Which tables an asset writes, as its own definition says."""


def _build_spec(asset: dg.AssetKey | Sequence[str], name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name, asset=dg.AssetKey(asset) if not isinstance(asset, dg.AssetKey) else asset, description=description
    )


FRESHNESS_SPECS: Final[Mapping[tuple[FreshnessFamily, Platform | None], dg.AssetCheckSpec]] = {
    (FreshnessFamily.DISCOVERY, None): _build_spec(
        ("landing", "discovery_payloads"),
        "discovery_is_fresh",
        "Each platform's offer was discovered, if only in part, not too long ago.",
    ),
    **{
        (FreshnessFamily.ODDS, platform): _build_spec(
            ODDS_ASSET,
            f"odds_of_{platform}_are_fresh",
            f"The newest answer of {platform} in the history is not too old.",
        )
        for platform in Platform
    },
    (FreshnessFamily.COVERAGE, None): _build_spec(
        ("mart", "match_rate_platform"),
        "coverage_is_fresh",
        "The newest cycle that coverage and match rates speak of is not too old.",
    ),
    (FreshnessFamily.FIXTURE_LIFE, None): _build_spec(
        ("mart", "listing_lead_time"),
        "fixture_life_is_fresh",
        "Availability, open and close of the fixtures around today are told up to not too long ago.",
    ),
    (FreshnessFamily.EXPORT, None): _build_spec(
        ("report", "odds_history_export"), "export_is_fresh", "The newest exported day ended not too long ago."
    ),
}


@dg.multi_asset_check(name="freshness", specs=list(FRESHNESS_SPECS.values()), can_subset=True)
def freshness_checks(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """Age of each family by the instants in its own rows, judged by PALIMPSEST_STALE_AFTER_MINUTES: a backfill of
    the past makes nothing newer.
    """
    found: defaultdict[tuple[FreshnessFamily, Platform | None], list[FamilyAge]] = defaultdict(list)
    for age in measure_ages(pipeline):
        by_platform = age.family is FreshnessFamily.ODDS
        found[age.family, age.platform if by_platform else None].append(age)
    on = is_cadence_on(context.instance)
    for key, spec in FRESHNESS_SPECS.items():
        if spec.key in context.selected_asset_check_keys:
            yield judge_freshness(
                spec, found.get(key, []), pipeline.settings.stale_after_minutes[key[0]], cadence_on=on
            )


def judge_freshness(
    spec: dg.AssetCheckSpec, family_ages: Sequence[FamilyAge], limits: tuple[int, int], *, cadence_on: bool
) -> dg.AssetCheckResult:
    """What the ages of a family come to: the oldest counts.

    While the cadence is off somebody may mean it so: then a stale family is a warning, however old.
    """
    warn, fail = limits
    metadata: dict[str, float | int | str] = {"warn_after_minutes": warn, "fail_after_minutes": fail}
    if not family_ages:
        words = "No cycle was ever begun: nothing is expected yet."
        return dg.AssetCheckResult(
            passed=True, asset_key=spec.asset_key, check_name=spec.name, description=words, metadata=metadata
        )
    oldest = max(family_ages, key=lambda age: age.age)
    metadata |= {
        "age_minutes": round(oldest.minutes, 1),
        "newest_at": "none" if oldest.newest_at is None else oldest.newest_at.isoformat(),
    }
    stale = [age for age in family_ages if age.minutes > warn]
    said = "; ".join(
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
        description=f"{said}; at most {warn} min are expected. {_advise(oldest.family, cadence_on)}" if stale else None,
        metadata=metadata,
    )


def _advise(family: FreshnessFamily, cadence_on: bool) -> str:
    if family is FreshnessFamily.EXPORT:
        return "See that the schedule nightly_export is on and the last runs of the job export, or run `palimpsest export DAY`."
    if not cadence_on:
        return f"The schedule {FULL_CYCLE_SCHEDULE} is off: `palimpsest cadence on` switches it on, and `palimpsest scrape` runs one cycle."
    if family is FreshnessFamily.FIXTURE_LIFE:
        return "See that the schedule fixture_life_schedule is on, and the last runs of the job fixture_life."
    return "See the last runs of the job full_cycle, and ops.scrape_runs.message of the last cycle; `palimpsest doctor` looks at what they need."


def is_cadence_on(instance: dg.DagsterInstance) -> bool:
    """Whether full cycles are begun by their schedule."""
    state = _find_state(instance, FULL_CYCLE_SCHEDULE)
    return state is not None and state.status.value == RUNNING_STATUS


def _find_state(instance: dg.DagsterInstance, name: str) -> InstigatorState | None:
    """How a schedule or sensor is switched; None when it never was. An instance that keeps no schedules has none on."""
    if instance.schedule_storage is None:
        return None
    return next((state for state in instance.all_instigator_state() if state.instigator_name == name), None)


def _find_kickoff_switch_times(instance: dg.DagsterInstance) -> tuple[datetime | None, datetime | None]:
    """Since when the sensor kickoff is on, and until when it was: its last tick before it was switched off.

    None for what is not known.
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
    """In the last 24 hours each fixture was asked, and answered by at least one platform, at every slot that was due
    for it.

    Slots count from when the kickoff cadence was in use until it was switched off. A cadence that is on again was down
    meanwhile, as far as this can
    tell: Dagster does not keep since when it had been off.
    """
    now = pipeline.clock.now()
    on_since, on_until = _find_kickoff_switch_times(context.instance)
    found = report_slots(pipeline, now - LOOK_BACK, on_until or now, on_since)
    lost, sentence, silence = found.lost_slots, found.describe_losses(), found.describe_silences()
    return dg.AssetCheckResult(
        passed=not sentence,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{sentence}. They cannot be had again. `palimpsest slots` lists them; see that `palimpsest up` runs and the sensor is on."
        if sentence
        else silence or None,
        metadata={
            "in_use": found.is_in_use,
            "slots_due": found.slots.height,
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
    """Every run and every cycle under way gives signs of life, and runs that wait do so because others are at work."""
    runs, cycles = describe_stuck_runs(context.instance, pipeline), describe_silent_cycles(pipeline)
    said = [*runs, *cycles]
    return dg.AssetCheckResult(
        passed=not said,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(said) or None,
        metadata={"stuck_runs": len(runs), "silent_cycles": len(cycles)},
    )


@dg.asset_check(asset=LANDING_ASSET)
def last_ticks_succeeded(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """The last tick of every schedule and sensor that is on succeeded.

    One that fails at every tick, like the sensor that sends alerts, is silent.
    """
    failing = describe_failing_ticks(context.instance)
    return dg.AssetCheckResult(
        passed=not failing,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{'; '.join(failing)}. The ticks and their tracebacks are in the UI under Automation."
        if failing
        else None,
        metadata={"failing_ticks": len(failing)},
    )


@dg.asset_check(asset=ODDS_ASSET)
def nothing_is_left_undone(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """Of every landed hour all of core and mart stands, from what is landed now and in the versions of now, and no
    partition's last run failed.
    """
    left = find_unfinished_work(context.instance, pipeline, DAILY_ASSETS)
    return dg.AssetCheckResult(
        passed=not left,
        severity=dg.AssetCheckSeverity.WARN,
        description=left.sentence or None,
        metadata={
            "hours_due": len(left.due_hours) + left.n_unplanned_hours,
            "hours_refused": len(left.refused_hours),
            "days_failed": len(left.failed_days),
            "partitions_failed": sum(map(len, left.failed_days.values())),
        },
    )


@dg.multi_asset_check(
    name="columns",
    specs=[
        _build_spec(
            asset,
            "columns_are_as_declared",
            f"{', '.join(tables)}: columns, types and whether they may be null are those of the definition.",
        )
        for asset, tables in TABLES_BY_ASSET.items()
    ],
    can_subset=True,
)
def columns_are_as_declared(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """One look at the database's catalogue for all tables."""
    with pipeline.connect() as conn:
        found = drift.find_column_drift(conn)
    for key in context.selected_asset_check_keys:
        wrong = [sentence for table in TABLES_BY_ASSET[key.asset_key] for sentence in found[table]]
        yield dg.AssetCheckResult(
            passed=not wrong,
            asset_key=key.asset_key,
            check_name=key.name,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{'; '.join(wrong)}. Run `palimpsest db upgrade`; what somebody else added has to go."
            if wrong
            else None,
            metadata={"violations": len(wrong)},
        )
