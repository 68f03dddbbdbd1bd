"""Dagster's launcher that hands each run to a Celery worker. Named in `dagster.yaml`; imported only where the extra
`celery` is installed.

Belongs here: the Celery application that launcher and workers share, and the launcher. Does not: the worker's life,
looking at the broker (`celery`).
"""

from collections.abc import Mapping
from typing import Any, Final, Self

import dagster as dg
from celery import Celery
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.make_app import make_app
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dagster_celery.tasks import create_execute_job_task

QUEUE_NAME: Final = "dagster"
CONNECT_TIMEOUT_S: Final = 5
DISABLED_BACKEND_URL: Final = "disabled://"
"""How a run ends is written to Dagster's storage by its own process, so the broker keeps no results."""
CELERY_CONFIG: Final = {
    "task_ignore_result": True,
    # A run that waits in one worker's hands could be executed by another one that is free. Acknowledged when it begins:
    # a broker that hands a run out again would have it executed twice.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "task_acks_late": False,
    "worker_redirect_stdouts": False,  # Dagster's log of a run is complete in its storage
    "worker_proc_alive_timeout": 120,  # a process imports the pipeline before it says that it is there
    "worker_max_tasks_per_child": 200,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": CONNECT_TIMEOUT_S,
    "broker_transport_options": {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "max_retries": 3,
        "interval_start": 0,
        "interval_max": 0.5,
    },
}


def build_application(broker_url: str) -> Celery:
    """The application that both sides know, with the one task that executes a run."""
    app = make_app(
        {
            "broker": broker_url,
            "backend": DISABLED_BACKEND_URL,
            "include": [],
            "config_source": CELERY_CONFIG,
            "task_default_queue": QUEUE_NAME,
        }
    )
    create_execute_job_task(app)
    return app


class Launcher(CeleryRunLauncher):
    """Hands runs to the workers (`palimpsest worker`) through the broker. Whether a run lives is told by its own signs
    of life, not by the broker: one that was started anew has forgotten the runs that go on."""

    def __init__(self, broker: str, inst_data: Any = None) -> None:
        super().__init__(
            default_queue=QUEUE_NAME,
            broker=broker,
            backend=DISABLED_BACKEND_URL,
            config_source=CELERY_CONFIG,
            inst_data=inst_data,
        )

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {
            "broker": dg.Field(
                dg.StringSource, description="URL of the broker, with its password: name an environment variable"
            )
        }

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return False

    @property
    def supports_resume_run(self) -> bool:
        return False

    def terminate(self, run_id: str) -> bool:
        """Ask the worker that executes the run to end it; one that is still with the broker is dropped.

        False when no worker was ever given it.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        self.celery.control.revoke(run.tags[DAGSTER_CELERY_TASK_ID_TAG], terminate=True, signal="SIGTERM")
        return True
