"""Verified reading of large files of the landing.

Each file is hashed once, not for each part that is read. A local file is hashed when it is first opened, and again when
its size, time or inode has changed. A file of an object store is fetched once into a folder of this process, which
keeps the most recently used files. Does not belong here: the content and the location of a file.
"""

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from io import BufferedReader
from pathlib import Path
from typing import Final

from upath import UPath

MAX_FETCHED_FILES: Final = 6
"""Maximum number of fetched files of an object store: those of one hour and of the previous one."""


class NotAsWritten(Exception):
    """A file has other content than it was written with."""


class HashedFiles:
    """The verified files of one landing. Safe for threads."""

    def __init__(self, local: bool) -> None:
        self._local = local
        self._lock = threading.Lock()
        self._verified: set[tuple[int, int, int, str]] = set()
        self._fetched: OrderedDict[str, Path] = OrderedDict()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self, path: UPath, sha: str) -> BufferedReader:
        """Return the open file, verified to have the given SHA-256.

        It stays readable if it is removed meanwhile. Raises FileNotFoundError when it does not exist, NotAsWritten when
        it has other content.
        """
        if not self._local:
            with self._lock:
                return self._fetch(path, sha).open("rb")
        file = Path(path.path).open("rb")  # noqa: SIM115 - the caller's
        try:
            self._verify(file, sha)
        except BaseException:
            file.close()
            raise
        return file

    def _verify(self, file: BufferedReader, sha: str) -> None:
        stat = os.fstat(file.fileno())
        identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns, sha)
        if identity in self._verified:
            return
        if hashlib.file_digest(file, "sha256").hexdigest() != sha:
            raise NotAsWritten
        file.seek(0)
        self._verified.add(identity)

    def _fetch(self, path: UPath, sha: str) -> Path:
        if sha in self._fetched:
            self._fetched.move_to_end(sha)
            return self._fetched[sha]
        self._folder = self._folder or tempfile.TemporaryDirectory(
            prefix="palimpsest-landing-", ignore_cleanup_errors=True
        )
        target = Path(self._folder.name) / sha
        path.fs.get_file(path.path, str(target))
        with target.open("rb") as file:
            arrived = hashlib.file_digest(file, "sha256").hexdigest()
        if arrived != sha:
            target.unlink()
            raise NotAsWritten
        self._fetched[sha] = target
        while len(self._fetched) > MAX_FETCHED_FILES:
            self._fetched.popitem(last=False)[1].unlink()
        return target
