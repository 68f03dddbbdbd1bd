"""Write a cycle's answers into the landing as segments, and its manifest."""

import hashlib
import io
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
from upath import UPath

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Platform, RunStatus
from palimpsest_pipeline.domain.exchange import Answer

from .errors import LandingError
from .files import MANIFEST, SEGMENT_NAME_PATTERN
from .manifest import Manifest, Segment, build_manifest
from .reader import LandingReader
from .schema import build_frame

FLUSH_ANSWERS: Final = 64
FLUSH_BYTES: Final = 8 * 1024 * 1024
FLUSH_AGE_S: Final = 2.0
"""Maximum time in seconds that an answer waits in memory. A killed process loses only younger answers."""
PENDING_SEGMENTS: Final = 2
"""Maximum number of segments that wait to be stored before `append` blocks.

It limits memory when the store is slow.
"""
_ZSTD_LEVEL: Final = 9
"""Compression level of zstd.

It takes about 1 ms of a core per answer, 1.7 times as long as level 3, whose files are 30 to 75 % larger. Level 12
takes twice as long again for files that are 5 % smaller.
"""
SegmentListener = Callable[[Cycle, Segment], None]
"""A function that is called after landing a segment, with the cycle and the segment's manifest entry."""
log = logging.getLogger(__name__)


class Landing(LandingReader):
    """Reads and writes the raw answers of all cycles under one root.

    The root is a local folder, or a URL such as `s3://bucket/landing`.
    """

    def __init__(self, root: str | Path, on_segment: SegmentListener | None = None) -> None:
        """Call `on_segment` for every segment that this process writes, in the writer's thread.

        The function must return quickly.
        """
        super().__init__(root)
        self._on_segment = on_segment

    def open_writer(self, cycle: Cycle) -> "CycleWriter":
        """Return a writer for the cycle. Segments of an earlier stage or of a dead writer stay.

        Raises LandingError while the cycle's hour is being removed, and when the cycle's folder is not writable, so a
        scrape fails before its first request.
        """
        if self._is_expiring(hour := self._hour_folder(cycle.partition_hour)):
            raise LandingError(f"{hour} is being removed: run `palimpsest landing expire` to the end, then this again")
        probe = self._cycle_folder(cycle.partition_hour, cycle.cycle_id) / f".probe-{uuid4().hex}"
        self._create(probe, b"probe")
        self._remove(probe)
        return CycleWriter(self, cycle)

    def close_interrupted(
        self, cycle: Cycle, finished_at: datetime, status: RunStatus = RunStatus.INTERRUPTED
    ) -> Manifest:
        """Close a cycle whose writer died: write a manifest with all complete segments.

        If the cycle was closed before, its stages stay in the manifest.
        """
        return self._close_cycle(cycle, status, finished_at, (), (), {})

    def _close_cycle(
        self,
        cycle: Cycle,
        status: RunStatus,
        finished_at: datetime,
        stages: Sequence[str],
        late: Collection[Platform],
        written: dict[str, Segment],
    ) -> Manifest:
        folder = self._cycle_folder(cycle.partition_hour, cycle.cycle_id)
        while True:
            manifest = self._write_manifest(folder, cycle, status, finished_at, stages, late, written)
            named_segments = {*(segment.name for segment in manifest.segments), *manifest.torn}
            if named_segments.issuperset(name for _, name in self._list_segments(folder)):
                return manifest

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
        """Write a manifest with the segments in the folder, in the present manifest and in `written`."""
        before = self._read_manifest_in(folder)
        known_segments = {segment.name: segment for segment in before.segments} if before else {}
        known_segments |= written
        torn = []
        for platform, name in self._list_segments(folder):
            if name in known_segments:
                continue
            segment = self._examine_segment(folder, platform, name)
            if segment is None:
                torn.append(name)
            else:
                known_segments[name] = segment
        stages = (*(before.stages if before else ()), *stages)
        late = (*(before.late if before else ()), *late)
        manifest = build_manifest(
            before.cycle if before else cycle, status, finished_at, stages, known_segments.values(), torn, late
        )
        self._replace_file(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        return manifest


@dataclass(slots=True)
class _WaitingAnswers:
    """Answers of one platform for the next segment, the time of the first, and the size of the bodies."""

    since_s: float
    answers: list[Answer] = field(default_factory=list)
    bytes: int = 0


class CycleWriter:
    """Writes the answers of one cycle.

    Readers see the answers after `close` has written the manifest. `append` only queues an answer; call it from one
    event loop or thread. A background thread writes a segment when enough answers or bytes of a platform wait, or when
    an answer has waited for `flush_age_s` seconds. A killed process leaves complete segments and loses only the answers
    of the last `flush_age_s` seconds and those being written. The thread's first error is raised by every later
    `append`, `flush` and `close`.
    """

    def __init__(
        self,
        landing: Landing,
        cycle: Cycle,
        flush_answers: int = FLUSH_ANSWERS,
        flush_bytes: int = FLUSH_BYTES,
        flush_age_s: float = FLUSH_AGE_S,
    ) -> None:
        self._landing = landing
        self._cycle = cycle
        self._folder = landing._cycle_folder(cycle.partition_hour, cycle.cycle_id)
        self._flush_answers = flush_answers
        self._flush_bytes = flush_bytes
        self._flush_age_s = flush_age_s
        self._next = self._first_free_numbers()
        self._tag = uuid4().hex[:8]
        self._written: dict[str, Segment] = {}
        # The following attributes are shared with the thread. They are used only while the condition is held.
        self._changed = threading.Condition()
        self._waiting_answers: dict[Platform, _WaitingAnswers] = {}
        self._pending: deque[tuple[Platform, list[Answer]]] = deque()
        self._busy = False
        self._closing = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def _first_free_numbers(self) -> dict[Platform, int]:
        """Return by platform the first segment number after all existing segments and the manifest's.

        Increasing numbers keep answers in the order of their arrival. Another writer of the cycle may use the same
        number; the tag in the file name tells the two files apart.
        """
        manifest = self._landing._read_manifest_in(self._folder)
        names = [
            *self._landing._list_segments(self._folder),
            *((s.platform, s.name) for s in (manifest.segments if manifest else ())),
        ]
        free: dict[Platform, int] = {}
        for platform, name in names:
            number = SEGMENT_NAME_PATTERN.search(name)
            if number:
                free[platform] = max(free.get(platform, 0), int(number.group(1)) + 1)
        return free

    def append(self, answer: Answer) -> None:
        """Queue an answer. Block only while `PENDING_SEGMENTS` segments wait for a slow store.

        Raises LandingError when an earlier answer could not be written.
        """
        self.append_together([answer])

    def append_together(self, answers: Sequence[Answer]) -> None:
        """Queue answers of one platform for the same segment, side by side. Otherwise as `append`."""
        platform = answers[0].request.platform
        with self._changed:
            self._raise_error()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="landing", daemon=True)
                self._thread.start()
            is_first = platform not in self._waiting_answers
            platform_answers = self._waiting_answers.setdefault(platform, _WaitingAnswers(time.monotonic()))
            platform_answers.answers.extend(answers)
            platform_answers.bytes += sum(len(answer.body or b"") for answer in answers)
            if len(platform_answers.answers) >= self._flush_answers or platform_answers.bytes >= self._flush_bytes:
                self._changed.wait_for(lambda: len(self._pending) < PENDING_SEGMENTS)
                self._start_segment(platform)
            elif is_first:
                self._changed.notify_all()  # the thread must start to measure its waiting time

    def flush(self) -> None:
        """Block until all answers appended so far are in the store."""
        with self._changed:
            for platform in list(self._waiting_answers):
                self._start_segment(platform)
            self._changed.wait_for(lambda: not self._pending and not self._busy)
            self._raise_error()

    def close(
        self, status: RunStatus, finished_at: datetime, stages: Sequence[str] = (), late: Collection[Platform] = ()
    ) -> Manifest:
        """Write the answers that are still in memory, then the manifest; return the manifest.

        `stages` and `late` (platforms whose discovery is not finished) are added to those of an existing manifest.
        Raises LandingError when the store fails; the manifest then has the segments that were written.
        """
        try:
            self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()
            manifest = self._landing._close_cycle(self._cycle, status, finished_at, stages, late, self._written)
        return manifest

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _start_segment(self, platform: Platform) -> None:
        platform_answers = self._waiting_answers.pop(platform, None)
        if platform_answers is not None:  # the thread may already have taken the answers
            self._pending.append((platform, platform_answers.answers))
            self._changed.notify_all()

    # --- Methods that run in the background thread ---

    def _run(self) -> None:
        while (work := self._take()) is not None:
            try:
                segment = self._write(*work)
                self._written[segment.name] = segment
            except BaseException as error:  # noqa: BLE001 - even a panic of Polars must reach `append`, which would wait
                self._error = self._error or error
            finally:
                del work  # frees the answers while the thread waits for the next segment
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _take(self) -> tuple[Platform, list[Answer]] | None:
        """Wait for the next segment to write and return it; None when the writer is closed."""
        with self._changed:
            while not self._pending:
                if self._closing:
                    return None
                oldest = min(
                    self._waiting_answers, key=lambda platform: self._waiting_answers[platform].since_s, default=None
                )
                left_s = (
                    None
                    if oldest is None
                    else self._waiting_answers[oldest].since_s + self._flush_age_s - time.monotonic()
                )
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
        name = f"platform={platform}/seg-{number:04d}-{self._tag}.parquet"
        buffer = io.BytesIO()
        frame = build_frame(self._cycle.cycle_id, answers)
        frame.write_parquet(buffer, compression="zstd", compression_level=_ZSTD_LEVEL, statistics=False)
        content = buffer.getvalue()
        self._landing._create(self._folder / name, content)
        segment = Segment(
            name=name, platform=platform, rows=len(answers), bytes=len(content), sha=hashlib.sha256(content).hexdigest()
        )
        if self._landing._on_segment is not None:
            try:
                self._landing._on_segment(self._cycle, segment)
            except Exception:  # the segment is already landed, so the listener can read it later
                log.warning("cycle %d: the listener failed for %s", self._cycle.cycle_id, name, exc_info=True)
        return segment
