"""Compact the landing: replace the segments of an ended hour by one file per platform.

Belongs here: deciding from the landing alone whether an hour can be compacted, and compacting it. Does not belong here:
selecting the ended hours (the caller knows the time and the running cycles).

Readers see every answer exactly once at any time, even if the process dies. The steps are: write the files and read
them back; replace the index, through which readers find the files; remove the segments. Each step can be repeated, so
the next compaction completes an interrupted one. The caller must ensure that no other process compacts or expires the
landing.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from polars.io.plugins import register_io_source

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.instants import HOUR

from .compacted_hours import HourFile, HourIndex, encode_index, place_segments
from .errors import LandingError, LandingUnreadable
from .files import GROUP_ROWS, INDEX_FILE
from .hashed_files import NotAsWritten
from .manifest import Manifest, Segment
from .schema import ANSWER_SCHEMA
from .writer import Landing

ZSTD_LEVEL: Final = 9
"""Compression level of zstd.

The files are a quarter smaller than with the level of a running cycle (`writer`), which has less time.
"""
PAGE_BYTES: Final = 64 * 1024 * 1024
"""Parquet page size in bytes.

It is so large that each row group is one page. Pages are compressed separately.
"""

UNFINISHED_FOLDER: Final = "platform=unfinished"
"""Folder for unfinished files, beside the folders of an hour's platforms."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """The result of compacting an hour: size of its answers in bytes before and after.

    `left_alone` is the reason why the hour was not compacted; None when it was.
    """

    hour: datetime
    bytes_before: int
    bytes_after: int
    left_alone: str | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """The segments of one cycle and platform, in order."""

    manifest: Manifest
    segments: list[Segment]


def list_compactable_hours(landing: Landing, before: datetime) -> list[datetime]:
    """Return the hours before `before` that need compaction, or have an unreadable file, in order."""
    return [hour for hour in landing.list_hours() if hour < before and _is_compactable(landing, hour)]


def _is_compactable(landing: Landing, hour: datetime) -> bool:
    """Return whether the hour needs compaction, or has an unreadable file for `compact_hour` to report."""
    try:
        manifests = landing.list_cycles(hour=hour)
        index = landing._read_index(landing._hour_folder(hour)) if manifests else HourIndex()
    except LandingUnreadable:
        return True
    return any((m.cycle_id, s.name) not in index.places for m in manifests for s in m.segments) or bool(
        manifests and not index.swept
    )


def compact_hour(landing: Landing, hour: datetime, *, dry_run: bool = False) -> Compaction:
    """Compact an hour, or complete an interrupted compaction.

    With `dry_run`, only the hour's present size (also as `bytes_after`) and the reason against a compaction are
    returned. An hour with a cycle that is running or lacks segments is not changed, and the reason is returned. Raises
    LandingIncomplete when a segment has changed since it was written, LandingUnreadable for a damaged manifest or
    index, and LandingError when the store fails. After an error the hour is as readable as before.
    """
    manifests = landing.list_cycles(hour=hour)
    folder = landing._hour_folder(hour)
    before = int(landing.measure_usage(start=hour, end=hour + HOUR)["bytes"].sum())
    reason = _find_obstacle(landing, hour, manifests)
    if reason is not None or dry_run:
        return Compaction(hour, before, before, reason)
    index = landing._read_index(folder)
    files = [
        _build_hour_file(landing, hour, platform, parts, index)
        for platform, parts in _group_by_platform(manifests).items()
    ]
    if not index.swept or tuple(files) != index.files:
        landing._replace_file(folder / INDEX_FILE, encode_index(HourIndex(tuple(files), swept=False)))
        _remove_replaced_files(landing, hour, manifests, files)
        landing._replace_file(folder / INDEX_FILE, encode_index(HourIndex(tuple(files), swept=True)))
    return Compaction(hour, before, sum(file.bytes for file in files))


def _find_obstacle(landing: Landing, hour: datetime, manifests: Sequence[Manifest]) -> str | None:
    """Return the reason why the hour cannot be compacted now; None when it can."""
    if unclosed := landing.list_unclosed_cycles(hour):
        return f"cycle {unclosed[0]} is not closed"
    for manifest in manifests:
        if missing := landing.find_missing_segments(manifest):
            return f"cycle {manifest.cycle_id} is not whole: {missing[0]} is missing"
        known_segments = {*(segment.name for segment in manifest.segments), *manifest.torn}
        there = landing._list_segments(landing._cycle_folder(hour, manifest.cycle_id))
        if stray := [name for _, name in there if name not in known_segments]:
            return f"cycle {manifest.cycle_id} is being written to: its manifest does not name {stray[0]}"
    return None


def _group_by_platform(manifests: Sequence[Manifest]) -> dict[Platform, list[_Part]]:
    parts_by_platform: dict[Platform, list[_Part]] = {}
    for manifest in manifests:
        for platform in dict.fromkeys(segment.platform for segment in manifest.segments):
            parts_by_platform.setdefault(platform, []).append(
                _Part(manifest, [s for s in manifest.segments if s.platform == platform])
            )
    return dict(sorted(parts_by_platform.items()))


def _build_hour_file(
    landing: Landing, hour: datetime, platform: Platform, parts: Sequence[_Part], index: HourIndex
) -> HourFile:
    """Return the platform's file; write it unless a file with exactly these segments exists."""
    segment_keys = [(part.manifest.cycle_id, segment.name) for part in parts for segment in part.segments]
    for file in index.files:
        if [(place.cycle_id, place.segment) for place in file.places] == segment_keys and _is_intact(
            landing, hour, file
        ):
            return file
    with _open_unfinished_file(landing, hour) as path:
        written = _write_answers(landing, parts, path)
        size = path.stat().st_size
        with path.open("rb") as content:
            sha = hashlib.file_digest(content, "sha256").hexdigest()
        file = HourFile(
            name=f"platform={platform}/hour-{sha[:16]}.parquet",
            platform=platform,
            bytes=size,
            sha=sha,
            places=tuple(
                place_segments(((part.manifest.cycle_id, segment) for part in parts for segment in part.segments), size)
            ),
        )
        target = landing._hour_folder(hour) / file.name
        landing._publish(path, target)
    with landing._open_verified(target, sha) as content:
        rows = pl.scan_parquet(content, hive_partitioning=False)
        n_rows = sum(place.rows for place in file.places)
        read = _Digest(rows.slice(first, GROUP_ROWS).collect() for first in range(0, n_rows, GROUP_ROWS))
        for _ in read:
            pass  # the frames are read one by one, so not all bodies are in memory at once
    if (read.rows, read.hex) != (n_rows, written):
        raise LandingError(f"{target} differs from its segments and is not used. The segments stay; please report it.")
    return file


def _is_intact(landing: Landing, hour: datetime, file: HourFile) -> bool:
    """Return whether the file exists and has its original content."""
    try:
        landing._open_verified(landing._hour_folder(hour) / file.name, file.sha).close()
    except (FileNotFoundError, NotAsWritten):
        return False
    return True


def _write_answers(landing: Landing, parts: Sequence[_Part], path: Path) -> str:
    """Write the answers of `parts` in order into one file, and return the digest of its rows."""
    frames = _Digest(
        frame.select(list(ANSWER_SCHEMA))
        for part in parts
        for frame in landing._read_pieces(
            landing._cycle_folder(part.manifest.partition_hour, part.manifest.cycle_id),
            part.manifest.cycle_id,
            part.segments,
            list(ANSWER_SCHEMA),
        )
    )

    def source(columns: list[str] | None, _predicate: Any, _n_rows: Any, _batch: Any) -> Iterator[pl.DataFrame]:
        for frame in frames:
            yield frame if columns is None else frame.select(columns)

    register_io_source(source, schema=ANSWER_SCHEMA).sink_parquet(
        path,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        statistics=False,
        row_group_size=GROUP_ROWS,
        data_page_size=PAGE_BYTES,
        maintain_order=True,
    )
    return frames.hex


class _Digest:
    """An iterator over frames that also computes a digest of all their rows.

    The digest does not depend on the sizes of the frames.
    """

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._frames = frames
        self._lines, self._bodies = hashlib.sha256(), hashlib.sha256()
        self.rows = 0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            self.rows += frame.height
            self._lines.update(frame.drop("body").write_ndjson().encode())
            for body in frame["body"]:
                self._bodies.update(body or b"")  # body_hash tells a missing body from an empty one
            yield frame

    @property
    def hex(self) -> str:
        return self._lines.hexdigest() + self._bodies.hexdigest()


def _remove_replaced_files(
    landing: Landing, hour: datetime, manifests: Sequence[Manifest], files: Sequence[HourFile]
) -> None:
    """Remove the segments that the new files contain, and hour files that the index does not name."""
    folder = landing._hour_folder(hour)
    for manifest in manifests:
        of_cycle = landing._cycle_folder(hour, manifest.cycle_id)
        segment_names = {segment.name for segment in manifest.segments}
        for _, name in landing._list_segments(of_cycle):
            if name in segment_names:
                landing._remove(of_cycle / name)
        for platform in {segment.platform for segment in manifest.segments}:
            landing._remove_empty(of_cycle / f"platform={platform}")
    for name in sorted(landing._list_hour_files(folder) - {file.name for file in files}):
        landing._remove(folder / name)
    landing._remove_empty(folder / UNFINISHED_FOLDER)


@contextmanager
def _open_unfinished_file(landing: Landing, hour: datetime) -> Iterator[Path]:
    """Yield the path for an unfinished file.

    In a local landing it is in UNFINISHED_FOLDER, where the next compaction removes it if this process dies.
    """
    if not landing._local:
        with tempfile.TemporaryDirectory(prefix="palimpsest-landing-", ignore_cleanup_errors=True) as folder:
            yield Path(folder) / "hour.parquet"
        return
    path = Path((landing._hour_folder(hour) / UNFINISHED_FOLDER / ".hour.parquet.tmp").path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        landing._remove_empty(landing._hour_folder(hour) / UNFINISHED_FOLDER)
