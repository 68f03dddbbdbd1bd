"""Failures and recoveries of cycles, read from the program's own tables. Writes nothing.

`defs/monitoring/run_events` reads those of Dagster runs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.alerts import (
    CHECK_ERROR_CLASS,
    AlertKind,
    Events,
    Occurrence,
    PipelineAlert,
    Recovery,
    join_keys,
)
from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.storage.derivation.due_products import read_due_failures
from palimpsest_pipeline.storage.ledger import check_verdicts

from ..context import Pipeline
from ..installed_products import list_products, make_due_query, name_asset

TICK: Final = timedelta(microseconds=1)
"""The resolution of instants in the database."""


def list_cycle_events(
    conn: psycopg.Connection,
    pipeline: Pipeline,
    checks: Mapping[str, bool],
    latest_alerts: Iterable[PipelineAlert],
    now: datetime,
) -> Events:
    """Return the new events of cycles: failed derivations and failed checks, and their recoveries.

    `latest_alerts` contains the latest alert of each key; events that it already covers are left out. `checks` maps the
    name of each check that judges cycles to whether it blocks. If the check blocks, a bad cycle belongs to its alert
    until the check has judged that cycle again and it passes. For any other check only the newest verdict counts.
    """
    latest = {alert.alert_key: alert for alert in latest_alerts}
    lasting = [
        *_list_failures(conn, pipeline),
        *_list_bad_cycles(conn, [check for check, blocks in checks.items() if blocks]),
    ]
    kept_by_cycle = [
        alert
        for alert in latest.values()
        if alert.closed_at is None
        and (alert.kind is AlertKind.CYCLE or (alert.kind is AlertKind.CHECK and checks.get(alert.subject, False)))
    ]
    newest = _list_newest_verdicts(conn, [check for check, blocks in checks.items() if not blocks], latest)
    return [*_list_occurrences(lasting, latest), *_list_recoveries(lasting, kept_by_cycle, now), *newest]


def _list_failures(conn: psycopg.Connection, pipeline: Pipeline) -> Iterator[Occurrence]:
    """Yield one occurrence for each product and cycle whose derivation failed, in the order of cycles."""
    assets = {product.name: name_asset(product) for product in list_products()}
    for failure in read_due_failures(conn, make_due_query(pipeline, conn)):
        if (subject := assets.get(failure.product.partition("/")[0])) is not None:
            error_class, _, message = failure.error.partition(": ")
            at, cycle = failure.failed_at, str(failure.cycle_id)
            yield Occurrence(
                AlertKind.CYCLE,
                subject,
                error_class,
                Severity.ERROR,
                message or error_class,
                at,
                cycle,
                is_per_partition=True,
            )


def _list_bad_cycles(conn: psycopg.Connection, checks: list[str]) -> Iterator[Occurrence]:
    """Yield one occurrence for each cycle that a check has found bad, by check and cycle."""
    for check, at, verdict in check_verdicts.read_bad_verdicts_by_check(conn, checks):
        yield Occurrence(
            AlertKind.CHECK,
            check,
            CHECK_ERROR_CLASS,
            verdict.severity,
            verdict.description,
            at,
            str(verdict.cycle_id),
            is_per_partition=True,
        )


def _list_occurrences(bad: Iterable[Occurrence], latest: Mapping[str, PipelineAlert]) -> Iterator[Occurrence]:
    """Yield one occurrence per alert key with cycles that its alert lacks, or that failed again.

    `bad` has one occurrence per cycle and problem; those of one key are in the order of their cycles.
    """
    by_key: defaultdict[str, list[Occurrence]] = defaultdict(list)
    for cycle in bad:
        alert = latest.get(cycle.key)
        if (
            alert is None
            or alert.closed_at is not None
            or cycle.partition_key not in alert.partition_keys
            or cycle.at > alert.last_seen_at
        ):
            by_key[cycle.key].append(cycle)
    for key, cycles in by_key.items():
        last = sorted(cycles, key=lambda cycle: cycle.at)[-1]  # if several have the same instant, the latest cycle
        severity = Severity.ERROR if any(cycle.severity is Severity.ERROR for cycle in cycles) else Severity.WARN
        ids = {cycle_id for cycle in cycles for cycle_id in cycle.partition_keys}
        yield replace(
            last,
            severity=severity,
            at=_order_after(last.at, latest.get(key)),
            partition_key=join_keys(ids),
            n_seen=len(ids),
        )


def _list_recoveries(bad: Iterable[Occurrence], alerts: Iterable[PipelineAlert], now: datetime) -> Iterator[Recovery]:
    """Yield a recovery for each open alert with cycles that are no longer bad."""
    still_bad: defaultdict[tuple[AlertKind, str], set[str]] = defaultdict(set)
    for cycle in bad:
        still_bad[cycle.kind, cycle.subject].update(cycle.partition_keys)
    for alert in alerts:
        if recovered_keys := join_keys(
            key for key in alert.partition_keys if key not in still_bad[alert.kind, alert.subject]
        ):
            yield Recovery(alert.kind, alert.subject, _order_after(now, alert), recovered_keys)


def _list_newest_verdicts(
    conn: psycopg.Connection, checks: list[str], latest: Mapping[str, PipelineAlert]
) -> Iterator[Occurrence | Recovery]:
    for check, judged_at, verdict in check_verdicts.read_newest_verdicts(conn, checks):
        alert = latest.get(f"{AlertKind.CHECK}/{check}/{CHECK_ERROR_CLASS}")
        is_open = alert is not None and alert.closed_at is None
        cycle = str(verdict.cycle_id)
        if verdict.has_passed:
            if is_open:
                yield Recovery(AlertKind.CHECK, check, _order_after(judged_at, alert))
        elif alert is None or not is_open or cycle not in alert.partition_keys or judged_at > alert.last_seen_at:
            at = _order_after(judged_at, alert)
            yield Occurrence(
                AlertKind.CHECK, check, CHECK_ERROR_CLASS, verdict.severity, verdict.description, at, cycle
            )


def _order_after(at: datetime, alert: PipelineAlert | None) -> datetime:
    """Return `at`, or one microsecond after the alert's last change if that is later.

    Otherwise an event that is committed late would count as already known.
    """
    return at if alert is None else max(at, (alert.closed_at or alert.last_seen_at) + TICK)
