"""The page of metrics: every good metric is on it whatever the others are, and no bad value is."""

import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from palimpsest_pipeline.operate.serve.metrics import METRIC_ERRORS, METRICS, render_metrics

Page = dict[str, dict[tuple[str, ...], float]]


def parse(page: bytes) -> Page:
    """Return the values of each metric by its label values, in the metric's order of labels."""
    labels = {metric.name: metric.labels for metric in METRICS} | {METRIC_ERRORS: ("metric",)}
    families: Page = {}
    for family in text_string_to_metric_families(page.decode()):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = tuple(sample.labels[name] for name in labels[sample.name])
            families.setdefault(sample.name, {})[key] = sample.value
    return families


def give_samples(labels: tuple[str, ...], values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    each = st.tuples(st.tuples(*([texts] * len(labels))), values)
    return st.lists(each, max_size=3, unique_by=lambda sample: sample[0])


FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)


@given(st.data(), st.sets(st.sampled_from(METRICS)))
def test_values_that_were_not_read_cost_their_own_metric_only(data: st.DataObject, failed: set):
    samples = {metric.name: data.draw(give_samples(metric.labels, FINITE)) for metric in METRICS}
    page = parse(render_metrics({**samples, **dict.fromkeys(metric.name for metric in failed)}))
    for metric in METRICS:
        assert page[METRIC_ERRORS][metric.name,] == (metric in failed)
        assert page.get(metric.name, {}) == pytest.approx({} if metric in failed else dict(samples[metric.name]))


def test_a_metric_without_values_is_absent_and_no_error():
    page = parse(render_metrics({}))
    assert page == {METRIC_ERRORS: {(metric.name,): 0 for metric in METRICS}}


def test_hostile_labels_stay_one_line():
    page = render_metrics({"palimpsest_build_info": [(('1"} 5\n# x\\',), 1)]})
    assert parse(page)["palimpsest_build_info"] == {('1"} 5\n# x\\',): 1}


def test_names_follow_the_conventions():
    """Promtool's own rules, where it is installed, and ours: base units, and no gauge that is named like a counter."""
    for metric in METRICS:
        assert metric.name.startswith("palimpsest_")
        assert not metric.name.endswith(("_total", "_count", "_sum", "_ms", "_minutes"))
        assert metric.help.endswith(".")
    if promtool := shutil.which("promtool"):
        values = {metric.name: [(tuple("x" for _ in metric.labels), 1)] for metric in METRICS}
        done = subprocess.run(
            [promtool, "check", "metrics"], input=render_metrics(values), capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
