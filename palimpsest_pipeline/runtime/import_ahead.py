"""Importing modules on a thread beside work that waits for others: for a Postgres that starts, or is upgraded. Knows
none of the modules.

Belongs here: that. Does not: which modules a command needs, and from when on they may be imported.
"""

import importlib
import threading
from contextlib import suppress


def import_ahead(*names: str) -> threading.Thread:
    """Import modules, one after the other, while the caller goes on. Whoever imports one of them meanwhile waits until
    it is there.

    An import that fails is tried again, and raises, where the module is needed.
    """

    def load() -> None:
        for name in names:
            with suppress(Exception):
                importlib.import_module(name)

    thread = threading.Thread(target=load, name="imports", daemon=True)
    thread.start()
    return thread
