"""A check of partitions tells of each of them, in a run of one and in a run of many."""

from datetime import UTC, datetime

import dagster as dg

from palimpsest_pipeline.defs.launch import span
from palimpsest_pipeline.defs.partition_checks import partition_check
from palimpsest_pipeline.defs.pipeline import Pipeline

HOURS = dg.HourlyPartitionsDefinition(start_date=datetime(2026, 5, 1, tzinfo=UTC), timezone="UTC", end_offset=1)
KEYS = [f"2026-05-01-{hour:02}:00" for hour in range(4)]
BAD = KEYS[2]
KEY = dg.AssetCheckKey(dg.AssetKey(["core", "rows"]), "rows_are_right")


@dg.asset(key=["core", "rows"], partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.multi_run(24))
def rows() -> None:
    """What is judged."""


@dg.asset(key=["mart", "sums"], deps=[rows], partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.multi_run(24))
def sums() -> None:
    """What rests on it."""


@partition_check(asset=["core", "rows"], partitions_def=HOURS, blocking=True)
def rows_are_right(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """All rows are right."""
    return dg.AssetCheckResult(passed=key != BAD, description=f"of {key}", metadata={"violations": int(key == BAD)})


JOB = dg.Definitions(
    assets=[rows, sums],
    asset_checks=[rows_are_right],
    jobs=[dg.define_asset_job("derive", selection=dg.AssetSelection.all())],
    resources={"pipeline": object()},
    executor=dg.in_process_executor,
).resolve_job_def("derive")


def statuses(instance: dg.DagsterInstance) -> dict[str, tuple[str, bool]]:
    """Per partition how its last evaluation ended, and whether it is of the last materialization."""
    found = instance.event_log_storage.get_asset_check_partition_info([KEY])
    return {str(info.partition_key): (info.latest_execution_status.value, info.is_current) for info in found}


def test_a_run_over_several_partitions_has_a_result_for_each_and_a_failed_one_stops_what_is_downstream() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = JOB.execute_in_process(instance=instance, tags=span(KEYS[0], KEYS[-1]), raise_on_error=False)
        told = {str(e.partition): (e.passed, e.description, e.metadata["violations"].value) for e in run.get_asset_check_evaluations()}
        assert told == {key: (key != BAD, f"of {key}", int(key == BAD)) for key in KEYS}
        assert not run.success
        assert not run.asset_materializations_for_node("mart__sums")
        assert statuses(instance) == {key: ("FAILED" if key == BAD else "SUCCEEDED", True) for key in KEYS}


def test_a_run_of_one_partition_has_its_result_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert JOB.execute_in_process(instance=instance, partition_key=KEYS[0]).success
        assert statuses(instance) == {KEYS[0]: ("SUCCEEDED", True)}
