"""The results of checks that Dagster's instance knows, and the names of checks. Reads only."""

from typing import Final

import dagster as dg

from .dagster_private import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED
from .dagster_private import AssetCheckExecutionRecord, PartitionKeyFilter

MAX_PARALLEL_RUNS: Final = 4
"""Runs that may be at the same check at the same time."""


def name_check(key: dg.AssetCheckKey) -> str:
    """Return the name of a check in alerts and in ops.cycle_checks, e.g.

    `mart/coverage_fixture:classes_follow_the_platforms`.
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
    """Return the newest evaluation of a check in any run, of a partition when one is given.

    Dagster sorts evaluations by when their run planned them. A long run plans its evaluation before a short one, and
    makes it after that.
    """
    of = None if partition_key is None else PartitionKeyFilter(key=partition_key)
    found = instance.event_log_storage.get_asset_check_execution_history(
        check, limit=MAX_PARALLEL_RUNS, status=COMPLETED, partition_filter=of
    )
    return max((record for record in found if record.event is not None), key=_read_evaluation_time, default=None)


def _read_evaluation_time(record: AssetCheckExecutionRecord) -> float:
    return 0.0 if record.event is None else record.event.timestamp
