"""The index of a compacted hour of the landing. No file access here.

A compacted hour has one file per platform instead of the segments of its cycles. The manifests of the cycles stay
unchanged and still name the segments. The index maps each segment to its rows in the hour's files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from palimpsest_pipeline.domain.enums import Platform

from .manifest import Segment


class SegmentPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows of a segment in an hour's file. `bytes` is their share of the file's size."""

    cycle_id: int
    segment: str
    first_row: int
    rows: int
    bytes: int


class HourFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file with all answers of one platform in one hour.

    `name` is relative to the hour's folder and is never used again for other content. `sha` is the file's SHA-256 in
    hex.
    """

    name: str
    platform: Platform
    bytes: int
    sha: str
    places: tuple[SegmentPlace, ...]


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Consecutive rows of an hour's file. `segments` is the number of segments that they contain."""

    file: HourFile
    first_row: int
    rows: int
    segments: int


class HourIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The files of an hour.

    `swept` is true when the original segments have been removed. Until then some of them may still exist.
    """

    files: tuple[HourFile, ...] = ()
    swept: bool = True

    @cached_property
    def places(self) -> dict[tuple[int, str], tuple[HourFile, SegmentPlace]]:
        """File and rows of each segment, by cycle id and segment name."""
        return {(place.cycle_id, place.segment): (file, place) for file in self.files for place in file.places}

    def list_segments(self, cycle_id: int) -> list[str]:
        """Return the names of the cycle's segments in this index, in the order of the index."""
        return sorted(name for segment_cycle_id, name in self.places if segment_cycle_id == cycle_id)

    def find_span(self, cycle_id: int, segments: Sequence[str]) -> RowSpan | None:
        """Return the rows of the longest prefix of `segments` that is consecutive in one file.

        None if the index does not have the first segment.
        """
        first: tuple[HourFile, SegmentPlace] | None = None
        rows = n = 0
        for name in segments:
            entry = self.places.get((cycle_id, name))
            if entry is None or (
                first is not None and (entry[0] is not first[0] or entry[1].first_row != first[1].first_row + rows)
            ):
                break
            first = first or entry
            rows += entry[1].rows
            n += 1
        return None if first is None else RowSpan(first[0], first[1].first_row, rows, n)


def place_segments(segments: Iterable[tuple[int, Segment]], file_bytes: int) -> Iterator[SegmentPlace]:
    """Yield the rows of segments that are written one after another into a file of `file_bytes`.

    `segments` are pairs of cycle id and segment. The sizes of the segments add up to the file's size.
    """
    listed = list(segments)
    total = sum(segment.bytes for _, segment in listed) or 1
    first_row = before = 0
    for cycle_id, segment in listed:
        begin, end = (file_bytes * size // total for size in (before, before + segment.bytes))
        yield SegmentPlace(cycle_id, segment.name, first_row, segment.rows, end - begin)
        first_row, before = first_row + segment.rows, before + segment.bytes


def encode_index(index: HourIndex) -> bytes:
    return msgspec.json.encode(index)


def decode_index(text: bytes) -> HourIndex:
    """Decode an index. Raises msgspec.DecodeError (or its subclass ValidationError)."""
    return msgspec.json.decode(text, type=HourIndex)
