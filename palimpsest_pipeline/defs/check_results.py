"""The names and the results of checks: building results, and reading them in Dagster's instance."""

from typing import Final

import dagster as dg

from .dagster_private import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED
from .dagster_private import AssetCheckExecutionRecord, PartitionKeyFilter

MAX_PARALLEL_RUNS: Final = 4
"""Maximum number of runs that evaluate the same check at the same time."""


def build_result(
    problem: str | None, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR, **figures: int
) -> dg.AssetCheckResult:
    """Return the result of a check that has failed if there is a `problem`, which is then its description."""
    return dg.AssetCheckResult(passed=not problem, severity=severity, description=problem or None, metadata=figures)


def name_check(key: dg.AssetCheckKey) -> str:
    """Return the name of a check as alerts and ops.cycle_checks use it.

    For example `mart/coverage_fixture:classes_follow_the_platforms`.
    """
    return f"{key.asset_key.to_user_string()}:{key.name}"


def list_blocking_failures(instance: dg.DagsterInstance, run_id: str) -> list[tuple[dg.AssetCheckEvaluation, float]]:
    """Return the failed evaluations of blocking checks in a run, of any severity, each with its Unix time."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [
        (entry.dagster_event.asset_check_evaluation_data, entry.timestamp)
        for entry in entries
        if entry.dagster_event is not None
    ]
    return [
        (evaluation, timestamp_s)
        for evaluation, timestamp_s in evaluations
        if evaluation.blocking and not evaluation.passed
    ]


def find_last_evaluation(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, partition_key: str | None = None
) -> AssetCheckExecutionRecord | None:
    """Return the newest evaluation of a check over all runs, of one partition if it is given.

    Dagster sorts evaluations by the time at which their run planned them. An evaluation of a long run may therefore be
    newer than one of a short run that was planned later, so this function compares the times of the newest evaluations.
    """
    partition_filter = None if partition_key is None else PartitionKeyFilter(key=partition_key)
    records = instance.event_log_storage.get_asset_check_execution_history(
        check, limit=MAX_PARALLEL_RUNS, status=COMPLETED, partition_filter=partition_filter
    )
    evaluations = [(record.event.timestamp, record) for record in records if record.event is not None]
    return max(evaluations, key=lambda evaluation: evaluation[0], default=(0.0, None))[1]
