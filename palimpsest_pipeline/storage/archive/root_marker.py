"""The file that marks a folder or bucket as the place of an export: without it nobody can tell an empty export from a folder that is not mounted.

Belongs here: the file. Does not: when it is written (`palimpsest_pipeline.operate.export_root`).
"""

from pathlib import Path
from typing import Final

from .errors import ArchiveError
from .file_store import Store

NAME: Final = "palimpsest-export.txt"
CONTENT: Final = b"The odds history is exported here. Keep this file: where it is missing, the place counts as not mounted.\n"


def is_marked(store: Store) -> bool:
    """Return whether the marker is there. Raises ArchiveError when the store cannot be looked at."""
    return store.read(NAME) is not None


def write_marker(store: Store) -> None:
    """Mark the root as the place of the export. Raises ArchiveError when it cannot be written."""
    with store.workspace("marker") as workspace:
        file = Path(workspace) / NAME
        file.write_bytes(CONTENT)
        store.publish(file, NAME)


def demand_marker(store: Store) -> None:
    """Raise ArchiveError unless the root is marked."""
    if not is_marked(store):
        raise ArchiveError(
            f"the export cannot be seen at {store.address}: the file {NAME} is missing there. The folder may not be mounted, or "
            "PALIMPSEST_EXPORT_URL may name another place than before. `palimpsest doctor` says what to do."
        )
