"""The plan of a backfill: for each hour the due products, and the cycles that cannot be derived.

Imports no Dagster.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from palimpsest_pipeline.domain.instants import HOUR, format_hour_key, list_hours
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import DueProduct, DueReason
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord

from .context import Pipeline
from .installed_products import list_cycles_without_pack, list_due_products
from .record_landed_cycles import ALL_HOURS, rescan_landing


@dataclass(frozen=True, slots=True)
class LostCycle:
    """A cycle that cannot be derived: answers are missing in the landing, or a pack cannot be used."""

    cycle_id: int
    sentence: str
    is_stale: bool
    """Whether its rows are missing, or would differ if they could be derived again now."""


@dataclass(frozen=True, slots=True)
class PlannedHour:
    """One hour of the planned range. An hour without landed or lost cycles never had any cycle."""

    begins_at: datetime
    landed_cycles: tuple[LandedCycleRecord, ...] = ()
    due: tuple[DueProduct, ...] = ()
    gone_cycles: tuple[LostCycle, ...] = ()
    damaged_cycles: tuple[LostCycle, ...] = ()
    """Cycles of `landed_cycles` with missing segments. The other cycles of the hour can be derived."""
    cycles_without_pack: tuple[LostCycle, ...] = ()
    """Cycles of `landed_cycles` that were not derived, and cannot be until a pack is mended."""

    @property
    def key(self) -> str:
        return format_hour_key(self.begins_at)

    @property
    def lost_cycles(self) -> tuple[LostCycle, ...]:
        return (*self.gone_cycles, *self.damaged_cycles, *self.cycles_without_pack)

    @property
    def can_be_derived(self) -> bool:
        damaged_ids = {cycle.cycle_id for cycle in self.damaged_cycles}
        return any(product.cycle_id not in damaged_ids for product in self.due)

    def why(self) -> str:
        """Return the reasons why products of the hour are due, each with its products.

        An example is `another parser version: odds_snapshots`.
        """
        names: defaultdict[DueReason, list[str]] = defaultdict(list)
        for each in self.due:
            if each.product not in names[each.reason]:
                names[each.reason].append(each.product)
        return "; ".join(f"{reason}: {', '.join(names[reason])}" for reason in DueReason if names[reason])


def plan_hours(
    pipeline: Pipeline, first: datetime | None = None, last: datetime | None = None, *, rescan_first: bool = True
) -> list[PlannedHour]:
    """Return the plan of the hours from `first` to `last`, both included, in order. Derives nothing.

    Without bounds, the plan has all hours with landed or known cycles. With `rescan_first`, `ops.landed_cycles` is
    first corrected from the landing for these hours.
    """
    begin, end = first or ALL_HOURS[0], ALL_HOURS[1] if last is None else last + HOUR
    if rescan_first:
        rescan_landing(pipeline, begin, end)
    with pipeline.connect() as conn:
        cycles = landed_cycles.read_cycles(conn, begin, end)
        due = list_due_products(pipeline, conn, first=begin, end=end)
        without_pack = list_cycles_without_pack(pipeline, conn, first=begin, end=end)
    cycles_by_hour: defaultdict[datetime, list[LandedCycleRecord]] = defaultdict(list)
    for cycle in cycles:
        cycles_by_hour[cycle.partition_hour].append(cycle)
    due_by_hour: defaultdict[datetime, list[DueProduct]] = defaultdict(list)
    for each in due:
        due_by_hour[each.partition_hour].append(each)
    stale = {each.cycle_id for each in due}
    return [
        PlannedHour(
            at,
            tuple(cycle for cycle in cycles_by_hour[at] if not cycle.is_gone),
            tuple(each for each in due_by_hour[at] if not each.is_gone),
            tuple(
                LostCycle(cycle.cycle_id, _explain_loss(cycle), cycle.cycle_id in stale)
                for cycle in cycles_by_hour[at]
                if cycle.is_gone
            ),
            tuple(
                LostCycle(cycle.cycle_id, _explain_loss(cycle), cycle.cycle_id in stale)
                for cycle in cycles_by_hour[at]
                if cycle.problem
            ),
            tuple(
                LostCycle(cycle.cycle_id, cycle.sentence, is_stale=True)
                for cycle in without_pack
                if cycle.partition_hour == at
            ),
        )
        for at in (list_hours(first, last) if first and last else sorted(cycles_by_hour))
    ]


def _explain_loss(cycle: LandedCycleRecord) -> str:
    """Return why a cycle that is gone, or has a problem, cannot be derived."""
    if cycle.is_gone:
        return f"cycle {cycle.cycle_id} is no longer in the landing; its rows stay as they are"
    if cycle.digest is None:
        return f"cycle {cycle.cycle_id} cannot be read in the landing: {cycle.problem} Its rows stay as they are"
    return (
        f"cycle {cycle.cycle_id} is not whole in the landing: {cycle.problem}; its rows stay as they are. Restore the"
        " segments, or remove the rest of the cycle"
    )
