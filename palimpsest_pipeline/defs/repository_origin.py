"""The repository named on runs that start outside Dagster's own processes, so that the UI shows them.

The overview and the pages of jobs show only runs with a repository, and `execute_in_process` creates a run without one.
"""

from typing import Final

import dagster as dg

from .dagster_private import REPOSITORY_LABEL_TAG, RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

LOCATION_NAME: Final = "palimpsest_pipeline"
"""Name of our code location.

It is part of a schedule's identity, so it must be the same however Dagster is started.
"""
REPOSITORY_ORIGIN: Final = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION_NAME), "__repository__")
REPOSITORY_TAGS: Final = {REPOSITORY_LABEL_TAG: REPOSITORY_ORIGIN.get_label()}
"""Tags for creating a run; by these tags Dagster finds the run from its repository."""


def assign_repository(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Name our repository as the origin of a run that was created with `REPOSITORY_TAGS`.

    Call it before the run's first step: it rewrites the run's row, and no other process may write to the row meanwhile.
    """
    instance.run_storage.replace_job_origin(run, REPOSITORY_ORIGIN.get_job_origin(run.job_name))
