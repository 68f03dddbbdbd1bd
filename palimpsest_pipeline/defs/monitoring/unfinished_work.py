"""Unfinished work: hours with due products or unreadable answers, and days whose last run failed.

The number of retries is limited everywhere, so a lasting failure would become silent. This list keeps it visible.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import STUCK_AFTER, list_cycles_without_pack, make_due_query
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.storage.derivation.due_products import read_due_hours

from ..asset_partitions import day_partitions, format_day_key

MAX_PLANNED_HOURS: Final = 48
"""Maximum number of hours whose landing is examined. Further hours are only counted."""
MAX_NAMED_HOURS: Final = 5


@dataclass(frozen=True, slots=True)
class UnfinishedWork:
    """The unfinished work of an installation, by hour and by day."""

    due_hours: Mapping[str, str]
    """Key of each hour with due products to the reason."""
    refused_hours: Mapping[str, str]
    """Key of each hour from which nothing can be derived to the reason."""
    failed_days: Mapping[str, Sequence[str]]
    """Key of each UTC day to the assets whose last run of that day failed."""
    n_unplanned_hours: int
    """Number of further hours that were not examined because of `MAX_PLANNED_HOURS`."""

    def __bool__(self) -> bool:
        return bool(self.due_hours or self.refused_hours or self.failed_days or self.n_unplanned_hours)

    @property
    def sentence(self) -> str:
        """The unfinished work as a sentence with advice; empty if there is none."""
        sentences = []
        if self.due_hours or self.n_unplanned_hours:
            reasons = "; ".join(f"{key}: {why}" for key, why in list(self.due_hours.items())[:MAX_NAMED_HOURS])
            sentences.append(
                f"{len(self.due_hours) + self.n_unplanned_hours} hours are due ({reasons or 'not examined'}): run"
                " `palimpsest backfill --stale`"
            )
        if self.refused_hours:
            key, why = next(iter(self.refused_hours.items()))
            sentences.append(f"{len(self.refused_hours)} hours cannot be derived, e.g. {key}: {why}")
        named_days = {key[: len("2026-06-26")] for key in (*self.due_hours, *self.refused_hours)}
        if only_failed := {key: assets for key, assets in self.failed_days.items() if key not in named_days}:
            first, last = min(only_failed), max(only_failed)
            key, assets = next(iter(only_failed.items()))
            sentences.append(
                f"{len(only_failed)} days are up to date, but their last run failed, e.g. {key} of"
                f" {', '.join(assets)}: run `palimpsest backfill {first} {last} --again`, or"
                " materialize the failed partitions in the UI"
            )
        return ". ".join(sentences)


def find_unfinished_work(
    instance: dg.DagsterInstance, pipeline: Pipeline, assets: Sequence[dg.AssetKey]
) -> UnfinishedWork:
    """Return the unfinished work of these daily assets and of all products derived by cycle.

    A cycle that has just ended is left to its own run, unless that run has failed. An hour that is no longer in the
    landing is left out: it cannot be derived.
    """
    now = pipeline.clock.now()
    landed = set(pipeline.landing.list_hours())
    failed = _find_failed_days(instance, assets, sorted({format_day_key(hour.date()) for hour in landed}))
    with pipeline.connect() as conn:
        suspected = set(read_due_hours(conn, make_due_query(pipeline, conn), now - STUCK_AFTER))
        suspected.update(cycle.partition_hour for cycle in list_cycles_without_pack(pipeline, conn))
        if failed:
            suspected.update(
                hour
                for hour in read_due_hours(conn, make_due_query(pipeline, conn), now)
                if format_day_key(hour.date()) in failed
            )
    hours = sorted(suspected & landed, reverse=True)
    due, refused = {}, {}
    for hour in hours[:MAX_PLANNED_HOURS]:
        (plan,) = plan_hours(pipeline, hour, hour)
        if plan.can_be_derived:
            due[plan.key] = plan.why()
        elif cycles := (*(plan.damaged_cycles if plan.due else ()), *plan.cycles_without_pack):
            refused[plan.key] = "; ".join(cycle.sentence for cycle in cycles)
    return UnfinishedWork(due, refused, failed, len(hours[MAX_PLANNED_HOURS:]))


def _find_failed_days(
    instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey], keys: Sequence[str]
) -> dict[str, list[str]]:
    """Return the days with the assets whose last run failed, from Dagster's partition status per asset."""
    assets_by_day: defaultdict[str, list[str]] = defaultdict(list)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        for asset in assets:
            status = instance.get_status_by_partition(asset, keys, day_partitions) or {}
            for key, state in status.items():
                if state is not None and state.value == "FAILED":
                    assets_by_day[key].append(asset.to_user_string())
    return dict(assets_by_day)
