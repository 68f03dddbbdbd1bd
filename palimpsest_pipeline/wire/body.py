"""Read the body of a response, with a size limit and decompression."""

from typing import Final

import httpx
from isal import isal_zlib

from palimpsest_pipeline.domain.enums import FailureClass

_GZIP_WINDOW_BITS: Final = isal_zlib.MAX_WBITS | 16
_GZIP_MAGIC: Final = b"\x1f\x8b"
_MAX_GZIP_MEMBERS: Final = 16
"""Maximum number of gzip members in a body.

Hosts send one member. Each member costs a copy of all bytes after it.
"""


class BodyError(Exception):
    """The error when a body cannot be read.

    Its failure class is `contract_broken` for a body above the limit or with a wrong encoding, and `transient` for a
    truncated body.
    """

    def __init__(self, failure: FailureClass, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the whole body, decompressed. Its compressed and its decompressed size are limited.

    `max_bytes` is the limit for both sizes. Raises BodyError, and the HTTP library's errors when the connection breaks.
    httpx's own decoder is not used: it has no limit (a few KB can expand to many MB) and does not detect a truncated
    body.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "x-gzip", "identity", ""):
        raise BodyError(FailureClass.CONTRACT_BROKEN, f"content-encoding {encoding!r} was not asked for")
    pieces: list[bytes] = []
    bytes_left = max_bytes
    async for piece in response.aiter_raw():
        pieces.append(piece)
        bytes_left -= len(piece)
        if bytes_left < 0:
            raise _make_size_error(max_bytes)
    body = _join_pieces(pieces)
    return gunzip(body, max_bytes) if "gzip" in encoding else body


def gunzip(packed: bytes, max_bytes: int) -> bytes:
    """Decompress one or several gzip members. The result in memory never exceeds `max_bytes` + 1.

    Raises BodyError.
    """
    members: list[bytes] = []
    bytes_left = max_bytes
    while packed:
        if len(members) == _MAX_GZIP_MEMBERS:
            raise BodyError(FailureClass.CONTRACT_BROKEN, f"more than {_MAX_GZIP_MEMBERS} gzip members in a row")
        if not _GZIP_MAGIC.startswith(packed[:2]):
            raise BodyError(FailureClass.CONTRACT_BROKEN, "declared as gzip, but does not begin like gzip")
        member = isal_zlib.decompressobj(_GZIP_WINDOW_BITS)
        try:
            members.append(member.decompress(packed, bytes_left + 1))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stubs declare an instance instead of a class
            raise BodyError(
                FailureClass.CONTRACT_BROKEN, f"declared as gzip, but cannot be unpacked: {error}"
            ) from error
        bytes_left -= len(members[-1])
        if bytes_left < 0:
            raise _make_size_error(max_bytes)
        if not member.eof:
            raise BodyError(FailureClass.TRANSIENT, "packed body cut off")
        packed = member.unused_data
    return _join_pieces(members)


def _join_pieces(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _make_size_error(max_bytes: int) -> BodyError:
    return BodyError(FailureClass.CONTRACT_BROKEN, f"body over {max_bytes} bytes")
