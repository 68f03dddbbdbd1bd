"""What Dagster's instance knows of failures and recoveries: runs that ended, and how each check stands. Reads only."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG, PARTITION_NAME_TAG

from ...domain.alerts import Alert, Kind, Occurrence, Recovery, is_of_hours
from ...domain.words import Severity
from ..failures import CHECK_FAILED, innermost, partition_of, raise_if_storage_failed
from ..landing.assets import SKIPPED_TAG
from ..replay.runs import JOB as REPLAY
from ..verdicts import last_verdict

MOST_RUNS: Final = 1000
"""Runs that one look takes in, oldest first."""
ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
ASSETS_JOB: Final = "__ASSET_JOB"
"""Job of runs that materialize assets by hand, by a backfill or by a condition: its parts fail and recover one by one."""
BY_STEP: Final = (ASSETS_JOB, REPLAY)
LANDING_STEPS: Final = "landing__"
CHECK_CLASS: Final = "CheckFailed"
RUN_CLASS: Final = "RunFailure"
"""Class of a run that failed outside its steps: it could not start, or its process died."""
UNREADABLE_CLASS: Final = "UnreadableRecord"
"""Class of a run or an evaluation that Dagster keeps and that this version cannot read."""

Events = list[Occurrence | Recovery]


def run_events(instance: dg.DagsterInstance, since: datetime, log: logging.Logger) -> tuple[Events, datetime | None]:
    """Return the events of the runs that ended and changed after `since`; and the instant reached, when one look cannot take in all of them.

    A run that cannot be read is an occurrence of its own, and the others are read all the same.
    """
    records = instance.get_run_records(
        dg.RunsFilter(statuses=ENDED, updated_after=since), limit=MOST_RUNS, order_by="update_timestamp", ascending=True
    )
    events: Events = []
    for record in records:
        at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time is not None else record.update_timestamp.astimezone(UTC)
        run = record.dagster_run
        read = _succeeded if run.status is dg.DagsterRunStatus.SUCCESS else _failed
        try:
            events += read(instance, run, at)
        except Exception as error:
            raise_if_storage_failed(error)
            log.warning("run %s of %s ended, and its record cannot be read", run.run_id, run.job_name, exc_info=True)
            events.append(_unreadable(Kind.RUN, run.job_name, f"run {run.run_id}", error, at, _partition(run)))
    return events, records[-1].update_timestamp.astimezone(UTC) if len(records) == MOST_RUNS else None


def check_events(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey], known: Iterable[Alert], now: datetime, log: logging.Logger
) -> Iterator[Occurrence | Recovery]:
    """Yield the state of each check: of its last evaluation, and of the last one of each date that has an alert of `known`.

    A check that was never evaluated yields nothing. One whose evaluation cannot be read is an occurrence of its own, and the others are read all the
    same.
    """
    for key, date in (*((key, None) for key in keys), *_dates_of_alerts(keys, known)):
        try:
            found = _state_of_check(instance, key, date)
        except Exception as error:
            raise_if_storage_failed(error)
            log.warning("the last evaluation of the check %s cannot be read", subject_of(key), exc_info=True)
            found = _unreadable(Kind.CHECK, subject_of(key), "its last evaluation", error, now, date)
        if found is not None:
            yield found


def _dates_of_alerts(keys: Sequence[dg.AssetCheckKey], known: Iterable[Alert]) -> Iterator[tuple[dg.AssetCheckKey, str]]:
    by_subject = {subject_of(key): key for key in keys}
    for alert in known:
        check = by_subject.get(alert.subject)
        if alert.kind is Kind.CHECK and alert.closed_at is None and check is not None:
            yield from ((check, key) for key in alert.partition_keys if not is_of_hours(key))


def _state_of_check(instance: dg.DagsterInstance, key: dg.AssetCheckKey, date: str | None) -> Occurrence | Recovery | None:
    record = last_verdict(instance, key, date)
    event = None if record is None or record.event is None else record.event.dagster_event
    if record is None or record.event is None or event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    return _evaluated(event.asset_check_evaluation_data, record.event.timestamp)


def _unreadable(kind: Kind, subject: str, record: str, error: Exception, at: datetime, partition_key: str | None) -> Occurrence:
    message = f"{record} cannot be read ({type(error).__name__}: {error}): look at it in Dagster's UI"
    return Occurrence(kind, subject, UNREADABLE_CLASS, Severity.ERROR, message, at, partition_key)


def subject_of(key: dg.AssetCheckKey) -> str:
    """A check as alerts name it: `mart/coverage_fixture:classes_follow_the_platforms`."""
    return f"{key.asset_key.to_user_string()}:{key.name}"


def _evaluated(found: dg.AssetCheckEvaluation, timestamp_s: float) -> Occurrence | Recovery:
    subject, at = subject_of(found.asset_check_key), datetime.fromtimestamp(timestamp_s, UTC)
    if found.passed:
        return Recovery(Kind.CHECK, subject, at, found.partition)
    severity = Severity.ERROR if found.severity is dg.AssetCheckSeverity.ERROR else Severity.WARN
    return Occurrence(Kind.CHECK, subject, CHECK_CLASS, severity, found.description or "it says no more", at, found.partition)


def _partition(run: dg.DagsterRun) -> str | None:
    """The last partition of the run."""
    return run.tags.get(ASSET_PARTITION_RANGE_END_TAG) or run.tags.get(PARTITION_NAME_TAG)


def _step(key: str) -> str:
    """A step as alerts name it that materializes an asset by hand, by a backfill or by a condition."""
    return f"{ASSETS_JOB}:{key}"


def _is_derived(step_key: str) -> bool:
    """Whether the step can make good any hour, later too: the landing cannot."""
    return not step_key.startswith(LANDING_STEPS)


def _succeeded(instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime) -> Events:
    """Of its job, as of a cadence; and of each of its steps, whatever the job: an hour that failed by hand may be derived by the next cycle in it. A
    run that had nothing to do shows nothing."""
    if SKIPPED_TAG in run.tags:
        return []
    last = _partition(run)
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG)
    keys = [step.step_key for step in instance.get_run_step_stats(run.run_id)]
    by_step = [Recovery(Kind.RUN, _step(key), at, last, (first or last) if _is_derived(key) else None) for key in keys]
    return [Recovery(Kind.RUN, run.job_name, at, last, first if last is not None and not is_of_hours(last) else None), *by_step]


def _failed(instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime) -> Events:
    """The first failed step by its innermost cause; blocking checks that stopped the run by themselves; else what the run's own end says."""
    step = _first(instance, run, dg.DagsterEventType.STEP_FAILURE)
    event = None if step is None else step.dagster_event
    if event is not None and event.step_failure_data.error is not None:
        error_class, message = innermost(event.step_failure_data.error)
        if error_class == CHECK_FAILED and (checks := _blocking(instance, run)):
            return checks
        if run.job_name in BY_STEP and event.step_key is not None:
            hour = partition_of(event) or _partition(run)
            return [Occurrence(Kind.RUN, _step(event.step_key), error_class, Severity.ERROR, message, at, hour, _is_derived(event.step_key))]
        subject = run.job_name
    else:
        end = _first(instance, run, dg.DagsterEventType.RUN_FAILURE)
        ended = None if end is None else end.dagster_event
        # A run that somebody else marked as failed, like one whose process was killed, carries a message and no failure data.
        error = None if ended is None or ended.event_specific_data is None else ended.job_failure_data.error
        said = "" if end is None or ended is None else ended.message or end.user_message
        subject, (error_class, message) = run.job_name, innermost(error) if error is not None else (RUN_CLASS, said or "it says no more")
    return [Occurrence(Kind.RUN, subject, error_class, Severity.ERROR, message, at, _partition(run))]


def _blocking(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Events:
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [(entry.timestamp, entry.dagster_event.asset_check_evaluation_data) for entry in entries if entry.dagster_event is not None]
    return [_evaluated(evaluation, timestamp_s) for timestamp_s, evaluation in found if evaluation.blocking and not evaluation.passed]


def _first(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> dg.EventLogEntry | None:
    records = instance.get_records_for_run(run.run_id, of_type=kind, limit=1).records
    return records[0].event_log_entry if records else None
