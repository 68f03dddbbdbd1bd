"""The content of detail answers as frames: listings, books with vocabulary keys, and refused answers.

Uses no database and no landing. Belongs here: decoding answers, and caching the results while a cycle is scraped. Does
not belong here: selecting the answers (`cycle_frames`), writing the rows (`write_core`).
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import accumulate
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import (
    IN_PLAY_REASON,
    MAX_KICKOFF_DISTANCE,
    Detail,
    Listing,
    PayloadRejected,
    Reject,
)
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.landing import Segment
from palimpsest_pipeline.markets import RawBooks, Vocabulary, build_market_rows, collect_raw_books, normalise
from palimpsest_pipeline.markets.build_market_rows import MARKET_ROWS_SCHEMA
from palimpsest_pipeline.markets.players import PLAYERS_SCHEMA
from palimpsest_pipeline.markets.unmapped_markets import COVERAGE_SCHEMA, UNMAPPED_SCHEMA
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.storage.catalog.listings import LISTING_SCHEMA

log = logging.getLogger(__name__)

OUT_OF_SCOPE_REASON: Final = f"{IN_PLAY_REASON}: out of scope for prematch odds"
NO_PRICE_REASON: Final = "the book has outcomes and no price"
NOT_CREDIBLE_REASON: Final = (
    "kickoff {}: not taken as a claim, since it is more than"
    f" {MAX_KICKOFF_DISTANCE.days // 365} years from the answer"
)

OWNER_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.String(),
    "sport": pl.String(),
    "external_id": pl.String(),
    "observed_at": INSTANT,
}
COUNT_COLUMNS: Final = ("n_markets_listed", "n_markets_mapped", "n_markets_priced", "n_prices", "n_prices_merged")
ANSWER_SCHEMA: Final[dict[str, pl.DataType]] = {**OWNER_SCHEMA, **dict.fromkeys(COUNT_COLUMNS, pl.Int32())}
MAX_KEPT_BYTES: Final = 96 * 2**20
"""Maximum memory of the cached books: the frames of some 3,000 fixtures."""
MAX_LISTING_ROWS: Final = 200_000
"""Maximum number of cached listings.

This is enough for a day of full cycles with some hundred fixtures, or for one cycle with some ten thousand.
"""
ANSWERS_PER_PART: Final = 64
"""Number of answers in one call of the vocabulary's normalisation.

A call takes about 25 ms even for one answer. The decoded content of this many answers takes about ten megabytes.
"""


@dataclass(frozen=True, slots=True)
class ObservedListing:
    """One listing as one answer describes it."""

    listing: Listing
    observed_at: datetime
    kind: PayloadKind


@dataclass(frozen=True, slots=True)
class Books:
    """The content of detail answers of one platform, with keys of the vocabulary.

    `capture` numbers the answers whose book could be read, in the order of the answers; it is a column of the frames
    below. `listings` has the columns LISTING_SCHEMA, and includes answers whose book was refused. `answers` has the
    columns ANSWER_SCHEMA. `rows` has the columns `markets.build_market_rows.MARKET_ROWS_SCHEMA`. `unmapped`, `coverage`
    and `players` are as in `NormalisedBatch`. `refused` is the input of `storage.ledger.rejected_answers`.
    `without_price` names the answers whose book has outcomes and no price.
    """

    listings: pl.DataFrame
    answers: pl.DataFrame
    rows: pl.DataFrame
    unmapped: pl.DataFrame
    coverage: pl.DataFrame
    players: pl.DataFrame
    refused: tuple[tuple[PayloadKind, Reject, bool], ...] = ()
    without_price: tuple[Reject, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Approximate memory of the frames in bytes."""
        return sum(int(getattr(self, name).estimated_size()) for name in FRAME_FIELDS)


FRAME_FIELDS: Final = tuple(field.name for field in fields(Books) if field.type is pl.DataFrame)
EMPTY_BOOKS: Final = Books(
    listings=pl.DataFrame(schema=LISTING_SCHEMA),
    answers=pl.DataFrame(schema=ANSWER_SCHEMA),
    rows=pl.DataFrame(schema=MARKET_ROWS_SCHEMA),
    unmapped=pl.DataFrame(schema=UNMAPPED_SCHEMA),
    coverage=pl.DataFrame(schema=COVERAGE_SCHEMA),
    players=pl.DataFrame(schema=PLAYERS_SCHEMA),
)


@dataclass(frozen=True, slots=True)
class DecodedAnswers:
    """The content of detail answers of one platform, with the platform's own market ids.

    `owners` has the columns OWNER_SCHEMA, one row for each capture in `raw`. The other fields are as in `Books`.
    """

    listings: pl.DataFrame
    owners: pl.DataFrame
    raw: RawBooks
    refused: tuple[tuple[PayloadKind, Reject, bool], ...]
    without_price: tuple[Reject, ...]


def decode_books(answers: Iterable[Answer], adapter: PlatformAdapter) -> DecodedAnswers:
    """Decode detail answers of the adapter's platform, with one answer's body in memory at a time."""
    listings: list[ObservedListing] = []
    rejects: list[tuple[PayloadKind, Reject, bool]] = []
    without_price: list[Reject] = []
    owners: list[tuple[int, str, str, str, datetime]] = []

    def iterate_details() -> Iterable[Detail]:
        for answer in answers:
            try:
                detail = adapter.read_detail(answer)
            except PayloadRejected as rejected:
                rejects.append(
                    (
                        PayloadKind.DETAIL,
                        Reject(adapter.platform, answer.request.external_id, rejected.path, rejected.reason),
                        True,
                    )
                )
                listings.extend(read_listings([answer], adapter))
                continue
            listing = detail.listing
            if listing.is_in_play:
                rejects.append(
                    (PayloadKind.DETAIL, Reject(adapter.platform, listing.external_id, "$", OUT_OF_SCOPE_REASON), True)
                )
                continue
            observed_listing = ObservedListing(listing, answer.observed_at, PayloadKind.DETAIL)
            listings.append(observed_listing)
            rejects.extend(
                (PayloadKind.DETAIL, reject, False)
                for reject in (*detail.rejects, *refuse_kickoffs([observed_listing]))
            )
            if len(detail.prices) and not any(detail.prices.odds_milli):
                without_price.append(Reject(adapter.platform, listing.external_id, "$", NO_PRICE_REASON))
            owners.append(
                (len(owners), listing.platform.value, listing.sport.value, listing.external_id, answer.observed_at)
            )
            yield detail

    raw = collect_raw_books(iterate_details())
    return DecodedAnswers(
        frame_listings(listings),
        pl.DataFrame(owners, schema=OWNER_SCHEMA, orient="row"),
        raw,
        tuple(rejects),
        tuple(without_price),
    )


def normalise_books(parts: Sequence[DecodedAnswers], vocabulary: Vocabulary) -> Books:
    """Join several results of `decode_books`, with the vocabulary's keys instead of platforms' market ids.

    The time grows little with the number of answers.
    """
    listings = pl.concat([part.listings for part in parts])
    rejects = tuple(reject for part in parts for reject in part.refused)
    without_price = tuple(reject for part in parts for reject in part.without_price)
    first_captures = list(accumulate((part.owners.height for part in parts), initial=0))
    if not first_captures[-1]:
        return replace(EMPTY_BOOKS, listings=listings, refused=rejects, without_price=without_price)
    owners = pl.concat(
        [
            part.owners.with_columns(pl.col("capture") + first_capture)
            for part, first_capture in zip(parts, first_captures, strict=False)
        ]
    )
    markets = pl.concat(
        [
            part.raw.markets.with_columns(pl.col("capture") + first_capture)
            for part, first_capture in zip(parts, first_captures, strict=False)
        ]
    )
    batch = normalise(RawBooks(markets, pl.concat([part.raw.outcomes for part in parts])), vocabulary)
    rows = build_market_rows(batch.prices, vocabulary)
    answers = _count_markets(owners, rows, batch.coverage, batch.merged)
    return Books(listings, answers, rows, batch.unmapped, batch.coverage, batch.players, rejects, without_price)


def _count_markets(
    owners: pl.DataFrame, rows: pl.DataFrame, coverage: pl.DataFrame, merged: pl.DataFrame
) -> pl.DataFrame:
    """Return the rows of ANSWER_SCHEMA: each answer with its numbers of markets."""
    offered = rows.filter(pl.col("state") == "offered").select("capture", "market_id", "specifier").unique()
    markets = offered.group_by("capture").agg(n_markets_priced=pl.len())
    prices = rows.group_by("capture").agg(n_prices=pl.col("odds_milli").explode().count())
    listed = coverage.group_by("capture").agg(
        n_markets_listed=pl.col("n_markets").sum(),
        n_markets_mapped=pl.col("n_markets").filter(pl.col("error_class") == "").sum(),
    )
    counted = owners.sort("capture")
    for counts in (listed, markets, prices, merged.rename({"n_prices": "n_prices_merged"})):
        counted = counted.join(counts, on="capture", how="left", maintain_order="left")
    return counted.select(*OWNER_SCHEMA, *(pl.col(name).fill_null(0).cast(pl.Int32) for name in COUNT_COLUMNS))


def read_listings(answers: Iterable[Answer], adapter: PlatformAdapter) -> list[ObservedListing]:
    """Return the listings that the detail answers describe.

    An answer that cannot be read, or whose match is in play, is left out here; `decode_books` records it as refused.
    """
    listings = []
    for answer in answers:
        try:
            listing = adapter.read_listing(answer)
        except PayloadRejected:
            continue
        if not listing.is_in_play:
            listings.append(ObservedListing(listing, answer.observed_at, PayloadKind.DETAIL))
    return listings


def concat_books(parts: Sequence[Books]) -> Books:
    """Return the books of several `Books` objects as one object, with new capture numbers."""
    if len(parts) == 1:
        return parts[0]
    frames: dict[str, list[pl.DataFrame]] = {name: [getattr(EMPTY_BOOKS, name)] for name in FRAME_FIELDS}
    n_answers = 0
    for part in parts:
        for name, part_frames in frames.items():
            frame: pl.DataFrame = getattr(part, name)
            part_frames.append(frame if name == "listings" else frame.with_columns(pl.col("capture") + n_answers))
        n_answers += part.answers.height
    listings, answers, rows, unmapped, coverage, players = (pl.concat(part_frames) for part_frames in frames.values())
    return Books(
        listings,
        answers,
        rows,
        unmapped,
        coverage,
        players,
        refused=tuple(reject for part in parts for reject in part.refused),
        without_price=tuple(reject for part in parts for reject in part.without_price),
    )


def refuse_kickoffs(listings: Iterable[ObservedListing]) -> list[Reject]:
    """Return a rejection for each kickoff that is not credible.

    The listings are kept with a null kickoff, so that they do not count as absent.
    """
    return [
        Reject(
            observation.listing.platform,
            observation.listing.external_id,
            "$",
            NOT_CREDIBLE_REASON.format(observation.listing.kickoff_at.isoformat()),
        )
        for observation in listings
        if not observation.listing.has_credible_kickoff(observation.observed_at)
    ]


def frame_listings(listings: Iterable[ObservedListing]) -> pl.DataFrame:
    """Return rows of `storage.catalog.listings.LISTING_SCHEMA`. A kickoff that is not credible is null."""
    rows = [
        (
            listing.platform,
            listing.external_id,
            listing.sport,
            listing.kind,
            listing.tournament_external_id,
            listing.tournament_name,
            listing.country_raw,
            listing.sr_tournament_id,
            listing.home_team,
            listing.away_team,
            listing.kickoff_at if listing.has_credible_kickoff(observation.observed_at) else None,
            listing.sr_id,
            listing.genius_id,
            listing.n_markets_declared,
            observation.observed_at,
            observation.kind,
        )
        for observation in listings
        for listing in (observation.listing,)
    ]
    return pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")


class ListingCache:
    """A cache of the listings (LISTING_SCHEMA) of cycles, from reading them until writing them.

    One step reads the listings of all platforms, and later steps write them platform by platform. Listings that are not
    in the cache are read again. A full cache drops its oldest entries.
    """

    def __init__(self, max_rows: int = MAX_LISTING_ROWS) -> None:
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._listings: dict[tuple[int, str, Platform], pl.DataFrame] = {}

    def keep(self, cycle_id: int, digest: str, platforms: Iterable[Platform], listings: pl.DataFrame) -> None:
        """Add the listings that the platforms' answers of a cycle with this landed digest describe."""
        with self._lock:
            self._listings |= {
                (cycle_id, digest, platform): listings.filter(pl.col("platform") == platform.value)
                for platform in platforms
            }
            while sum(frame.height for frame in self._listings.values()) > self._max_rows:
                del self._listings[next(iter(self._listings))]

    def take(self, cycle_id: int, digest: str, platforms: Sequence[Platform]) -> pl.DataFrame | None:
        """Remove and return the listings of the platforms; None when one of them is not in the cache."""
        with self._lock:
            cached_frames = [self._listings.pop((cycle_id, digest, platform), None) for platform in platforms]
        frames = [frame for frame in cached_frames if frame is not None]
        return pl.concat(frames) if frames and len(frames) == len(cached_frames) else None


@dataclass(slots=True)
class EarlyPart:
    """Consecutive segments of one platform, decoded; normalised when there are enough answers."""

    segments: tuple[Segment, ...] = ()
    decoded: list[DecodedAnswers] = field(default_factory=list)
    books: Books | None = None

    @property
    def n_answers(self) -> int:
        return sum(part.owners.height for part in self.decoded)


class EarlyBooks:
    """A cache of decoded books: one thread reads each landed segment back from the landing and decodes it.

    Books stay in the cache until the cycle's odds are derived. Derived rows are the same with and without the cache.
    Segments that are not in it (another process landed them, the cache was full, reading failed) are read when the rows
    are derived, by the same functions.
    """

    def __init__(
        self,
        read_details: Callable[[Cycle, Segment], Iterable[Answer]],
        decode: Callable[[Platform, Iterable[Answer]], DecodedAnswers],
        normalise: Callable[[Sequence[DecodedAnswers]], Books],
        *,
        max_bytes: int = MAX_KEPT_BYTES,
    ) -> None:
        """Create an empty cache of at most `max_bytes`.

        `read_details` returns the detail answers without a failure in one landed segment.
        """
        self._read_details = read_details
        self._decode = decode
        self._normalise = normalise
        self._max_bytes = max_bytes
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="books")
        self._queue_number = 0
        # Only the thread uses the attributes below.
        self._parts: dict[tuple[int, Platform], list[EarlyPart]] = {}
        self._bytes = 0
        self._is_full = False

    def offer(self, cycle: Cycle, segment: Segment) -> None:
        """Queue a landed segment and return at once. Segments of recorded cycles are ignored."""
        if cycle.scope is not Scope.RECORDED:  # an imported cycle may be derived much later
            self._pool.submit(self._read_segment, self._queue_number, cycle, segment)

    def drop_queue(self) -> None:
        """Skip the segments that wait, so that the process can end at once. Called at the end of a run."""
        self._queue_number += 1

    def find_parts(self, cycle_id: int, platform: Platform) -> list[EarlyPart]:
        """Return the decoded parts of a platform in order of arrival, after reading all queued segments."""
        return self._pool.submit(self._finish_parts, (cycle_id, platform)).result()

    def take_parts(self, cycle_id: int, platform: Platform) -> list[EarlyPart]:
        """Return the early parts as `find_parts` does, and remove them from the cache."""
        return self._pool.submit(self._hand_over_parts, (cycle_id, platform)).result()

    # --- the methods below run on the thread ---

    def _read_segment(self, queue_number: int, cycle: Cycle, segment: Segment) -> None:
        key = cycle.cycle_id, segment.platform
        try:
            if self._is_full or queue_number != self._queue_number:
                self._close_part(key)
                return
            decoded = self._decode(segment.platform, self._read_details(cycle, segment))
        except Exception:  # the derivation reads the segment again, and raises an error that is still there
            log.info("cycle %d: %s will be read again", cycle.cycle_id, segment.name, exc_info=True)
            self._close_part(key)
            return
        parts = self._parts.setdefault(key, [])
        if not parts or parts[-1].books is not None:
            parts.append(EarlyPart())
        part = parts[-1]
        part.segments += (segment,)
        part.decoded.append(decoded)
        if part.n_answers >= ANSWERS_PER_PART:
            self._normalise_part(key, part)

    def _close_part(self, key: tuple[int, Platform]) -> None:
        """Normalise the current part and end it, because the segment that follows it was not decoded.

        The segments of a part must follow each other without a gap.
        """
        parts = self._parts.get(key)
        if parts and parts[-1].books is None:
            self._normalise_part(key, parts[-1])

    def _normalise_part(self, key: tuple[int, Platform], part: EarlyPart) -> None:
        """Normalise the answers of a part; drop the part if this fails or the cache is full."""
        try:
            part.books = self._normalise(part.decoded)
        except Exception:  # noqa: BLE001 - reading these segments later raises the same error
            self._parts[key].remove(part)
            return
        part.decoded = []
        self._bytes += part.books.size_bytes
        self._is_full = self._bytes > self._max_bytes
        if self._is_full:
            self._bytes -= part.books.size_bytes
            self._parts[key].remove(part)

    def _finish_parts(self, key: tuple[int, Platform]) -> list[EarlyPart]:
        self._close_part(key)
        return list(self._parts.get(key, []))

    def _hand_over_parts(self, key: tuple[int, Platform]) -> list[EarlyPart]:
        parts = self._finish_parts(key)
        self._parts.pop(key, None)
        self._bytes -= sum(part.books.size_bytes for part in parts if part.books is not None)
        self._is_full = False
        return parts
