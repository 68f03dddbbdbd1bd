"""The body of an answer: read, capped, unpacked. Judges nothing about its content."""

from typing import Final

import httpx
from isal import isal_zlib

from palimpsest_pipeline.domain.enums import FailureClass

_GZIP_WINDOW_BITS: Final = isal_zlib.MAX_WBITS | 16
_GZIP_MAGIC: Final = b"\x1f\x8b"
_MAX_GZIP_MEMBERS: Final = 16
"""Gzip members in a row that are taken. Hosts send one; each costs a copy of all that follow it."""


class BodyError(Exception):
    """A body that cannot be had: over the cap or not packed as it says (contract broken), or cut off (transient)."""

    def __init__(self, failure: FailureClass, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """The whole body, at most `cap_bytes` long, packed and unpacked. Raises BodyError, and what the HTTP library raises
    on a broken connection.

    Unpacks by itself: httpx's own decoder neither stops at a cap (a few KB can unpack to many MB) nor notices a packed
    body that was cut off.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "x-gzip", "identity", ""):
        raise BodyError(FailureClass.CONTRACT_BROKEN, f"content-encoding {encoding!r} was not asked for")
    pieces: list[bytes] = []
    room = max_bytes
    async for piece in response.aiter_raw():
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise _make_size_error(max_bytes)
    body = _join_pieces(pieces)
    return gunzip(body, max_bytes) if "gzip" in encoding else body


def gunzip(packed: bytes, max_bytes: int) -> bytes:
    """Unpacks gzip in one go, several members in a row included; holds at most one byte above the cap.

    Raises BodyError.
    """
    members: list[bytes] = []
    room = max_bytes
    while packed:
        if len(members) == _MAX_GZIP_MEMBERS:
            raise BodyError(FailureClass.CONTRACT_BROKEN, f"more than {_MAX_GZIP_MEMBERS} gzip members in a row")
        if not _GZIP_MAGIC.startswith(packed[:2]):
            raise BodyError(FailureClass.CONTRACT_BROKEN, "not gzip, as it says: it begins like none")
        member = isal_zlib.decompressobj(_GZIP_WINDOW_BITS)
        try:
            members.append(member.decompress(packed, room + 1))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stubs say an instance where the class is
            raise BodyError(FailureClass.CONTRACT_BROKEN, f"not gzip, as it says: {error}") from error
        room -= len(members[-1])
        if room < 0:
            raise _make_size_error(max_bytes)
        if not member.eof:
            raise BodyError(FailureClass.TRANSIENT, "packed body cut off")
        packed = member.unused_data
    return _join_pieces(members)


def _join_pieces(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _make_size_error(max_bytes: int) -> BodyError:
    return BodyError(FailureClass.CONTRACT_BROKEN, f"body over {max_bytes} bytes")
