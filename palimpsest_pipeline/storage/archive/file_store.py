"""Read and write the archive's files in a local folder or an object store.

A file is replaced in one step. Errors of the store become ArchiveError with a plain message.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import polars as pl
from upath import UPath

from palimpsest_pipeline.domain.durable_files import make_folder, move_into_place

from .errors import ArchiveError

LOCAL_PROTOCOLS: Final = frozenset({"", "file", "local"})
S3_PROTOCOLS: Final = frozenset({"s3", "s3a"})
READABLE_PROTOCOLS: Final = LOCAL_PROTOCOLS | S3_PROTOCOLS | {"gs", "gcs", "az", "abfs", "abfss"}
"""Protocols of stores that both fsspec and Polars support."""
UNFINISHED_FOLDER: Final = ".unfinished"
"""Folder below a local root for files that are not finished. Globs of readers do not include it."""


class FileStore:
    """The files below one root. File names are paths relative to the root."""

    def __init__(self, root: str | Path) -> None:
        try:
            self.root = UPath(root)
            self._fs = self.root.fs  # fsspec creates the file system at the first access
        except (ImportError, ValueError) as error:  # fsspec does not know the store, or its package is not installed
            raise ArchiveError(
                f"no archive at {root}: {error}. Install that store's fsspec package, or set the export to another URL."
            ) from error
        protocol = self.root.protocol
        if protocol not in READABLE_PROTOCOLS:
            raise ArchiveError(
                f"no archive at {root}: Polars does not read {protocol}://. Set the export to a folder, or to an "
                "s3://, gs:// or az:// URL."
            )
        self.is_local = protocol in LOCAL_PROTOCOLS
        self._s3 = protocol in S3_PROTOCOLS
        self._path = os.path.abspath(self.root.path) if self.is_local else self.root.path.rstrip("/")  # noqa: PTH100 - may not exist, may be a link

    @property
    def address(self) -> str:
        """The root's path or URL in the form that DuckDB and Polars accept."""
        return self._path if self.is_local else f"{self.root.protocol}://{self._path}"

    def read(self, name: str) -> bytes | None:
        """Return the file's content; None when there is no such file."""
        with self._translate_errors("read"):
            try:
                return bytes(self._fs.cat_file(self._build_path(name)))
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return None

    def read_all(self, folder: str, suffix: str) -> dict[str, bytes]:
        """Return the content of all files in `folder` that end in `suffix`, by sorted path.

        A missing folder gives an empty result.
        """
        paths = [self._build_path(name) for name in self.list_names(folder, suffix)]
        with self._translate_errors("read"):
            contents = self._fs.cat(paths, on_error="omit") if paths else {}
        return {f"{folder}/{path.rpartition('/')[2]}": contents[path] for path in sorted(contents)}

    def read_size_bytes(self, name: str) -> int | None:
        """Return the file's size in bytes; None when there is no such file."""
        with self._translate_errors("read"):
            self._fs.invalidate_cache()
            try:
                return int(self._fs.info(self._build_path(name))["size"])
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextmanager
    def scan_file(self, name: str) -> Iterator[tuple[int, pl.LazyFrame]]:
        """Open a Parquet file and yield its size in bytes and its rows.

        The block keeps reading the same local file, even if it is replaced meanwhile. Raises FileNotFoundError when the
        file does not exist, and Polars's errors when it is not a Parquet file.
        """
        if self.is_local:
            with Path(self._build_path(name)).open("rb") as file:
                yield os.fstat(file.fileno()).st_size, pl.scan_parquet(file, hive_partitioning=False)
            return
        size = self.read_size_bytes(name)
        if size is None:
            raise FileNotFoundError(name)
        yield (
            size,
            pl.scan_parquet(
                f"{self.address}/{name}", hive_partitioning=False, storage_options=self._build_polars_options()
            ),
        )

    def scan_days(self, files: Sequence[str]) -> pl.LazyFrame:
        """Return the rows of Parquet files as a lazy frame, with the column `date` from their paths.

        The files are opened when the frame is collected.
        """
        options = None if self.is_local else self._build_polars_options()
        return pl.scan_parquet(
            [f"{self.address}/{file}" for file in files], glob=False, hive_partitioning=True, storage_options=options
        )

    @contextmanager
    def open_workspace(self, name: str) -> Iterator[Path]:
        """Yield an empty local folder for unfinished files, and remove it after the block.

        For a local root the folder is on the root's file system, so files can be moved in one step.
        """
        with self._translate_errors("write to"):
            above = Path(self._path) / UNFINISHED_FOLDER if self.is_local else None
            if above is not None:
                make_folder(above)
            folder = tempfile.TemporaryDirectory(dir=above, prefix=f"{name}-", ignore_cleanup_errors=True)
        with folder as path:
            yield Path(path)

    def publish(self, source: Path, name: str) -> None:
        """Move a finished local file to its place. A reader sees the old file or the complete new one.

        `source` may not exist afterwards.
        """
        with self._translate_errors("write to"):
            if not self.is_local:
                self._fs.put_file(str(source), self._build_path(name))
                if (size := int(self._fs.info(self._build_path(name), refresh=True)["size"])) != source.stat().st_size:
                    raise OSError(f"{size} bytes of {source.stat().st_size} arrived at {name}")
                return
            # A day is dropped from Postgres because these files exist, so their names and folders must survive a power
            # failure.
            move_into_place(source, Path(self._build_path(name)))

    def remove(self, folder: str) -> None:
        """Remove a folder and its content if it exists."""
        with self._translate_errors("write to"), suppress(FileNotFoundError, NotADirectoryError):
            self._fs.invalidate_cache()
            self._fs.rm(self._build_path(folder), recursive=True)

    def list_names(self, folder: str, suffix: str) -> list[str]:
        """Return the sorted paths of all files in `folder` that end in `suffix`.

        A missing folder gives an empty list.
        """
        with self._translate_errors("read"):
            self._fs.invalidate_cache()  # fsspec caches listings, and other processes write files here
            try:
                paths = self._fs.ls(self._build_path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return []
        return sorted(f"{folder}/{path.rpartition('/')[2]}" for path in paths if path.endswith(suffix))

    def _build_path(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _require_root(self) -> None:
        """Raise an error when the bucket of an object store does not exist.

        A file that is missing in a missing bucket does not mean that the day was not exported.
        """
        if not self.is_local:
            self._fs.ls(self._path.partition("/")[0])

    def _build_polars_options(self) -> dict[str, Any] | None:
        """Return the endpoint of a private store as Polars options; None when the default is used.

        Polars, unlike fsspec, does not read the endpoint from the environment.
        """
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") if self._s3 else None
        return (
            {"aws_endpoint_url": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
            if endpoint
            else None
        )

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store's package raises its own errors
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
            remedy = (
                "Make it readable and writable"
                if self.is_local
                else "Check the bucket, the endpoint (AWS_ENDPOINT_URL) and the credentials"
            )
            raise ArchiveError(
                f"cannot {verb} the export at {self.address}: {reason}. {remedy}, or set PALIMPSEST_EXPORT_URL to "
                "another place."
            ) from error
