"""Write local files atomically and durably.

A reader sees the old or the complete new file, and the file's name survives a power failure.
"""

import errno
import itertools
import os
from pathlib import Path
from uuid import uuid4


def make_folder(folder: Path) -> None:
    """Create a folder and its parents so that they survive a power failure."""
    missing = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk. Otherwise a power failure may lose the name of a new file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def write_temporary(target: Path, content: bytes) -> Path:
    """Write a new file beside `target`, durably, and return its path. The folder is created if needed."""
    make_folder(target.parent)
    unfinished = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return unfinished


def move_into_place(source: Path, target: Path) -> None:
    """Replace `target` by a complete file on the same file system, durably.

    The folder is created if needed.
    """
    make_folder(target.parent)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)


def replace_text(path: Path, text: str) -> None:
    """Write `text` to a file atomically: a concurrent reader sees the old or the new content.

    A file that already has this content is not written.
    """
    content = text.encode()
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    unfinished = write_temporary(path, content)
    try:
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
