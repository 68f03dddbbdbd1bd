"""Workers that execute runs handed out by a broker: starting one, ending it, and looking whether broker and workers are
there.

Importable without the extra `celery`, which is asked for when a broker is set. The application and Dagster's launcher
are in `celery_launcher`.
"""

import os
import signal
import socket
import threading
import time
from typing import Any, Final

from palimpsest_pipeline.domain.secrets import list_address_secrets, redact
from palimpsest_pipeline.runtime.celery_broker import BROKER_VARIABLE, require_broker_url
from palimpsest_pipeline.settings import Settings, SettingsError, mask_url

WORKER_NAME_PREFIX: Final = "palimpsest"
"""First part of the name of our workers."""
PING_TIMEOUT_S: Final = 2.0
PARENT_POLL_INTERVAL_S: Final = 1.0
END_TIMEOUT_S: Final = 30.0
"""A process whose worker is gone has so long to write what its run has come to."""


def connect_to_broker(settings: Settings) -> Any:
    """The Celery application of these settings, its broker reachable.

    Raises SettingsError that says where it was looked for.
    """
    url = require_broker_url(settings)
    from kombu.exceptions import KombuError, OperationalError  # noqa: PLC0415 - an extra

    from palimpsest_pipeline.defs.celery_launcher import CONNECT_TIMEOUT_S, build_application  # noqa: PLC0415 - an extra

    app = build_application(url)
    try:
        with app.connection_for_read(connect_timeout=CONNECT_TIMEOUT_S) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_TIMEOUT_S)
    except (OSError, KombuError, OperationalError) as error:
        reason = redact(str(error), *list_address_secrets(url))
        raise SettingsError(
            f"cannot reach the broker {mask_url(url)}: {reason}. Check {BROKER_VARIABLE} and that the broker runs."
        ) from None
    return app


def describe_broker_state(settings: Settings) -> tuple[bool, str]:
    """Whether runs can be handed out, and in words: is the broker reachable, which workers answer.

    For people; takes a few seconds at most.
    """
    if settings.celery_broker_url is None:
        return True, "no broker set: runs are executed on this machine"
    try:
        app = connect_to_broker(settings)
    except SettingsError as error:
        return False, str(error)
    shown = mask_url(require_broker_url(settings))
    names = sorted(
        name for name in app.control.inspect(timeout=PING_TIMEOUT_S).ping() or {} if name.startswith(WORKER_NAME_PREFIX)
    )
    if not names:
        return False, f"{shown}: reachable, and no worker answers: runs wait until one is started (`palimpsest worker`)"
    return True, f"{shown}: workers {', '.join(names)}"


def run_worker(settings: Settings, concurrency: int) -> None:
    """Execute runs, `concurrency` at the same time, each in a process of its own, until SIGTERM or Ctrl-C: then no new
    one is begun, and those under way are waited for. A second signal ends them too, and what they had written stays.
    Raises SettingsError when the broker cannot be reached."""
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
    """A process that executes runs: not in the terminal's group, where Ctrl-C would reach it beside the worker, and
    gone when the worker is.
    """
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), name="parent", daemon=True).start()
    from palimpsest_pipeline import definitions  # noqa: F401, PLC0415 - imported once for all runs of this process; before the fork its threads would be lost


def _make_run_interruptible(**_: object) -> None:
    """While a run is executed SIGTERM comes as Ctrl-C does: Dagster writes down that the run was ended, and a scrape
    what had arrived. The pool ignores SIGINT, and Dagster would have SIGTERM follow it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _end_runs_on_next_signal(**_: object) -> None:
    from celery.worker import state  # noqa: PLC0415 - an extra

    def end_runs(*_: object) -> None:
        state.should_terminate = 1

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_runs)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_TIMEOUT_S)
    os._exit(1)
