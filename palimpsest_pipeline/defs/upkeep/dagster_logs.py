"""The deletion of runs that ended long ago from Dagster's storage, with their logs.

`dagster.yaml` limits the age of ticks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg
import sqlalchemy as sa

from ..dagster_private import AssetCheckExecutionsTable

_ENDED_STATUSES: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)

check_table = AssetCheckExecutionsTable


@dataclass(frozen=True, slots=True)
class DeletedRuns:
    """The numbers of deleted runs, and of deleted evaluations of checks that a newer one has replaced."""

    n_runs: int
    n_check_evaluations: int


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> DeletedRuns:
    """Delete the runs that ended before `before`, but those that hold the state of an asset or a check.

    These hold the newest materialization of an asset or of one of its partitions, the newest attempt (which makes a
    partition count as failed, until it is materialized later), or the newest evaluation of a check.
    """
    filters = dg.RunsFilter(statuses=_ENDED_STATUSES, created_before=before)
    old_ids = [
        record.dagster_run.run_id
        for record in instance.get_run_records(filters)
        if record.end_time is not None and record.end_time < before.timestamp()
    ]
    needed_ids = _find_asset_runs(instance)
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        n_evaluations = _delete_replaced_checks(conn, old_ids)
        has_evaluation = sa.select(check_table.c.run_id).where(check_table.c.run_id.in_(old_ids))
        needed_ids.update(conn.execute(has_evaluation).scalars())
    unneeded_ids = [run_id for run_id in old_ids if run_id not in needed_ids]
    for run_id in unneeded_ids:
        instance.delete_run(run_id)
    return DeletedRuns(len(unneeded_ids), n_evaluations)


def _find_asset_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs with the newest materialization or attempt of an asset or of one of its partitions."""
    records = (record for key in instance.get_asset_keys() for record in _iterate_newest_records(instance, key))
    return {record.run_id for record in records}


def _iterate_newest_records(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    for event_type, fetch in (
        (dg.DagsterEventType.ASSET_MATERIALIZATION, instance.fetch_materializations),
        (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, instance.fetch_planned_materializations),
    ):
        yield from fetch(key, limit=1).records
        ids = list(instance.get_latest_storage_id_by_partition(key, event_type).values())
        if ids:
            yield from fetch(dg.AssetRecordsFilter(key, storage_ids=ids), limit=len(ids)).records


def _delete_replaced_checks(conn: sa.Connection, run_ids: Sequence[str]) -> int:
    """Delete evaluations that are older than another of the same check and partition; return their number."""
    newer = check_table.alias()
    has_newer = sa.exists().where(
        newer.c.asset_key == check_table.c.asset_key,
        newer.c.check_name == check_table.c.check_name,
        newer.c.partition.is_not_distinct_from(check_table.c.partition),
        newer.c.execution_status.in_(("SUCCEEDED", "FAILED")),
        newer.c.id > check_table.c.id,
    )
    return conn.execute(sa.delete(check_table).where(check_table.c.run_id.in_(run_ids), has_newer)).rowcount
