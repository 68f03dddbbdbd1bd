"""What was left undone: hours whose products are due or refused, and partitions whose last run failed.

Retries are bounded everywhere, so what stays broken goes quiet: this is the standing inventory of it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import dagster as dg
import psycopg

from ...domain.instants import hour_key
from ...storage import staleness
from ..core.derive import PRODUCTS, marks_of
from ..mart import derive
from ..partitions import hours
from ..pipeline import Pipeline
from ..replay.plan import MART_OF_EVERY_CYCLE, plan

MOST_PLANNED: Final = 48
"""Hours whose landing is looked into; of more only their number is told."""
MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Hours by their key. `due`: why; `refused`: why nothing can be derived; `failed`: assets whose last run of the hour failed,
    of the hours that were looked into."""

    due: Mapping[str, str]
    refused: Mapping[str, str]
    failed: Mapping[str, Sequence[str]]
    n_more: int
    """Hours that are due or refused and were not looked into."""

    def __bool__(self) -> bool:
        return bool(self.due or self.refused or self.failed or self.n_more)

    @property
    def sentence(self) -> str:
        """What there is and how to recover it."""
        said = []
        if self.due or self.n_more:
            named = "; ".join(f"{key}: {why}" for key, why in list(self.due.items())[:MOST_NAMED])
            said.append(f"{len(self.due) + self.n_more} hours are due ({named or 'not looked into'}): run `palimpsest backfill --stale`")
        if self.refused:
            key, why = next(iter(self.refused.items()))
            said.append(f"{len(self.refused)} hours cannot be derived, e.g. {key}: {why}")
        if only_failed := {key: assets for key, assets in self.failed.items() if key not in self.due and key not in self.refused}:
            first, last = min(only_failed), max(only_failed)
            key, assets = next(iter(only_failed.items()))
            said.append(
                f"{len(only_failed)} hours stand and their last run failed, e.g. {key} of {', '.join(assets)}: "
                f"run `palimpsest backfill {first} {last} --again`, or materialize the failed partitions in the UI"
            )
        return ". ".join(said)


def unfinished(instance: dg.DagsterInstance, pipeline: Pipeline, assets: Sequence[dg.AssetKey]) -> Unfinished:
    """What is left undone of these hourly assets and of all marked products. A cycle that ended a moment ago is its own run's matter, unless that has
    failed.

    Only what can still be mended counts: an hour of which nothing is landed any more is left out.
    """
    now = pipeline.clock.now()
    landed = set(pipeline.landing.hours())
    failed = _failed(instance, assets, [hour_key(hour) for hour in sorted(landed)])

    def lacking(conn: psycopg.Connection, before: datetime) -> list[datetime]:
        return staleness.unfinished(
            conn,
            before,
            core=marks_of(PRODUCTS, pipeline.platforms),
            mart=[derive.COVERAGE, *MART_OF_EVERY_CYCLE],
            full_only=[derive.COVERAGE],
            parser_version=pipeline.parser_version,
            mapping_version=pipeline.vocabulary.version,
        )

    with pipeline.connect() as conn:
        suspected = set(lacking(conn, now - timedelta(minutes=pipeline.settings.stuck_after_minutes)))
        if failed:
            suspected.update(hour for hour in lacking(conn, now) if hour_key(hour) in failed)
    look = sorted(suspected & landed, reverse=True)
    due, refused = {}, {}
    for hour in look[:MOST_PLANNED]:
        (found,) = plan(pipeline, hour, hour)
        if found.torn and (found.due or any(cycle.stale for cycle in found.torn)):
            refused[found.key] = "; ".join(gone.sentence for gone in found.torn)
        elif found.due:
            due[found.key] = found.why()
    more = look[MOST_PLANNED:]
    of_more = {hour_key(hour) for hour in more}
    return Unfinished(due, refused, {key: assets for key, assets in failed.items() if key not in of_more}, len(more))


def _failed(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey], keys: Sequence[str]) -> dict[str, list[str]]:
    """Those of the hours whose last run of an asset failed, from what Dagster keeps per asset for its own pages."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        for asset in assets:
            status = instance.get_status_by_partition(asset, keys, hours) or {}
            for key, state in status.items():
                if state is not None and state.value == "FAILED":
                    found[key].append(asset.to_user_string())
    return dict(found)
