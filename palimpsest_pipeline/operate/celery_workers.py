"""Workers that execute Dagster runs from a broker: start one, end one, check the broker and workers.

This module can be imported without the extra `celery`, which is needed only when a broker is set. The application and
Dagster's launcher are in `celery_launcher`.
"""

import os
import signal
import socket
import threading
from typing import Any, Final

from palimpsest_pipeline.domain.secrets import list_address_secrets, redact
from palimpsest_pipeline.runtime.celery_broker import BROKER_VARIABLE, require_broker_url
from palimpsest_pipeline.runtime.processes import end_with_parent
from palimpsest_pipeline.settings import Settings, SettingsError, mask_url

WORKER_NAME_PREFIX: Final = "palimpsest"
"""The first part of the names of our workers."""
PING_TIMEOUT_S: Final = 2.0
_END_TIMEOUT_S: Final = 30.0
"""Seconds for a process to record the result of its run after its worker has died."""


def connect_to_broker(settings: Settings) -> Any:
    """Return the Celery application of these settings after connecting to its broker.

    Raises SettingsError with the broker's address when it cannot be reached.
    """
    url = require_broker_url(settings)
    from kombu.exceptions import KombuError, OperationalError  # noqa: PLC0415 - an extra

    from palimpsest_pipeline.defs.celery_launcher import BROKER_CONNECT_TIMEOUT_S, build_application  # noqa: PLC0415 - an extra

    app = build_application(url)
    try:
        with app.connection_for_read(connect_timeout=BROKER_CONNECT_TIMEOUT_S) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_CONNECT_TIMEOUT_S)
    except (OSError, KombuError, OperationalError) as error:
        reason = redact(str(error), *list_address_secrets(url))
        raise SettingsError(
            f"cannot reach the broker {mask_url(url)}: {reason}. Check {BROKER_VARIABLE} and that the broker runs."
        ) from None
    return app


def describe_broker_state(settings: Settings) -> tuple[bool, str]:
    """Return whether runs can be executed, and a sentence on the state of broker and workers.

    Takes a few seconds at most.
    """
    if settings.celery_broker_url is None:
        return True, "no broker is set: this machine executes the runs"
    try:
        app = connect_to_broker(settings)
    except SettingsError as error:
        return False, str(error)
    masked_url = mask_url(require_broker_url(settings))
    names = sorted(
        name for name in app.control.inspect(timeout=PING_TIMEOUT_S).ping() or {} if name.startswith(WORKER_NAME_PREFIX)
    )
    if not names:
        return (
            False,
            f"{masked_url}: reachable, but no worker answers: runs wait until you start one (`palimpsest worker`)",
        )
    return True, f"{masked_url}: workers {', '.join(names)}"


def run_worker(settings: Settings, concurrency: int) -> None:
    """Execute runs until SIGTERM or Ctrl-C, `concurrency` at the same time, each in its own process.

    After the first signal no new run starts, and the runs under way may finish. A second signal ends them too; the rows
    they have written are kept. Raises SettingsError when the broker cannot be reached.
    """
    app = connect_to_broker(settings)
    from celery import signals  # noqa: PLC0415 - an extra

    signals.worker_process_init.connect(_initialise_process, weak=False)
    signals.task_prerun.connect(_make_run_interruptible, weak=False)
    signals.worker_shutting_down.connect(_end_runs_on_next_signal, weak=False)
    name = f"{WORKER_NAME_PREFIX}-{os.getpid()}@{socket.gethostname()}"
    app.worker_main(
        [
            "worker",
            "--pool=prefork",
            f"--concurrency={concurrency}",
            "--queues=dagster",
            f"--hostname={name}",
            "--loglevel=INFO",
        ]
    )


def _initialise_process(**_: object) -> None:
    """Set up a process that executes runs.

    The process leaves the terminal's process group, because otherwise Ctrl-C would reach both it and the worker. It
    ends when the worker ends.
    """
    os.setpgid(0, 0)
    threading.Thread(target=end_with_parent, args=(os.getppid(), _END_TIMEOUT_S), name="parent", daemon=True).start()
    # Imported here once for all runs of this process. An import before the fork would lose the threads it starts.
    from palimpsest_pipeline import definitions  # noqa: F401, PLC0415


def _make_run_interruptible(**_: object) -> None:
    """Make SIGTERM act as Ctrl-C while a run is executed.

    Dagster then records that the run was cancelled, and a scrape stores the answers that have arrived. By default the
    pool ignores SIGINT, and Dagster copies this handler to SIGTERM.
    """
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.default_int_handler)


def _end_runs_on_next_signal(**_: object) -> None:
    from celery.worker import state  # noqa: PLC0415 - an extra

    def end_runs(*_: object) -> None:
        state.should_terminate = 1

    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, end_runs)
