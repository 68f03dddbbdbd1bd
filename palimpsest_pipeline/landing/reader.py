"""Read the landing: manifests of closed cycles, their answers, and their size on disk.

A cycle is closed when its manifest is written.
"""

import hashlib
import io
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from upath import UPath

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.domain.schemas import INSTANT

from .errors import LandingIncomplete, LandingUnreadable
from .files import MANIFEST, LandingFiles, NotAsWritten
from .manifest import Manifest, Segment
from .schema import ANSWER_SCHEMA, LISTING_COLUMNS, build_answers

log = logging.getLogger(__name__)

EVERY_ROW: Final = pl.lit(True)
KEPT_COLUMNS: Final = frozenset(
    (
        "platform",
        "kind",
        "path",
        "params",
        "external_id",
        "attempt",
        "status",
        "failure",
        "failure_detail",
        "headers",
        "bytes",
        "requested_at",
        "received_at",
        "observed_at",
    )
)
"""Columns of the last cycle's answers that stay in memory. Several products of a cycle read them."""
USAGE_SCHEMA: Final = {
    "hour": INSTANT,
    "cycle_id": pl.Int64(),
    "scope": pl.String(),
    "platform": pl.String(),
    "n_answers": pl.Int64(),
    "bytes": pl.Int64(),
}
"""Columns of a frame with the size on disk in bytes, per cycle and platform."""


def _build_kind_filter(kinds: Collection[PayloadKind] | None) -> pl.Expr:
    return EVERY_ROW if kinds is None else pl.col("kind").is_in([kind.value for kind in kinds])


@dataclass(frozen=True, slots=True)
class UnreadableCycle:
    """A cycle whose manifest exists but cannot be read.

    `sentence` names the file, the reason and the remedy.
    """

    hour: datetime
    cycle_id: int
    sentence: str

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields as a dict, which the commands print as JSON."""
        return {"hour": format_hour_key(self.hour), "cycle_id": self.cycle_id, "why": self.sentence}


@dataclass(frozen=True, slots=True)
class LandedCycles:
    """Closed cycles sorted by id, and cycles that cannot be read, sorted by hour."""

    manifests: list[Manifest]
    unreadable: list[UnreadableCycle]


def describe_unreadable(cycles: Iterable[UnreadableCycle]) -> str:
    """Return one line per unreadable cycle with the file, the reason and the remedy."""
    return "\n".join(f"cycle {cycle.cycle_id} cannot be read: {cycle.sentence}" for cycle in cycles)


def measure_cycles(manifests: Iterable[Manifest]) -> pl.DataFrame:
    """Return the size on disk of cycles, one row per cycle and platform (`USAGE_SCHEMA`)."""
    rows = [
        (m.partition_hour, m.cycle_id, m.scope.value, segment.platform, segment.rows, segment.bytes)
        for m in manifests
        for segment in m.segments
    ]
    return (
        pl.DataFrame(rows, schema=USAGE_SCHEMA, orient="row")
        .group_by("hour", "cycle_id", "scope", "platform", maintain_order=True)
        .agg(pl.col("n_answers", "bytes").sum())
    )


class LandingReader(LandingFiles):
    """Reads the raw answers of all cycles under one root."""

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._last_cycle: tuple[tuple[int, tuple[Segment, ...]] | None, dict[Platform, pl.DataFrame]] = (None, {})

    def list_cycles(
        self, hour: datetime | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> list[Manifest]:
        """Return the closed cycles of one hour, of the hours in [start, end), or all, sorted by id.

        Raises LandingUnreadable when a manifest cannot be read.
        """
        folders = (
            [self._hour_folder(hour)] if hour is not None else [path for _, path in self._list_hour_folders(start, end)]
        )
        manifests = [self._read_manifest_in(cycle) for folder in folders for cycle in self._list_cycles_in_hour(folder)]
        return sorted(
            (manifest for manifest in manifests if manifest is not None), key=lambda manifest: manifest.cycle_id
        )

    def list_readable_cycles(self, start: datetime | None = None, end: datetime | None = None) -> LandedCycles:
        """Return the closed cycles of the hours in [start, end), or all, and the unreadable cycles."""
        manifests, unreadable = [], []
        for hour, folder in sorted(self._list_hour_folders(start, end), key=lambda item: item[0]):
            for cycle in self._list_cycles_in_hour(folder):
                try:
                    manifest = self._read_manifest_in(cycle)
                except LandingUnreadable as error:
                    unreadable.append(UnreadableCycle(hour, int(cycle.name.removeprefix("cycle=")), str(error)))
                    continue
                if manifest is not None:
                    manifests.append(manifest)
        return LandedCycles(sorted(manifests, key=lambda manifest: manifest.cycle_id), unreadable)

    def list_hours(self) -> list[datetime]:
        """Return the hours that have a folder in the landing, in order, even without a closed cycle."""
        return sorted(at for at, _ in self._list_hour_folders())

    def read_manifest(self, cycle_id: int, hour: datetime | None = None) -> Manifest:
        """Return the manifest of a cycle. Without `hour`, all hours of the landing are searched.

        Raises LandingIncomplete when there is no closed cycle with this id, and LandingUnreadable when its manifest
        cannot be read.
        """
        for folder in self._list_cycle_folders(cycle_id) if hour is None else [self._cycle_folder(hour, cycle_id)]:
            manifest = self._read_manifest_in(folder)
            if manifest is not None and not self._is_expiring(folder.parent):
                return manifest
        raise LandingIncomplete(f"the landing at {self.root} holds no closed cycle {cycle_id}")

    def reread_manifest(self, manifest: Manifest) -> Manifest:
        """Read the manifest of a cycle again, because a later stage may have added segments.

        Raises LandingIncomplete when the cycle is no longer in the landing.
        """
        folder = self._cycle_folder(manifest.partition_hour, manifest.cycle_id)
        current_manifest = self._read_manifest_in(folder)
        if current_manifest is None or self._is_expiring(folder.parent):
            raise LandingIncomplete(
                f"cycle {manifest.cycle_id}: its manifest is no longer in the landing at {self.root}"
            )
        return current_manifest

    def find_missing_segments(self, manifest: Manifest, platforms: Collection[Platform] | None = None) -> list[str]:
        """Return the names of segments of the manifest that do not exist. Contents are not checked."""
        there = {
            name for _, name in self._list_segments(self._cycle_folder(manifest.partition_hour, manifest.cycle_id))
        }
        segment_names = [s.name for s in manifest.segments if platforms is None or s.platform in platforms]
        return [name for name in segment_names if name not in there]

    def list_unclosed_cycles(self, hour: datetime | None = None) -> list[int]:
        """Return the ids of cycles with segments but without a manifest, of one hour or all.

        These cycles are running or were interrupted.
        """
        folders = [self._hour_folder(hour)] if hour is not None else [folder for _, folder in self._list_hour_folders()]
        cycles = [cycle for folder in folders for cycle in self._list_cycles_in_hour(folder)]
        return sorted(
            int(cycle.name.removeprefix("cycle="))
            for cycle in cycles
            if self._list_segments(cycle) and self._read_manifest_in(cycle) is None
        )

    def measure_usage(self, start: datetime | None = None, end: datetime | None = None) -> pl.DataFrame:
        """Return the size on disk (`USAGE_SCHEMA`) of the closed cycles of [start, end), or of all.

        Raises LandingUnreadable when a manifest cannot be read.
        """
        return measure_cycles(self.list_cycles(start=start, end=end))

    def read_answers(
        self,
        manifest: Manifest,
        kinds: Collection[PayloadKind] | None = None,
        platforms: Collection[Platform] | None = None,
        columns: Sequence[str] = tuple(ANSWER_SCHEMA),
    ) -> pl.DataFrame:
        """Return the landed answers of a cycle as one frame with `columns` of `ANSWER_SCHEMA`.

        The answers of each platform are in the order of their arrival. `kinds` and `platforms` restrict the answers.
        Raises LandingIncomplete when segments are missing (before anything is read) or when a segment has changed since
        it was written.
        """
        empty = pl.DataFrame(schema={name: ANSWER_SCHEMA[name] for name in columns})
        if KEPT_COLUMNS.issuperset(columns):
            frames = self._read_kept_columns(manifest, platforms)
            return pl.concat([empty, *(frame.filter(_build_kind_filter(kinds)).select(columns) for frame in frames)])
        segments = self._select_segments(manifest, kinds, platforms)
        folder = self._require_segments(manifest, platforms)
        return pl.concat([empty, *self._read_frames(folder, manifest.cycle_id, segments, kinds, columns)])

    def _select_segments(
        self, manifest: Manifest, kinds: Collection[PayloadKind] | None, platforms: Collection[Platform] | None
    ) -> list[Segment]:
        """Return the segments of the platforms that have an answer of one of the kinds.

        A single segment is not examined: that takes as long as reading it.
        """
        segments = [segment for segment in manifest.segments if platforms is None or segment.platform in platforms]
        if kinds is None or len(segments) <= 1:
            return segments
        frames = self._read_kept_columns(manifest, platforms)
        names = {name for frame in frames for name in frame.filter(_build_kind_filter(kinds))["segment"].unique()}
        return [segment for segment in segments if segment.name in names]

    def _read_kept_columns(self, manifest: Manifest, platforms: Collection[Platform] | None) -> list[pl.DataFrame]:
        """Return one frame per platform with `KEPT_COLUMNS` of all answers, plus the name of the segment.

        The frames of the last cycle are cached, because several products of a cycle read them.
        """
        self._require_segments(manifest, platforms)
        names = dict.fromkeys(s.platform for s in manifest.segments if platforms is None or s.platform in platforms)
        key = manifest.cycle_id, manifest.segments  # the digest does not depend on the writers' tags in their names
        cached_key, cached_frames = self._last_cycle
        frames = dict(cached_frames) if cached_key == key else {}
        columns = [name for name in ANSWER_SCHEMA if name in KEPT_COLUMNS]
        for platform in names:
            if platform not in frames:
                segments = [segment for segment in manifest.segments if segment.platform == platform]
                segment_names = [segment.name for segment in segments for _ in range(segment.rows)]
                frame = pl.concat(list(self.read_segments(manifest, None, [platform], columns)))
                frames[platform] = frame.with_columns(segment=pl.Series(segment_names, dtype=pl.String))
        # Threads may overwrite each other's cached frames. Then a frame is read again; the result is always right.
        self._last_cycle = key, frames
        return [frames[platform] for platform in names]

    def read_segments(
        self,
        manifest: Manifest,
        kinds: Collection[PayloadKind] | None = None,
        platforms: Collection[Platform] | None = None,
        columns: Sequence[str] = tuple(ANSWER_SCHEMA),
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows that `read_answers` returns, one frame per segment."""
        folder = self._require_segments(manifest, platforms)
        segments = [segment for segment in manifest.segments if platforms is None or segment.platform in platforms]
        return self._read_frames(folder, manifest.cycle_id, segments, kinds, columns)

    def iterate_segment(self, cycle: Cycle, segment: Segment, kinds: Collection[PayloadKind]) -> Iterator[Answer]:
        """Yield a segment's answers of the given kinds, in order of arrival. The cycle may still be running.

        Raises LandingIncomplete when the segment is missing or has changed since it was written.
        """
        folder, columns = self._cycle_folder(cycle.partition_hour, cycle.cycle_id), list(ANSWER_SCHEMA)
        if not self._local:
            folder.fs.invalidate_cache()  # fsspec caches listings, which lack a file written after them
        kind_filter = _build_kind_filter(kinds)
        frame = self._read_segment(folder, cycle.cycle_id, segment, columns, kind_filter)
        yield from self.iterate_answers(frame.filter(kind_filter))

    def _require_segments(self, manifest: Manifest, platforms: Collection[Platform] | None) -> UPath:
        """Return the cycle's folder. Raises LandingIncomplete when segments of the platforms are missing."""
        folder = self._cycle_folder(manifest.partition_hour, manifest.cycle_id)
        if missing := self.find_missing_segments(manifest, platforms):
            raise LandingIncomplete(
                f"cycle {manifest.cycle_id}: missing in the landing at {folder}: {', '.join(missing)}"
            )
        return folder

    def _read_frames(
        self,
        folder: UPath,
        cycle_id: int,
        segments: Sequence[Segment],
        kinds: Collection[PayloadKind] | None,
        columns: Sequence[str],
    ) -> Iterator[pl.DataFrame]:
        row_filter = _build_kind_filter(kinds)
        needed = dict.fromkeys([*columns, "kind"])
        for segment in segments:
            frame = self._read_segment(folder, cycle_id, segment, list(needed), row_filter)
            yield frame.filter(row_filter).select(columns)

    def _read_segment(
        self, folder: UPath, cycle_id: int, segment: Segment, columns: list[str], row_filter: pl.Expr
    ) -> pl.DataFrame:
        """Return columns of a segment.

        All rows that `row_filter` selects are returned; other rows may be left out, so that their bodies are not
        decompressed. Raises LandingIncomplete when the file is missing or has changed since it was written.
        """
        path = folder / segment.name
        try:
            if self._local:  # the file is hashed only once, even if it is read many times
                with self._open_verified(path, segment.sha) as file:
                    return pl.scan_parquet(file, hive_partitioning=False).filter(row_filter).select(columns).collect()
            content = self._read_bytes(path)
            if hashlib.sha256(content).hexdigest() != segment.sha:
                raise NotAsWritten
            return pl.read_parquet(io.BytesIO(content), columns=columns)
        except (FileNotFoundError, NotADirectoryError):
            raise LandingIncomplete(f"cycle {cycle_id}: missing in the landing at {folder}: {segment.name}") from None
        except NotAsWritten:
            raise LandingIncomplete(
                f"cycle {cycle_id}: {segment.name} in the landing at {folder} is not as it was written"
            ) from None

    def read_landed_listings(self, cycle_id: int) -> pl.DataFrame:
        """Return one row per landed answer of a cycle, without its body (columns `LISTING_COLUMNS`).

        The answers of each platform are in the order of their arrival. The cycle needs no manifest: it may be running,
        or its process may have died. An unreadable segment is skipped with a warning.
        """
        columns = list(LISTING_COLUMNS.values())
        frames = [pl.DataFrame(schema={name: ANSWER_SCHEMA[name] for name in columns})]
        for folder in self._list_cycle_folders(cycle_id):
            for name in sorted(name for _, name in self._list_segments(folder)):
                content = self._read_content(folder / name)
                frame = None if content is None else self._read_columns(folder / name, content, columns)
                if frame is not None:
                    frames.append(frame)
        return pl.concat(frames).select(pl.col(source).alias(column) for column, source in LISTING_COLUMNS.items())

    @staticmethod
    def iterate_answers(frame: pl.DataFrame) -> Iterator[Answer]:
        """Yield the answers in a frame of `read_answers`."""
        return build_answers(frame)

    def _read_manifest_in(self, folder: UPath) -> Manifest | None:
        path = folder / MANIFEST
        try:
            content = self._read_record(path)
            return None if content is None else msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError as error:
            raise LandingUnreadable(
                f"{path} is not a manifest: {error}. Restore it, or remove it and close the cycle again."
            ) from error

    def _examine_segment(self, folder: UPath, platform: Platform, name: str) -> Segment | None:
        """Return a manifest entry for the segment, computed from its file; None when the file is torn."""
        content = self._read_bytes(folder / name)
        frame = self._read_columns(folder / name, content, ["kind"])
        if frame is None:
            return None
        return Segment(
            name=name, platform=platform, rows=frame.height, bytes=len(content), sha=hashlib.sha256(content).hexdigest()
        )

    @staticmethod
    def _read_columns(path: UPath, content: bytes, columns: list[str]) -> pl.DataFrame | None:
        """Return columns of a segment whose SHA-256 is not known; None, with a warning, if it is torn."""
        try:
            return pl.read_parquet(io.BytesIO(content), columns=columns)
        except pl.exceptions.PolarsError as error:
            log.warning(
                "%s cannot be read and is left out: writing it broke off (%s)", path, str(error).partition("\n")[0]
            )
            return None
