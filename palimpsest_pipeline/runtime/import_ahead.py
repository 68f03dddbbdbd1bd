"""Imports on a thread, during work that waits, such as the start or the upgrade of a Postgres.

Belongs here: the thread. Does not belong here: the choice of the modules, and the time from which they may be imported.
"""

import importlib
import threading
from contextlib import suppress


def import_ahead(*names: str) -> threading.Thread:
    """Import modules one after the other on a thread, while the caller continues.

    A caller that imports one of them meanwhile waits for it. A failed import is repeated, and raises, where the module
    is needed.
    """

    def load() -> None:
        for name in names:
            with suppress(Exception):
                importlib.import_module(name)

    thread = threading.Thread(target=load, name="imports", daemon=True)
    thread.start()
    return thread
