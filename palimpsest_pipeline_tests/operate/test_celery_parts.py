"""Celery without a broker: settings that cannot work are one clear line, and the launcher keeps its hands off runs
that are not its own.
"""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test
from dagster._serdes import ConfigurableClassData

from palimpsest_pipeline.defs.celery_launcher import Launcher, build_application
from palimpsest_pipeline.defs.instance import prepare_instance
from palimpsest_pipeline.operate import celery_workers
from palimpsest_pipeline.runtime import celery_broker
from palimpsest_pipeline.settings import SettingsError, load_settings

NOBODY = "redis://:secret@127.0.0.1:1/0"
OWN = {"database_url": "postgresql://h/ours", "dagster_database_url": "postgresql://h/theirs"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an instance sets for the processes it starts is as before afterwards."""
    for name in ("DAGSTER_HOME", "PALIMPSEST_DAGSTER_DATABASE_URL", celery_broker.BROKER_VARIABLE):
        monkeypatch.setenv(name, "")


def test_without_a_broker_runs_are_executed_here(tmp_path: Path):
    settings = load_settings(home_dir=tmp_path, **OWN)
    assert celery_workers.describe_broker_state(settings) == (True, "no broker is set: this machine executes the runs")
    with pytest.raises(SettingsError, match="PALIMPSEST_CELERY_BROKER_URL: not set; write redis://"):
        celery_workers.run_worker(settings, 1)


@pytest.mark.parametrize("url", ["localhost:6379", "http://broker", "redis:/x"])
def test_what_is_no_broker_is_refused_without_being_shown(url: str):
    with pytest.raises(
        SettingsError, match="PALIMPSEST_CELERY_BROKER_URL: not the URL of a broker: write redis://"
    ) as refused:
        load_settings(celery_broker_url=url)
    assert url not in str(refused.value)


def test_a_broker_that_does_not_answer_is_told_with_its_address_and_without_its_password(tmp_path: Path):
    settings = load_settings(home_dir=tmp_path, celery_broker_url=NOBODY, **OWN)
    ok, told = celery_workers.describe_broker_state(settings)
    assert not ok
    assert told.startswith("cannot reach the broker redis://:***@127.0.0.1:")
    assert told.endswith("Check PALIMPSEST_CELERY_BROKER_URL and that the broker runs.")
    assert "secret" not in told


def test_a_broker_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(celery_broker, "find_spec", lambda _: None)
    settings = load_settings(home_dir=tmp_path, celery_broker_url=NOBODY, **OWN)
    with pytest.raises(SettingsError, match=r"not installed: run pip install 'palimpsest-pipeline\[celery\]'"):
        prepare_instance(settings)
    assert not celery_workers.describe_broker_state(settings)[0]


def test_the_instance_names_the_launcher_and_where_its_broker_is_found_and_never_the_password(tmp_path: Path):
    text = (
        prepare_instance(load_settings(home_dir=tmp_path, celery_broker_url=NOBODY, **OWN)) / "dagster.yaml"
    ).read_text()
    assert "secret" not in text
    data = yaml.safe_load(text)["run_launcher"]
    launcher = ConfigurableClassData(data["module"], data["class"], yaml.safe_dump(data["config"])).rehydrate(
        as_type=Launcher
    )
    assert launcher.broker == NOBODY
    assert not launcher.supports_check_run_worker_health, (
        "a broker that was started anew knows nothing of runs that live"
    )


def test_a_run_that_no_worker_was_given_is_not_ended_by_the_launcher():
    launcher = Launcher(NOBODY)
    with dg.DagsterInstance.ephemeral() as instance:
        launcher.register_instance(instance)
        run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
        assert not launcher.terminate(run.run_id)
        assert not launcher.terminate("nobody knows it")
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED


def test_workers_take_no_more_runs_than_they_execute_and_none_twice():
    conf = build_application(NOBODY).conf
    assert (conf.worker_prefetch_multiplier, conf.worker_disable_prefetch, conf.task_acks_late) == (1, True, False)
    assert conf.task_ignore_result
