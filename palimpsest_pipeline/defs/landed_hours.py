"""The hours of a run that have landed answers: an hour without any is not materialized.

Belongs here: which hours of a run are derived, and what the run says of the others. Does not: deriving them.
"""

from datetime import timedelta

import dagster as dg

from ..domain.instants import parse_hour_key
from .landing.assets import SKIPPED_TAG
from .pipeline import Pipeline


def landed_hours(context: dg.AssetExecutionContext, pipeline: Pipeline) -> list[str]:
    """Return the partition keys of the run whose hour has landed answers, in order. The run's log names the others.

    When no hour has any, the run is tagged as skipped, and the list is empty: the asset must then return without a result, so that nothing is
    materialized and nothing downstream runs. Where some have, the materializations of the others say `skipped`.
    """
    landed = [key for key in context.partition_keys if pipeline.landing.has_cycles(parse_hour_key(key))]
    empty = [key for key in context.partition_keys if key not in landed]
    if not empty:
        return landed
    hours = empty[0] if len(empty) == 1 else f"{len(empty)} hours, {', '.join(stretches(empty))}"
    reason = f"nothing is landed of {hours}: never scraped, or its raw answers have expired"
    context.log.warning(f"skipped: {reason}")
    for key in empty if landed else ():  # Dagster materializes all partitions of a run or none
        for asset in context.selected_asset_keys:
            context.add_asset_metadata({"skipped": "nothing is landed"}, asset_key=asset, partition_key=key)
    if not landed:
        context.instance.add_run_tags(context.run.run_id, {SKIPPED_TAG: reason})
    return landed


def stretches(keys: list[str]) -> list[str]:
    """Return hour keys, given in order, as text: hours that follow each other as `FIRST to LAST`."""
    found: list[list[str]] = []
    for key in keys:
        if found and (parse_hour_key(key) - parse_hour_key(found[-1][-1])) == timedelta(hours=1):
            found[-1] = [found[-1][0], key]
        else:
            found.append([key])
    return [" to ".join(stretch) for stretch in found]
