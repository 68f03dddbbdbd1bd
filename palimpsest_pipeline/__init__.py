"""A Dagster pipeline that scrapes sportsbooks, matches their fixtures and stores every price change.

A palimpsest is a page that was written over again and whose earlier texts can still be read.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .notebook import Data
    from .settings import Settings

# By default Polars' allocator returns freed pages after half a second, and the kernel must zero them again for the
# next segment. This took a fifth of a capture's CPU time. By default, it divides memory into four arenas per core,
# and a thread does not reuse pages that were freed in another arena. With one arena, `palimpsest scrape` peaked 20 to
# 70 MB lower and took as long, on two cores. The allocator reads the variable when polars is first imported.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,narenas:1")


def connect(
    place: "str | Path | None" = None, *, export: "str | Path | None" = None, settings: "Settings | None" = None
) -> "Data":
    """Open the pipeline's data for a notebook; arguments and errors are those of `notebook.open_data`."""
    from .notebook import open_data  # noqa: PLC0415 - other users do not load Polars

    return open_data(place, export=export, settings=settings)
