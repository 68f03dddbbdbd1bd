"""The metrics of the pipeline for Prometheus: one table of names, labels and queries, and their page.

All metrics are gauges in base units (seconds, bytes, ratios from 0 to 1). A value that could not be read is left out
and never 0; `palimpsest_metric_errors` then is 1 for its metric. Every query reads the rows of one or a few cycles,
so that monitoring can ask often.

While `palimpsest up` runs, the supervisor writes the page into the home folder, because it may read all schemas and has
Dagster's instance. The board serves the file, and needs no right but to read it.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Self

import dagster as dg
import psycopg
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from psycopg.rows import dict_row

from palimpsest_pipeline.board.metrics_route import METRICS_FILE
from palimpsest_pipeline.domain.alerts import AlertKind
from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.domain.enums import OddsAlertLevel, OddsAlertType, Severity
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_products, make_due_query
from palimpsest_pipeline.pipeline.kickoff_slots import report_slots
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable, DatabaseUrlError
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.derivation.due_products import count_due_products
from palimpsest_pipeline.storage.ledger.cycle_reader import read_skew_quantiles_ms

LOOK_BACK_DAYS: Final = 7
"""Days of cycles that are searched for the last one of a platform."""
KICKOFF_SLOTS_PERIOD: Final = timedelta(hours=1)
STATEMENT_TIMEOUT_MS: Final = 2_000
"""Time limit of each query in milliseconds. A query that waits for a lock costs only its own metrics."""
_SESSION_SQL: Final = f"set default_transaction_read_only = on; set statement_timeout = {STATEMENT_TIMEOUT_MS}"
NAME_PREFIX: Final = "palimpsest_"
log = logging.getLogger(__name__)

_Rows = Sequence[Mapping[str, Any]]
"""One row per combination of label values.

A value is in the column that has its metric's name without the prefix, and each label's value in the column of its
name. A value of None is left out.
"""


@dataclass(frozen=True, slots=True)
class Source:
    """The sources of values: the pipeline, Dagster's instance, the present time, and a connection."""

    pipeline: Pipeline
    instance: dg.DagsterInstance
    now: datetime
    _conn: psycopg.Connection | None
    began: float = field(default_factory=time.perf_counter)

    @property
    def conn(self) -> psycopg.Connection:
        """The connection, read-only and in autocommit. Raises DatabaseUnreachable when there is none."""
        if self._conn is None:
            raise DatabaseUnreachable("the pipeline's database cannot be reached")
        return self._conn

    @property
    def since(self) -> datetime:
        return self.now - timedelta(days=LOOK_BACK_DAYS)

    def read(self, query: "Query") -> _Rows:
        """Return the rows of a query in SQL or Python. Raises what the query raises."""
        if not isinstance(query, str):
            return query(self)
        params = {
            "now": self.now,
            "since": self.since,
            "odds_product": derived_products.ODDS_PRODUCT,
            "severities": [each.value for each in Severity],
            "kinds": [each.value for each in AlertKind],
            "odds_severities": [each.value for each in OddsAlertLevel],
            "odds_kinds": [each.value for each in OddsAlertType],
        }
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), params).fetchall()


Query = str | Callable[[Source], _Rows]


def _read_build(_: Source) -> _Rows:
    return [{"version": version("palimpsest-pipeline"), "build_info": 1}]


def _read_active_platforms(source: Source) -> _Rows:
    return [{"platform": platform, "platform_active": 1} for platform in source.pipeline.settings.platforms]


# Imported cycles do not count.
_LAST_CYCLES_SQL: Final = """
    with parts as materialized (
        select b.scope, r.platform, r.cycle_id, r.fetched, r.finished_at, r.capture_s, r.floor_s
        from ops.scrape_batches b join ops.scrape_runs r using (cycle_id)
        where b.partition_hour >= %(since)s and b.status <> 'running' and b.scope <> 'recorded'
    ), answered as (
        select distinct on (scope, platform) scope, platform, finished_at
        from parts where fetched > 0 order by scope, platform, cycle_id desc
    ), captured as (
        select distinct on (scope, platform) scope, platform, capture_s, floor_s
        from parts where capture_s is not null order by scope, platform, cycle_id desc
    )
    select scope, platform, extract(epoch from a.finished_at)::float8 as last_cycle_timestamp_seconds,
        extract(epoch from %(now)s - a.finished_at)::float8 as last_cycle_age_seconds,
        c.capture_s as last_cycle_capture_seconds, c.capture_s / nullif(c.floor_s, 0) as last_cycle_floor_ratio
    from answered a full join captured c using (scope, platform)
    order by scope, platform
"""
_NEWEST_CYCLES_SQL: Final = """
    select distinct on (scope) cycle_id, scope from ops.scrape_batches
    where partition_hour >= %(since)s and status <> 'running' and scope <> 'recorded'
    order by scope, cycle_id desc
"""


def _read_skews(source: Source) -> _Rows:
    """Return the quantiles of each scope's newest cycle that has a fixture on two platforms."""
    scopes = {row["cycle_id"]: row["scope"] for row in source.read(_NEWEST_CYCLES_SQL)}
    quantiles = read_skew_quantiles_ms(source.conn, list(scopes)).rows()
    return [
        {"scope": scopes[cycle_id], "statistic": statistic, "last_cycle_skew_seconds": value_ms / 1000}
        for cycle_id, *values_ms in sorted(quantiles, key=lambda row: scopes[row[0]])
        for statistic, value_ms in zip(("median", "p95"), values_ms, strict=True)
    ]


# The sum over captures is an index look-up by cycle. A platform that answered nothing in the cycle has the sum 0.
_PRICES_SQL: Final = """
    with newest as materialized (
        select distinct on (product) split_part(product, '/', 2) as platform, p.cycle_id
        from core.cycle_products p join core.cycles c using (cycle_id)
        where c.scope = 'full' and c.partition_hour >= %(since)s and p.product like %(odds_product)s || '/%%'
        order by product, p.cycle_id desc
    ), stored as materialized (
        select k.cycle_id, i.platform, sum(k.n_prices) as n_prices, count(*) as n_listings
        from core.captures k join ops.listing_ids i using (listing_id)
        where k.cycle_id = any(array(select cycle_id from newest))
        group by k.cycle_id, i.platform
    )
    select n.platform, coalesce(s.n_prices, 0)::bigint as last_cycle_prices,
        coalesce(s.n_listings, 0) as last_cycle_listings
    from newest n left join stored s using (cycle_id, platform)
    order by n.platform
"""
_MAPPED_RATES_SQL: Final = """
    select platform, sport, n_mapped::float8 / n_markets_seen as mapped_ratio
    from palimpsest.mapping_coverage
    where cycle_id = (
        select p.cycle_id from mart.cycle_products p join core.cycles c using (cycle_id)
        where p.product = 'mapping_coverage' and p.n_rows > 0 and c.scope = 'full'
        order by p.cycle_id desc limit 1
    )
    order by platform, sport
"""


def _read_due_products(source: Source) -> _Rows:
    """Return the numbers of due and failed products, and the age of the oldest; nothing due is 0."""
    counts = count_due_products(source.conn, make_due_query(source.pipeline, source.conn))
    due = {(p.schema, p.name, reason): 0 for p in list_products() for reason in ("new_answers", "new_version")}
    failed = {(p.schema, p.name): 0 for p in list_products()}
    for each in counts:
        due[each.schema, each.product, "new_answers" if each.is_new_content else "new_version"] = each.n_due
        failed[each.schema, each.product] += each.n_failed
    ends = [each.oldest_ended_at for each in counts if each.is_new_content and each.oldest_ended_at]
    return [
        *({"schema": s, "product": p, "reason": reason, "due_products": n} for (s, p, reason), n in due.items()),
        *({"schema": s, "product": p, "failed_products": n} for (s, p), n in failed.items()),
        *({"oldest_due_product_age_seconds": (source.now - at).total_seconds()} for at in sorted(ends)[:1]),
    ]


def _read_kickoff_slots(source: Source) -> _Rows:
    report = report_slots(source.pipeline, source.conn, source.now - KICKOFF_SLOTS_PERIOD, source.now)
    n_lost = report.lost_slots.height if report.is_in_use else 0
    results = {"answered": report.slots.height - n_lost, "lost": n_lost} if report.is_in_use else {}
    return [{"result": result, "kickoff_slots": n} for result, n in results.items()]


def _read_runs(source: Source) -> _Rows:
    statuses = dg.DagsterRunStatus
    states = {
        "queued": [statuses.QUEUED],
        "under_way": [statuses.STARTING, statuses.STARTED, statuses.CANCELING],
    }
    return [
        {"state": state, "dagster_runs": source.instance.get_runs_count(dg.RunsFilter(statuses=each))}
        for state, each in states.items()
    ]


_OPEN_ALERTS_SQL: Final = """
    select s.severity, k.kind, count(a.alert_key) as open_alerts
    from unnest(%(severities)s::text[]) with ordinality s (severity, s_place)
    cross join unnest(%(kinds)s::text[]) with ordinality k (kind, k_place)
    left join ops.alerts a
        on a.closed_at is null and a.severity::text = s.severity and split_part(a.alert_key, '/', 1) = k.kind
    group by s.severity, k.kind, s_place, k_place order by s_place, k_place
"""
_OPEN_ODDS_ALERTS_SQL: Final = """
    select s.severity, k.kind, count(a.alert_id) as open_odds_alerts
    from unnest(%(odds_severities)s::text[]) with ordinality s (severity, s_place)
    cross join unnest(%(odds_kinds)s::text[]) with ordinality k (kind, k_place)
    left join (
        select o.alert_id, o.severity::text, o.alert_type::text
        from mart.odds_alert o left join core.fixtures f using (sr_id)
        where o.closed_at is null and (f.effective_kickoff > %(now)s or f.effective_kickoff is null)
    ) a on a.severity = s.severity and a.alert_type = k.kind
    group by s.severity, k.kind, s_place, k_place order by s_place, k_place
"""
# The sender and the derivation write instants by the clock of the database, so the age is measured by it.
_WAITING_MESSAGES_SQL: Final = """
    select count(*) as waiting_messages,
        extract(epoch from clock_timestamp() - min(created_at))::float8 as oldest_waiting_message_age_seconds
    from ops.push_outbox where state = 'pending'
"""


def _read_home_disk(source: Source) -> _Rows:
    usage = shutil.disk_usage(source.pipeline.settings.home)
    return [{"home_free_bytes": usage.free, "home_size_bytes": usage.total}]


def _read_duration(source: Source) -> _Rows:
    return [{"metrics_read_seconds": time.perf_counter() - source.began}]


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge: its name, its help text, the names of its labels, and the query of its values.

    Metrics of the same query are read together, and are missing together when it fails.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    query: Query


_LAST_CYCLE: Final = (
    f"of the last finished cycle by scope (full, kickoff, events) and platform; absent without one in {LOOK_BACK_DAYS}"
    " days"
)
METRICS: Final = (
    Metric("palimpsest_build_info", "Always 1; the label has the version of the pipeline.", ("version",), _read_build),
    Metric(
        "palimpsest_platform_active",
        "Always 1; one series for each platform that the settings activate.",
        ("platform",),
        _read_active_platforms,
    ),
    Metric(
        "palimpsest_last_cycle_timestamp_seconds",
        f"Unix time of the last usable answer {_LAST_CYCLE}. Cycles without a usable answer of the platform do not "
        "count.",
        ("scope", "platform"),
        _LAST_CYCLES_SQL,
    ),
    Metric(
        "palimpsest_last_cycle_age_seconds",
        "Seconds from palimpsest_last_cycle_timestamp_seconds to now, by the clock of the pipeline.",
        ("scope", "platform"),
        _LAST_CYCLES_SQL,
    ),
    Metric(
        "palimpsest_last_cycle_capture_seconds",
        f"Seconds from the first request of the capture to its last answer, {_LAST_CYCLE}.",
        ("scope", "platform"),
        _LAST_CYCLES_SQL,
    ),
    Metric(
        "palimpsest_last_cycle_floor_ratio",
        "Duration of the capture divided by the shortest duration that the limits of the host allow; 1 is the best, "
        f"{_LAST_CYCLE}.",
        ("scope", "platform"),
        _LAST_CYCLES_SQL,
    ),
    Metric(
        "palimpsest_last_cycle_skew_seconds",
        "Time between the earliest and the latest answer about one fixture, over the platforms, in the last finished "
        "cycle by scope. statistic: median or p95, over the fixtures.",
        ("scope", "statistic"),
        _read_skews,
    ),
    Metric(
        "palimpsest_last_cycle_prices",
        "Prices in mapped markets that the last derived full cycle stored for the platform.",
        ("platform",),
        _PRICES_SQL,
    ),
    Metric(
        "palimpsest_last_cycle_listings",
        "Listings with an answer that the last derived full cycle stored for the platform.",
        ("platform",),
        _PRICES_SQL,
    ),
    Metric(
        "palimpsest_mapped_ratio",
        "Share of the markets in the last derived full cycle that the vocabulary knows, from 0 to 1.",
        ("platform", "sport"),
        _MAPPED_RATES_SQL,
    ),
    Metric(
        "palimpsest_due_products",
        "Products of landed cycles that core or mart lacks and that can be derived. reason: new_answers, or "
        "new_version for answers that were derived by an older parser or vocabulary and wait for a backfill.",
        ("schema", "product", "reason"),
        _read_due_products,
    ),
    Metric(
        "palimpsest_failed_products",
        "Due products whose derivation has failed. They are not derived again until somebody starts a backfill.",
        ("schema", "product"),
        _read_due_products,
    ),
    Metric(
        "palimpsest_oldest_due_product_age_seconds",
        "Seconds since the end of the oldest cycle whose new answers are not derived; absent when there is none.",
        (),
        _read_due_products,
    ),
    Metric(
        "palimpsest_kickoff_slots",
        "Minutes before a kickoff at which a fixture was due in the last hour. result: answered, or lost when no "
        "platform answered; absent while the kickoff cadence is not used.",
        ("result",),
        _read_kickoff_slots,
    ),
    Metric(
        "palimpsest_dagster_runs",
        "Unfinished runs of Dagster. state: queued for runs that wait for a free slot, under_way for the others.",
        ("state",),
        _read_runs,
    ),
    Metric(
        "palimpsest_open_alerts",
        "Open alerts about the pipeline. kind: what failed (run, cycle, check or pipeline).",
        ("severity", "kind"),
        _OPEN_ALERTS_SQL,
    ),
    Metric(
        "palimpsest_open_odds_alerts",
        "Alerts to traders that are open or acknowledged, of fixtures that have not kicked off.",
        ("severity", "kind"),
        _OPEN_ODDS_ALERTS_SQL,
    ),
    Metric(
        "palimpsest_waiting_messages",
        "Messages to traders that wait for delivery. Refused messages do not count.",
        (),
        _WAITING_MESSAGES_SQL,
    ),
    Metric(
        "palimpsest_oldest_waiting_message_age_seconds",
        "Seconds since the oldest of the waiting messages was written; absent when there is none.",
        (),
        _WAITING_MESSAGES_SQL,
    ),
    Metric(
        "palimpsest_home_free_bytes",
        "Free bytes on the disk of the home folder, for the user of the pipeline.",
        (),
        _read_home_disk,
    ),
    Metric("palimpsest_home_size_bytes", "Size in bytes of the disk of the home folder.", (), _read_home_disk),
    Metric(
        "palimpsest_database_size_bytes",
        "Size in bytes of the pipeline's database on disk.",
        (),
        "select pg_database_size(current_database()) as database_size_bytes",
    ),
    Metric("palimpsest_metrics_read_seconds", "Seconds that the reading of these values took.", (), _read_duration),
)
"""Every metric but `METRIC_ERRORS`, in the order of the page."""


METRIC_ERRORS: Final = "palimpsest_metric_errors"
METRIC_ERRORS_HELP: Final = "1 when the values of the metric could not be read and are left out, otherwise 0."

Samples = Sequence[tuple[tuple[str, ...], float]]
"""The values of a metric: the values of its labels, in the metric's order, and the value."""


def render_metrics(samples_by_metric: Mapping[str, Samples | None]) -> bytes:
    """Return the page of all metrics in Prometheus's text format, UTF-8.

    None stands for values that were not read.
    """
    registry = CollectorRegistry(auto_describe=False)
    for metric in METRICS:
        if samples := samples_by_metric.get(metric.name, ()):
            gauge = Gauge(metric.name, metric.help, metric.labels, registry=registry)
            for labels, value in samples:
                (gauge.labels(*labels) if labels else gauge).set(value)
    errors = Gauge(METRIC_ERRORS, METRIC_ERRORS_HELP, ["metric"], registry=registry)
    for metric in METRICS:
        errors.labels(metric.name).set(samples_by_metric.get(metric.name, ()) is None)
    return generate_latest(registry)


class MetricReader:
    """Reads all metrics; may be called again and again.

    `connect` opens a connection of a role that may read all schemas (default: the pipeline's own role). A connection is
    used for the read-only queries of one reading, and then closed.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        instance: dg.DagsterInstance,
        connect: Callable[[], psycopg.Connection] | None = None,
    ) -> None:
        self._pipeline, self._instance, self._connect = pipeline, instance, connect or pipeline.connect
        self._failures: dict[str, str] = {}
        """The class of the last error by subject, while it cannot be read."""

    def read_page(self) -> bytes:
        """Return the page of the present values. A query that fails costs only its own metrics."""
        conn = self._open_connection()
        source = Source(self._pipeline, self._instance, self._pipeline.clock.now(), conn)
        rows_by_query: dict[Query, _Rows | None] = {}
        samples: dict[str, Samples | None] = {}
        for metric in METRICS:
            if metric.query not in rows_by_query:
                rows_by_query[metric.query] = self._read_rows(source, metric)
            rows, column = rows_by_query[metric.query], metric.name.removeprefix(NAME_PREFIX)
            samples[metric.name] = (
                None
                if rows is None
                else [
                    (tuple(row[label] for label in metric.labels), row[column])
                    for row in rows
                    if row.get(column) is not None
                ]
            )
        if conn is not None:
            conn.close()
        return render_metrics(samples)

    def _read_rows(self, source: Source, metric: Metric) -> _Rows | None:
        try:
            rows = source.read(metric.query)
        except Exception as error:  # noqa: BLE001 - one figure that cannot be read must not hide the others
            self._log_once(metric.name, error)
            return None
        self._failures.pop(metric.name, None)
        return rows

    def _open_connection(self) -> psycopg.Connection | None:
        """Return a connection; None when the database cannot be reached."""
        conn = None
        try:
            conn = self._connect()
            conn.autocommit = True
            conn.execute(_SESSION_SQL)
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


WRITE_INTERVAL_S: Final = 15.0
"""Seconds between two readings. Prometheus commonly asks every 15 to 60 seconds."""
_JOIN_TIMEOUT_S: Final = 3.0


class MetricsWriter:
    """Writes the page in a thread, at once and then every `interval_s` seconds, during the block.

    The file is removed after the block. A page that cannot be written is logged, and the next one is tried.
    """

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance, interval_s: float = WRITE_INTERVAL_S) -> None:
        self._path = pipeline.settings.home / METRICS_FILE
        self._reader, self._interval_s = MetricReader(pipeline, instance), interval_s
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_event.set()
        self._thread.join(_JOIN_TIMEOUT_S)
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stop_event.is_set():
            try:
                page = self._reader.read_page().decode()
                if not self._stop_event.is_set():
                    replace_text(self._path, page)
            except Exception as error:  # noqa: BLE001 - the next page may succeed, for example after a full disk
                log.warning("%s cannot be written: %s", self._path, type(error).__name__)
            self._stop_event.wait(self._interval_s)
