"""The raw store: writes the answers of a cycle as immutable Parquet segments and reads them back by manifest.

Layout: `{root}/date=YYYY-MM-DD/hour=HH/cycle=<id>/platform=<slug>/seg-NNNN.parquet`, with `manifest.json` in the cycle's folder. The root is a
local folder or any URL that fsspec knows. No parsing of bodies here, and no database.
"""

import hashlib
import io
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
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
from .schema import LISTINGS, SCHEMA, answers_of, frame_of

FLUSH_ANSWERS: Final = 64
FLUSH_BYTES: Final = 8 * 1024 * 1024
FLUSH_AGE_S: Final = 2.0
"""No answer waits longer than this to be written, however few come: what is younger is all that a killed process can lose."""
PENDING_SEGMENTS: Final = 2
"""Segments that may wait for the disk before `append` waits too: bounds the memory of a cycle on a slow store."""
ZSTD_LEVEL: Final = 3
"""Level 1 takes a fifth less time, but does not see that one answer is like the next: up to three times the size."""
MANIFEST: Final = "manifest.json"
SEGMENT_NAME: Final = re.compile(r"seg-(\d+)\.parquet")
log = logging.getLogger(__name__)


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
        """A writer for the cycle. If the cycle has segments already (an earlier stage, or a writer that died), the new ones are added to them."""
        return CycleWriter(self, cycle)

    def close_interrupted(self, cycle: Cycle, finished_at: datetime, status: RunStatus = RunStatus.INTERRUPTED) -> Manifest:
        """Closes a cycle whose writer died: its manifest names every segment that was written whole. A cycle closed before keeps its stages."""
        return self._close(cycle, status, finished_at, (), {})

    def _close(self, cycle: Cycle, status: RunStatus, finished_at: datetime, stages: Sequence[str], written: dict[str, Segment]) -> Manifest:
        folder = self._folder(cycle.partition_hour, cycle.cycle_id)
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
        manifest = manifest_of(before.cycle if before else cycle, status, finished_at, stages, known.values(), torn)
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

    def missing(self, manifest: Manifest, platforms: Collection[Platform] | None = None) -> list[str]:
        """Names of the manifest's segments that are not there (any more). What those that are there hold is not looked at."""
        there = {name for _, name in self._segments_in(self._folder(manifest.partition_hour, manifest.cycle_id))}
        return [s.name for s in manifest.segments if s.name not in there and (platforms is None or s.platform in platforms)]

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
        if missing := self.missing(manifest, platforms):
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

    def landed_listings(self, cycle_id: int) -> pl.DataFrame:
        """What is landed of a cycle by now, one row per answer without its body (columns `LISTINGS`), as they came per platform.

        Also of a cycle that runs or whose process died: of all its segments that are there, whether a manifest names them or not. One that
        cannot be read is named in a warning and left out.
        """
        frames = [pl.DataFrame(schema={name: SCHEMA[source] for name, source in LISTINGS.items()})]
        for folder in self._cycle_folders(cycle_id):
            for _, name in self._segments_in(folder):
                path = folder / name
                frame = self._columns(path, path.read_bytes(), list(LISTINGS.values()))
                if frame is not None:
                    frames.append(frame.select(pl.col(source).alias(column) for column, source in LISTINGS.items()))
        return pl.concat(frames)

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

    def _examine(self, folder: UPath, platform: Platform, name: str) -> Segment | None:
        """The segment as it is there, or None when it is torn."""
        content = (folder / name).read_bytes()
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

    def close(self, status: RunStatus, finished_at: datetime, stages: Sequence[str] = ()) -> Manifest:
        """Writes what is left and then the manifest. Raises LandingError when the store refuses; the manifest names what could be written."""
        try:
            self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()
            manifest = self._landing._close(self._cycle, status, finished_at, stages, self._written)
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
        name = f"platform={platform.value}/seg-{number:04d}.parquet"
        buffer = io.BytesIO()
        frame = frame_of(self._cycle.cycle_id, answers)
        frame.write_parquet(buffer, compression="zstd", compression_level=ZSTD_LEVEL, statistics=False)
        content = buffer.getvalue()
        self._landing._put(self._folder / name, content)
        return Segment(name=name, platform=platform, rows=len(answers), bytes=len(content), sha=hashlib.sha256(content).hexdigest())
