"""Dagster's event log in Postgres, with events of many partitions written together.

Dagster writes one event at a time, but for materializations: what a run of many hours plans, and what each check says of each of them, are some
two thousand statements or transactions. Belongs here: how events reach the tables. Does not: what they say, or how anybody reads them; a reader
finds what Dagster's own storage would have written.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster_postgres.event_log import PostgresEventLogStorage

EVENTS_AT_ONCE: Final = 1000
CHECK_PLANNED: Final = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
PLANNED: Final = frozenset({dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, CHECK_PLANNED})
RESULT: Final = (
    *("partition", "execution_status", "evaluation_event", "evaluation_event_timestamp"),
    *("evaluation_event_storage_id", "materialization_event_storage_id"),
)


class BatchingEventLog(PostgresEventLogStorage):
    """What checks say of partitions is held back until a thousand of them wait, or anything else is written or read: no longer than a step. A run
    that is killed loses the results of the check that it was at, as it loses those materializations of a step that were not told yet."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._held: list[EventLogEntry] = []
        self._alone = threading.RLock()
        super().__init__(*args, **options)

    def _connect(self) -> AbstractContextManager[sa.Connection]:
        self._tell()  # nobody reads or writes past what is held
        return super()._connect()

    def dispose(self) -> None:
        self._tell()
        super().dispose()

    def store_event(self, event: EventLogEntry) -> None:
        if not _is_evaluation_of_a_partition(event):
            super().store_event(event)
            return
        with self._alone:
            self._held.append(event)
            if len(self._held) >= EVENTS_AT_ONCE:
                self._tell()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        if all(event.dagster_event_type in PLANNED for event in events):
            self._store_planned(events)
        else:
            super().store_event_batch(events)

    def _tell(self) -> None:
        with self._alone:
            held, self._held = self._held, []
            if held:
                self._store_evaluations(held)

    def _insert(self, conn: sa.Connection, events: Sequence[EventLogEntry]) -> tuple[list[int], list[str]]:
        """Ids and texts of the events, which are in the log then."""
        rows = [self._event_to_row(event) for event in events]
        ids = conn.execute(SqlEventLogStorageTable.insert().values(rows).returning(SqlEventLogStorageTable.c.id)).scalars().all()
        return [int(found) for found in ids], [row["event"] for row in rows]

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        with self.index_transaction() as conn:
            ids, texts = self._insert(conn, events)
            last = {e.get_dagster_event().asset_key: (e, at) for e, at in zip(events, ids, strict=True) if e.dagster_event_type is not CHECK_PLANNED}
            for event, event_id in last.values():  # an asset's entry is that of its last event
                self._store_asset_event(conn, event, event_id)
            planned = [
                {
                    "asset_key": data.asset_key.to_string(),
                    "check_name": data.check_name,
                    "partition": partition,
                    "run_id": event.run_id,
                    "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
                    "evaluation_event": text,
                    "evaluation_event_timestamp": _instant(event),
                    "evaluation_event_storage_id": event_id,
                }
                for event, event_id, text in zip(events, ids, texts, strict=True)
                if event.dagster_event_type is CHECK_PLANNED
                for data in [event.get_dagster_event().asset_check_planned_data]
                for partition in (data.partitions_subset.get_partition_keys() if data.partitions_subset else [None])
            ]
            if planned:
                conn.execute(AssetCheckExecutionsTable.insert(), planned)

    def _store_evaluations(self, events: Sequence[EventLogEntry]) -> None:
        checks: dict[tuple[str, str, str], dict[str | None, tuple[EventLogEntry, int, str]]] = defaultdict(dict)
        with self.index_transaction() as conn:
            for event, event_id, text in zip(events, *self._insert(conn, events), strict=True):
                said = event.get_dagster_event().asset_check_evaluation_data
                checks[said.asset_key.to_string(), said.check_name, event.run_id][said.partition] = (event, event_id, text)
            written = {of: set(conn.execute(_results(*of, list(told.values()))).scalars()) for of, told in checks.items()}
        for of, told in checks.items():  # what no run has planned
            for partition in told.keys() - written[of]:
                self._update_asset_check_evaluation(*told[partition][:2])


def _instant(event: EventLogEntry) -> datetime:
    """As Dagster's columns have it: in UTC, without saying so."""
    return datetime.fromtimestamp(event.timestamp, UTC).replace(tzinfo=None)


def _is_evaluation_of_a_partition(event: EventLogEntry) -> bool:
    return bool(
        event.run_id
        and event.dagster_event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        and event.get_dagster_event().asset_check_evaluation_data.partition is not None
    )


def _results(asset_key: str, check_name: str, run_id: str, told: Sequence[tuple[EventLogEntry, int, str]]) -> sa.UpdateBase:
    """The results of a check in the place of what its run planned: a row for each partition, whose names are returned."""
    rows = []
    for event, event_id, text in told:
        said = event.get_dagster_event().asset_check_evaluation_data
        target = said.target_materialization_data
        status = AssetCheckExecutionRecordStatus.SUCCEEDED if said.passed else AssetCheckExecutionRecordStatus.FAILED
        rows.append((said.partition, status.value, text, _instant(event), event_id, target.storage_id if target else None))
    table = AssetCheckExecutionsTable
    found = sa.values(*(sa.column(name, table.c[name].type) for name in RESULT), name="told").data(rows).c
    return (
        table.update()
        .where(table.c.asset_key == asset_key, table.c.check_name == check_name, table.c.run_id == run_id, table.c.partition == found.partition)
        .values({name: sa.cast(found[name], table.c[name].type) for name in RESULT[1:]})
        .returning(table.c.partition)
    )
