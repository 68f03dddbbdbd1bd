"""The alert rules for Prometheus: promtool's own tests, and names, limits and commands that exist here."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import palimpsest_pipeline
from palimpsest_pipeline.domain.enums import FreshnessFamily
from palimpsest_pipeline.operate.doctor.machine import MIN_FREE_BYTES
from palimpsest_pipeline.operate.doctor.stores import LATE_AFTER
from palimpsest_pipeline.operate.serve.metrics import METRIC_ERRORS, METRICS
from palimpsest_pipeline.pipeline.installed_products import STUCK_AFTER
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline_tests.contracts.test_docs import list_commands

FOLDER = Path(palimpsest_pipeline.__file__).parent / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"][0]["rules"]
TEXT = (FOLDER / "rules.yaml").read_text()
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES}
LABELS = {metric.name: {*metric.labels, "job", "instance"} for metric in METRICS} | {
    METRIC_ERRORS: {"metric", "job", "instance"}
}


@pytest.fixture(scope="module")
def promtool() -> str:
    """The path of promtool. Without it a local test is skipped; in CI it fails."""
    path = shutil.which("promtool")
    if path is None:
        message = "no promtool on this machine: apt-get install prometheus"
        (pytest.fail if os.environ.get("NO_SKIPS") else pytest.skip)(message)
    return path


def run_rule_tests(promtool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [promtool, "test", "rules", "rules_test.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_promtool_accepts_the_rules_and_their_tests_pass(promtool: str):
    checked = subprocess.run(
        [promtool, "check", "rules", str(FOLDER / "rules.yaml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    done = run_rule_tests(promtool, FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "replacement", "n_failed"),
    [(r"for: \w+", "for: 1000h", len([rule for rule in RULES if "for" in rule])), (r" (<|==|>) ", " != ", 1)],
)
def test_rules_that_are_wrong_fail_their_tests(
    promtool: str, tmp_path: Path, pattern: str, replacement: str, n_failed: int
):
    shutil.copy(FOLDER / "rules_test.yaml", tmp_path)
    (tmp_path / "rules.yaml").write_text(re.sub(pattern, replacement, TEXT))
    done = run_rule_tests(promtool, tmp_path)
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("expr:") >= n_failed


def test_each_alert_is_tested_in_both_ways():
    names = [test["name"] for test in yaml.safe_load((FOLDER / "rules_test.yaml").read_text())["tests"]]
    assert sorted(names) == sorted(f"{alert} {way}" for alert in EXPRESSIONS for way in ("fires", "does not fire"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(text.strip() for text in rule["annotations"].values())


@pytest.mark.parametrize("alert", EXPRESSIONS)
def test_metrics_and_labels_of_a_rule_exist(alert: str):
    names = re.findall(r"\bpalimpsest_\w+", EXPRESSIONS[alert])
    assert set(names) <= LABELS.keys()
    for name, selector in re.findall(r"(palimpsest_\w+)\{([^}]*)\}", EXPRESSIONS[alert]):
        assert set(re.findall(r"(\w+)=", selector)) <= LABELS[name]


def test_limits_are_the_defaults_of_the_settings():
    settings = Settings(_env_file=None)
    limits = {
        "PalimpsestPlatformSilent": 60 * settings.stale_after_minutes[FreshnessFamily.DISCOVERY][1],
        "PalimpsestSkewHigh": settings.max_skew_s,
        "PalimpsestMappedRatioLow": settings.min_mapped_rate,
        "PalimpsestDerivationLate": STUCK_AFTER.total_seconds(),
    }
    for alert, limit in limits.items():
        assert EXPRESSIONS[alert].endswith(f" {limit:g}"), alert
    assert EXPRESSIONS["PalimpsestMessagesLate"].endswith(f" {LATE_AFTER.total_seconds():g}")
    assert EXPRESSIONS["PalimpsestDiskAlmostFull"].endswith(f" {MIN_FREE_BYTES / 2**30:g} * 2^30")


def test_commands_and_settings_that_a_runbook_names_exist():
    commands = set(re.findall(r"`palimpsest\s+([a-z-]+)", TEXT))
    assert {(command,) for command in commands} <= list_commands()
    assert len(commands) > 5
    fields = {name.upper() for name in Settings.model_fields} | {"HOME_DIR", "LANDING_RETENTION_DAYS"}
    assert set(re.findall(r"PALIMPSEST_([A-Z_]+)", TEXT)) <= fields
