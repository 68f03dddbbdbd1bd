"""How a child of the supervisor begins: `python -m palimpsest_pipeline.defs.serve.child PARENT HOME SOCKET MODULE ARGUMENTS...`.

It runs a module of Dagster's as `python -m MODULE ARGUMENTS...` would, with three things settled first: signals that end it are not ignored, whatever
a shell made of them; it ends when its parent has died; and it does not begin before the code server listens at SOCKET. Knows no Dagster.
"""

import importlib
import os
import runpy
import signal
import socket
import sys
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final

from ..sharing import in_use

CODE_SERVER: Final = "dagster"
IMPORTED_AHEAD: Final = {CODE_SERVER: "dagster._cli", "dagster_webserver": "dagster_webserver.cli", "dagster._daemon": "dagster._daemon.cli"}
"""What takes seconds to import, and so is while the code server gets ready."""
PARENT_CHECK_S: Final = 0.5
LEFT_ALONE_S: Final = 60.0


def main() -> None:
    parent, home, listens_at, module, *arguments = sys.argv[1:]
    # Dagster copies the handler of SIGINT to SIGTERM: a background job of a shell ignores SIGINT, and could then not be terminated.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(int(parent), module != CODE_SERVER), daemon=True).start()
    importlib.import_module(IMPORTED_AHEAD.get(module, module))
    if module != CODE_SERVER:
        _await_listener(listens_at)
    sys.argv = [module, *arguments]
    # Runs live as long as the code server, also one whose supervisor was killed: their database must not be stopped under them.
    with in_use(Path(home)) if module == CODE_SERVER else nullcontext():
        runpy.run_module(module, run_name="__main__")


def _end_with(parent: int, soon: bool) -> None:
    """End this process when its parent has. The code server ends when its runs have ended; any other at the latest after a minute."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    if soon:
        time.sleep(LEFT_ALONE_S)
        os._exit(1)


def _await_listener(path: str) -> None:
    while True:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(path)
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
