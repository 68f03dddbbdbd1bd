"""The raw store: writes the answers of a cycle as immutable Parquet segments and reads them back by manifest.

Layout: `{root}/date=YYYY-MM-DD/hour=HH/cycle=<id>/platform=<slug>/seg-NNNN-<writer>.parquet`, with `manifest.json` in the cycle's folder. Segments of
earlier versions lack the writer's tag. Once the hour is compacted, `{root}/date=YYYY-MM-DD/hour=HH/platform=<slug>/hour-<sha>.parquet` has all
answers of a platform, and `compacted.json` beside it says where each segment's are. The root is a local folder or any URL that fsspec knows.
No parsing of bodies here, and no database; compacting (`compaction`) and removing hours (`expiry`) are beside it.
"""

import contextlib
import hashlib
import io
import itertools
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import polars as pl
from upath import UPath

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.files import move_into_place, sync_folder, write_unfinished
from palimpsest_pipeline.domain.instants import hour_key, hour_of
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.domain.secrets import redact, store_secrets

from . import compacted_hours
from .compacted_hours import HourIndex, Span
from .hashed_files import Copies, NotAsWritten
from .manifest import Manifest, Segment, decode, encode, manifest_of
from .schema import LISTINGS, OBSERVED_AT, SCHEMA, answers_of, frame_of, shown_detail

FLUSH_ANSWERS: Final = 64
FLUSH_BYTES: Final = 8 * 1024 * 1024
FLUSH_AGE_S: Final = 2.0
"""No answer waits longer than this to be written, however few come: what is younger is all that a killed process can lose."""
PENDING_SEGMENTS: Final = 2
"""Segments that may wait for the disk before `append` waits too: bounds the memory of a cycle on a slow store."""
ZSTD_LEVEL: Final = 3
"""Level 1 takes a fifth less time, but does not see that one answer is like the next: up to three times the size."""
MANIFEST: Final = "manifest.json"
SEGMENT_NAME: Final = re.compile(r"seg-(\d+)(?:-[0-9a-f]+)?\.parquet")
INDEX: Final = "compacted.json"
EVERY_ROW: Final = pl.lit(True)
EXPIRING: Final = "expiring"
"""Name of an empty file: an hour that has it is no longer there for readers, and what is left of it is being removed."""
GROUP_ROWS: Final = 32
"""Rows of a row group of an hour's file: what is read together, with their bodies. Twice as many take 3 % less room, and more memory."""
USAGE: Final = {
    "hour": INSTANT,
    "cycle_id": pl.Int64(),
    "scope": pl.String(),
    "platform": pl.String(),
    "n_answers": pl.Int64(),
    "bytes": pl.Int64(),
}
"""What a cycle takes on disk, by platform."""
OnSegment = Callable[[Cycle, Segment, pl.DataFrame], None]
"""Takes a segment that has just been landed: its cycle, its entry in the manifest, and its answers as `Landing.read` returns them."""
log = logging.getLogger(__name__)


class LandingError(PalimpsestError):
    """The landing cannot be used as asked. The message says what to do, and shows no credentials of the store."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message, *store_secrets(os.environ)))


class LandingIncomplete(LandingError):
    """A manifest names segments that are not there or not as they were written."""


class LandingUnreadable(LandingError):
    """A manifest, or what says where an hour's answers lie, is there and cannot be read."""


@dataclass(frozen=True, slots=True)
class UnreadableCycle:
    """A cycle whose manifest, or the index of whose hour, is there and cannot be read. `sentence`: the file, why, and what to do."""

    hour: datetime
    cycle_id: int
    sentence: str

    def as_dict(self) -> dict[str, str | int]:
        """Return it as the commands' JSON has it."""
        return {"hour": hour_key(self.hour), "cycle_id": self.cycle_id, "why": self.sentence}


@dataclass(frozen=True, slots=True)
class LandedCycles:
    """Closed cycles by id, and those that cannot be read, by hour and id."""

    manifests: list[Manifest]
    unreadable: list[UnreadableCycle]


def name_unreadable(cycles: Iterable[UnreadableCycle]) -> str:
    """Return what cannot be read of the landing, a cycle a line, each with the file, the reason and the remedy."""
    return "\n".join(f"cycle {cycle.cycle_id} cannot be read: {cycle.sentence}" for cycle in cycles)


class Landing:
    """The raw answers of all cycles under one root: a local folder, or a URL such as `s3://bucket/landing`."""

    def __init__(self, root: str | Path, on_segment: OnSegment | None = None) -> None:
        """`on_segment` is called with every segment that this process has written, on the writer's thread. It must return at once."""
        self._on_segment = on_segment
        try:
            self.root = UPath(root)
            _ = self.root.fs  # made when it is first asked for
        except (ImportError, ValueError) as error:  # of a store that fsspec does not know, or whose package is not installed
            raise LandingError(f"no landing at {root}: {error}. Install that store's fsspec package, or set the landing to another URL.") from error
        self._local = self.root.protocol in ("", "file", "local")
        self._copies = Copies(self._local)

    # --- writing -----------------------------------------------------------------------------------------------------------------

    def writer(self, cycle: Cycle) -> "CycleWriter":
        """A writer for the cycle. If the cycle has segments already (an earlier stage, or a writer that died), the new ones are added to them.

        Raises LandingError while the cycle's hour is being removed, and when nothing can be written to the cycle's folder: a scrape learns it before
        it asks any platform.
        """
        if self._is_expiring(hour := self._hour_folder(cycle.partition_hour)):
            raise LandingError(f"{hour} is being removed: run `palimpsest landing expire` to the end, then this again")
        probe = self._folder(cycle.partition_hour, cycle.cycle_id) / f".probe-{uuid4().hex}"
        self._create(probe, b"probe")
        self._remove(probe)
        return CycleWriter(self, cycle)

    def close_interrupted(self, cycle: Cycle, finished_at: datetime, status: RunStatus = RunStatus.INTERRUPTED) -> Manifest:
        """Closes a cycle whose writer died: its manifest names every segment that was written whole. A cycle closed before keeps its stages."""
        return self._close(cycle, status, finished_at, (), (), {})

    def _close(
        self,
        cycle: Cycle,
        status: RunStatus,
        finished_at: datetime,
        stages: Sequence[str],
        late: Collection[Platform],
        written: dict[str, Segment],
    ) -> Manifest:
        folder = self._folder(cycle.partition_hour, cycle.cycle_id)
        while True:
            manifest = self._write_manifest(folder, cycle, status, finished_at, stages, late, written)
            named = {*(segment.name for segment in manifest.segments), *manifest.torn}
            if named.issuperset(name for _, name in self._segments_in(folder)):
                return manifest
            # Another writer of the cycle has written meanwhile, and its manifest may have been replaced by this one.

    def _write_manifest(
        self,
        folder: UPath,
        cycle: Cycle,
        status: RunStatus,
        finished_at: datetime,
        stages: Sequence[str],
        late: Collection[Platform],
        written: dict[str, Segment],
    ) -> Manifest:
        """Write a manifest of the segments in the folder, of those that the present manifest names, and of `written`."""
        before = self._manifest_in(folder)
        known = {segment.name: segment for segment in before.segments} if before else {}
        known |= written
        torn = []
        for platform, name in self._segments_in(folder):
            if name in known:
                continue
            segment = self._examine(folder, platform, name)
            if segment is None:
                torn.append(name)
            else:
                known[name] = segment
        stages = (*(before.stages if before else ()), *stages)
        late = (*(before.late if before else ()), *late)
        manifest = manifest_of(before.cycle if before else cycle, status, finished_at, stages, known.values(), torn, late)
        self._put(folder / MANIFEST, encode(manifest))
        return manifest

    def _put(self, path: UPath, content: bytes) -> None:
        """Writes the file so that readers see all of it or nothing."""
        with self._writing(path):
            if not self._local:
                path.write_bytes(content)
                return
            target = Path(path.path)
            write_unfinished(target, content).replace(target)
            sync_folder(target.parent)

    def _create(self, path: UPath, content: bytes) -> None:
        """Write a file that is not there yet, so that readers see all of it or nothing. Raises LandingError when another writer has made it.

        In a local landing, a process that dies between two system calls can leave an empty file. Such a file counts as torn.
        """
        with self._writing(path):
            if not self._local:
                self._create_object(path, content)
                return
            target = Path(path.path)
            unfinished = write_unfinished(target, content)
            try:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            except OSError:
                unfinished.unlink()
                raise
            unfinished.replace(target)
            sync_folder(target.parent)

    @staticmethod
    def _create_object(path: UPath, content: bytes) -> None:
        """Write a new object, as `_create` does. The store refuses a name that is taken (S3: `If-None-Match: *`)."""
        try:
            path.fs.pipe_file(path.path, content, mode="create")
        except FileExistsError:
            # When an answer was lost and the request was sent again, the object that is there is our own.
            if path.read_bytes() != content:
                raise

    def _publish(self, source: Path, path: UPath) -> None:
        """As `_put`, of a finished local file; of a local root it must lie on the same file system, and is gone afterwards."""
        with self._writing(path):
            if not self._local:
                path.fs.put_file(str(source), path.path)
                return
            move_into_place(source, Path(path.path))

    def _remove(self, path: UPath, *, folder: bool = False) -> None:
        """Removes a file, or a folder with all that is in it; there may be none."""
        with self._writing(path), contextlib.suppress(FileNotFoundError):
            path.fs.rm(path.path, recursive=folder)

    def _remove_empty(self, folder: UPath) -> None:
        """Removes a folder in which nothing is. An object store has no such folders."""
        if self._local:
            with contextlib.suppress(OSError):
                Path(folder.path).rmdir()

    @contextlib.contextmanager
    def _writing(self, path: UPath) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store's package has errors of its own
            raise self._refusal("write to", path, error) from error

    @contextlib.contextmanager
    def _reading(self, path: UPath) -> Iterator[None]:
        """Raise what a store raises as LandingError; FileNotFoundError, NotADirectoryError and NotAsWritten stay."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, NotAsWritten):
            raise
        except Exception as error:
            raise self._refusal("read", path, error) from error

    def _refusal(self, verb: str, path: UPath, error: Exception) -> LandingError:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        able = "writable" if verb == "write to" else "readable"
        remedy = f"Make it {able}" if self._local else "Check the bucket, the endpoint (AWS_ENDPOINT_URL) and the credentials,"
        return LandingError(f"cannot {verb} the landing at {self.root}: {reason} ({path}). {remedy} or set the landing to another folder or URL.")

    # --- listing -----------------------------------------------------------------------------------------------------------------

    def cycles(self, hour: datetime | None = None, start: datetime | None = None, end: datetime | None = None) -> list[Manifest]:
        """Closed cycles by id: of one hour, or of the hours in [start, end), or all. Cycles without manifest are not there.

        Raises LandingUnreadable when the manifest of one of them cannot be read.
        """
        folders = [self._hour_folder(hour)] if hour is not None else [path for _, path in self._hour_folders(start, end)]
        found = [self._manifest_in(cycle) for folder in folders for cycle in self._cycles_in(folder)]
        return sorted((manifest for manifest in found if manifest is not None), key=lambda manifest: manifest.cycle_id)

    def readable_cycles(self, start: datetime | None = None, end: datetime | None = None) -> LandedCycles:
        """As `cycles`, but a manifest that cannot be read costs only its own cycle, which is named."""
        manifests, unreadable = [], []
        for hour, folder in sorted(self._hour_folders(start, end), key=lambda found: found[0]):
            for cycle in self._cycles_in(folder):
                try:
                    manifest = self._manifest_in(cycle)
                except LandingUnreadable as error:
                    unreadable.append(UnreadableCycle(hour, int(cycle.name.removeprefix("cycle=")), str(error)))
                    continue
                if manifest is not None:
                    manifests.append(manifest)
        return LandedCycles(sorted(manifests, key=lambda manifest: manifest.cycle_id), unreadable)

    def newest_first(self) -> Iterator[Manifest]:
        """Closed cycles, the newest hour and cycle first, each read when it is asked for. One that cannot be read is left out, with a warning."""
        for _, hour in sorted(self._hour_folders(), key=lambda found: found[0], reverse=True):
            for folder in sorted(self._cycles_in(hour), key=lambda path: int(path.name.removeprefix("cycle=")), reverse=True):
                try:
                    manifest = self._manifest_in(folder)
                except LandingUnreadable as error:
                    log.warning("%s", error)
                    continue
                if manifest is not None:
                    yield manifest

    def hours(self) -> list[datetime]:
        """Hours that have a place in the landing, in order. Whether a closed cycle is in them is not looked at: nothing is read."""
        return sorted(at for at, _ in self._hour_folders())

    def manifest(self, cycle_id: int, hour: datetime | None = None) -> Manifest:
        """Return the manifest of one cycle. Without its `hour` every hour of the landing is looked into.

        Raises LandingIncomplete when there is no closed cycle of this id, LandingUnreadable when its manifest cannot be read.
        """
        for folder in self._cycle_folders(cycle_id) if hour is None else [self._folder(hour, cycle_id)]:
            manifest = self._manifest_in(folder)
            if manifest is not None and not self._is_expiring(folder.parent):
                return manifest
        raise LandingIncomplete(f"the landing at {self.root} holds no closed cycle {cycle_id}")

    def reread(self, manifest: Manifest) -> Manifest:
        """The cycle's manifest as it is now: a later stage may have added to it. Raises LandingIncomplete when it is gone."""
        folder = self._folder(manifest.partition_hour, manifest.cycle_id)
        found = self._manifest_in(folder)
        if found is None or self._is_expiring(folder.parent):
            raise LandingIncomplete(f"cycle {manifest.cycle_id}: its manifest is no longer in the landing at {self.root}")
        return found

    def missing(self, manifest: Manifest, platforms: Collection[Platform] | None = None) -> list[str]:
        """Names of the manifest's segments whose answers are not there (any more). What lies in the files that are there is not looked at."""
        there = {name for _, name in self._segments_in(self._folder(manifest.partition_hour, manifest.cycle_id))}
        wanted = [s.name for s in manifest.segments if platforms is None or s.platform in platforms]
        if there.issuperset(wanted):
            return []
        # Asked after the segments: a segment is removed only when the index has it.
        folder = self._hour_folder(manifest.partition_hour)
        places, files = self._index(folder).places, self._hour_files_in(folder)
        there |= {name for (cycle_id, name), (file, _) in places.items() if cycle_id == manifest.cycle_id and file.name in files}
        return [name for name in wanted if name not in there]

    def unclosed(self, hour: datetime | None = None) -> list[int]:
        """Ids of cycles (of one hour, or all) that have landed segments but no manifest: still running, or interrupted."""
        folders = [self._hour_folder(hour)] if hour is not None else [folder for _, folder in self._hour_folders()]
        cycles = [cycle for folder in folders for cycle in self._cycles_in(folder)]
        return sorted(int(cycle.name.removeprefix("cycle=")) for cycle in cycles if self._segments_in(cycle) and self._manifest_in(cycle) is None)

    def usage(self, start: datetime | None = None, end: datetime | None = None) -> pl.DataFrame:
        """What the closed cycles of the hours in [start, end), or all, take on disk (USAGE); of a compacted hour's files each has its share.

        Raises LandingUnreadable when the manifest of one of them, or the index of its hour, cannot be read.
        """
        usage, unreadable = self.usage_of(self.cycles(start=start, end=end))
        if unreadable:
            raise LandingUnreadable(unreadable[0].sentence)
        return usage

    def usage_of(self, manifests: Iterable[Manifest]) -> tuple[pl.DataFrame, list[UnreadableCycle]]:
        """What these cycles take on disk (USAGE), and those among them that cannot be sized: the index of their hour cannot be read."""
        rows, unreadable = [], []
        indices: dict[datetime, HourIndex | LandingUnreadable] = {}
        for manifest in manifests:
            hour = manifest.partition_hour
            if hour not in indices:
                try:
                    indices[hour] = self._index(self._hour_folder(hour))
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
        listed = pl.DataFrame(rows, schema=USAGE, orient="row")
        return listed.group_by("hour", "cycle_id", "scope", "platform", maintain_order=True).agg(pl.col("n_answers", "bytes").sum()), unreadable

    # --- reading -----------------------------------------------------------------------------------------------------------------

    def read(
        self,
        manifest: Manifest,
        kinds: Collection[PayloadKind] | None = None,
        platforms: Collection[Platform] | None = None,
        columns: Sequence[str] = tuple(SCHEMA),
    ) -> pl.DataFrame:
        """Landed answers of a cycle as one frame, `columns` of `SCHEMA`, in the order in which they came per platform.

        Raises LandingIncomplete naming every segment that is missing, before any is read, or the one that is not as it was written.
        """
        empty = pl.DataFrame(schema={name: SCHEMA[name] for name in columns})
        return pl.concat([empty, *self.read_segments(manifest, kinds, platforms, columns)])

    def read_segments(
        self,
        manifest: Manifest,
        kinds: Collection[PayloadKind] | None = None,
        platforms: Collection[Platform] | None = None,
        columns: Sequence[str] = tuple(SCHEMA),
    ) -> Iterator[pl.DataFrame]:
        """As `read`, a segment or some dozen answers at a time, for a cycle whose bodies should not be in memory together."""
        folder = self._folder(manifest.partition_hour, manifest.cycle_id)
        segments = [segment for segment in manifest.segments if platforms is None or segment.platform in platforms]
        if missing := self.missing(manifest, platforms):
            raise LandingIncomplete(f"cycle {manifest.cycle_id}: missing in the landing at {folder}: {', '.join(missing)}")
        return self._frames(folder, manifest.cycle_id, segments, kinds, columns)

    def _frames(
        self, folder: UPath, cycle_id: int, segments: Sequence[Segment], kinds: Collection[PayloadKind] | None, columns: Sequence[str]
    ) -> Iterator[pl.DataFrame]:
        wanted = EVERY_ROW if kinds is None else pl.col("kind").is_in([kind.value for kind in kinds])
        needed = dict.fromkeys([*columns, "kind", "received_at", "observed_at"])
        for frame in self._pieces(folder, cycle_id, segments, list(needed), wanted):
            yield frame.filter(wanted).with_columns(OBSERVED_AT).select(columns)

    def _pieces(
        self, folder: UPath, cycle_id: int, segments: Sequence[Segment], columns: list[str], wanted: pl.Expr = EVERY_ROW
    ) -> Iterator[pl.DataFrame]:
        """Rows of the segments, in order: from their own files, or from the hour's where those are gone, also since this began.

        Rows that are not `wanted` may be left out: bodies that nobody needs are not unpacked then.
        """
        there = {name for _, name in self._segments_in(folder)}
        held: list[str] = []
        for segment in segments:
            frame = self._segment(folder, cycle_id, segment, columns, wanted) if segment.name in there else None
            if frame is None:
                held.append(segment.name)
                continue
            yield from self._held(folder, cycle_id, held, columns)
            held = []
            yield frame
        yield from self._held(folder, cycle_id, held, columns)

    def _segment(self, folder: UPath, cycle_id: int, segment: Segment, columns: list[str], wanted: pl.Expr) -> pl.DataFrame | None:
        """Columns of a segment from its own file, at least of the rows that are `wanted`; None when it has none (any more). Raises LandingIncomplete
        when it is not as it was written."""
        path = folder / segment.name
        try:
            if self._local:  # hashed once, however often some columns of it are read
                with self._open(path, segment.sha) as file:
                    return pl.scan_parquet(file, hive_partitioning=False).filter(wanted).select(columns).collect()
            content = self._content(path)
            if content is None:
                return None
            if hashlib.sha256(content).hexdigest() != segment.sha:
                raise NotAsWritten
            return pl.read_parquet(io.BytesIO(content), columns=columns)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except NotAsWritten:
            raise LandingIncomplete(f"cycle {cycle_id}: {segment.name} in the landing at {folder} is not as it was written") from None

    def _held(self, folder: UPath, cycle_id: int, segments: Sequence[str], columns: list[str]) -> Iterator[pl.DataFrame]:
        """Rows of segments that lie in the hour's files."""
        done = 0
        while done < len(segments):
            span, file = self._opened(folder, cycle_id, segments[done:])
            with file:
                yield from _rows(file, span, columns)
            done += span.segments

    def _opened(self, folder: UPath, cycle_id: int, segments: Sequence[str]) -> tuple[Span, io.BufferedReader]:
        """The file with the first of the segments, and which rows of it. One that is gone was compacted again: then the index names another."""
        trouble = ""
        for _ in range(2):
            span = self._index(folder.parent).span(cycle_id, segments)
            if span is None:
                trouble = f"missing in the landing at {folder}: {', '.join(segments)}"
                continue
            try:
                return span, self._open(folder.parent / span.file.name, span.file.sha)
            except FileNotFoundError:
                trouble = f"missing in the landing at {folder.parent}: {span.file.name}"
            except NotAsWritten:
                raise LandingIncomplete(f"cycle {cycle_id}: {span.file.name} in the landing at {folder.parent} is not as it was written") from None
        raise LandingIncomplete(f"cycle {cycle_id}: {trouble}")

    def landed_listings(self, cycle_id: int) -> pl.DataFrame:
        """What is landed of a cycle by now, one row per answer without its body (columns `LISTINGS`), as they came per platform.

        Also of a cycle that runs or whose process died: of all its segments that are there, whether a manifest names them or not. One that
        cannot be read is named in a warning and left out.
        """
        columns = list(LISTINGS.values())
        frames = [pl.DataFrame(schema={name: SCHEMA[name] for name in columns})]
        for folder in self._cycle_folders(cycle_id):
            there = [name for _, name in self._segments_in(folder)]
            if not there and self._manifest_in(folder) is None:
                continue  # of another hour
            held = [name for name in self._index(folder.parent).of_cycle(cycle_id) if name not in there]
            for name in sorted([*there, *held]):
                content = self._content(folder / name) if name in there else None
                if content is None:
                    frames += self._held(folder, cycle_id, [name], columns)
                elif (frame := self._columns(folder / name, content, columns)) is not None:
                    frames.append(frame)
        listings = pl.concat(frames).with_columns(OBSERVED_AT).select(pl.col(source).alias(column) for column, source in LISTINGS.items())
        return listings.with_columns(pl.col("failure_detail").map_elements(shown_detail, return_dtype=pl.String))

    @staticmethod
    def answers(frame: pl.DataFrame) -> Iterator[Answer]:
        """The answers of a frame that `read` returned."""
        return answers_of(frame)

    # --- folders -----------------------------------------------------------------------------------------------------------------

    def _hour_folder(self, hour: datetime) -> UPath:
        at = hour_of(hour)
        return self.root / f"date={at:%Y-%m-%d}" / f"hour={at:%H}"

    def _folder(self, hour: datetime, cycle_id: int) -> UPath:
        return self._hour_folder(hour) / f"cycle={cycle_id}"

    def _hour_folders(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[tuple[datetime, UPath]]:
        """The hours in [start, end), or all, with their folders."""
        for day in self._children(self.root):
            for hour in self._children(day) if day.name.startswith("date=") else ():
                if hour.name.startswith("hour="):
                    at = datetime.strptime(f"{day.name} {hour.name}", "date=%Y-%m-%d hour=%H").replace(tzinfo=UTC)
                    if (start is None or at >= hour_of(start)) and (end is None or at < end):
                        yield at, hour

    def _cycle_folders(self, cycle_id: int) -> Iterator[UPath]:
        for _, hour in self._hour_folders():
            yield hour / f"cycle={cycle_id}"

    def _cycles_in(self, hour: UPath) -> list[UPath]:
        """Folders of cycles; none of an hour that is being removed."""
        children = self._children(hour)
        return [] if any(path.name == EXPIRING for path in children) else [path for path in children if path.name.startswith("cycle=")]

    def _is_expiring(self, hour: UPath) -> bool:
        if not self._local:
            hour.fs.invalidate_cache()
        with self._reading(path := hour / EXPIRING):
            return path.exists()

    def _index(self, hour: UPath) -> HourIndex:
        """What the hour's files hold; nothing when it is not compacted."""
        path = hour / INDEX
        try:
            content = self._record(path)
            return HourIndex() if content is None else compacted_hours.decode(content)
        except msgspec.DecodeError as error:
            raise LandingUnreadable(f"{path} does not say what lies in the files beside it: {error}. Bring it back from a copy.") from error

    def _hour_files_in(self, hour: UPath) -> set[str]:
        """Names, relative to the hour's folder, of the platforms' files that are there, unfinished ones included."""
        parts = [part for part in self._children(hour) if part.name.startswith("platform=")]
        return {f"{part.name}/{path.name}" for part in parts for path in self._children(part)}

    def _content(self, path: UPath) -> bytes | None:
        """Content of a file; None when it is not there."""
        try:
            return self._read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _record(self, path: UPath) -> bytes | None:
        """As `_content`, of a manifest or an index. In a local landing, one that the disk refuses is unreadable, and the others may be fine.

        What an object store refuses stays a LandingError: it may be the bucket or the credentials, and then no other record can be read either.
        """
        try:
            return self._content(path)
        except LandingError as error:
            if not (self._local and isinstance(reason := error.__cause__, OSError)):
                raise
            raise LandingUnreadable(
                f"{path} cannot be read: {reason.strerror or reason}. Make it readable, or bring it back from a copy."
            ) from reason

    def _read(self, path: UPath) -> bytes:
        with self._reading(path):
            return bytes(path.read_bytes())

    def _is_folder(self, path: UPath) -> bool:
        with self._reading(path):
            return path.is_dir()

    def _open(self, path: UPath, sha: str) -> io.BufferedReader:
        """As `Copies.open`."""
        with self._reading(path):
            return self._copies.open(path, sha)

    def _children(self, folder: UPath) -> list[UPath]:
        if not self._local:
            folder.fs.invalidate_cache()  # fsspec caches listings; other processes write here too
        try:
            with self._reading(folder):
                return sorted(folder.iterdir(), key=lambda path: path.name)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _segments_in(self, folder: UPath) -> list[tuple[Platform, str]]:
        """(platform, name relative to the cycle's folder) of the segments that are there, unfinished files left out."""
        return [
            (Platform(part.name.removeprefix("platform=")), f"{part.name}/{path.name}")
            for part in self._children(folder)
            if part.name.startswith("platform=")
            for path in self._children(part)
            if SEGMENT_NAME.fullmatch(path.name)
        ]

    def _manifest_in(self, folder: UPath) -> Manifest | None:
        path = folder / MANIFEST
        try:
            content = self._record(path)
            return None if content is None else decode(content)
        except msgspec.DecodeError as error:
            raise LandingUnreadable(f"{path} is not a manifest: {error}. Restore it, or remove it and close the cycle again.") from error

    def _examine(self, folder: UPath, platform: Platform, name: str) -> Segment | None:
        """The segment as it is there, or None when it is torn."""
        content = self._read(folder / name)
        frame = self._columns(folder / name, content, ["kind"])
        if frame is None:
            return None
        return Segment(name=name, platform=platform, rows=frame.height, bytes=len(content), sha=hashlib.sha256(content).hexdigest())

    @staticmethod
    def _columns(path: UPath, content: bytes, columns: list[str]) -> pl.DataFrame | None:
        """Columns of a segment that no manifest vouches for; None, with a warning, when it is torn."""
        try:
            return pl.read_parquet(io.BytesIO(content), columns=columns)
        except pl.exceptions.PolarsError as error:
            log.warning("%s cannot be read and is left out: writing it broke off (%s)", path, str(error).partition("\n")[0])
            return None


def _rows(file: io.BufferedReader, span: Span, columns: list[str]) -> Iterator[pl.DataFrame]:
    """The span's rows; with their bodies a row group at a time, so that each group is unpacked once."""
    scan = pl.scan_parquet(file, hive_partitioning=False).select(columns)
    begin, end = span.first_row, span.first_row + span.rows
    cuts = range((begin // GROUP_ROWS + 1) * GROUP_ROWS, end, GROUP_ROWS) if "body" in columns else ()
    for first, last in itertools.pairwise([begin, *cuts, end]):
        yield scan.slice(first, last - first).collect()


@dataclass(slots=True)
class _Waiting:
    """Answers of one platform that are to be one segment, since when, and how large their bodies are together."""

    since_s: float
    answers: list[Answer] = field(default_factory=list)
    bytes: int = 0


class CycleWriter:
    """Takes the answers of one cycle as they come. Readers see them when `close` has written the manifest; a killed process leaves whole segments.

    `append` is for one event loop or thread and only puts the answer down. Hashing, encoding and writing is done on a thread of the writer's
    own: when enough answers or bytes of a platform wait, or one has waited `flush_age_s`. So the answers of the last `flush_age_s`, and those
    being written at that moment, are all that is lost when the process is killed. The thread's first error is raised by every later `append`,
    `flush` and `close`.
    """

    def __init__(
        self, landing: Landing, cycle: Cycle, flush_answers: int = FLUSH_ANSWERS, flush_bytes: int = FLUSH_BYTES, flush_age_s: float = FLUSH_AGE_S
    ) -> None:
        self._landing = landing
        self._cycle = cycle
        self._folder = landing._folder(cycle.partition_hour, cycle.cycle_id)
        self._flush_answers = flush_answers
        self._flush_bytes = flush_bytes
        self._flush_age_s = flush_age_s
        self._next = self._first_free_numbers()
        self._tag = uuid4().hex[:8]
        self._written: dict[str, Segment] = {}
        # Shared with the thread, under the condition.
        self._changed = threading.Condition()
        self._waiting: dict[Platform, _Waiting] = {}
        self._pending: deque[tuple[Platform, list[Answer]]] = deque()
        self._busy = False
        self._closing = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def _first_free_numbers(self) -> dict[Platform, int]:
        """Numbers go on after what is there and after what a manifest names, so that answers are read in the order in which they came.

        Another writer of the cycle may continue from the same number. The tag in the name keeps the two files apart.
        """
        manifest = self._landing._manifest_in(self._folder)
        names = [*self._landing._segments_in(self._folder), *((s.platform, s.name) for s in (manifest.segments if manifest else ()))]
        free: dict[Platform, int] = {}
        for platform, name in names:
            number = SEGMENT_NAME.search(name)
            if number:
                free[platform] = max(free.get(platform, 0), int(number.group(1)) + 1)
        return free

    def append(self, answer: Answer) -> None:
        """Keeps the answer; waits only when the store is so slow that segments pile up. Raises LandingError when one could not be written."""
        platform = answer.request.platform
        with self._changed:
            self._raise_error()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="landing", daemon=True)
                self._thread.start()
            waiting = self._waiting.setdefault(platform, _Waiting(time.monotonic()))
            waiting.answers.append(answer)
            waiting.bytes += len(answer.body or b"")
            if len(waiting.answers) >= self._flush_answers or waiting.bytes >= self._flush_bytes:
                self._changed.wait_for(lambda: len(self._pending) < PENDING_SEGMENTS)
                self._start_segment(platform)
            elif len(waiting.answers) == 1:
                self._changed.notify_all()  # the thread has to look at the clock for it

    def flush(self) -> None:
        """Returns when everything appended so far is on the store."""
        with self._changed:
            for platform in list(self._waiting):
                self._start_segment(platform)
            self._changed.wait_for(lambda: not self._pending and not self._busy)
            self._raise_error()

    def close(self, status: RunStatus, finished_at: datetime, stages: Sequence[str] = (), late: Collection[Platform] = ()) -> Manifest:
        """Writes what is left and then the manifest. Raises LandingError when the store refuses; the manifest names what could be written.

        `stages` and platforms that are `late` are added to those of the manifest that is there.
        """
        try:
            self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()
            manifest = self._landing._close(self._cycle, status, finished_at, stages, late, self._written)
        return manifest

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _start_segment(self, platform: Platform) -> None:
        waiting = self._waiting.pop(platform, None)
        if waiting is not None:  # the thread may have taken it meanwhile
            self._pending.append((platform, waiting.answers))
            self._changed.notify_all()

    # --- on the thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._take()) is not None:
            try:
                segment = self._write(*work)
                self._written[segment.name] = segment
            except BaseException as error:  # noqa: BLE001 - a panic of Polars too: it is raised where answers are appended, who would wait for ever
                self._error = self._error or error
            finally:
                del work  # not to hold its answers while waiting for the next
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _take(self) -> tuple[Platform, list[Answer]] | None:
        """What to write next, as soon as there is something; None when the writer closes."""
        with self._changed:
            while not self._pending:
                if self._closing:
                    return None
                oldest = min(self._waiting, key=lambda platform: self._waiting[platform].since_s, default=None)
                left_s = None if oldest is None else self._waiting[oldest].since_s + self._flush_age_s - time.monotonic()
                if oldest is not None and left_s is not None and left_s <= 0:
                    self._start_segment(oldest)
                else:
                    self._changed.wait(left_s)
            self._busy = True
            work = self._pending.popleft()
            self._changed.notify_all()
            return work

    def _write(self, platform: Platform, answers: Sequence[Answer]) -> Segment:
        number = self._next.get(platform, 0)
        self._next[platform] = number + 1
        name = f"platform={platform.value}/seg-{number:04d}-{self._tag}.parquet"
        buffer = io.BytesIO()
        frame = frame_of(self._cycle.cycle_id, answers)
        frame.write_parquet(buffer, compression="zstd", compression_level=ZSTD_LEVEL, statistics=False)
        content = buffer.getvalue()
        self._landing._create(self._folder / name, content)
        segment = Segment(name=name, platform=platform, rows=len(answers), bytes=len(content), sha=hashlib.sha256(content).hexdigest())
        if self._landing._on_segment is not None:
            try:
                self._landing._on_segment(self._cycle, segment, frame.with_columns(OBSERVED_AT))
            except Exception:  # the segment is landed: whoever wanted to hear of it reads it from there
                log.warning("cycle %d: nobody could be told of %s", self._cycle.cycle_id, name, exc_info=True)
        return segment
