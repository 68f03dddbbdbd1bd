"""The entry point of the supervisor's children: it runs a console script such as `dagster-daemon`.

Usage: `python -m palimpsest_pipeline.operate.serve.service_main PARENT HOME SOCKET COMMAND ARGUMENTS...`.

Before the script it does three things. It stops ignoring termination signals that the shell ignores. It makes the
process end after its parent has died. It waits until the code server listens at SOCKET. Imports no Dagster.
"""

import signal
import socket
import sys
import threading
import time
from contextlib import nullcontext, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from palimpsest_pipeline.runtime.processes import end_with_parent
from palimpsest_pipeline.runtime.server_sharing import mark_in_use

CODE_SERVER_COMMAND: Final = "dagster"
MAX_ORPHAN_S: Final = 60.0


def main() -> None:
    parent, home, socket_path, name, *arguments = sys.argv[1:]
    # Dagster copies the handler of SIGINT to SIGTERM. A background job of a shell ignores SIGINT, and would therefore
    # ignore SIGTERM too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The code server ends when its runs have ended; any other process ends within a minute.
    timeout_s = None if name == CODE_SERVER_COMMAND else MAX_ORPHAN_S
    threading.Thread(target=end_with_parent, args=(int(parent), timeout_s), daemon=True).start()
    (command,) = entry_points(group="console_scripts", name=name)
    run = command.load()  # loaded before the wait, because loading takes seconds
    if name != CODE_SERVER_COMMAND:
        _await_listener(socket_path)
    sys.argv = [name, *arguments]
    # Runs live as long as the code server, even if its supervisor was killed, and need their database until they end.
    with mark_in_use(Path(home)) if name == CODE_SERVER_COMMAND else nullcontext():
        run()


def _await_listener(path: str) -> None:
    while True:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(path)
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
