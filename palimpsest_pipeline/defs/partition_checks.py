"""Checks that judge each partition of a run by itself.

Belongs here: how their results reach Dagster. Does not: what any check looks at.

Dagster plans a check of a run over several partitions partition by partition, and knows one result of it, of no partition: all of them then show as
skipped though the check ran, and nobody can ask later whether a partition passed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import dagster as dg
from dagster import AssetCheckEvaluation
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from .pipeline import Pipeline

CHUNK: Final = 500
"""Partitions that are asked for in one statement."""

Judge = Callable[[Pipeline, str], dg.AssetCheckResult]
"""Judges one partition, given its key."""


def partition_check(
    *,
    asset: Sequence[str],
    partitions_def: dg.PartitionsDefinition,
    blocking: bool = False,
    additional_deps: Sequence[Sequence[str]] = (),
) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """An asset check made of a function of pipeline and partition key. Its docstring is what must hold; a run has a result for each partition."""
    key = dg.AssetKey(asset)

    def decorate(judge: Judge) -> dg.AssetChecksDefinition:
        name = judge.__name__

        @dg.asset_check(
            asset=key, name=name, description=judge.__doc__, blocking=blocking, partitions_def=partitions_def, additional_deps=additional_deps
        )
        def check(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[object]:
            keys = context.partition_keys
            if len(keys) == 1:
                yield judge(pipeline, keys[0])
                return
            targets = _materializations(context.instance, key, keys)
            for partition in keys:
                result = judge(pipeline, partition)
                yield AssetCheckEvaluation(
                    asset_key=key,
                    check_name=name,
                    passed=result.passed,
                    metadata=result.metadata,
                    target_materialization_data=targets.get(partition),
                    severity=result.severity,
                    description=result.description,
                    blocking=blocking,
                    partition=partition,
                )
            yield dg.Output(None)

        return check

    return decorate


def _materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """What is judged: the latest materialization of each partition. A result that names none, or an older one, does not count as one of now."""
    event: Final = dg.DagsterEventType.ASSET_MATERIALIZATION
    found = {}
    for begin in range(0, len(keys), CHUNK):
        latest = instance.event_log_storage.get_latest_storage_id_by_partition(asset, event, set(keys[begin : begin + CHUNK])).values()
        for record in instance.get_asset_event_summary_records(event, asset, storage_ids=list(latest)) if latest else ():
            target = AssetCheckEvaluationTargetMaterializationData(
                run_id=str(record.run_id), storage_id=record.storage_id, timestamp=record.timestamp
            )
            found[str(record.partition)] = target
    return found
