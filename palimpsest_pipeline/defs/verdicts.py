"""What a check said last, in whatever run. Reads Dagster's instance only."""

from typing import Final

import dagster as dg

from .dagster_private import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED
from .dagster_private import AssetCheckExecutionRecord, PartitionKeyFilter

MOST_AT_ONCE: Final = 4
"""Runs that may be at the same check at the same time."""


def last_verdict(instance: dg.DagsterInstance, check: dg.AssetCheckKey, partition_key: str | None = None) -> AssetCheckExecutionRecord | None:
    """The newest evaluation, of a partition when one is given. Dagster sorts by when a run planned to make it, and a run of minutes is planned before
    a short one, evaluated after."""
    of = None if partition_key is None else PartitionKeyFilter(key=partition_key)
    found = instance.event_log_storage.get_asset_check_execution_history(check, limit=MOST_AT_ONCE, status=COMPLETED, partition_filter=of)
    return max((record for record in found if record.event is not None), key=_made_at, default=None)


def _made_at(record: AssetCheckExecutionRecord) -> float:
    return 0.0 if record.event is None else record.event.timestamp
