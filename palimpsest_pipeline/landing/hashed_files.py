"""Open large files of the landing after verifying their SHA-256.

Each file is hashed only once, even if parts of it are read many times. A local file is hashed again when its size, time
or inode has changed. A file of an object store is downloaded once into a folder of this process, which keeps the most
recently used files.

Does not belong here: the content and the location of a file.
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
"""Maximum number of downloaded files: enough for one hour and the previous one."""


class NotAsWritten(Exception):
    """The error when a file's content differs from the content that was written."""


class HashedFiles:
    """The verified files of one landing. Safe for use in several threads."""

    def __init__(self, local: bool) -> None:
        self._local = local
        self._lock = threading.Lock()
        self._verified: set[tuple[int, int, int, str]] = set()
        self._fetched: OrderedDict[str, Path] = OrderedDict()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self, path: UPath, sha: str) -> BufferedReader:
        """Open a file and verify that its content has the given SHA-256.

        The open file stays readable if it is removed meanwhile. Raises FileNotFoundError when it does not exist, and
        NotAsWritten when its content differs.
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
