"""What an hour of the landing holds in one file per platform, once it is compacted. No file access here.

The manifests of its cycles stay as they were written: they say what was landed. This says where segments that a
manifest names lie now.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from palimpsest_pipeline.domain.enums import Platform

from .manifest import Segment


class SegmentPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the answers of a segment lie in an hour's file. `bytes` is their share of the file's size."""

    cycle_id: int
    segment: str
    first_row: int
    rows: int
    bytes: int


class HourFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answers of one platform in one hour.

    `name` is relative to the hour's folder and never given to other content; `sha` is its SHA-256.
    """

    name: str
    platform: Platform
    bytes: int
    sha: str
    places: tuple[SegmentPlace, ...]


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Rows of one file, one after the other, that hold `segments` segments."""

    file: HourFile
    first_row: int
    rows: int
    segments: int


class HourIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The files of an hour. `swept`: the segments that lie in them are gone; until then some may be there as well."""

    files: tuple[HourFile, ...] = ()
    swept: bool = True

    @cached_property
    def places(self) -> dict[tuple[int, str], tuple[HourFile, SegmentPlace]]:
        """By cycle and name of the segment."""
        return {(place.cycle_id, place.segment): (file, place) for file in self.files for place in file.places}

    def list_segments(self, cycle_id: int) -> list[str]:
        """Names of the cycle's segments that lie here, in order."""
        return sorted(name for held_by, name in self.places if held_by == cycle_id)

    def find_span(self, cycle_id: int, segments: Sequence[str]) -> RowSpan | None:
        """As many of the first of these segments as lie one after the other in one file; None when the first one
        lies nowhere here.
        """
        first: tuple[HourFile, SegmentPlace] | None = None
        rows = n = 0
        for name in segments:
            found = self.places.get((cycle_id, name))
            if found is None or (
                first is not None and (found[0] is not first[0] or found[1].first_row != first[1].first_row + rows)
            ):
                break
            first = first or found
            rows += found[1].rows
            n += 1
        return None if first is None else RowSpan(first[0], first[1].first_row, rows, n)


def place_segments(segments: Iterable[tuple[int, Segment]], file_bytes: int) -> Iterator[SegmentPlace]:
    """Places of these segments (cycle and segment), put one after the other into a file of that size; their shares
    add up to it.
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
    """Raises msgspec.DecodeError (msgspec.ValidationError) when the text is no index."""
    return msgspec.json.decode(text, type=HourIndex)
