"""`palimpsest down`: ask the supervisor to end, then stop the embedded server.

If the supervisor was killed, this module ends its remaining processes.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from palimpsest_pipeline.pipeline.context import make_embedded_server
from palimpsest_pipeline.runtime.server_sharing import is_in_use, list_commands, mark_in_use
from palimpsest_pipeline.settings import Settings

from .restart_services import Say
from .service_record import STOPPING_LOG_FILE, ServiceRecord, read_record, remove_left_record, request_stop

END_MARGIN_S: Final = 150.0
"""Seconds that a supervisor needs to end, in addition to the wait for runs."""
_POLL_INTERVAL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class StopResult:
    """Whether services ran in a home folder, and whether another command still uses it."""

    was_running: bool
    is_in_use: bool


def stop_home(settings: Settings, home: Path, wait_s: float, say: Say) -> StopResult:
    """Stop the services of `home`, then its embedded server.

    If another command uses the folder, its name is printed and the server keeps running.
    """
    home_settings = settings.model_copy(update={"home_dir": home})
    serving = read_record(home)
    remove_left_record(home)
    if serving is not None and serving.supervisor.find() is not None:
        _stop_supervisor(home, serving, wait_s, say)
    if read_record(home) is not None:
        _end_remains(home_settings, home, wait_s, say)
    if serving is not None:
        say(f"stopped Dagster at {serving.url}")
    stopped_server = _stop_server(home_settings, say)
    return StopResult(stopped_server or serving is not None, _name_commands(home, say))


def _stop_supervisor(home: Path, serving: ServiceRecord, wait_s: float, say: Say) -> None:
    """Ask the supervisor to end, print its messages, and wait for its end; kill it after a time limit."""
    supervisor = serving.supervisor.find()
    if supervisor is None:
        return
    request_stop(home, wait_s)
    log, n_lines_said = home / STOPPING_LOG_FILE, 0
    supervisor.terminate()
    deadline = time.monotonic() + wait_s + END_MARGIN_S
    while (alive := serving.supervisor.find()) is not None or log.exists():
        lines = log.read_text().splitlines() if log.exists() else []
        for line in lines[n_lines_said:]:
            say(line)
        n_lines_said = max(n_lines_said, len(lines))
        if alive is None:
            break
        if time.monotonic() > deadline:
            say(f"the supervisor (pid {serving.supervisor.pid}) does not end: it is killed")
            alive.kill()
            psutil.wait_procs([alive], timeout=10)
            break
        time.sleep(_POLL_INTERVAL_S)
    log.unlink(missing_ok=True)


def _end_remains(settings: Settings, home: Path, wait_s: float, say: Say) -> None:
    # Imported here because it takes seconds, and only a killed supervisor requires it.
    from palimpsest_pipeline.defs.instance import open_instance  # noqa: PLC0415

    from .up import stop_left_services  # noqa: PLC0415

    # A server that is already stopped must not be started only to stop the services.
    if settings.is_embedded and not make_embedded_server(settings).status().running:
        stop_left_services(home, None, say, wait_s)
        return
    with open_instance(settings) as instance:
        stop_left_services(home, instance, say, wait_s)


def _stop_server(settings: Settings, say: Say) -> bool:
    server = make_embedded_server(settings)
    if not server.status().running:
        return False
    with mark_in_use(settings.home) as use:
        use.set_stop_when_last(True)
        if not use.must_stop_server():
            return False
        server.stop()
    say(f"stopped the embedded Postgres of {settings.home}")
    return True


def _name_commands(home: Path, say: Say) -> bool:
    """Print the other commands that use the home folder, and return whether there are any."""
    if not is_in_use(home):
        return False
    commands = "; ".join(list_commands(home)) or "another command"
    say(
        f"still at work in {home}: {commands}. Press Ctrl-C in its terminal, or `kill` its pid; an embedded Postgres "
        "stops when it ends"
    )
    return True
