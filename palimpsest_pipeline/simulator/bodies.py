"""Details of the size that the real platforms send, compressed before the first request.

A detail consists of the listing's own identity and a book that it shares with other listings. The books are rendered
ones that are padded. These details serve to measure throughput. Their prices are not those of the simulated world: they
change only when `PackedDetails.move_prices` is called.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

from .latency import draw_share
from .world import SimulatedListing

IDENTITY_MEMBERS: Final[Mapping[Platform, frozenset[str]]] = {
    BETPAWA: frozenset(("id", "name", "widgets", "participants", "startTime", "category", "region", "competition")),
    SPORTYBET: frozenset(
        ("eventId", "estimateStartTime", "status", "homeTeamName", "awayTeamName", "sport", "eventSource")
    ),
    BET9JA: frozenset(("ID", "DS", "GID", "GN", "SG", "SID", "EXTID", "STARTDATE", "STARTDATEUTC")),
}
"""Members of the JSON that identify the listing; all other members are the book."""

ENVELOPE_BYTES: Final = {
    BETPAWA: (b"", b""),
    SPORTYBET: (b'{"bizCode":10000,"message":"0#0","data":', b"}"),
    BET9JA: (b'{"R":"OK","D":', b"}"),
}
PADDED_BYTES: Final = {
    BETPAWA: (93_000, 150_000, 215_000, 394_000),
    SPORTYBET: (220_000, 332_000, 450_000, 1_310_000),
    BET9JA: (248_000, 280_000, 311_000),
}
"""Sizes in bytes of JSON to which rendered books are padded."""

LARGEST_SHARE: Final = 0.1
"""Fraction of listings that get the largest book, as the most popular matches do."""

_COMPRESSION_LEVEL: Final = 6
GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_DECIMALS_PATTERN: Final = re.compile(rb"(?<=\.)\d+")


class PackedDetails:
    """The compressed details by platform and listing.

    Only the identities are stored per listing, so thousands of listings take little memory.
    """

    def __init__(self, seed: int, books: Mapping[Platform, Iterable[dict[str, Any]]]) -> None:
        """Compress the shared books.

        `books` has by platform the details (without envelope) whose books are shared, at least one per platform.
        """
        self._seed = seed
        self._books: dict[Platform, list[dict[str, Any]]] = {}
        """Books by platform, in order of size."""
        for platform, details in books.items():
            self._books[platform] = sorted(details, key=lambda detail: len(_encode_book(platform, detail)))
            if not self._books[platform]:
                raise ValueError(f"no book of {platform} to share")
        self._tails = {platform: self._pack_books(platform) for platform in self._books}
        self._heads: dict[tuple[Platform, str], tuple[SimulatedListing, datetime, bytes]] = {}
        self._packed: dict[tuple[Platform, str], tuple[bytes, bytes, bytes]] = {}
        self._n_moves = 0

    def add_detail(self, listing: SimulatedListing, kickoff: datetime, detail: Mapping[str, Any]) -> None:
        """Compress the detail of a listing; only the identity members of `detail` are used."""
        platform = listing.platform
        identity = {name: value for name, value in detail.items() if name in IDENTITY_MEMBERS[platform]}
        head = ENVELOPE_BYTES[platform][0] + msgspec.json.encode(identity)[:-1]
        self._heads[platform, listing.external_id] = listing, kickoff, head
        self._packed[platform, listing.external_id] = self._pack_detail(listing, head)

    def find_body(self, platform: Platform, external_id: str, kickoff: datetime) -> bytes | None:
        """Return the gzip body; None for an unknown listing, or when its kickoff has changed."""
        key = platform, external_id
        return b"".join(self._packed[key]) if key in self._heads and self._heads[key][1] == kickoff else None

    def move_prices(self, share: float) -> int:
        """Raise the prices of a share of the markets by 0.01; return the number of markets changed.

        In every shared book one market in round(1 / share) changes. Each call changes other markets, until all have
        been changed once. Each line of a market counts as one. Raises ValueError for a share that is not in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"the share of markets that move must be above 0 and at most 1, not {share}")
        period, n_markets = round(1 / share), 0
        for platform, details in self._books.items():
            for detail in details:
                markets = _group_prices(platform, detail)[self._n_moves % period :: period]
                n_markets += len(markets)
                for holder, name in (price for market in markets for price in market):
                    holder[name] = _raise_price(holder[name])
        self._n_moves += 1
        self._tails = {platform: self._pack_books(platform) for platform in self._books}
        self._packed = {key: self._pack_detail(listing, head) for key, (listing, _, head) in self._heads.items()}
        return n_markets

    def _pack_books(self, platform: Platform) -> list[tuple[bytes, bytes]]:
        tails = [_encode_book(platform, detail) for detail in self._books[platform]]
        return [(tail, deflate(tail, zlib.Z_FINISH)) for tail in tails]

    def _pack_detail(self, listing: SimulatedListing, head: bytes) -> tuple[bytes, bytes, bytes]:
        """Return header with identity, book, and checksum of a gzip body."""
        tail, packed = self._choose_book(listing)
        checksum = zlib.crc32(tail, zlib.crc32(head)).to_bytes(4, "little") + (len(head) + len(tail)).to_bytes(
            4, "little"
        )
        # After a full flush another stream can follow, so the shared book is compressed only once.
        return GZIP_HEADER + deflate(head, zlib.Z_FULL_FLUSH), packed, checksum

    def _choose_book(self, listing: SimulatedListing) -> tuple[bytes, bytes]:
        tails = self._tails[listing.platform]
        share = draw_share(self._seed, "book", listing.platform, listing.external_id)
        if share < LARGEST_SHARE or len(tails) == 1:
            return tails[-1]
        return tails[int((share - LARGEST_SHARE) / (1 - LARGEST_SHARE) * (len(tails) - 1))]


def _group_prices(platform: Platform, detail: dict[str, Any]) -> list[list[tuple[dict[str, Any], str]]]:
    """Return where the prices are in a detail, per line of a market.

    Each price is given as the JSON object that contains it, and the name of its member.
    """
    markets: dict[Any, list[tuple[dict[str, Any], str]]] = {}
    if platform == BETPAWA:
        for market in detail["markets"]:
            for row in market.get("row", ()):  # a line with many outcomes has several rows
                prices = markets.setdefault((market["marketType"]["id"], row.get("handicap")), [])
                prices += [(price, name) for price in row["prices"] for name in ("price", "odds") if name in price]
    elif platform == SPORTYBET:
        for market in detail["markets"]:
            prices = markets.setdefault((market["id"], market.get("specifier")), [])
            prices += [(outcome, "odds") for outcome in market["outcomes"]]
    else:
        for name in detail["O"]:
            markets.setdefault(name.rpartition("_")[0], []).append((detail["O"], name))
    return list(markets.values())


def _raise_price(price: Any) -> Any:
    """Return the price, a number or a text, raised by 0.01; any other value is returned unchanged."""
    if price is None or float(price) <= 1:
        return price
    raised = round(float(price) + 0.01, 2)
    return f"{raised:.2f}" if isinstance(price, str) else raised


def _encode_book(platform: Platform, detail: Mapping[str, Any]) -> bytes:
    """Return the JSON of everything in a detail except the identity, to be appended to an identity."""
    book = {name: value for name, value in detail.items() if name not in IDENTITY_MEMBERS[platform]}
    return b"," + msgspec.json.encode(book)[1:] + ENVELOPE_BYTES[platform][1]


def deflate(plain: bytes, flush: int) -> bytes:
    """Return a piece of a deflate stream, without any header.

    `flush` is a mode of zlib: after Z_FULL_FLUSH another piece can follow; the last one ends with Z_FINISH.
    """
    packer = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush(flush)


def pad_details(platform: Platform, details: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Return rendered details with a member `padding` that brings them to real sizes.

    The padding repeats their own prices with other decimals.
    """
    member = "MK" if platform == BET9JA else "markets"
    padded = []
    for size, detail in zip(PADDED_BYTES[platform], details, strict=False):
        encoded = msgspec.json.encode(detail[member])
        decimals = _make_decimals_replacer(Random(f"{seed}:{platform}:{size}"))
        copies = round((size - len(_encode_book(platform, detail))) / len(encoded))
        padded.append(
            detail | {"padding": [msgspec.Raw(_DECIMALS_PATTERN.sub(decimals, encoded)) for _ in range(copies)]}
        )
    return padded


def _make_decimals_replacer(rng: Random) -> Callable[[re.Match[bytes]], bytes]:
    def replace(match: re.Match[bytes]) -> bytes:
        length = len(match[0])
        return b"%0*d" % (length, rng.randrange(10**length))

    return replace
