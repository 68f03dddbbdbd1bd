"""The marker file, which identifies a folder or bucket as the root of an export.

Without the file, an empty export looks the same as a disk that is not mounted.

`palimpsest_pipeline.operate.export_root` decides when to write it.
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
    """Return whether the marker file exists. Raises ArchiveError when the store cannot be read."""
    return store.read(MARKER_FILE) is not None


def write_marker(store: FileStore) -> None:
    """Write the marker file into the root. Raises ArchiveError when it cannot be written."""
    with store.open_workspace("marker") as workspace:
        file = Path(workspace) / MARKER_FILE
        file.write_bytes(MARKER_CONTENT)
        store.publish(file, MARKER_FILE)


def require_marker(store: FileStore) -> None:
    """Raise ArchiveError unless the root has the marker file."""
    if not is_marked(store):
        raise ArchiveError(
            f"the export cannot be seen at {store.address}: the file {MARKER_FILE} is missing there. The folder may "
            "not be mounted, or PALIMPSEST_EXPORT_URL may name another place than before. `palimpsest doctor` says "
            "what to do."
        )
