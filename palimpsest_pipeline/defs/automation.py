"""When assets are derived without a cycle, a schedule or a person asking for it: named conditions, and the sensor that evaluates them.

Belongs here: marts that are behind their core, fixtures that are due. Does not: what is derived right after a cycle, which is in the run of the
cycle itself.

Whether a mart is behind is read from the marks that are committed with the rows, by a condition of our own. What Dagster can see, that something
upstream was materialized since, says less: every cycle of single fixtures materializes core, and coverage has nothing to derive from it; and a cycle
that arrives late makes coverage of later hours due, whose own upstream nobody touched.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import dagster as dg
from dagster import AutomationContext, AutomationResult
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from ..domain.instants import hour_of
from ..domain.words import FixtureProduct
from ..settings import load_settings
from ..storage import dirty_fixtures
from . import priorities
from .mart.late import late_hours
from .partitions import hours
from .pipeline import Pipeline
from .verdicts import last_verdict

LOOK_BACK: Final = timedelta(hours=48)
"""Older hours are a backfill's matter: somebody asks for it, and says of what."""
TICKS: Final = "7-59/15 * * * *"
"""Away from the full and the half hour, at which cycles begin."""
EVALUATED_EVERY_S: Final = 120
HISTORY_CHECKS: Final = (dg.AssetCheckKey(dg.AssetKey(["core", "odds_snapshots"]), "history_equals_current"),)
"""Blocking checks of core: within a run they stop the mart by themselves."""


class BehindCore(dg.AutomationCondition[dg.AssetKey]):
    """True for the hours whose mart product lacks, or rests on other landed content or versions than, the core that stands."""

    def __init__(self, product: str) -> None:
        self.product = product

    @property
    def name(self) -> str:
        return f"behind_core({self.product}, {LOOK_BACK / timedelta(hours=1):.0f} h)"

    @property
    def description(self) -> str:
        return f"The product {self.product} of a cycle is behind its core, in one of the last {LOOK_BACK / timedelta(hours=1):.0f} hours"

    def evaluate(self, context: AutomationContext[dg.AssetKey]) -> AutomationResult[dg.AssetKey]:
        """Raises when our database cannot be reached: the tick fails, visibly, and the next one asks again."""
        pipeline = Pipeline(load_settings())
        late = late_hours(pipeline, self.product, hour_of(context.evaluation_time) - LOOK_BACK)
        return AutomationResult(context, _among(context, late))


class CoreCheckFailed(dg.AutomationCondition[dg.AssetKey]):
    """True for the candidates of which a blocking check of core failed when it was last evaluated, in whatever run; for an asset without partitions,
    when it failed of the hour that it was last evaluated for.

    Unlike Dagster's own conditions it is not forgotten when core is materialized once more without its checks, as cycles of single fixtures do.
    """

    def __init__(self, checks: Sequence[dg.AssetCheckKey]) -> None:
        self.checks = tuple(checks)

    @property
    def name(self) -> str:
        return f"core_check_failed({', '.join(check.name for check in self.checks)})"

    def evaluate(self, context: AutomationContext[dg.AssetKey]) -> AutomationResult[dg.AssetKey]:
        found = context.candidate_subset
        if not found.partitions_def:
            return AutomationResult(context, found if self._failed(context) else found.compute_difference(found))
        keys = found.expensively_compute_partition_keys()
        return AutomationResult(context, _among(context, [key for key in keys if self._failed(context, key)]))

    def _failed(self, context: AutomationContext[dg.AssetKey], partition_key: str | None = None) -> bool:
        said = [last_verdict(context.asset_graph_view.instance, check, partition_key) for check in self.checks]
        return any(record is not None and record.status is Status.FAILED for record in said)


def _among(context: AutomationContext[dg.AssetKey], keys: Sequence[str]) -> "dg.EntitySubset[dg.AssetKey]":
    view = context.asset_graph_view
    found = view.get_subset_from_partition_keys(context.key, hours, {key for key in keys if hours.has_partition_key(key)})
    return context.candidate_subset.compute_intersection(found)


def when_late(product: str) -> dg.AutomationCondition[dg.AssetKey]:
    """For a mart: at a tick, the hours that are behind their core and that nobody is at, once each time they fall behind.

    A run that was asked for and failed is not asked for again: a check names what is left undone, and the hour's next cycle derives it anyway.
    """
    behind = BehindCore(product)
    not_asked_for = behind.newly_true().since(dg.AutomationCondition.newly_requested())
    return (
        dg.AutomationCondition.cron_tick_passed(TICKS)
        & behind
        & not_asked_for
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~CoreCheckFailed(HISTORY_CHECKS)
    ).with_label("late_mart")


class FixturesDue(dg.AutomationCondition[dg.AssetKey]):
    """True while fixtures are marked to be derived anew, for an asset without partitions."""

    def __init__(self, product: FixtureProduct) -> None:
        self.product = product

    @property
    def name(self) -> str:
        return f"fixtures_due({self.product})"

    @property
    def description(self) -> str:
        return f"A cycle bore on fixtures since their {self.product} were last derived"

    def evaluate(self, context: AutomationContext[dg.AssetKey]) -> AutomationResult[dg.AssetKey]:
        """Raises when our database cannot be reached: the tick fails, visibly, and the next one asks again."""
        pipeline = Pipeline(load_settings())
        with pipeline.connect() as conn:
            dirty_fixtures.mark_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
            conn.commit()
            n_due, _ = dirty_fixtures.waiting(conn, self.product)
        found = context.candidate_subset
        return AutomationResult(context, found if n_due else found.compute_difference(found))


def when_due(product: FixtureProduct) -> dg.AutomationCondition[dg.AssetKey]:
    """For what is derived fixture by fixture: at a tick, when fixtures are due and nobody is at it or about to be, once each time.

    Cycles derive them by themselves; this is for what was replayed in the UI, and for runs that died.
    """
    due = FixturesDue(product)
    return (
        dg.AutomationCondition.cron_tick_passed(TICKS)
        & due
        & due.newly_true().since(dg.AutomationCondition.newly_requested())
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~CoreCheckFailed(HISTORY_CHECKS)
    ).with_label("fixtures_due")


late_marts = dg.AutomationConditionSensorDefinition(
    "late_marts",
    target=dg.AssetSelection.groups("mart"),
    run_tags=priorities.DERIVING,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=EVALUATED_EVERY_S,
    description="Derives the marts of hours that are behind their core, at four ticks an hour. On unless switched off: it asks no platform.",
    use_user_code_server=True,  # conditions of our own are evaluated where our code is
)
