"""The index of a compacted hour of the landing, which has one file per platform. No file access here.

The manifests of the hour's cycles stay unchanged: they name the landed segments. The index names the place of each
segment in the files of the hour.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from palimpsest_pipeline.domain.enums import Platform

from .manifest import Segment


class SegmentPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The place of a segment's answers in an hour's file. `bytes` is their share of the file's size."""

    cycle_id: int
    segment: str
    first_row: int
    rows: int
    bytes: int


class HourFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answers of one platform in one hour.

    `name` is relative to the hour's folder and never reused for other content; `sha` is its SHA-256.
    """

    name: str
    platform: Platform
    bytes: int
    sha: str
    places: tuple[SegmentPlace, ...]


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Consecutive rows of one file that contain `segments` segments."""

    file: HourFile
    first_row: int
    rows: int
    segments: int


class HourIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The files of an hour. `swept`: the original segments are removed; until then some may exist as well."""

    files: tuple[HourFile, ...] = ()
    swept: bool = True

    @cached_property
    def places(self) -> dict[tuple[int, str], tuple[HourFile, SegmentPlace]]:
        """File and place of each segment, by cycle and name of the segment."""
        return {(place.cycle_id, place.segment): (file, place) for file in self.files for place in file.places}

    def list_segments(self, cycle_id: int) -> list[str]:
        """Return the names of the cycle's segments in this index, in the order of the index."""
        return sorted(name for segment_cycle_id, name in self.places if segment_cycle_id == cycle_id)

    def find_span(self, cycle_id: int, segments: Sequence[str]) -> RowSpan | None:
        """Return the span of the longest prefix of these segments that is consecutive in one file.

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
    """Yield the places of segments (cycle and segment) that are consecutive in a file of `file_bytes`.

    Their shares add up to the file's size.
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
    """Return the index in `text`. Raises msgspec.DecodeError (msgspec.ValidationError) when it is not one."""
    return msgspec.json.decode(text, type=HourIndex)
