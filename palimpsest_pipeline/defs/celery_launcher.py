"""The Dagster run launcher that sends each run to a Celery worker.

`dagster.yaml` names it. It is imported only where the extra `celery` is installed.
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
BROKER_CONNECT_TIMEOUT_S: Final = 5
DISABLED_BACKEND_URL: Final = "disabled://"
"""Celery's setting for no result backend. Each run's process writes its result to Dagster's storage."""
CELERY_CONFIG: Final = {
    "task_ignore_result": True,
    # Without prefetching, a free worker takes the next run, which otherwise might wait for a busy worker. A task is
    # acknowledged when it begins: if the broker delivered it again later, the run would be executed twice.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "task_acks_late": False,
    "worker_redirect_stdouts": False,  # Dagster's storage has the complete log of a run
    "worker_proc_alive_timeout": 120,  # importing the pipeline takes long
    "worker_max_tasks_per_child": 200,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": BROKER_CONNECT_TIMEOUT_S,
    "broker_transport_options": {
        "socket_connect_timeout": BROKER_CONNECT_TIMEOUT_S,
        "max_retries": 3,
        "interval_start": 0,
        "interval_max": 0.5,
    },
}


def build_application(broker_url: str) -> Celery:
    """Return the Celery application of launcher and workers, with one task: executing a run."""
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
    """A run launcher that sends runs through the broker to the workers (`palimpsest worker`).

    Whether a run is alive is judged by the run's own heartbeats: after a restart the broker has forgotten running
    tasks.
    """

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
                dg.StringSource,
                description="URL of the broker with its password: give the name of an environment variable",
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
        """Ask the run's worker to end the run, or remove the run from the broker while it waits there.

        Return False if the run is finished or was never sent to the broker.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        self.celery.control.revoke(run.tags[DAGSTER_CELERY_TASK_ID_TAG], terminate=True, signal="SIGTERM")
        return True
