"""The deletion of old rows from Dagster's own storage: the logs of runs that ended long ago.

Belongs here: selecting the rows that are not needed any more, and deleting them. Does not belong here: ticks, whose age
`dagster.yaml` limits.

Rows from which Dagster reads the state of an asset or a check stay: materializations, observations, the last evaluation
of each check and partition, and failed attempts, which make a partition count as failed. All rows of unfinished runs
and backfills stay, too. Dagster's own deletion of a run is not used, because it also deletes materializations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg
import sqlalchemy as sa

from ..dagster_private import (
    AssetCheckExecutionsTable,
    BulkActionsTable,
    RunsTable,
    RunTagsTable,
    SqlEventLogStorageTable,
)

EVENTS_PER_BATCH: Final = 20_000
"""Number of log rows that one statement examines. The limit keeps locks short."""
RUNS_PER_BATCH: Final = 500
ENDED_STATUSES: Final = tuple(
    status.value for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
)
ACTIVE_BACKFILL_STATUSES: Final = ("REQUESTED", "CANCELING", "FAILING")
STATE_EVENT_PATTERNS: Final = ("ASSET_%", "FRESHNESS_%", "CODE_LOCATION_%")
"""Patterns of the events from which Dagster reads the state of an asset or of the code."""
STATELESS_EVENT_TYPES: Final = ("ASSET_STORE_OPERATION", "ASSET_CHECK_EVALUATION_PLANNED")
"""Events that match `STATE_EVENT_PATTERNS` but are not needed for any state."""
ATTEMPT_EVENT_TYPES: Final = ("ASSET_MATERIALIZATION_PLANNED", "ASSET_FAILED_TO_MATERIALIZE")
"""Events that make a partition count as failed, until the same partition is materialized later."""

event_table = SqlEventLogStorageTable
check_table = AssetCheckExecutionsTable


@dataclass(frozen=True, slots=True)
class DeletedRows:
    """The numbers of deleted rows: log events, replaced evaluations of checks, and empty runs."""

    n_events: int
    n_check_evaluations: int
    n_runs: int


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> DeletedRows | None:
    """Delete the rows that are not needed any more of runs that ended before the instant `before`.

    Rows are deleted in groups: after an interruption, the deleted rows stay deleted. Returns None and deletes nothing
    if Dagster's storage is not Postgres, because other storages keep runs and logs in separate databases.
    """
    old = _select_old_runs(before)
    with _connect_to_log(instance) as conn:
        if conn.dialect.name != "postgresql":
            return None
        n_checks = sum(_delete_replaced_checks(conn, run_ids) for run_ids in _iterate_run_batches(conn, old))
        n_events = sum(
            _delete_events(conn, first, first + EVENTS_PER_BATCH, before) for first in _list_event_windows(conn, before)
        )
        n_runs = sum(_delete_runs(conn, run_ids) for run_ids in _iterate_run_batches(conn, old))
        conn.execute(sa.text("vacuum (analyze) event_logs, asset_check_executions, runs, run_tags"))
    return DeletedRows(n_events, n_checks, n_runs)


@contextmanager
def _connect_to_log(instance: dg.DagsterInstance) -> Iterator[sa.Connection]:
    """Yield a connection to the database that holds Dagster's logs and runs, in autocommit mode."""
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        yield conn


def _select_old_runs(before: datetime) -> sa.Select[tuple[str]]:
    """Return the query for the ids of runs that ended before the instant and belong to no active backfill."""
    active_backfills = sa.select(BulkActionsTable.c.key).where(BulkActionsTable.c.status.in_(ACTIVE_BACKFILL_STATUSES))
    return sa.select(RunsTable.c.run_id).where(
        RunsTable.c.status.in_(ENDED_STATUSES),
        RunsTable.c.end_time < before.timestamp(),
        sa.or_(RunsTable.c.backfill_id.is_(None), RunsTable.c.backfill_id.not_in(active_backfills)),
    )


def _iterate_run_batches(conn: sa.Connection, old: sa.Select[tuple[str]]) -> Iterator[list[str]]:
    """Yield the ids of the old runs in groups of `RUNS_PER_BATCH`."""
    last = 0
    while rows := conn.execute(
        old.add_columns(RunsTable.c.id).where(RunsTable.c.id > last).order_by(RunsTable.c.id).limit(RUNS_PER_BATCH)
    ).all():
        last = rows[-1].id
        yield [row.run_id for row in rows]


def _list_event_windows(conn: sa.Connection, before: datetime) -> Iterator[int]:
    """Yield the first id of each group of EVENTS_PER_BATCH events that may be older than `before`."""
    first, last = conn.execute(sa.select(sa.func.min(event_table.c.id), sa.func.max(event_table.c.id))).one()
    first_young = conn.execute(
        sa.select(event_table.c.id).where(event_table.c.timestamp >= before).order_by(event_table.c.id).limit(1)
    ).scalar()
    if first is not None:
        yield from range(first, last + 1 if first_young is None else first_young, EVENTS_PER_BATCH)


def _delete_events(conn: sa.Connection, first: int, end: int, before: datetime) -> int:
    kind, later = event_table.c.dagster_event_type, event_table.alias()
    holds_state = sa.and_(
        sa.or_(*(kind.like(pattern) for pattern in STATE_EVENT_PATTERNS)), kind.not_in(STATELESS_EVENT_TYPES)
    )
    materialized_later = sa.exists().where(
        later.c.dagster_event_type == "ASSET_MATERIALIZATION",
        later.c.asset_key == event_table.c.asset_key,
        later.c.partition.is_not_distinct_from(event_table.c.partition),
        later.c.id > event_table.c.id,
    )
    last_evaluation = sa.exists().where(check_table.c.evaluation_event_storage_id == event_table.c.id)
    is_unneeded = sa.or_(
        kind.is_(None),
        sa.not_(holds_state),
        sa.and_(kind.in_(ATTEMPT_EVENT_TYPES), materialized_later),
        sa.and_(kind == "ASSET_CHECK_EVALUATION", sa.not_(last_evaluation)),
    )
    is_in_window = (event_table.c.id >= first, event_table.c.id < end)
    return conn.execute(
        sa.delete(event_table).where(*is_in_window, event_table.c.run_id.in_(_select_old_runs(before)), is_unneeded)
    ).rowcount


def _delete_replaced_checks(conn: sa.Connection, run_ids: list[str]) -> int:
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


def _delete_runs(conn: sa.Connection, run_ids: list[str]) -> int:
    """Delete those of the runs that have no log event and no check evaluation left; return their number."""
    has_rows = sa.or_(
        sa.exists().where(event_table.c.run_id == RunsTable.c.run_id),
        sa.exists().where(check_table.c.run_id == RunsTable.c.run_id),
    )
    empty_runs = list(
        conn.execute(sa.select(RunsTable.c.run_id).where(RunsTable.c.run_id.in_(run_ids), sa.not_(has_rows))).scalars()
    )
    conn.execute(sa.delete(RunTagsTable).where(RunTagsTable.c.run_id.in_(empty_runs)))
    return conn.execute(sa.delete(RunsTable).where(RunsTable.c.run_id.in_(empty_runs))).rowcount
