"""Import modules in a thread while the process waits, for example for the start of Postgres."""

import importlib
import threading
from contextlib import suppress


def import_ahead(*names: str) -> threading.Thread:
    """Import modules one after another in a thread, and return the thread.

    Another import of the same module waits for it. If an import fails here, the error is raised again where the module
    is needed.
    """

    def load() -> None:
        for name in names:
            with suppress(Exception):
                importlib.import_module(name)

    thread = threading.Thread(target=load, name="imports", daemon=True)
    thread.start()
    return thread
