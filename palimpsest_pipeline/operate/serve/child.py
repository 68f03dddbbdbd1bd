"""Entry point of the supervisor's children: `python -m palimpsest_pipeline.operate.serve.child PARENT HOME SOCKET
COMMAND ARGUMENTS...`.

It runs a console script of an installed package, such as `dagster-daemon`, and ensures three things first: termination
signals are not ignored, even if the shell ignores them; the process ends when its parent has died; the command begins
only once the code server listens at SOCKET. Knows no Dagster.
"""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import nullcontext, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from palimpsest_pipeline.runtime.server_sharing import mark_in_use

CODE_SERVER_COMMAND: Final = "dagster"
PARENT_POLL_INTERVAL_S: Final = 0.5
MAX_ORPHAN_S: Final = 60.0


def main() -> None:
    parent, home, listens_at, name, *arguments = sys.argv[1:]
    # Dagster copies the handler of SIGINT to SIGTERM: a background job of a shell ignores SIGINT, and could then not be
    # terminated.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(int(parent), name != CODE_SERVER_COMMAND), daemon=True).start()
    (command,) = entry_points(group="console_scripts", name=name)
    run = command.load()  # takes seconds, and so comes before the wait for the code server
    if name != CODE_SERVER_COMMAND:
        _await_listener(listens_at)
    sys.argv = [name, *arguments]
    # Runs live as long as the code server, also one whose supervisor was killed: their database must not be stopped
    # under them.
    with mark_in_use(Path(home)) if name == CODE_SERVER_COMMAND else nullcontext():
        run()


def _end_with_parent(parent: int, soon: bool) -> None:
    """End this process when its parent has.

    The code server ends when its runs have ended; any other at the latest after a minute.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    if soon:
        time.sleep(MAX_ORPHAN_S)
        os._exit(1)


def _await_listener(path: str) -> None:
    while True:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(path)
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
