"""Open files of a local landing after verifying their SHA-256.

Each file is hashed only once, even if it is read many times. It is hashed again when its size, time or inode has
changed.
"""

import hashlib
import os
from io import BufferedReader
from pathlib import Path


class NotAsWritten(Exception):
    """The error when a file's content differs from the content that was written."""


class HashedFiles:
    """The verified files of one landing. Safe for use in several threads."""

    def __init__(self) -> None:
        self._verified: set[tuple[int, int, int, str]] = set()

    def open(self, path: Path, sha: str) -> BufferedReader:
        """Open a file and verify that its content has the given SHA-256.

        The open file stays readable if it is removed meanwhile. Raises FileNotFoundError when it does not exist, and
        NotAsWritten when its content differs.
        """
        file = path.open("rb")
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
