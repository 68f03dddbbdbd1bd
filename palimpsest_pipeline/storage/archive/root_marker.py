"""The file that marks a folder or bucket as the place of an export.

Without it an empty export looks the same as a folder that is not mounted.

Belongs here: the file. Does not belong here: the time of writing it (`palimpsest_pipeline.operate.export_root`).
"""

from pathlib import Path
from typing import Final

from .errors import ArchiveError
from .file_store import FileStore

MARKER_FILE: Final = "palimpsest-export.txt"
MARKER_CONTENT: Final = (
    b"The odds history is exported here. Keep this file: where it is missing, the place counts as not mounted.\n"
)


def is_marked(store: FileStore) -> bool:
    """Return whether the marker exists. Raises ArchiveError when the store cannot be read."""
    return store.read(MARKER_FILE) is not None


def write_marker(store: FileStore) -> None:
    """Mark the root as the place of the export. Raises ArchiveError when it cannot be written."""
    with store.open_workspace("marker") as workspace:
        file = Path(workspace) / MARKER_FILE
        file.write_bytes(MARKER_CONTENT)
        store.publish(file, MARKER_FILE)


def require_marker(store: FileStore) -> None:
    """Raise ArchiveError unless the root is marked."""
    if not is_marked(store):
        raise ArchiveError(
            f"the export cannot be seen at {store.address}: the file {MARKER_FILE} is missing there. The folder may "
            "not be mounted, or PALIMPSEST_EXPORT_URL may name another place than before. `palimpsest doctor` says "
            "what to do."
        )
