"""The private names of Dagster that this project uses.

No other module of the package imports a private name. They may change in any minor version of Dagster, so
pyproject.toml pins its minor version. The comment above each group says why the names are needed, and which change in
Dagster would make them unnecessary.
"""

from typing import Final

# Needed to read the evaluations of one partition: see AssetCheckExecutionRecord below.
from dagster._core.event_api import PartitionKeyFilter

# Needed to name our repository on runs that a command executes. Without it the UI does not show them on the pages of
# jobs. Unnecessary after https://github.com/dagster-io/dagster/issues/17707 (runs from the command line are missing
# there).
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

# Needed to read the state of schedules and sensors: since when a sensor is on, and which ticks have ended. Unnecessary
# after https://github.com/dagster-io/dagster/issues/12825 (a public interface for the state of schedules and sensors).
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData, TickStatus

# Needed to read the newest evaluation of a check, also of one partition. The public query for events can filter neither
# by check nor by partition. Unnecessary after https://github.com/dagster-io/dagster/issues/17005 (the interface of
# partitioned checks).
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    AssetCheckExecutionRecord,
)

# Needed to delete evaluations that newer ones have replaced, and to keep the runs that hold the newest ones. Dagster
# deletes no evaluation together with its run. Unnecessary after https://github.com/dagster-io/dagster/issues/33785
# (pruning of event logs), if the pruning covers evaluations.
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

# Needed for the tags that name a run's repository and the code server that executes it. Hidden tags have no public
# name; no issue asks for one.
from dagster._core.storage.tags import GRPC_INFO_TAG, REPOSITORY_LABEL_TAG

NO_COMPUTE_LOGS: Final = "dagster._core.storage.noop_compute_log_manager"
"""Module path of the compute log manager that stores no logs, for `dagster.yaml`.

No issue asks for a public name.
"""

__all__ = [
    "COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES",
    "GRPC_INFO_TAG",
    "NO_COMPUTE_LOGS",
    "REPOSITORY_LABEL_TAG",
    "AssetCheckExecutionRecord",
    "AssetCheckExecutionsTable",
    "InstigatorState",
    "PartitionKeyFilter",
    "RegisteredCodeLocationOrigin",
    "RemoteRepositoryOrigin",
    "SensorInstigatorData",
    "TickStatus",
]
