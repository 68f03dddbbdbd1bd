"""The body of an answer: read piece by piece, unpacked, capped. Judges nothing about its content."""

import zlib
from typing import Final

import httpx

from ..domain.words import FailureClass

_GZIP: Final = zlib.MAX_WBITS | 16


class BodyError(Exception):
    """A body that cannot be had: over the cap or not packed as it says (contract broken), or cut off (transient)."""

    def __init__(self, failure: FailureClass, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


async def read_body(response: httpx.Response, cap_bytes: int) -> bytes:
    """The whole body, at most `cap_bytes` long after unpacking.

    Unpacks by itself: httpx's own decoder neither stops at a cap (a few KB can unpack to many MB) nor notices a packed body that was cut off.
    Raises BodyError, and what the HTTP library raises on a broken connection.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "x-gzip", "identity", ""):
        raise BodyError(FailureClass.CONTRACT_BROKEN, f"content-encoding {encoding!r} was not asked for")
    unpacker = Gunzip(cap_bytes) if "gzip" in encoding else Plain(cap_bytes)
    async for piece in response.aiter_raw():
        unpacker.feed(piece)
    return unpacker.finish()


class Plain:
    """Collects a body that is not packed."""

    def __init__(self, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > self._cap_bytes:
            raise BodyError(FailureClass.CONTRACT_BROKEN, f"body over {self._cap_bytes} bytes")

    def finish(self) -> bytes:
        return bytes(self._body)


class Gunzip(Plain):
    """Unpacks gzip, several members in a row included; never holds more than one byte above the cap."""

    def __init__(self, cap_bytes: int) -> None:
        super().__init__(cap_bytes)
        self._member = zlib.decompressobj(_GZIP)
        self._fed = False

    def feed(self, piece: bytes) -> None:
        self._fed = self._fed or bool(piece)
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                unpacked = self._member.decompress(piece, self._cap_bytes + 1 - len(self._body))
            except zlib.error as error:
                raise BodyError(FailureClass.CONTRACT_BROKEN, f"not gzip, as it says: {error}") from error
            super().feed(unpacked)
            piece = self._member.unconsumed_tail or self._member.unused_data

    def finish(self) -> bytes:
        if self._fed and not self._member.eof:
            raise BodyError(FailureClass.TRANSIENT, "packed body cut off")
        return super().finish()
