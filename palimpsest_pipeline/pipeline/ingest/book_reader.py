"""The class `BookReader`: the books of a cycle's detail answers, read during the scrape or later.

`books` reads the content of an answer.
"""

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

import msgspec
import polars as pl

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.landing import Manifest, Segment
from palimpsest_pipeline.landing.reader import LandingReader
from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.platforms.base import PlatformAdapter

from .books import EMPTY_BOOKS, Books, DecodedAnswers, decode_books, group_details, normalise_books

log = logging.getLogger(__name__)

MAX_KEPT_BYTES: Final = 128 * 2**20
"""Maximum memory of the cached books."""
ANSWERS_PER_PART: Final = 64
"""Number of answers in one call of the vocabulary's normalisation.

A call takes about 25 ms even for one answer. The decoded content of this many answers takes about ten megabytes.
"""


@dataclass(frozen=True, slots=True)
class PackedBooks:
    """Books whose rows are compressed, from 80 bytes each to less than a tenth of it."""

    books: Books
    """The books without their rows."""
    rows: bytes
    """The rows as an Arrow file."""

    @classmethod
    def pack(cls, books: Books) -> "PackedBooks":
        file = io.BytesIO()
        books.rows.write_ipc(file, compression="lz4")
        return cls(replace(books, rows=EMPTY_BOOKS.rows), file.getvalue())

    def unpack(self) -> Books:
        return replace(self.books, rows=pl.read_ipc(io.BytesIO(self.rows)))

    @property
    def size_bytes(self) -> int:
        """Approximate memory in bytes."""
        return self.books.size_bytes + len(self.rows)


@dataclass(slots=True)
class CachedPart:
    """Consecutive segments of one platform, decoded; normalised and packed when there are enough answers."""

    segments: tuple[Segment, ...] = ()
    decoded: list[DecodedAnswers] = field(default_factory=list)
    books: PackedBooks | None = None

    @property
    def n_answers(self) -> int:
        return sum(part.owners.height for part in self.decoded)


class BookReader:
    """Reads the books of landed cycles, and reads ahead while this process scrapes a cycle.

    While a cycle is scraped, one thread reads each landed segment back and decodes it. These books stay in a cache
    until the cycle's odds are derived. Derived rows are the same with and without the cache: segments that are not in
    it (another process landed them, the cache was full, reading failed) are read later by the same functions.
    """

    def __init__(
        self,
        get_landing: Callable[[], LandingReader],
        get_adapter: Callable[[Platform], PlatformAdapter],
        get_vocabulary: Callable[[], Vocabulary],
        *,
        max_bytes: int = MAX_KEPT_BYTES,
    ) -> None:
        """Create a reader with an empty cache of at most `max_bytes`."""
        self._get_landing = get_landing
        self._get_adapter = get_adapter
        self._get_vocabulary = get_vocabulary
        self._max_bytes = max_bytes
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="books")
        self._queue_number = 0  # raised by `drop_all`: a segment queued under an older number is skipped
        # Only the thread uses the attributes below.
        self._parts: dict[tuple[int, Platform], list[CachedPart]] = {}
        self._bytes = 0
        self._is_full = False

    def offer(self, cycle: Cycle, segment: Segment) -> None:
        """Queue a landed segment and return at once. Segments of recorded cycles are ignored."""
        if cycle.scope is not Scope.RECORDED:  # an imported cycle may be derived much later
            self._pool.submit(self._read_segment, self._queue_number, cycle, segment)

    def drop_all(self) -> None:
        """Skip the queued segments and empty the cache, so that a process can end after its run."""
        self._queue_number += 1
        self._pool.submit(self._empty_cache)

    def find_parts(self, cycle_id: int, platform: Platform) -> list[CachedPart]:
        """Return the decoded parts of a platform in order of arrival, after reading all queued segments."""
        return self._pool.submit(self._finish_parts, (cycle_id, platform)).result()

    def take_parts(self, cycle_id: int, platform: Platform) -> list[CachedPart]:
        """Return the cached parts as `find_parts` does, and remove them from the cache."""
        return self._pool.submit(self._hand_over_parts, (cycle_id, platform)).result()

    def read_books(self, manifest: Manifest, platform: Platform, batch_size: int) -> Iterator[Books]:
        """Yield the books of all detail answers of a platform in a landed cycle.

        Books in the cache are removed from it. Other books are read from the landing, `batch_size` at a time.
        """
        for part in self._iterate_parts(manifest, platform, self.take_parts(manifest.cycle_id, platform)):
            if isinstance(part, Books):
                yield part
                continue
            adapter = self._get_adapter(platform)
            attempts = group_details(part, adapter)
            for first in attempts:  # an iterator, because a list would keep all bodies in memory at once
                batch = chain([first], islice(attempts, batch_size - 1))
                yield normalise_books([decode_books(batch, adapter)], self._get_vocabulary())

    def iterate_parts(self, manifest: Manifest, platform: Platform) -> Iterator[Books | Iterator[Answer]]:
        """Yield a platform's detail answers of a landed cycle, as cached books or as answers to decode.

        They come in order of arrival. The books stay in the cache.
        """
        return self._iterate_parts(manifest, platform, self.find_parts(manifest.cycle_id, platform))

    def _iterate_parts(
        self, manifest: Manifest, platform: Platform, cached_parts: Sequence[CachedPart]
    ) -> Iterator[Books | Iterator[Answer]]:
        """Yield a platform's detail answers in order of arrival, as decoded books or as answers to decode.

        `cached_parts` were decoded during the scrape. Only the bodies of one segment are in memory at a time.
        """
        segments = [segment for segment in manifest.segments if segment.platform == platform]
        parts_by_first_segment = {part.segments[0]: part for part in cached_parts}
        del cached_parts
        unread: list[Segment] = []
        while segments:
            # Removed, so that the memory of the books is freed once they are written.
            part = parts_by_first_segment.pop(segments[0], None)
            if part is None or part.books is None or tuple(segments[: len(part.segments)]) != part.segments:
                unread.append(segments.pop(0))
                continue
            if unread:
                yield self._read_landed_details(manifest, unread)
                unread = []
            yield part.books.unpack()
            del segments[: len(part.segments)]
        if unread:
            yield self._read_landed_details(manifest, unread)

    def _read_landed_details(self, manifest: Manifest, segments: Sequence[Segment]) -> Iterator[Answer]:
        landing = self._get_landing()
        frames = landing.read_segments(
            msgspec.structs.replace(manifest, segments=tuple(segments)), [PayloadKind.DETAIL]
        )
        return (answer for frame in frames for answer in landing.iterate_answers(frame))

    # --- the methods below run on the thread ---

    def _read_segment(self, queue_number: int, cycle: Cycle, segment: Segment) -> None:
        if queue_number != self._queue_number:
            return
        key = cycle.cycle_id, segment.platform
        try:
            if self._is_full:
                self._close_part(key)
                return
            answers = self._get_landing().iterate_segment(cycle, segment, [PayloadKind.DETAIL])
            adapter = self._get_adapter(segment.platform)
            decoded = decode_books(group_details(answers, adapter), adapter)
        except Exception:  # the derivation reads the segment again, and raises the error if it persists
            log.info("cycle %d: %s will be read again", cycle.cycle_id, segment.name, exc_info=True)
            self._close_part(key)
            return
        parts = self._parts.setdefault(key, [])
        if not parts or parts[-1].books is not None:
            parts.append(CachedPart())
        part = parts[-1]
        part.segments += (segment,)
        part.decoded.append(decoded)
        if part.n_answers >= ANSWERS_PER_PART:
            self._normalise_part(key, part)

    def _close_part(self, key: tuple[int, Platform]) -> None:
        """Normalise the current part and end it.

        The segments of a part must follow each other without a gap, so a part ends before a segment that is not
        decoded.
        """
        parts = self._parts.get(key)
        if parts and parts[-1].books is None:
            self._normalise_part(key, parts[-1])

    def _normalise_part(self, key: tuple[int, Platform], part: CachedPart) -> None:
        """Normalise the answers of a part; drop the part if this fails or the cache is full."""
        try:
            part.books = PackedBooks.pack(normalise_books(part.decoded, self._get_vocabulary()))
        except Exception:  # noqa: BLE001 - reading these segments later raises the same error
            self._parts[key].remove(part)
            return
        part.decoded = []
        if self._bytes + part.books.size_bytes > self._max_bytes:
            self._is_full = True
            self._parts[key].remove(part)
        else:
            self._bytes += part.books.size_bytes

    def _finish_parts(self, key: tuple[int, Platform]) -> list[CachedPart]:
        self._close_part(key)
        return list(self._parts.get(key, []))

    def _empty_cache(self) -> None:
        self._parts, self._bytes, self._is_full = {}, 0, False

    def _hand_over_parts(self, key: tuple[int, Platform]) -> list[CachedPart]:
        parts = self._finish_parts(key)
        self._parts.pop(key, None)
        self._bytes -= sum(part.books.size_bytes for part in parts if part.books is not None)
        self._is_full = False
        return parts
