"""palimpsest_pipeline: every scrape is a layer written over the last, and every earlier layer can be read again."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .notebook import Data
    from .settings import Settings

# Polars' allocator gives freed pages back after half a second and has them zeroed again for the next segment: a fifth
# of a capture's CPU time. It reads this when polars is first imported.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000")


def connect(
    place: "str | Path | None" = None, *, export: "str | Path | None" = None, settings: "Settings | None" = None
) -> "Data":
    """Open what the pipeline holds for reading in a notebook: `notebook.connect`."""
    from .notebook import connect as opened  # noqa: PLC0415 - who does not read frames does not load Polars

    return opened(place, export=export, settings=settings)
