"""Read the values of the metrics: from the database, from Dagster, from the disk of the home folder.

The readers are independent: when one fails, only its own metrics are missing. Belongs here: one reader for each
source of values. Does not belong here: SQL (`storage.ledger.pipeline_figures`), names and rendering
(`board.prometheus_metrics`).
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.board import prometheus_metrics as metrics
from palimpsest_pipeline.board.prometheus_metrics import Metric, MetricValues, Sample
from palimpsest_pipeline.domain.alerts import AlertKind
from palimpsest_pipeline.domain.enums import OddsAlertLevel, OddsAlertType, Severity
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.due_products import list_products, make_due_query
from palimpsest_pipeline.pipeline.kickoff_slots import report_slots_from
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable, DatabaseUrlError
from palimpsest_pipeline.storage.derivation.due_products import count_due_products
from palimpsest_pipeline.storage.ledger import pipeline_figures

LOOK_BACK: Final = timedelta(days=metrics.LOOK_BACK_DAYS)
KICKOFF_SLOTS_PERIOD: Final = timedelta(hours=1)
RUN_STATES: Final = {
    "queued": (dg.DagsterRunStatus.QUEUED,),
    "under_way": (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
}
STATEMENT_TIMEOUT_MS: Final = 2_000
"""Time limit of each query in milliseconds. A query that waits for a lock costs only its own metrics."""
SESSION_SQL: Final = f"set default_transaction_read_only = on; set statement_timeout = {STATEMENT_TIMEOUT_MS}"
Samples = Mapping[Metric, Iterable[Sample]]
Connect = Callable[[], psycopg.Connection]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The sources that readers use: the pipeline, Dagster's instance, the present time, and a connection."""

    pipeline: Pipeline
    instance: dg.DagsterInstance
    now: datetime
    _conn: psycopg.Connection | None

    @property
    def conn(self) -> psycopg.Connection:
        """The connection, read-only and in autocommit. Raises DatabaseUnreachable when there is none."""
        if self._conn is None:
            raise DatabaseUnreachable("the pipeline's database cannot be reached")
        return self._conn


def read_build_info(_: Source) -> Samples:
    return {metrics.BUILD_INFO: [Sample(1, (version("palimpsest-pipeline"),))]}


def read_active_platforms(source: Source) -> Samples:
    return {metrics.ACTIVE_PLATFORM: [Sample(1, (platform,)) for platform in source.pipeline.settings.platforms]}


def read_last_cycles(source: Source) -> Samples:
    cycles = pipeline_figures.read_last_cycles(source.conn, source.now - LOOK_BACK)
    return {
        metrics.LAST_CYCLE_TIMESTAMP: [
            Sample(each.answered_at.timestamp(), (each.scope, each.platform)) for each in cycles if each.answered_at
        ],
        metrics.LAST_CYCLE_AGE: [
            Sample((source.now - each.answered_at).total_seconds(), (each.scope, each.platform))
            for each in cycles
            if each.answered_at
        ],
        metrics.CAPTURE_DURATION: [
            Sample(each.capture_s, (each.scope, each.platform)) for each in cycles if each.capture_s is not None
        ],
        metrics.FLOOR_RATIO: [
            Sample(each.capture_s / each.floor_s, (each.scope, each.platform))
            for each in cycles
            if each.capture_s is not None and each.floor_s
        ],
    }


def read_skews(source: Source) -> Samples:
    skews = pipeline_figures.read_last_skews_s(source.conn, source.now - LOOK_BACK)
    return {
        metrics.SKEW: [
            Sample(value, (scope, statistic))
            for scope, median, p95 in skews
            for statistic, value in (("median", median), ("p95", p95))
        ]
    }


def read_stored_prices(source: Source) -> Samples:
    rows = pipeline_figures.read_stored_prices(source.conn, source.now - LOOK_BACK)
    return {
        metrics.STORED_PRICES: [Sample(n_prices, (platform,)) for platform, n_prices, _ in rows],
        metrics.STORED_LISTINGS: [Sample(n_listings, (platform,)) for platform, _, n_listings in rows],
    }


def read_mapped_rates(source: Source) -> Samples:
    rows = pipeline_figures.read_mapped_rates(source.conn)
    return {metrics.MAPPED_RATE: [Sample(rate, (platform, sport)) for platform, sport, rate in rows]}


def read_due_products(source: Source) -> Samples:
    """Read the due products; a product of which nothing is due has the value 0."""
    counts = count_due_products(source.conn, make_due_query(source.pipeline, source.conn))
    due = {(p.schema, p.name, reason): 0 for p in list_products() for reason in ("new_answers", "new_version")}
    failed = {(p.schema, p.name): 0 for p in list_products()}
    for each in counts:
        due[each.schema, each.product, "new_answers" if each.is_new_content else "new_version"] = each.n_due
        failed[each.schema, each.product] += each.n_failed
    ends = [each.oldest_ended_at for each in counts if each.is_new_content and each.oldest_ended_at]
    return {
        metrics.DUE_PRODUCTS: [Sample(n, labels) for labels, n in due.items()],
        metrics.FAILED_PRODUCTS: [Sample(n, labels) for labels, n in failed.items()],
        metrics.OLDEST_DUE_AGE: [Sample((source.now - min(ends)).total_seconds())] if ends else [],
    }


def read_kickoff_slots(source: Source) -> Samples:
    report = report_slots_from(source.conn, source.pipeline, source.now - KICKOFF_SLOTS_PERIOD, source.now)
    if not report.is_in_use:
        return {metrics.KICKOFF_SLOTS: []}
    n_lost = report.lost_slots.height
    results = {"answered": report.slots.height - n_lost, "lost": n_lost}
    return {metrics.KICKOFF_SLOTS: [Sample(n, (result,)) for result, n in results.items()]}


def read_runs(source: Source) -> Samples:
    counts = {
        state: source.instance.get_runs_count(dg.RunsFilter(statuses=list(statuses)))
        for state, statuses in RUN_STATES.items()
    }
    return {metrics.RUNS: [Sample(n, (state,)) for state, n in counts.items()]}


def read_open_alerts(source: Source) -> Samples:
    """Read the open alerts; a severity and kind without one has the value 0."""
    none = {(severity.value, kind.value): 0 for severity in Severity for kind in AlertKind}
    counts = none | pipeline_figures.count_open_alerts(source.conn)
    return {metrics.OPEN_ALERTS: [Sample(n, labels) for labels, n in counts.items()]}


def read_open_odds_alerts(source: Source) -> Samples:
    """Read the open alerts to traders; a severity and type without one has the value 0."""
    none = {(level.value, alert_type.value): 0 for level in OddsAlertLevel for alert_type in OddsAlertType}
    counts = none | pipeline_figures.count_open_odds_alerts(source.conn, source.now)
    return {metrics.OPEN_ODDS_ALERTS: [Sample(n, labels) for labels, n in counts.items()]}


def read_waiting_messages(source: Source) -> Samples:
    n_waiting, oldest_age_s = pipeline_figures.read_waiting_messages(source.conn)
    return {
        metrics.WAITING_MESSAGES: [Sample(n_waiting)],
        metrics.OLDEST_MESSAGE_AGE: [] if oldest_age_s is None else [Sample(oldest_age_s)],
    }


def read_home_disk(source: Source) -> Samples:
    usage = shutil.disk_usage(source.pipeline.settings.home)
    return {metrics.HOME_FREE: [Sample(usage.free)], metrics.HOME_SIZE: [Sample(usage.total)]}


def read_database_size(source: Source) -> Samples:
    return {metrics.DATABASE_SIZE: [Sample(pipeline_figures.read_database_bytes(source.conn))]}


Readers = Mapping[Callable[[Source], Samples], tuple[Metric, ...]]
READERS: Final[Readers] = {
    read_build_info: (metrics.BUILD_INFO,),
    read_active_platforms: (metrics.ACTIVE_PLATFORM,),
    read_last_cycles: (
        metrics.LAST_CYCLE_TIMESTAMP,
        metrics.LAST_CYCLE_AGE,
        metrics.CAPTURE_DURATION,
        metrics.FLOOR_RATIO,
    ),
    read_skews: (metrics.SKEW,),
    read_stored_prices: (metrics.STORED_PRICES, metrics.STORED_LISTINGS),
    read_mapped_rates: (metrics.MAPPED_RATE,),
    read_due_products: (metrics.DUE_PRODUCTS, metrics.FAILED_PRODUCTS, metrics.OLDEST_DUE_AGE),
    read_kickoff_slots: (metrics.KICKOFF_SLOTS,),
    read_runs: (metrics.RUNS,),
    read_open_alerts: (metrics.OPEN_ALERTS,),
    read_open_odds_alerts: (metrics.OPEN_ODDS_ALERTS,),
    read_waiting_messages: (metrics.WAITING_MESSAGES, metrics.OLDEST_MESSAGE_AGE),
    read_home_disk: (metrics.HOME_FREE, metrics.HOME_SIZE),
    read_database_size: (metrics.DATABASE_SIZE,),
}
"""The readers, with the metrics that are missing when a reader fails."""


class MetricReader:
    """Reads the values of all metrics; may be called again and again.

    `connect` opens a connection of a role that may read all schemas (default: the pipeline's own role). A connection is
    used for the read-only queries of one reading, and then closed.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        instance: dg.DagsterInstance,
        connect: Connect | None = None,
        readers: Readers = READERS,
    ) -> None:
        self._pipeline, self._instance = pipeline, instance
        self._connect, self._readers = connect or pipeline.connect, readers
        self._failures: dict[str, str] = {}
        """The class of the last error by subject, while it cannot be read."""

    def read_values(self) -> MetricValues:
        """Return the values at the present time. Raises nothing that a reader raises."""
        began = time.perf_counter()
        samples: dict[str, list[Sample]] = {}
        failed: set[str] = set()
        conn = self._open_connection()
        source = Source(self._pipeline, self._instance, self._pipeline.clock.now(), conn)
        for read, expected in self._readers.items():
            try:
                samples |= {metric.name: list(values) for metric, values in read(source).items()}
            except Exception as error:  # noqa: BLE001 - one figure that cannot be read must not hide the others
                failed |= {metric.name for metric in expected}
                self._log_once(expected[0].name, error)
            else:
                self._failures.pop(expected[0].name, None)
        if conn is not None:
            conn.close()
        samples[metrics.READ_DURATION.name] = [Sample(time.perf_counter() - began)]
        return MetricValues(samples, frozenset(failed))

    def _open_connection(self) -> psycopg.Connection | None:
        """Return a connection; None when the database cannot be reached."""
        conn = None
        try:
            conn = self._connect()
            conn.autocommit = True
            conn.execute(SESSION_SQL)
        except (psycopg.Error, DatabaseUnreachable, DatabaseUrlError) as error:
            if conn is not None:
                conn.close()
            self._log_once("the database", error)
            return None
        self._failures.pop("the database", None)
        return conn

    def _log_once(self, subject: str, error: Exception) -> None:
        """Log the first line of the error, unless the last reading failed with the same class of error."""
        if self._failures.get(subject) != type(error).__name__:
            self._failures[subject] = type(error).__name__
            message = str(error).partition("\n")[0]
            log.warning("%s cannot be read: %s: %s", subject, type(error).__name__, message)
