"""Paths of the landing's files, and access to a single file.

Layout: `{root}/date=YYYY-MM-DD/hour=HH/cycle=<id>/platform=<slug>/seg-NNNN-<writer>.parquet`, with `manifest.json` in
the cycle's folder. `<writer>` is a random tag of the writing process. The root is a local folder or any URL that
fsspec knows.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import Final

from upath import UPath

from palimpsest_pipeline.domain.durable_files import sync_folder, write_temporary
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.instants import floor_to_hour

from .errors import LandingError, LandingUnreadable


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


READ: Final = "read"
WRITE: Final = "write to"
MISSING_ERRORS: Final = (FileNotFoundError, NotADirectoryError, NotAsWritten)
"""The errors of reading a file that is missing, or is not as it was written."""
MANIFEST: Final = "manifest.json"
SEGMENT_NAME_PATTERN: Final = re.compile(r"seg-(\d+)-[0-9a-f]+\.parquet")
EXPIRING_FILE: Final = "expiring"
"""Name of an empty file that marks an hour as being removed. Readers ignore such an hour."""


class LandingFiles:
    """The files under one root: a local folder, or a URL such as `s3://bucket/landing`."""

    def __init__(self, root: str | Path) -> None:
        try:
            self.root = UPath(root)
            _ = self.root.fs  # fsspec creates the file system at the first access
        except (
            ImportError,
            ValueError,
        ) as error:  # fsspec does not know the store, or its package is not installed
            raise LandingError(
                f"no landing at {root}: {error}. Install that store's fsspec package, or set the landing to another"
                " URL."
            ) from error
        self._local = self.root.protocol in ("", "file", "local")
        self._hashed_files = HashedFiles()

    def _replace_file(self, path: UPath, content: bytes) -> None:
        """Replace a file in one step: readers see the old or the complete new content."""
        with self._translate_errors(WRITE, path):
            if not self._local:
                path.write_bytes(content)
                return
            target = Path(path.path)
            write_temporary(target, content).replace(target)
            sync_folder(target.parent)

    def _create(self, path: UPath, content: bytes) -> None:
        """Create a file in one step: readers see the complete content or no file.

        In a local landing, a process that dies between two system calls can leave an empty file, which counts as torn
        (unreadable). Raises LandingError when another writer has already created the file.
        """
        with self._translate_errors(WRITE, path):
            if not self._local:
                self._create_object(path, content)
                return
            target = Path(path.path)
            unfinished = write_temporary(target, content)
            try:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            except OSError:
                unfinished.unlink()
                raise
            unfinished.replace(target)
            sync_folder(target.parent)

    @staticmethod
    def _create_object(path: UPath, content: bytes) -> None:
        """Create an object with the guarantees of `_create`.

        The store refuses to overwrite an existing object (S3: `If-None-Match: *`).
        """
        try:
            path.fs.pipe_file(path.path, content, mode="create")
        except FileExistsError:
            # When a response is lost, the client repeats the request; the existing object is then our own.
            if path.read_bytes() != content:
                raise

    def _remove(self, path: UPath, *, folder: bool = False) -> None:
        """Remove a file, or a folder with its content, if it exists."""
        with self._translate_errors(WRITE, path), contextlib.suppress(FileNotFoundError):
            path.fs.rm(path.path, recursive=folder)

    def _remove_empty(self, folder: UPath) -> None:
        """Remove a folder if it is empty. An object store has no empty folders."""
        if self._local:
            with contextlib.suppress(OSError):
                Path(folder.path).rmdir()

    @contextlib.contextmanager
    def _translate_errors(self, verb: str, path: UPath, *unchanged_errors: type[Exception]) -> Iterator[None]:
        """Convert the errors of a store to LandingError, except those of `unchanged_errors`.

        Each store's package raises its own errors. `verb` is `read` or `write to`.
        """
        try:
            yield
        except unchanged_errors:
            raise
        except Exception as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
            able = "writable" if verb == WRITE else "readable"
            remedy = (
                f"Make it {able}"
                if self._local
                else "Check the bucket, the endpoint (AWS_ENDPOINT_URL) and the credentials,"
            )
            raise LandingError(
                f"cannot {verb} the landing at {self.root}: {reason} ({path}). {remedy} or set the landing to another"
                " folder or URL."
            ) from error

    def _hour_folder(self, hour: datetime) -> UPath:
        at = floor_to_hour(hour)
        return self.root / f"date={at:%Y-%m-%d}" / f"hour={at:%H}"

    def _cycle_folder(self, hour: datetime, cycle_id: int) -> UPath:
        return self._hour_folder(hour) / f"cycle={cycle_id}"

    def _list_hour_folders(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> Iterator[tuple[datetime, UPath]]:
        """Yield hours and their folders: the hours in [start, end), or all."""
        for day in self._list_children(self.root):
            for hour in self._list_children(day) if day.name.startswith("date=") else ():
                if hour.name.startswith("hour="):
                    at = datetime.strptime(f"{day.name} {hour.name}", "date=%Y-%m-%d hour=%H").replace(tzinfo=UTC)
                    if (start is None or at >= floor_to_hour(start)) and (end is None or at < end):
                        yield at, hour

    def _list_cycle_folders(self, cycle_id: int) -> Iterator[UPath]:
        for _, hour in self._list_hour_folders():
            yield hour / f"cycle={cycle_id}"

    def _list_cycles_in_hour(self, hour: UPath) -> list[UPath]:
        """Return the folders of the hour's cycles; an empty list for an hour that is being removed."""
        children = self._list_children(hour)
        return (
            []
            if any(path.name == EXPIRING_FILE for path in children)
            else [path for path in children if path.name.startswith("cycle=")]
        )

    def _is_expiring(self, hour: UPath) -> bool:
        if not self._local:
            hour.fs.invalidate_cache()
        with self._translate_errors(READ, path := hour / EXPIRING_FILE, *MISSING_ERRORS):
            return path.exists()

    def _read_content(self, path: UPath) -> bytes | None:
        """Return the content of a file; None when it does not exist."""
        try:
            return self._read_bytes(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _read_record(self, path: UPath) -> bytes | None:
        """Return the content of a manifest; None when it does not exist.

        In a local landing, a read error raises LandingUnreadable, because only this file may be damaged. In an object
        store it raises LandingError, because a wrong bucket or wrong credentials concern all files.
        """
        try:
            return self._read_content(path)
        except LandingError as error:
            if not (self._local and isinstance(reason := error.__cause__, OSError)):
                raise
            raise LandingUnreadable(
                f"{path} cannot be read: {reason.strerror or reason}. Make it readable, or restore it from a copy."
            ) from reason

    def _read_bytes(self, path: UPath) -> bytes:
        with self._translate_errors(READ, path, *MISSING_ERRORS):
            return bytes(path.read_bytes())

    def _open_verified(self, path: UPath, sha: str) -> io.BufferedReader:
        """Open a file of a local landing after verifying its SHA-256, with the errors of `HashedFiles.open`."""
        with self._translate_errors(READ, path, *MISSING_ERRORS):
            return self._hashed_files.open(Path(path.path), sha)

    def _list_children(self, folder: UPath) -> list[UPath]:
        if not self._local:
            folder.fs.invalidate_cache()  # fsspec caches listings, and other processes write files here
        try:
            with self._translate_errors(READ, folder, *MISSING_ERRORS):
                return sorted(folder.iterdir(), key=lambda path: path.name)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _list_segments(self, folder: UPath) -> list[tuple[Platform, str]]:
        """Return platform and name of each segment in a cycle's folder.

        Names are relative to this folder. Unfinished files are left out.
        """
        return [
            (Platform(part.name.removeprefix("platform=")), f"{part.name}/{path.name}")
            for part in self._list_children(folder)
            if part.name.startswith("platform=")
            for path in self._list_children(part)
            if SEGMENT_NAME_PATTERN.fullmatch(path.name)
        ]
