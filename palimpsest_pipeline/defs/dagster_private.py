"""Private names of Dagster that this project needs.

No other module of the product imports a private name. They may change in any minor version of Dagster, so
pyproject.toml pins its minor version. The comment above each group says why the names are needed, and which change in
Dagster would make them unnecessary.
"""

from typing import Final

# Asks for the evaluations of one partition: see AssetCheckExecutionRecord below.
from dagster._core.event_api import PartitionKeyFilter

# Runs that a command executes name our repository. Without it the UI does not show them on the pages of jobs.
# Ends with https://github.com/dagster-io/dagster/issues/17707 (runs from the command line are missing there).
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

# The state of schedules and sensors, since when a sensor is on, and which ticks have ended.
# Ends with https://github.com/dagster-io/dagster/issues/12825 (a public interface for the state of schedules and
# sensors).
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData, TickStatus

# The newest evaluation of a check, of one partition too. The public query for events knows neither the check nor the
# partition of an evaluation. Ends with the interface of partitioned checks,
# https://github.com/dagster-io/dagster/issues/17005.
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    AssetCheckExecutionRecord,
)

# Old logs are deleted and the state of partitions is kept. Dagster deletes a run with its materializations only.
# Ends with https://github.com/dagster-io/dagster/issues/33785 (pruning of event logs), if the pruning keeps the state
# of partitions.
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import BulkActionsTable, RunsTable, RunTagsTable

# The tags that name a run's repository and the code server that executes it. Hidden tags have no public name; no issue
# asks for one.
from dagster._core.storage.tags import GRPC_INFO_TAG, REPOSITORY_LABEL_TAG

NO_COMPUTE_LOGS: Final = "dagster._core.storage.noop_compute_log_manager"
"""Module of the manager that stores no logs of processes, as `dagster.yaml` names it.

No issue asks for a public name.
"""

__all__ = [
    "COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES",
    "GRPC_INFO_TAG",
    "NO_COMPUTE_LOGS",
    "REPOSITORY_LABEL_TAG",
    "AssetCheckExecutionRecord",
    "AssetCheckExecutionsTable",
    "BulkActionsTable",
    "InstigatorState",
    "PartitionKeyFilter",
    "RegisteredCodeLocationOrigin",
    "RemoteRepositoryOrigin",
    "RunTagsTable",
    "RunsTable",
    "SensorInstigatorData",
    "SqlEventLogStorageTable",
    "TickStatus",
]
