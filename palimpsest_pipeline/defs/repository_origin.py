"""The repository of runs that start outside Dagster's own processes, by which Dagster's UI finds them.

Belongs here: naming the repository on a run. Does not: starting runs.

Overview and the pages of jobs show the runs of a repository alone, and `execute_in_process` creates a run of none.
"""

from typing import Final

import dagster as dg

from .dagster_private import REPOSITORY_LABEL_TAG, RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

LOCATION_NAME: Final = "palimpsest_pipeline"
"""Our code location. Part of a schedule's identity: the same name, however Dagster is started."""
REPOSITORY_ORIGIN: Final = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION_NAME), "__repository__")
REPOSITORY_TAGS: Final = {REPOSITORY_LABEL_TAG: REPOSITORY_ORIGIN.get_label()}
"""Tags that a run is created with, so that it is found by its repository."""


def assign_repository(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Name our repository as the origin of a run that was created with `REPOSITORY_TAGS`.

    Called before the run's first step: the run's row is written anew, and nobody else may write to it meanwhile.
    """
    instance.run_storage.replace_job_origin(run, REPOSITORY_ORIGIN.get_job_origin(run.job_name))
