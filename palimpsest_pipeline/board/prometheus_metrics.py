"""The metrics of the pipeline in the text format of Prometheus: names, help texts, rendering. No I/O.

All metrics are gauges in base units (seconds, bytes, ratios from 0 to 1). A value that could not be read is left out
and never 0; `palimpsest_metric_errors` then is 1 for its metric.

Belongs here: the list of metrics, checking of values, rendering. Does not belong here: reading values
(`operate.serve.metric_values`), HTTP (`metrics_route`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LOOK_BACK_DAYS: Final = 7
"""Days of cycles that are searched for the last one of a platform."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge: its name, its help text and the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, with the values of its labels in the metric's order."""

    value: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricValues:
    """The result of one reading.

    `samples` maps names of metrics to their values. A metric may have no value, for example before the first cycle.
    `failed` has the names of the metrics that could not be read.
    """

    samples: Mapping[str, Sequence[Sample]]
    failed: frozenset[str] = frozenset()


_LAST_CYCLE: Final = (
    f"of the last finished cycle by scope (full, kickoff, events) and platform; absent without one in {LOOK_BACK_DAYS}"
    " days"
)
BUILD_INFO: Final = Metric(
    "palimpsest_build_info", "Always 1; the label has the version of the pipeline.", ("version",)
)
ACTIVE_PLATFORM: Final = Metric(
    "palimpsest_platform_active", "Always 1; one series for each platform that the settings activate.", ("platform",)
)
LAST_CYCLE_TIMESTAMP: Final = Metric(
    "palimpsest_last_cycle_timestamp_seconds",
    f"Unix time of the last usable answer {_LAST_CYCLE}. Cycles without a usable answer of the platform do not count.",
    ("scope", "platform"),
)
LAST_CYCLE_AGE: Final = Metric(
    "palimpsest_last_cycle_age_seconds",
    "Seconds from palimpsest_last_cycle_timestamp_seconds to now, by the clock of the pipeline.",
    ("scope", "platform"),
)
CAPTURE_DURATION: Final = Metric(
    "palimpsest_last_cycle_capture_seconds",
    f"Seconds from the first request of the capture to its last answer, {_LAST_CYCLE}.",
    ("scope", "platform"),
)
FLOOR_RATIO: Final = Metric(
    "palimpsest_last_cycle_floor_ratio",
    "Duration of the capture divided by the shortest duration that the limits of the host allow; 1 is the best, "
    f"{_LAST_CYCLE}.",
    ("scope", "platform"),
)
SKEW: Final = Metric(
    "palimpsest_last_cycle_skew_seconds",
    "Time between the earliest and the latest answer about one fixture, over the platforms, in the last finished "
    "cycle by scope. statistic: median or p95, over the fixtures.",
    ("scope", "statistic"),
)
STORED_PRICES: Final = Metric(
    "palimpsest_last_cycle_prices",
    "Prices in mapped markets that the last derived full cycle stored for the platform.",
    ("platform",),
)
STORED_LISTINGS: Final = Metric(
    "palimpsest_last_cycle_listings",
    "Listings with an answer that the last derived full cycle stored for the platform.",
    ("platform",),
)
MAPPED_RATE: Final = Metric(
    "palimpsest_mapped_ratio",
    "Share of the markets in the last derived full cycle that the vocabulary knows, from 0 to 1.",
    ("platform", "sport"),
)
DUE_PRODUCTS: Final = Metric(
    "palimpsest_due_products",
    "Products of landed cycles that core or mart lacks and that can be derived. reason: new_answers, or new_version "
    "for answers that were derived by an older parser or vocabulary and wait for a backfill.",
    ("schema", "product", "reason"),
)
FAILED_PRODUCTS: Final = Metric(
    "palimpsest_failed_products",
    "Due products whose derivation has failed. They are not derived again until somebody starts a backfill.",
    ("schema", "product"),
)
OLDEST_DUE_AGE: Final = Metric(
    "palimpsest_oldest_due_product_age_seconds",
    "Seconds since the end of the oldest cycle whose new answers are not derived; absent when there is none.",
)
KICKOFF_SLOTS: Final = Metric(
    "palimpsest_kickoff_slots",
    "Minutes before a kickoff at which a fixture was due in the last hour. result: answered, or lost when no platform "
    "answered; absent while the kickoff cadence is not used.",
    ("result",),
)
RUNS: Final = Metric(
    "palimpsest_dagster_runs",
    "Unfinished runs of Dagster. state: queued for runs that wait for a free slot, under_way for the others.",
    ("state",),
)
OPEN_ALERTS: Final = Metric(
    "palimpsest_open_alerts",
    "Open alerts about the pipeline. kind: what failed (run, cycle, check or pipeline).",
    ("severity", "kind"),
)
OPEN_ODDS_ALERTS: Final = Metric(
    "palimpsest_open_odds_alerts",
    "Alerts to traders that are open or acknowledged, of fixtures that have not kicked off.",
    ("severity", "kind"),
)
WAITING_MESSAGES: Final = Metric(
    "palimpsest_waiting_messages", "Messages to traders that wait for delivery. Refused messages do not count."
)
OLDEST_MESSAGE_AGE: Final = Metric(
    "palimpsest_oldest_waiting_message_age_seconds",
    "Seconds since the oldest of the waiting messages was written; absent when there is none.",
)
HOME_FREE: Final = Metric(
    "palimpsest_home_free_bytes", "Free bytes on the disk of the home folder, for the user of the pipeline."
)
HOME_SIZE: Final = Metric("palimpsest_home_size_bytes", "Size in bytes of the disk of the home folder.")
DATABASE_SIZE: Final = Metric("palimpsest_database_size_bytes", "Size in bytes of the pipeline's database on disk.")
READ_DURATION: Final = Metric("palimpsest_metrics_read_seconds", "Seconds that the reading of these values took.")
METRIC_ERRORS: Final = Metric(
    "palimpsest_metric_errors",
    "1 when the values of the metric could not be read and are left out, otherwise 0.",
    ("metric",),
)
METRICS: Final = (
    BUILD_INFO,
    ACTIVE_PLATFORM,
    LAST_CYCLE_TIMESTAMP,
    LAST_CYCLE_AGE,
    CAPTURE_DURATION,
    FLOOR_RATIO,
    SKEW,
    STORED_PRICES,
    STORED_LISTINGS,
    MAPPED_RATE,
    DUE_PRODUCTS,
    FAILED_PRODUCTS,
    OLDEST_DUE_AGE,
    KICKOFF_SLOTS,
    RUNS,
    OPEN_ALERTS,
    OPEN_ODDS_ALERTS,
    WAITING_MESSAGES,
    OLDEST_MESSAGE_AGE,
    HOME_FREE,
    HOME_SIZE,
    DATABASE_SIZE,
    READ_DURATION,
)
"""Every metric but `METRIC_ERRORS`, in the order of the page."""


def render_metrics(values: MetricValues) -> bytes:
    """Return the page of all metrics in Prometheus's text format, UTF-8.

    A metric with a value that is no finite number, with other labels than it has, or with the same labels twice, is
    left out and counts as failed. The other metrics are not affected. Names that are not in `METRICS` are ignored.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ValueCollector(values))
    return generate_latest(registry)


class _ValueCollector(Collector):
    """Yields the metrics of one reading."""

    def __init__(self, values: MetricValues) -> None:
        self._values = values

    def collect(self) -> Iterable[GaugeMetricFamily]:
        errors = GaugeMetricFamily(METRIC_ERRORS.name, METRIC_ERRORS.help, labels=METRIC_ERRORS.labels)
        for metric in METRICS:
            samples = self._values.samples.get(metric.name, ())
            is_wrong = metric.name in self._values.failed or not _are_valid(metric, samples)
            errors.add_metric((metric.name,), float(is_wrong))
            if samples and not is_wrong:
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for sample in samples:
                    family.add_metric(sample.labels, float(sample.value))
                yield family
        yield errors


def _are_valid(metric: Metric, samples: Sequence[Sample]) -> bool:
    """Return whether Prometheus takes all values of the metric."""
    return len({sample.labels for sample in samples}) == len(samples) and all(
        len(sample.labels) == len(metric.labels)
        and isinstance(sample.value, int | float)
        and math.isfinite(sample.value)
        and all(map(_is_utf8, sample.labels))
        for sample in samples
    )


def _is_utf8(label: str) -> bool:
    """Return whether the text has no lone surrogate, which no client can send."""
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True
