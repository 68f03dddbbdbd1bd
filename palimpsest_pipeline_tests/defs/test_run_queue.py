"""Which runs of a full queue Dagster takes: scrapes find a free slot however many derivations wait."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.instance import render_instance_yaml
from palimpsest_pipeline.defs.repository_origin import REPOSITORY_ORIGIN
from palimpsest_pipeline.runtime import run_priorities

SCRAPES = ("full_cycle", "kickoff_window", "refresh")
ASSETS_JOB = "__ASSET_JOB"
BACKFILL = {"dagster/backfill": "b1"}


@dataclass
class Workspace:
    """What the queue asks of a workspace when a launcher does nothing with it."""

    instance: dg.DagsterInstance

    def create_request_context(self) -> None:
        return None


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the queue of ours, that launches nothing."""
    ours = yaml.safe_load(render_instance_yaml(None, celery=False, max_concurrent_runs=4))
    launcher = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
    coordinator = {**ours["run_coordinator"], "config": {"dequeue_interval_seconds": 1}}
    with dg.DagsterInstance.local_temp(
        str(tmp_path),
        overrides={"run_coordinator": coordinator, "concurrency": ours["concurrency"], "run_launcher": launcher},
    ) as found:
        yield found


@dg.op
def nothing() -> None:
    pass


def queue(instance: dg.DagsterInstance, job: str, tags: dict[str, str] | None = None) -> None:
    """A queued run with the name and the tags of our job, and none of its steps."""
    own = {} if job == ASSETS_JOB else defs.resolve_job_def(job).tags
    definition = dg.GraphDefinition(job, node_defs=[nothing]).to_job()
    origin = REPOSITORY_ORIGIN.get_job_origin(job)
    instance.create_run_for_job(
        definition, tags={**own, **(tags or {})}, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin
    )


def taken(instance: dg.DagsterInstance) -> Counter[str]:
    """Jobs of the runs that execute once the queue has been looked at."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    list(daemon.run_iteration(Workspace(instance)))  # type: ignore[arg-type]
    return Counter(run.job_name for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])))


def test_two_slots_stay_free_for_scrapes_when_the_queue_is_full_of_derivations(instance: dg.DagsterInstance):
    for _ in range(2):
        for job in ("export", "upkeep", "fixture_life", "health", "present", "replay", "cycle_marts"):
            queue(instance, job)
        queue(instance, ASSETS_JOB, BACKFILL)
        queue(instance, "replay", BACKFILL)
    before = taken(instance)
    assert sum(before.values()) == 2, "a derivation and a run of a backfill"
    queue(instance, "kickoff_window")
    queue(instance, "full_cycle")
    assert taken(instance) - before == Counter(["kickoff_window", "full_cycle"])


def test_every_job_that_asks_no_platform_counts_as_a_derivation():
    jobs = {
        name: defs.resolve_job_def(name) for name in defs.get_repository_def().job_names if not name.startswith("__")
    }
    derivations = {
        name for name, job in jobs.items() if job.tags.get(run_priorities.WORK_TAG) == run_priorities.DERIVATION_WORK
    }
    assert derivations == jobs.keys() - set(SCRAPES)


@pytest.mark.parametrize(("max_concurrent_runs", "derivations"), [(1, 1), (3, 1), (4, 1), (8, 5)])
def test_derivations_have_what_scrapes_and_a_backfill_leave(max_concurrent_runs: int, derivations: int):
    limits = yaml.safe_load(render_instance_yaml(None, celery=False, max_concurrent_runs=max_concurrent_runs))[
        "concurrency"
    ]["runs"]["tag_concurrency_limits"]
    assert {"key": run_priorities.WORK_TAG, "value": run_priorities.DERIVATION_WORK, "limit": derivations} in limits
