"""The raw store: writes the answers of a cycle as immutable Parquet segments and reads them back by manifest.

Layout: `{root}/date=YYYY-MM-DD/hour=HH/cycle=<id>/platform=<slug>/seg-NNNN.parquet`, with `manifest.json` in the cycle's folder. The root is a
local folder or any URL that fsspec knows. No parsing of bodies here, and no database.
"""

import hashlib
import io
import os
import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from upath import UPath

from ..domain.cycles import Cycle
from ..domain.exchange import Answer
from ..domain.instants import hour_of
from ..domain.words import PayloadKind, Platform, RunStatus
from .manifest import Manifest, Segment, decode, encode, manifest_of
from .schema import SCHEMA, answers_of, frame_of

FLUSH_ANSWERS: Final = 64
FLUSH_BYTES: Final = 32 * 1024 * 1024
PENDING_SEGMENTS: Final = 4
"""Segments that may wait for the disk before `append` waits too: bounds the memory of a cycle on a slow store."""
MANIFEST: Final = "manifest.json"
SEGMENT_NAME: Final = re.compile(r"seg-(\d+)\.parquet")


class LandingError(Exception):
    """The landing cannot be used as asked. The message says what to do."""


class LandingIncomplete(LandingError):
    """A manifest names segments that are not there or not as they were written."""


class Landing:
    """The raw answers of all cycles under one root: a local folder, or a URL such as `s3://bucket/landing`."""

    def __init__(self, root: str | Path) -> None:
        try:
            self.root = UPath(root)
            _ = self.root.fs  # made when it is first asked for
        except (ImportError, ValueError) as error:  # of a store that fsspec does not know, or whose package is not installed
            raise LandingError(f"no landing at {root}: {error}. Install that store's fsspec package, or set the landing to another URL.") from error
        self._local = self.root.protocol in ("", "file", "local")

    # --- writing -----------------------------------------------------------------------------------------------------------------

    def writer(self, cycle: Cycle) -> "CycleWriter":
        """A writer for the cycle. If the cycle has segments already (discovery before capture), the new ones are added to them."""
        return CycleWriter(self, cycle)

    def close_interrupted(self, cycle: Cycle, finished_at: datetime, status: RunStatus = RunStatus.PARTIAL) -> Manifest:
        """Closes a cycle whose writer died: its manifest names every segment that was written whole. A cycle closed before keeps its stages."""
        return self._close(cycle, status, finished_at, (), {})

    def _close(self, cycle: Cycle, status: RunStatus, finished_at: datetime, stages: Sequence[str], written: dict[str, Segment]) -> Manifest:
        folder = self._folder(cycle.partition_hour, cycle.cycle_id)
        before = self._manifest_in(folder)
        known = {segment.name: segment for segment in before.segments} if before else {}
        known |= written
        for platform, name in self._segments_in(folder):
            if name not in known:
                known[name] = self._examine(folder, platform, name)
        manifest = manifest_of(before.cycle if before else cycle, status, finished_at, (*(before.stages if before else ()), *stages), known.values())
        self._put(folder / MANIFEST, encode(manifest))
        return manifest

    def _put(self, path: UPath, content: bytes) -> None:
        """Writes the file so that readers see all of it or nothing."""
        try:
            if not self._local:
                path.write_bytes(content)
                return
            target = Path(path.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            reason = error.strerror or str(error)
            raise LandingError(
                f"cannot write to the landing at {self.root}: {reason} ({path}). Make it writable or set the landing to another folder or URL."
            ) from error

    # --- listing -----------------------------------------------------------------------------------------------------------------

    def cycles(self, hour: datetime | None = None, start: datetime | None = None, end: datetime | None = None) -> list[Manifest]:
        """Closed cycles by id: of one hour, or of the hours in [start, end), or all. Cycles without manifest are not there."""
        if hour is not None:
            folders = [self._hour_folder(hour)]
        else:
            folders = [path for at, path in self._hour_folders() if (start is None or at >= hour_of(start)) and (end is None or at < end)]
        found = [self._manifest_in(cycle) for folder in folders for cycle in self._children(folder) if cycle.name.startswith("cycle=")]
        return sorted((manifest for manifest in found if manifest is not None), key=lambda manifest: manifest.cycle_id)

    def manifest(self, cycle_id: int) -> Manifest:
        """Manifest of one cycle. Raises LandingError when the landing has no closed cycle of this id."""
        for folder in self._cycle_folders(cycle_id):
            manifest = self._manifest_in(folder)
            if manifest is not None:
                return manifest
        raise LandingError(f"the landing at {self.root} holds no closed cycle {cycle_id}")

    def reread(self, manifest: Manifest) -> Manifest:
        """The cycle's manifest as it is now: a later stage may have added to it. Raises LandingIncomplete when it is gone."""
        found = self._manifest_in(self._folder(manifest.partition_hour, manifest.cycle_id))
        if found is None:
            raise LandingIncomplete(f"cycle {manifest.cycle_id}: its manifest is no longer in the landing at {self.root}")
        return found

    def unclosed(self, hour: datetime | None = None) -> list[int]:
        """Ids of cycles (of one hour, or all) that have landed segments but no manifest: still running, or interrupted."""
        hours = [self._hour_folder(hour)] if hour is not None else [folder for _, folder in self._hour_folders()]
        cycles = [cycle for folder in hours for cycle in self._children(folder) if cycle.name.startswith("cycle=")]
        return sorted(int(cycle.name.removeprefix("cycle=")) for cycle in cycles if self._segments_in(cycle) and self._manifest_in(cycle) is None)

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
        """As `read`, one segment at a time, for a cycle whose bodies should not be in memory together."""
        folder = self._folder(manifest.partition_hour, manifest.cycle_id)
        segments = [segment for segment in manifest.segments if platforms is None or segment.platform in platforms]
        there = {name for _, name in self._segments_in(folder)}
        missing = [segment.name for segment in segments if segment.name not in there]
        if missing:
            raise LandingIncomplete(f"cycle {manifest.cycle_id}: missing in the landing at {folder}: {', '.join(missing)}")
        return self._frames(folder, manifest.cycle_id, segments, kinds, columns)

    def _frames(
        self, folder: UPath, cycle_id: int, segments: Sequence[Segment], kinds: Collection[PayloadKind] | None, columns: Sequence[str]
    ) -> Iterator[pl.DataFrame]:
        for segment in segments:
            content = (folder / segment.name).read_bytes()
            if hashlib.sha256(content).hexdigest() != segment.sha:
                raise LandingIncomplete(f"cycle {cycle_id}: {segment.name} in the landing at {folder} is not as it was written")
            frame = pl.read_parquet(io.BytesIO(content), columns=list(dict.fromkeys([*columns, "kind"])))
            if kinds is not None:
                frame = frame.filter(pl.col("kind").is_in([kind.value for kind in kinds]))
            yield frame.select(columns)

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

    def _hour_folders(self) -> Iterator[tuple[datetime, UPath]]:
        for day in self._children(self.root):
            for hour in self._children(day) if day.name.startswith("date=") else ():
                if hour.name.startswith("hour="):
                    yield datetime.strptime(f"{day.name} {hour.name}", "date=%Y-%m-%d hour=%H").replace(tzinfo=UTC), hour

    def _cycle_folders(self, cycle_id: int) -> Iterator[UPath]:
        for _, hour in self._hour_folders():
            yield hour / f"cycle={cycle_id}"

    def _children(self, folder: UPath) -> list[UPath]:
        if not self._local:
            folder.fs.invalidate_cache()  # fsspec caches listings; other processes write here too
        try:
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
            return decode(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except msgspec.DecodeError as error:
            raise LandingError(f"{path} is not a manifest: {error}. Restore it, or remove it and close the cycle again.") from error

    def _examine(self, folder: UPath, platform: Platform, name: str) -> Segment:
        content = (folder / name).read_bytes()
        rows = pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item()
        return Segment(name=name, platform=platform, rows=rows, bytes=len(content), sha=hashlib.sha256(content).hexdigest())


class CycleWriter:
    """Takes the answers of one cycle as they come. Readers see them when `close` has written the manifest; a killed process leaves whole segments.

    `append` is for one event loop or thread. Segments are encoded and written on a thread of the writer's own, so that the wire does not wait;
    its errors are raised by the next `append`, `flush` or `close`.
    """

    def __init__(self, landing: Landing, cycle: Cycle, flush_answers: int = FLUSH_ANSWERS, flush_bytes: int = FLUSH_BYTES) -> None:
        self._landing = landing
        self._cycle = cycle
        self._folder = landing._folder(cycle.partition_hour, cycle.cycle_id)
        self._flush_answers = flush_answers
        self._flush_bytes = flush_bytes
        self._waiting: dict[Platform, list[Answer]] = {}
        self._waiting_bytes: dict[Platform, int] = {}
        self._next = self._first_free_numbers()
        self._written: dict[str, Segment] = {}
        self._pending: list[Future[Segment]] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing")

    def _first_free_numbers(self) -> dict[Platform, int]:
        """Segments are immutable: numbers go on after what is there and after what a manifest names."""
        manifest = self._landing._manifest_in(self._folder)
        names = [*self._landing._segments_in(self._folder), *((s.platform, s.name) for s in (manifest.segments if manifest else ()))]
        free: dict[Platform, int] = {}
        for platform, name in names:
            number = SEGMENT_NAME.search(name)
            if number:
                free[platform] = max(free.get(platform, 0), int(number.group(1)) + 1)
        return free

    def append(self, answer: Answer) -> None:
        """Keeps the answer. Raises LandingError when an earlier segment could not be written."""
        platform = answer.request.platform
        self._waiting.setdefault(platform, []).append(answer)
        size = self._waiting_bytes.get(platform, 0) + len(answer.body or b"")
        self._waiting_bytes[platform] = size
        if len(self._waiting[platform]) >= self._flush_answers or size >= self._flush_bytes:
            self._start_segment(platform)
            self._collect(leave=PENDING_SEGMENTS)

    def flush(self) -> None:
        """Returns when everything appended so far is on the store."""
        for platform in [platform for platform, answers in self._waiting.items() if answers]:
            self._start_segment(platform)
        self._collect(leave=0)

    def close(self, status: RunStatus, finished_at: datetime, stages: Sequence[str] = ()) -> Manifest:
        """Writes what is left and then the manifest. Raises LandingError when the store refuses."""
        try:
            self.flush()
        finally:
            self._thread.shutdown(wait=True)
        return self._landing._close(self._cycle, status, finished_at, stages, self._written)

    def _start_segment(self, platform: Platform) -> None:
        answers = self._waiting.pop(platform)
        self._waiting_bytes.pop(platform, None)
        number = self._next.get(platform, 0)
        self._next[platform] = number + 1
        self._pending.append(self._thread.submit(self._write, platform, f"platform={platform.value}/seg-{number:04d}.parquet", answers))

    def _collect(self, leave: int) -> None:
        while self._pending and (len(self._pending) > leave or self._pending[0].done()):
            segment = self._pending.pop(0).result()
            self._written[segment.name] = segment

    def _write(self, platform: Platform, name: str, answers: Sequence[Answer]) -> Segment:
        buffer = io.BytesIO()
        frame_of(self._cycle.cycle_id, answers).write_parquet(buffer, compression="zstd", statistics=False)
        content = buffer.getvalue()
        self._landing._put(self._folder / name, content)
        return Segment(name=name, platform=platform, rows=len(answers), bytes=len(content), sha=hashlib.sha256(content).hexdigest())
