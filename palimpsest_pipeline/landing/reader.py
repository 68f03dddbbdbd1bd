"""Reading the landing: closed cycles by their manifests, their answers, and what they take on disk.

Belongs here: reading landed answers. Does not: parsing their bodies, writing (`writer`), compacting (`compaction`),
removing (`expiry`).
"""

import hashlib
import io
import itertools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
import polars as pl
from upath import UPath

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.domain.schemas import INSTANT

from . import compacted_hours
from .compacted_hours import HourIndex, RowSpan
from .errors import LandingIncomplete, LandingUnreadable
from .files import GROUP_ROWS, INDEX_FILE, MANIFEST, LandingFiles
from .hashed_files import NotAsWritten
from .manifest import Manifest, Segment, decode_manifest
from .schema import ANSWER_SCHEMA, LISTING_COLUMNS, OBSERVED_AT_EXPR, build_answers, redact_detail

log = logging.getLogger(__name__)

EVERY_ROW: Final = pl.lit(True)
USAGE_SCHEMA: Final = {
    "hour": INSTANT,
    "cycle_id": pl.Int64(),
    "scope": pl.String(),
    "platform": pl.String(),
    "n_answers": pl.Int64(),
    "bytes": pl.Int64(),
}
"""What a cycle takes on disk, by platform."""


@dataclass(frozen=True, slots=True)
class UnreadableCycle:
    """A cycle whose manifest, or the index of whose hour, is there and cannot be read.

    `sentence`: the file, why, and what to do.
    """

    hour: datetime
    cycle_id: int
    sentence: str

    def as_dict(self) -> dict[str, str | int]:
        """Return it as the commands' JSON has it."""
        return {"hour": format_hour_key(self.hour), "cycle_id": self.cycle_id, "why": self.sentence}


@dataclass(frozen=True, slots=True)
class LandedCycles:
    """Closed cycles by id, and those that cannot be read, by hour and id."""

    manifests: list[Manifest]
    unreadable: list[UnreadableCycle]


def describe_unreadable(cycles: Iterable[UnreadableCycle]) -> str:
    """Return what cannot be read of the landing, a cycle a line, each with the file, the reason and the remedy."""
    return "\n".join(f"cycle {cycle.cycle_id} cannot be read: {cycle.sentence}" for cycle in cycles)


class LandingReader(LandingFiles):
    """The raw answers of all cycles under one root, for reading."""

    def list_cycles(
        self, hour: datetime | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> list[Manifest]:
        """Closed cycles by id: of one hour, or of the hours in [start, end), or all. Cycles without manifest are not
        there.

        Raises LandingUnreadable when the manifest of one of them cannot be read.
        """
        folders = (
            [self._hour_folder(hour)] if hour is not None else [path for _, path in self._list_hour_folders(start, end)]
        )
        found = [self._read_manifest_in(cycle) for folder in folders for cycle in self._list_cycles_in_hour(folder)]
        return sorted((manifest for manifest in found if manifest is not None), key=lambda manifest: manifest.cycle_id)

    def list_readable_cycles(self, start: datetime | None = None, end: datetime | None = None) -> LandedCycles:
        """As `cycles`, but a manifest that cannot be read costs only its own cycle, which is named."""
        manifests, unreadable = [], []
        for hour, folder in sorted(self._list_hour_folders(start, end), key=lambda found: found[0]):
            for cycle in self._list_cycles_in_hour(folder):
                try:
                    manifest = self._read_manifest_in(cycle)
                except LandingUnreadable as error:
                    unreadable.append(UnreadableCycle(hour, int(cycle.name.removeprefix("cycle=")), str(error)))
                    continue
                if manifest is not None:
                    manifests.append(manifest)
        return LandedCycles(sorted(manifests, key=lambda manifest: manifest.cycle_id), unreadable)

    def iterate_newest_first(self) -> Iterator[Manifest]:
        """Closed cycles, the newest hour and cycle first, each read when it is asked for.

        One that cannot be read is left out, with a warning.
        """
        for _, hour in sorted(self._list_hour_folders(), key=lambda found: found[0], reverse=True):
            for folder in sorted(
                self._list_cycles_in_hour(hour), key=lambda path: int(path.name.removeprefix("cycle=")), reverse=True
            ):
                try:
                    manifest = self._read_manifest_in(folder)
                except LandingUnreadable as error:
                    log.warning("%s", error)
                    continue
                if manifest is not None:
                    yield manifest

    def list_hours(self) -> list[datetime]:
        """Hours that have a place in the landing, in order.

        Whether a closed cycle is in them is not looked at: nothing is read.
        """
        return sorted(at for at, _ in self._list_hour_folders())

    def read_manifest(self, cycle_id: int, hour: datetime | None = None) -> Manifest:
        """Return the manifest of one cycle. Without its `hour` every hour of the landing is looked into.

        Raises LandingIncomplete when there is no closed cycle of this id, LandingUnreadable when its manifest cannot be
        read.
        """
        for folder in self._list_cycle_folders(cycle_id) if hour is None else [self._cycle_folder(hour, cycle_id)]:
            manifest = self._read_manifest_in(folder)
            if manifest is not None and not self._is_expiring(folder.parent):
                return manifest
        raise LandingIncomplete(f"the landing at {self.root} holds no closed cycle {cycle_id}")

    def reread_manifest(self, manifest: Manifest) -> Manifest:
        """The cycle's manifest as it is now: a later stage may have added to it.

        Raises LandingIncomplete when it is gone.
        """
        folder = self._cycle_folder(manifest.partition_hour, manifest.cycle_id)
        found = self._read_manifest_in(folder)
        if found is None or self._is_expiring(folder.parent):
            raise LandingIncomplete(
                f"cycle {manifest.cycle_id}: its manifest is no longer in the landing at {self.root}"
            )
        return found

    def find_missing_segments(self, manifest: Manifest, platforms: Collection[Platform] | None = None) -> list[str]:
        """Names of the manifest's segments whose answers are not there (any more).

        What lies in the files that are there is not looked at.
        """
        there = {
            name for _, name in self._list_segments(self._cycle_folder(manifest.partition_hour, manifest.cycle_id))
        }
        wanted = [s.name for s in manifest.segments if platforms is None or s.platform in platforms]
        if there.issuperset(wanted):
            return []
        # Asked after the segments: a segment is removed only when the index has it.
        folder = self._hour_folder(manifest.partition_hour)
        places, files = self._read_index(folder).places, self._list_hour_files(folder)
        there |= {
            name
            for (cycle_id, name), (file, _) in places.items()
            if cycle_id == manifest.cycle_id and file.name in files
        }
        return [name for name in wanted if name not in there]

    def list_unclosed_cycles(self, hour: datetime | None = None) -> list[int]:
        """Ids of cycles (of one hour, or all) that have landed segments but no manifest: still running, or
        interrupted.
        """
        folders = [self._hour_folder(hour)] if hour is not None else [folder for _, folder in self._list_hour_folders()]
        cycles = [cycle for folder in folders for cycle in self._list_cycles_in_hour(folder)]
        return sorted(
            int(cycle.name.removeprefix("cycle="))
            for cycle in cycles
            if self._list_segments(cycle) and self._read_manifest_in(cycle) is None
        )

    def measure_usage(self, start: datetime | None = None, end: datetime | None = None) -> pl.DataFrame:
        """What the closed cycles of the hours in [start, end), or all, take on disk (USAGE); of a compacted hour's
        files each has its share.

        Raises LandingUnreadable when the manifest of one of them, or the index of its hour, cannot be read.
        """
        usage, unreadable = self.measure_usage_of(self.list_cycles(start=start, end=end))
        if unreadable:
            raise LandingUnreadable(unreadable[0].sentence)
        return usage

    def measure_usage_of(self, manifests: Iterable[Manifest]) -> tuple[pl.DataFrame, list[UnreadableCycle]]:
        """What these cycles take on disk (USAGE), and those among them that cannot be sized: the index of their hour
        cannot be read.
        """
        rows, unreadable = [], []
        indices: dict[datetime, HourIndex | LandingUnreadable] = {}
        for manifest in manifests:
            hour = manifest.partition_hour
            if hour not in indices:
                try:
                    indices[hour] = self._read_index(self._hour_folder(hour))
                except LandingUnreadable as error:
                    indices[hour] = error
            index = indices[hour]
            if isinstance(index, LandingUnreadable):
                unreadable.append(UnreadableCycle(hour, manifest.cycle_id, str(index)))
                continue
            for segment in manifest.segments:
                held = index.places.get((manifest.cycle_id, segment.name))
                size = segment.bytes if held is None else held[1].bytes
                rows.append((hour, manifest.cycle_id, manifest.scope.value, segment.platform.value, segment.rows, size))
        listed = pl.DataFrame(rows, schema=USAGE_SCHEMA, orient="row")
        return listed.group_by("hour", "cycle_id", "scope", "platform", maintain_order=True).agg(
            pl.col("n_answers", "bytes").sum()
        ), unreadable

    def read_answers(
        self,
        manifest: Manifest,
        kinds: Collection[PayloadKind] | None = None,
        platforms: Collection[Platform] | None = None,
        columns: Sequence[str] = tuple(ANSWER_SCHEMA),
    ) -> pl.DataFrame:
        """Landed answers of a cycle as one frame, `columns` of `SCHEMA`, in the order in which they came per platform.

        Raises LandingIncomplete naming every segment that is missing, before any is read, or the one that is not as it
        was written.
        """
        empty = pl.DataFrame(schema={name: ANSWER_SCHEMA[name] for name in columns})
        return pl.concat([empty, *self.read_segments(manifest, kinds, platforms, columns)])

    def read_segments(
        self,
        manifest: Manifest,
        kinds: Collection[PayloadKind] | None = None,
        platforms: Collection[Platform] | None = None,
        columns: Sequence[str] = tuple(ANSWER_SCHEMA),
    ) -> Iterator[pl.DataFrame]:
        """As `read`, a segment or some dozen answers at a time, for a cycle whose bodies should not be in memory
        together.
        """
        folder = self._cycle_folder(manifest.partition_hour, manifest.cycle_id)
        segments = [segment for segment in manifest.segments if platforms is None or segment.platform in platforms]
        if missing := self.find_missing_segments(manifest, platforms):
            raise LandingIncomplete(
                f"cycle {manifest.cycle_id}: missing in the landing at {folder}: {', '.join(missing)}"
            )
        return self._read_frames(folder, manifest.cycle_id, segments, kinds, columns)

    def _read_frames(
        self,
        folder: UPath,
        cycle_id: int,
        segments: Sequence[Segment],
        kinds: Collection[PayloadKind] | None,
        columns: Sequence[str],
    ) -> Iterator[pl.DataFrame]:
        wanted = EVERY_ROW if kinds is None else pl.col("kind").is_in([kind.value for kind in kinds])
        needed = dict.fromkeys([*columns, "kind", "received_at", "observed_at"])
        for frame in self._read_pieces(folder, cycle_id, segments, list(needed), wanted):
            yield frame.filter(wanted).with_columns(OBSERVED_AT_EXPR).select(columns)

    def _read_pieces(
        self, folder: UPath, cycle_id: int, segments: Sequence[Segment], columns: list[str], wanted: pl.Expr = EVERY_ROW
    ) -> Iterator[pl.DataFrame]:
        """Rows of the segments, in order: from their own files, or from the hour's where those are gone, also since
        this began.

        Rows that are not `wanted` may be left out: bodies that nobody needs are not unpacked then.
        """
        there = {name for _, name in self._list_segments(folder)}
        held: list[str] = []
        for segment in segments:
            frame = self._read_segment(folder, cycle_id, segment, columns, wanted) if segment.name in there else None
            if frame is None:
                held.append(segment.name)
                continue
            yield from self._read_compacted(folder, cycle_id, held, columns)
            held = []
            yield frame
        yield from self._read_compacted(folder, cycle_id, held, columns)

    def _read_segment(
        self, folder: UPath, cycle_id: int, segment: Segment, columns: list[str], wanted: pl.Expr
    ) -> pl.DataFrame | None:
        """Columns of a segment from its own file, at least of the rows that are `wanted`; None when it has none (any
        more). Raises LandingIncomplete when it is not as it was written."""
        path = folder / segment.name
        try:
            if self._local:  # hashed once, however often some columns of it are read
                with self._open_verified(path, segment.sha) as file:
                    return pl.scan_parquet(file, hive_partitioning=False).filter(wanted).select(columns).collect()
            content = self._read_content(path)
            if content is None:
                return None
            if hashlib.sha256(content).hexdigest() != segment.sha:
                raise NotAsWritten
            return pl.read_parquet(io.BytesIO(content), columns=columns)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except NotAsWritten:
            raise LandingIncomplete(
                f"cycle {cycle_id}: {segment.name} in the landing at {folder} is not as it was written"
            ) from None

    def _read_compacted(
        self, folder: UPath, cycle_id: int, segments: Sequence[str], columns: list[str]
    ) -> Iterator[pl.DataFrame]:
        """Rows of segments that lie in the hour's files."""
        done = 0
        while done < len(segments):
            span, file = self._open_hour_file(folder, cycle_id, segments[done:])
            with file:
                yield from _rows(file, span, columns)
            done += span.segments

    def _open_hour_file(
        self, folder: UPath, cycle_id: int, segments: Sequence[str]
    ) -> tuple[RowSpan, io.BufferedReader]:
        """The file with the first of the segments, and which rows of it.

        One that is gone was compacted again: then the index names another.
        """
        trouble = ""
        for _ in range(2):
            span = self._read_index(folder.parent).find_span(cycle_id, segments)
            if span is None:
                trouble = f"missing in the landing at {folder}: {', '.join(segments)}"
                continue
            try:
                return span, self._open_verified(folder.parent / span.file.name, span.file.sha)
            except FileNotFoundError:
                trouble = f"missing in the landing at {folder.parent}: {span.file.name}"
            except NotAsWritten:
                raise LandingIncomplete(
                    f"cycle {cycle_id}: {span.file.name} in the landing at {folder.parent} is not as it was written"
                ) from None
        raise LandingIncomplete(f"cycle {cycle_id}: {trouble}")

    def read_landed_listings(self, cycle_id: int) -> pl.DataFrame:
        """What is landed of a cycle by now, one row per answer without its body (columns `LISTINGS`), as they came per
        platform.

        Also of a cycle that runs or whose process died: of all its segments that are there, whether a manifest names
        them or not. One that cannot be read is named in a warning and left out.
        """
        columns = list(LISTING_COLUMNS.values())
        frames = [pl.DataFrame(schema={name: ANSWER_SCHEMA[name] for name in columns})]
        for folder in self._list_cycle_folders(cycle_id):
            there = [name for _, name in self._list_segments(folder)]
            if not there and self._read_manifest_in(folder) is None:
                continue  # of another hour
            held = [name for name in self._read_index(folder.parent).list_segments(cycle_id) if name not in there]
            for name in sorted([*there, *held]):
                content = self._read_content(folder / name) if name in there else None
                if content is None:
                    frames += self._read_compacted(folder, cycle_id, [name], columns)
                elif (frame := self._read_columns(folder / name, content, columns)) is not None:
                    frames.append(frame)
        listings = (
            pl.concat(frames)
            .with_columns(OBSERVED_AT_EXPR)
            .select(pl.col(source).alias(column) for column, source in LISTING_COLUMNS.items())
        )
        return listings.with_columns(pl.col("failure_detail").map_elements(redact_detail, return_dtype=pl.String))

    @staticmethod
    def iterate_answers(frame: pl.DataFrame) -> Iterator[Answer]:
        """The answers of a frame that `read` returned."""
        return build_answers(frame)

    def _read_index(self, hour: UPath) -> HourIndex:
        """What the hour's files hold; nothing when it is not compacted."""
        path = hour / INDEX_FILE
        try:
            content = self._read_record(path)
            return HourIndex() if content is None else compacted_hours.decode_index(content)
        except msgspec.DecodeError as error:
            raise LandingUnreadable(
                f"{path} does not say what lies in the files beside it: {error}. Bring it back from a copy."
            ) from error

    def _read_manifest_in(self, folder: UPath) -> Manifest | None:
        path = folder / MANIFEST
        try:
            content = self._read_record(path)
            return None if content is None else decode_manifest(content)
        except msgspec.DecodeError as error:
            raise LandingUnreadable(
                f"{path} is not a manifest: {error}. Restore it, or remove it and close the cycle again."
            ) from error

    def _examine_segment(self, folder: UPath, platform: Platform, name: str) -> Segment | None:
        """The segment as it is there, or None when it is torn."""
        content = self._read_bytes(folder / name)
        frame = self._read_columns(folder / name, content, ["kind"])
        if frame is None:
            return None
        return Segment(
            name=name, platform=platform, rows=frame.height, bytes=len(content), sha=hashlib.sha256(content).hexdigest()
        )

    @staticmethod
    def _read_columns(path: UPath, content: bytes, columns: list[str]) -> pl.DataFrame | None:
        """Columns of a segment that no manifest vouches for; None, with a warning, when it is torn."""
        try:
            return pl.read_parquet(io.BytesIO(content), columns=columns)
        except pl.exceptions.PolarsError as error:
            log.warning(
                "%s cannot be read and is left out: writing it broke off (%s)", path, str(error).partition("\n")[0]
            )
            return None


def _rows(file: io.BufferedReader, span: RowSpan, columns: list[str]) -> Iterator[pl.DataFrame]:
    """The span's rows; with their bodies a row group at a time, so that each group is unpacked once."""
    scan = pl.scan_parquet(file, hive_partitioning=False).select(columns)
    begin, end = span.first_row, span.first_row + span.rows
    cuts = range((begin // GROUP_ROWS + 1) * GROUP_ROWS, end, GROUP_ROWS) if "body" in columns else ()
    for first, last in itertools.pairwise([begin, *cuts, end]):
        yield scan.slice(first, last - first).collect()
