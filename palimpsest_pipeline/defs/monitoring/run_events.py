"""Failures and recoveries in Dagster's instance: ended runs, and the last result of each check.

Writes nothing. `pipeline/monitoring/cycle_events` reads the failures of cycles.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.alerts import (
    CHECK_ERROR_CLASS,
    AlertKind,
    Events,
    Occurrence,
    PipelineAlert,
    Recovery,
    join_keys,
)
from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.pipeline.derive_hour import CyclesFailed
from palimpsest_pipeline.pipeline.marts.derive_lifecycle import LIFECYCLE_JOB as FIXTURE_LIFE
from palimpsest_pipeline.runtime.run_tags import (
    PARTITION_RANGE_END_TAG,
    PARTITION_RANGE_START_TAG,
    PARTITION_TAG,
    SKIPPED_TAG,
)

from ..check_results import find_last_evaluation, list_blocking_failures, name_check
from ..cycle_jobs import replay_job
from ..derive_run import RunHasFailedCycles
from ..run_cycles import LANDING_STEP_PREFIX
from ..step_failures import CHECK_FAILED_CLASS, find_innermost_error, list_causes, raise_if_storage_failed
from ..upkeep.jobs import export_job

MAX_RUNS: Final = 1000
"""Maximum number of runs that one call reads, oldest first."""
STEP_FAILURE: Final = dg.DagsterEventType.STEP_FAILURE
_ENDED_STATUSES: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
ASSETS_JOB: Final = "__ASSET_JOB"
"""Job of runs that materialize assets by hand or in a backfill. Its steps fail and recover one by one."""
STEPWISE_JOBS: Final = (ASSETS_JOB, replay_job.name)
JOBS_BY_DATE: Final = (FIXTURE_LIFE, export_job.name)
"""Jobs with one run per date. A success on one date is no recovery of another date."""
CYCLE_ERROR_CLASSES: Final = {RunHasFailedCycles.__name__, CyclesFailed.__name__}
"""Errors of runs in which cycles failed. Alerts by cycle report these failures."""
RUN_ERROR_CLASS: Final = "RunFailure"
"""Error class of a run that failed outside its steps: it could not start, or its process died."""
UNREADABLE_ERROR_CLASS: Final = "UnreadableRecord"
"""Error class of a run or an evaluation in Dagster's storage that this version cannot read."""


def list_run_events(
    instance: dg.DagsterInstance, since: datetime, by_cycle: Collection[str], log: logging.Logger
) -> tuple[Events, datetime | None]:
    """Return the events of the runs that ended after `since`, and how far runs were read.

    The second value is the instant up to which runs were read, or None when all were read. A run that cannot be read
    becomes an occurrence of its own and does not stop the others. `by_cycle` contains the names of the checks that
    judge cycles.
    """
    records = instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED_STATUSES, updated_after=since),
        limit=MAX_RUNS,
        order_by="update_timestamp",
        ascending=True,
    )
    events: Events = []
    for record in records:
        at = (
            datetime.fromtimestamp(record.end_time, UTC)
            if record.end_time is not None
            else record.update_timestamp.astimezone(UTC)
        )
        run, partition = record.dagster_run, None
        try:
            partition = _find_partition_dates(run)
            events += (
                _list_recoveries(instance, run, at, partition)
                if run.status is dg.DagsterRunStatus.SUCCESS
                else _list_occurrences(instance, run, at, partition, by_cycle)
            )
        except Exception as error:
            raise_if_storage_failed(error)
            log.warning("run %s of %s ended, and its record cannot be read", run.run_id, run.job_name, exc_info=True)
            events.append(
                _build_unreadable_event(AlertKind.RUN, run.job_name, f"run {run.run_id}", error, at, partition)
            )
    return events, records[-1].update_timestamp.astimezone(UTC) if len(records) == MAX_RUNS else None


def list_check_events(
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetCheckKey],
    latest_alerts: Iterable[PipelineAlert],
    now: datetime,
    log: logging.Logger,
) -> Iterator[Occurrence | Recovery]:
    """Yield the last evaluation of each check, and of each date with an open alert in `latest_alerts`.

    For a check that was never evaluated nothing is yielded. A check whose evaluation cannot be read yields an
    occurrence of its own and does not stop the others.
    """
    for key, day in (*((key, None) for key in keys), *_list_alert_dates(keys, latest_alerts)):
        try:
            check_event = _read_check_event(instance, key, day)
        except Exception as error:
            raise_if_storage_failed(error)
            log.warning("the last evaluation of the check %s cannot be read", name_check(key), exc_info=True)
            check_event = _build_unreadable_event(
                AlertKind.CHECK, name_check(key), "its last evaluation", error, now, day
            )
        if check_event is not None:
            yield check_event


def _list_alert_dates(
    keys: Sequence[dg.AssetCheckKey], latest_alerts: Iterable[PipelineAlert]
) -> Iterator[tuple[dg.AssetCheckKey, str]]:
    by_subject = {name_check(key): key for key in keys}
    for alert in latest_alerts:
        check = by_subject.get(alert.subject)
        if alert.kind is AlertKind.CHECK and alert.closed_at is None and check is not None:
            yield from ((check, key) for key in alert.partition_keys)


def _read_check_event(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, day: str | None
) -> Occurrence | Recovery | None:
    record = find_last_evaluation(instance, key, day)
    event = None if record is None or record.event is None else record.event.dagster_event
    if (
        record is None
        or record.event is None
        or event is None
        or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ):
        return None
    return _build_check_event(event.asset_check_evaluation_data, record.event.timestamp)


def _build_unreadable_event(
    kind: AlertKind, subject: str, record: str, error: Exception, at: datetime, partition_key: str | None
) -> Occurrence:
    message = f"{record} cannot be read ({type(error).__name__}: {error}): look at it in Dagster's UI"
    return Occurrence(
        kind,
        subject,
        UNREADABLE_ERROR_CLASS,
        Severity.ERROR,
        message,
        at,
        partition_key,
        is_per_partition=partition_key is not None,
    )


def _build_check_event(evaluation: dg.AssetCheckEvaluation, timestamp_s: float) -> Occurrence | Recovery:
    subject, at = name_check(evaluation.asset_check_key), datetime.fromtimestamp(timestamp_s, UTC)
    if evaluation.passed:
        return Recovery(AlertKind.CHECK, subject, at, evaluation.partition)
    severity = Severity.ERROR if evaluation.severity is dg.AssetCheckSeverity.ERROR else Severity.WARN
    message = evaluation.description or "no reason was given"
    return Occurrence(
        AlertKind.CHECK,
        subject,
        CHECK_ERROR_CLASS,
        severity,
        message,
        at,
        evaluation.partition,
        is_per_partition=evaluation.partition is not None,
    )


def _find_partition_dates(run: dg.DagsterRun) -> str | None:
    """Return the dates of the run's partitions, separated by commas; None without partitions."""
    first, last, key = (
        run.tags.get(tag) for tag in (PARTITION_RANGE_START_TAG, PARTITION_RANGE_END_TAG, PARTITION_TAG)
    )
    if first is not None and last is not None:
        begins_on, ends_on = date.fromisoformat(first), date.fromisoformat(last)
        return join_keys((begins_on + timedelta(days=n)).isoformat() for n in range((ends_on - begins_on).days + 1))
    return key


def _name_step(key: str) -> str:
    """Return the name under which alerts show a step that was run by hand or by a backfill."""
    return f"{ASSETS_JOB}:{key}"


def _is_derived(step_key: str) -> bool:
    """Return whether the step can be repeated for a past day. Steps of the landing cannot."""
    return not step_key.startswith(LANDING_STEP_PREFIX)


def _list_recoveries(instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime, partition: str | None) -> Events:
    """Return the recoveries of the run's job and of its steps; none for a skipped run.

    A run that scrapes derives only its own cycles, so it is no recovery of a day whose derivation failed.
    """
    if SKIPPED_TAG in run.tags:
        return []
    steps = [step.step_key for step in instance.get_run_step_stats(run.run_id)]
    scrapes = not all(map(_is_derived, steps))
    by_step = [
        Recovery(AlertKind.RUN, _name_step(key), at, partition if _is_derived(key) else None)
        for key in steps
        if not (scrapes and _is_derived(key))
    ]
    return [Recovery(AlertKind.RUN, run.job_name, at, partition if run.job_name in JOBS_BY_DATE else None), *by_step]


def _list_occurrences(
    instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime, partition: str | None, by_cycle: Collection[str]
) -> Events:
    """Return the occurrences of a failed run: its failed step, its failed blocking checks, or its error.

    The first failed step is reported, with its innermost cause; without one, the blocking checks that stopped the run;
    else the error that ended the run. Steps that failed because of cycles, and checks that judge cycles, are left out:
    `list_cycle_events` reports them.
    """
    failures = [
        record.event_log_entry.dagster_event
        for record in instance.get_records_for_run(run.run_id, of_type=STEP_FAILURE).records
    ]
    steps = [
        (event, error)
        for event in failures
        if event is not None and (error := event.step_failure_data.error) is not None
    ]
    for event, error in steps:
        if not CYCLE_ERROR_CLASSES.isdisjoint(str(each.cls_name) for each in list_causes(error)):
            continue
        error_class, message = find_innermost_error(error)
        if error_class == CHECK_FAILED_CLASS and (
            checks := [_build_check_event(*failure) for failure in list_blocking_failures(instance, run.run_id)]
        ):
            if other_checks := [check for check in checks if check.subject not in by_cycle]:
                return other_checks
            continue
        if run.job_name in STEPWISE_JOBS and event.step_key is not None:
            is_per_partition = partition is not None and _is_derived(event.step_key)
            return [
                Occurrence(
                    AlertKind.RUN,
                    _name_step(event.step_key),
                    error_class,
                    Severity.ERROR,
                    message,
                    at,
                    partition,
                    is_per_partition,
                )
            ]
        break
    else:
        if steps:
            return []
        error_class, message = _find_run_error(instance, run)
    is_per_partition = partition is not None and run.job_name in JOBS_BY_DATE
    return [
        Occurrence(AlertKind.RUN, run.job_name, error_class, Severity.ERROR, message, at, partition, is_per_partition)
    ]


def _find_run_error(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, str]:
    """Return the class and message of the error that ended a run outside its steps."""
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE, limit=1).records
    entry = records[0].event_log_entry if records else None
    event = None if entry is None else entry.dagster_event
    # A run that another process reported as failed, e.g. after a kill, has a message and no failure data.
    error = None if event is None or event.event_specific_data is None else event.job_failure_data.error
    if error is not None:
        return find_innermost_error(error)
    message = "" if entry is None or event is None else event.message or entry.user_message
    return RUN_ERROR_CLASS, message or "no reason was given"
