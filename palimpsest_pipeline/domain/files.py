"""Writing local files so that readers see all of a file or what was there before, and so that its name outlives a power
cut.

Belongs here: folders and whole files. Does not: what is in them, and object stores.
"""

import errno
import itertools
import os
from pathlib import Path
from uuid import uuid4


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that their names outlive a power cut."""
    missing = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in the folder on the disk: a file whose name is lost in a power cut is lost."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(opened)


def write_temporary(target: Path, content: bytes) -> Path:
    """Write a file of its own beside `target`, durably, and return its path. Its folder is made if need be."""
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
    """Put a finished file of the same file system in the place of `target`, durably. Its folder is made if need be."""
    make_folder(target.parent)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)


def replace_text(path: Path, text: str) -> None:
    """Make the file hold `text`: what reads it meanwhile sees all of the old or all of the new.

    A file that holds it already is left alone.
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
