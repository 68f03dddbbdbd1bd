"""The files for other machines say what `palimpsest up` says on one: same limits, same monitoring, same driver; and
Dagster accepts them.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema

import palimpsest_pipeline
from palimpsest_pipeline.defs.instance import render_instance_yaml

DEPLOY = Path(palimpsest_pipeline.__file__).parent / "deploy"
OURS = yaml.safe_load(render_instance_yaml(None, celery=False, max_concurrent_runs=4))
VALUES = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
DAEMON = VALUES["dagsterDaemon"]


def snake(camel: Any) -> Any:
    """The chart writes its keys in camel case, `dagster.yaml` in snake case."""
    if not isinstance(camel, dict):
        return camel
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(value) for key, value in camel.items()}


def rendered() -> dict[str, Any]:
    """The sections of `dagster.yaml` that the chart writes from our values, but the storage's and the launcher's."""
    queue = snake(DAEMON["runCoordinator"]["config"]["queuedRunCoordinator"])
    return {
        "run_coordinator": {"module": "dagster.core.run_coordinator", "class": "QueuedRunCoordinator", "config": queue},
        "run_monitoring": snake(DAEMON["runMonitoring"]),
        "sensors": snake(DAEMON["sensors"]),
        "schedules": snake(DAEMON["schedules"]),
        "retention": {name: section for name, section in snake(VALUES["retention"]).items() if name != "enabled"},
        "telemetry": VALUES["telemetry"],
        **VALUES["additionalInstanceConfig"],
    }


def accepted(instance: dict[str, Any]) -> None:
    result = validate_config(dagster_instance_config_schema(), instance)
    assert result.success, result.errors


def test_the_instance_for_celery_is_the_one_that_we_write():
    text = (DEPLOY / "celery" / "dagster.yaml").read_text()
    assert text == render_instance_yaml(None, celery=True, max_concurrent_runs=4)
    accepted(yaml.safe_load(text))


def test_dagster_accepts_what_the_chart_makes_of_our_values():
    accepted(rendered())


def test_the_chart_is_told_the_same_limits_and_patience_as_up():
    chart = rendered()
    queue = chart["run_coordinator"]["config"]
    limits = OURS["concurrency"]["runs"]
    assert (queue["max_concurrent_runs"], queue["tag_concurrency_limits"]) == (
        limits["max_concurrent_runs"],
        limits["tag_concurrency_limits"],
    )
    for section in (
        "run_retries",
        "sensors",
        "schedules",
        "backfills",
        "auto_materialize",
        "freshness",
        "telemetry",
        "nux",
    ):
        assert chart[section] == OURS[section], section
    for name, kept in OURS["retention"].items():
        days = kept["purge_after_days"]
        found = chart["retention"][name]["purge_after_days"]
        assert found == days if isinstance(days, int) else found.items() >= days.items(), name
    assert chart["run_monitoring"]["max_resume_run_attempts"] == 0
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"


def test_the_runs_of_a_backfill_are_queued_and_taken_in_order_one_at_a_time():
    assert {"key": "dagster/backfill", "limit": 1} in OURS["concurrency"]["runs"]["tag_concurrency_limits"]
    assert "num_submit_workers" not in OURS["backfills"]  # several would queue them in any order


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.*")), ids=lambda path: path.name)
def test_no_password_is_in_a_file(path: Path):
    assert "://:" not in path.read_text()
    if path.suffix == ".yaml":
        assert "assword:" not in path.read_text().replace("postgresql-password", "")
