"""The search for late marts and due fixtures, for the sensor `late_marts`. Imports no Dagster.

A mart is late if it is due although core of its cycle is up to date.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.domain.instants import HOUR, floor_to_hour
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.derivation.due_products import DueProduct
from palimpsest_pipeline.storage.ledger import check_verdicts, cycle_ledger

from ..context import Pipeline
from ..installed_products import list_due_products

MAX_HOUR_AGE: Final = timedelta(hours=48)
"""Age of the hours whose cycles are searched. For older ones the user starts a backfill."""
HISTORY_CHECK: Final = "core/odds_snapshots:history_equals_current"
"""Name of the blocking check of core. If it fails in a run, the run derives no mart."""


@dataclass(frozen=True, slots=True)
class LateDay:
    """Mart products of a UTC day that are due although core of their cycles is up to date."""

    day: date
    due_products: tuple[DueProduct, ...]

    @property
    def key(self) -> str:
        """A key that is the same for the same due products.

        So the sensor requests a run for them only once.
        """
        return hash_lines(f"{each.cycle_id} {each.product} {each.reason}" for each in self.due_products)


def find_late_days(pipeline: Pipeline, now: datetime, live_runs: Sequence[str] = ()) -> list[LateDay]:
    """Return the days, in order, with mart products that are due and that no live run will derive.

    Left out are running cycles, cycles of `live_runs` (ids of Dagster runs that are not over), cycles for which a core
    product is due, cycles that failed `HISTORY_CHECK`, and products that failed before with the same content and
    versions.
    """
    first = floor_to_hour(now - MAX_HOUR_AGE)
    end = now + HOUR
    with pipeline.connect() as conn:
        due = list_due_products(pipeline, conn, first=first, end=end)
        running = {
            *(batch.cycle.cycle_id for batch in cycle_ledger.read_running_cycles(conn)),
            *cycle_ledger.read_cycles_of_runs(conn, live_runs),
        }
        contradicting = {
            verdict.cycle_id for verdict in check_verdicts.read_bad_verdicts(conn, HISTORY_CHECK, first, end)
        }
    left_out = running | contradicting | {each.cycle_id for each in due if each.schema == "core"}
    products_by_day: defaultdict[date, list[DueProduct]] = defaultdict(list)
    for each in due:
        if each.cycle_id not in left_out and each.can_be_derived and not each.has_failed:
            products_by_day[each.partition_hour.date()].append(each)
    return [LateDay(day, tuple(products_by_day[day])) for day in sorted(products_by_day)]


def build_due_fixtures_key(pipeline: Pipeline) -> str | None:
    """Return a key of the fixtures whose prices or alerts are due; None without such fixtures.

    Also return None if the newest cycle of core failed `HISTORY_CHECK`, because prices would be derived from wrong
    rows.
    """
    with pipeline.connect() as conn:
        if any(not verdict.has_passed for _, _, verdict in check_verdicts.read_newest_verdicts(conn, [HISTORY_CHECK])):
            return None
        dirty_fixtures.mark_fixtures_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        marks = {product: dirty_fixtures.read_fixture_marks(conn, product) for product in FixtureProduct}
    if all(frame.is_empty() for frame in marks.values()):
        return None
    return hash_lines(
        f"{product} {frame.height} {max(frame['marked_at'].to_list(), default=None)}"
        for product, frame in marks.items()
    )


def hash_lines(lines: Iterable[str]) -> str:
    """Return a short hash of the lines."""
    return sha256("\n".join(lines).encode()).hexdigest()[:16]
