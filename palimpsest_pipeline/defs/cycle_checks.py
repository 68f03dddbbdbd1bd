"""Checks that judge cycles one by one.

Each verdict is stored, so each cycle is judged only once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.storage.derivation.derived_products import ProductSchema
from palimpsest_pipeline.storage.ledger import check_verdicts as stored
from palimpsest_pipeline.storage.ledger.check_verdicts import CheckVerdict

from .asset_partitions import day_partitions
from .check_results import name_check
from .run_cycles import find_run_cycles


@dataclass(frozen=True, slots=True)
class JudgedCycles:
    """The ids of cycles that a check judges together, and a connection to read their rows."""

    pipeline: Pipeline
    conn: psycopg.Connection
    ids: Sequence[int]


_Judge = Callable[[JudgedCycles], Iterable[CheckVerdict]]
"""A function that yields verdicts on cycles. A cycle for which it yields none has passed."""

JUDGES_KEY: Final = "palimpsest/judges"
JUDGES_CYCLES: Final = "cycles"
"""Metadata value of the checks made by this module.

By this value the alert sensor knows that the verdicts of a check are in ops.cycle_checks.
"""

CYCLES_PER_BATCH: Final = 24
"""Number of cycles whose rows are read and judged together. It limits memory."""
MAX_NAMED_CYCLES: Final = 5
AFTER_ALL_ELSE: Final = {run_priorities.PRIORITY_TAG: "-1"}
"""Step tags of a check that blocks nothing: the check runs last, so that no other step waits for it."""
CHECK_SEVERITIES: Final = {Severity.ERROR: dg.AssetCheckSeverity.ERROR, Severity.WARN: dg.AssetCheckSeverity.WARN}


def make_cycle_check(
    *,
    asset: Sequence[str],
    product: tuple[ProductSchema, str],
    blocking: bool = False,
    additional_deps: Sequence[Sequence[str]] = (),
) -> Callable[[_Judge], dg.AssetChecksDefinition]:
    """Return a decorator that makes an asset check from a function that judges cycles.

    The docstring of the function states the rule that must hold; it becomes the description of the check. `product` is
    schema and name of the product that the check judges. The result of a day is an error if a cycle that this run
    judged has an error. A bad cycle of an earlier run makes the result a warning, which blocks nothing and names the
    cycle until it is repaired.
    """

    def decorate(judge: _Judge) -> dg.AssetChecksDefinition:
        key = dg.AssetCheckKey(dg.AssetKey(asset), judge.__name__)

        @dg.asset_check(
            asset=key.asset_key,
            name=key.name,
            description=judge.__doc__,
            blocking=blocking,
            partitions_def=day_partitions,
            metadata={JUDGES_KEY: JUDGES_CYCLES},
            op_tags={} if blocking else AFTER_ALL_ELSE,
            additional_deps=additional_deps,
        )
        def check(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
            return _judge_day(context, pipeline, name_check(key), judge, product)

        return check

    return decorate


def _judge_day(
    context: dg.AssetCheckExecutionContext,
    pipeline: Pipeline,
    check: str,
    judge: _Judge,
    product: tuple[ProductSchema, str],
) -> dg.AssetCheckResult:
    day = date.fromisoformat(context.partition_key)
    with pipeline.connect() as conn:
        cycles = find_run_cycles(conn, context.run, day)
        cycle_ids = (
            cycles.cycle_ids if cycles.is_own else stored.list_unjudged_cycles(conn, check, cycles.cycle_ids, *product)
        )
        verdicts: list[CheckVerdict] = []
        for begin in range(0, len(cycle_ids), CYCLES_PER_BATCH):
            batch = cycle_ids[begin : begin + CYCLES_PER_BATCH]
            verdict_by_cycle = {verdict.cycle_id: verdict for verdict in judge(JudgedCycles(pipeline, conn, batch))}
            verdicts += [verdict_by_cycle.get(cycle_id, CheckVerdict(cycle_id, Severity.ERROR)) for cycle_id in batch]
            stored.write_verdicts(conn, check, verdicts[begin:])
            conn.commit()
        bad = stored.read_bad_verdicts(conn, check, get_day_start(day), get_day_start(day + timedelta(days=1)))
    return build_day_result(verdicts, bad)


def build_day_result(verdicts: Sequence[CheckVerdict], bad_verdicts: Sequence[CheckVerdict]) -> dg.AssetCheckResult:
    """Return the check result of a day.

    `verdicts` are those of this run. `bad_verdicts` are all stored verdicts with violations on cycles of the day.
    """
    failed = [verdict for verdict in verdicts if not verdict.has_passed]
    judged_ids = {verdict.cycle_id for verdict in verdicts}
    earlier = [verdict for verdict in bad_verdicts if verdict.cycle_id not in judged_ids]
    worst = Severity.ERROR if any(verdict.severity is Severity.ERROR for verdict in failed) else Severity.WARN
    lines = [
        *_describe_verdicts(failed),
        *(f"still bad from an earlier run: {text}" for text in _describe_verdicts(earlier)),
    ]
    numbers = {
        "cycles_judged": len(verdicts),
        "cycles_bad": len(failed) + len(earlier),
        "violations": sum(verdict.violations for verdict in failed),
    }
    if not lines:
        return dg.AssetCheckResult(passed=True, metadata=numbers)
    return dg.AssetCheckResult(
        passed=False, severity=CHECK_SEVERITIES[worst], description="; ".join(lines), metadata=numbers
    )


def _describe_verdicts(verdicts: Sequence[CheckVerdict]) -> list[str]:
    lines = [f"cycle {verdict.cycle_id}: {verdict.description}" for verdict in verdicts[:MAX_NAMED_CYCLES]]
    return (
        [*lines, f"and {len(verdicts) - MAX_NAMED_CYCLES} cycles more"] if len(verdicts) > MAX_NAMED_CYCLES else lines
    )
