"""The content of detail answers as frames: listings, books with vocabulary keys, and refused answers.

Uses no database and no landing.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import accumulate
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
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
from palimpsest_pipeline.markets import RawBooks, Vocabulary, build_market_rows, normalise
from palimpsest_pipeline.markets.named_players import PLAYERS_SCHEMA
from palimpsest_pipeline.markets.normaliser import MARKET_ROWS_SCHEMA
from palimpsest_pipeline.markets.platform_books import OUTCOMES_SCHEMA, PLATFORM_MARKETS_SCHEMA, repeat_places
from palimpsest_pipeline.markets.unmapped_markets import COVERAGE_SCHEMA, UNMAPPED_SCHEMA
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.storage.catalog.listings import LISTING_SCHEMA

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
_BOOK_COLUMNS: Final = {name: PLATFORM_MARKETS_SCHEMA[name] for name in ("capture", "platform", "sport")}
_MARKET_COLUMNS: Final = {name: kind for name, kind in PLATFORM_MARKETS_SCHEMA.items() if name not in _BOOK_COLUMNS}
COUNT_COLUMNS: Final = ("n_markets_listed", "n_markets_mapped", "n_markets_priced", "n_prices", "n_prices_merged")
_ANSWER_SCHEMA: Final[dict[str, pl.DataType]] = {**OWNER_SCHEMA, **dict.fromkeys(COUNT_COLUMNS, pl.Int32())}
MAX_LISTING_ROWS: Final = 200_000
"""Maximum number of cached listings.

This is enough for a day of full cycles with some hundred fixtures, or for one cycle with some ten thousand.
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
    columns _ANSWER_SCHEMA. `rows` has the columns `markets.normaliser.MARKET_ROWS_SCHEMA`. `unmapped`, `coverage`
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
    answers=pl.DataFrame(schema=_ANSWER_SCHEMA),
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


def group_details(answers: Iterable[Answer], adapter: PlatformAdapter) -> Iterator[list[Answer]]:
    """Yield the answers of each attempt at a listing's book, from landed answers in their order.

    Failed answers are left out. The answers of an attempt are side by side. An attempt ends when its book is complete,
    and where another listing or a repeated request begins: then its book lacks an answer, and the dialect rejects it.
    """
    attempt: list[Answer] = []
    for answer in answers:
        if not answer.ok:
            continue
        first = attempt[0].request if attempt else None
        if first is not None and (
            answer.request.external_id != first.external_id
            or any(answer.request.key == earlier.request.key for earlier in attempt)
        ):
            yield attempt
            attempt = []
        attempt.append(answer)
        if _is_complete(attempt, adapter):
            yield attempt
            attempt = []
    if attempt:
        yield attempt


def _is_complete(attempt: Sequence[Answer], adapter: PlatformAdapter) -> bool:
    request = attempt[0].request
    try:
        return not adapter.list_detail_requests(request.external_id or "", request.sr_id, attempt)
    except PayloadRejected:
        return True  # reading the book fails for the same reason


def decode_books(attempts: Iterable[Sequence[Answer]], adapter: PlatformAdapter) -> DecodedAnswers:
    """Decode the detail answers of the adapter's platform, grouped by `group_details`.

    Only one book's answers are in memory at a time. A book is observed at its earliest answer.
    """
    listings: list[ObservedListing] = []
    rejects: list[tuple[PayloadKind, Reject, bool]] = []
    without_price: list[Reject] = []
    owners: list[tuple[int, str, str, str, datetime]] = []

    def iterate_details() -> Iterable[Detail]:
        for attempt in attempts:
            try:
                detail = adapter.read_detail(attempt)
            except PayloadRejected as rejected:
                rejects.append(
                    (
                        PayloadKind.DETAIL,
                        Reject(adapter.platform, attempt[0].request.external_id, rejected.path, rejected.reason),
                        True,
                    )
                )
                listings.extend(_read_listing(attempt, adapter))
                continue
            listing, observed_at = detail.listing, _find_observed_at(attempt)
            if listing.is_in_play:
                rejects.append(
                    (PayloadKind.DETAIL, Reject(adapter.platform, listing.external_id, "$", OUT_OF_SCOPE_REASON), True)
                )
                continue
            observed_listing = ObservedListing(listing, observed_at, PayloadKind.DETAIL)
            listings.append(observed_listing)
            rejects.extend(
                (PayloadKind.DETAIL, reject, False)
                for reject in (*detail.rejects, *refuse_kickoffs([observed_listing]))
            )
            if len(detail.prices) and not any(detail.prices.odds_milli):
                without_price.append(Reject(adapter.platform, listing.external_id, "$", NO_PRICE_REASON))
            owners.append((len(owners), listing.platform, listing.sport.value, listing.external_id, observed_at))
            yield detail

    raw = collect_raw_books(iterate_details())
    return DecodedAnswers(
        frame_listings(listings),
        pl.DataFrame(owners, schema=OWNER_SCHEMA, orient="row"),
        raw,
        tuple(rejects),
        tuple(without_price),
    )


def collect_raw_books(details: Iterable[Detail]) -> RawBooks:
    """Return the books of several answers; `capture` is the answer's position in `details`.

    Keeps only the columns of a detail: if `details` is a generator, the texts of only one answer are in memory at a
    time.
    """
    owners = []
    columns = {name: [pl.Series([], dtype=kind)] for name, kind in (_MARKET_COLUMNS | OUTCOMES_SCHEMA).items()}
    for place, detail in enumerate(details):
        owners.append((place, detail.listing.platform, detail.listing.sport, len(detail.prices.market_id)))
        for name, parts in columns.items():
            parts.append(pl.Series(getattr(detail.prices, name), dtype=parts[0].dtype))
    batch = {name: pl.concat(parts).alias(name) for name, parts in columns.items()}
    answers = pl.DataFrame(owners, schema={**_BOOK_COLUMNS, "n_rows": pl.UInt32}, orient="row")
    markets = answers.drop("n_rows")[repeat_places(answers["n_rows"])].hstack([batch[name] for name in _MARKET_COLUMNS])
    return RawBooks(markets, pl.DataFrame([batch[name] for name in OUTCOMES_SCHEMA]))


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
    owners, markets = (
        pl.concat(
            [
                frame.with_columns(pl.col("capture") + first_capture)
                for frame, first_capture in zip(frames, first_captures, strict=False)
            ]
        )
        for frames in ([part.owners for part in parts], [part.raw.markets for part in parts])
    )
    batch = normalise(RawBooks(markets, pl.concat([part.raw.outcomes for part in parts])), vocabulary)
    rows = build_market_rows(batch.prices, vocabulary)
    answers = _count_markets(owners, rows, batch.coverage, batch.merged)
    return Books(listings, answers, rows, batch.unmapped, batch.coverage, batch.players, rejects, without_price)


def _count_markets(
    owners: pl.DataFrame, rows: pl.DataFrame, coverage: pl.DataFrame, merged: pl.DataFrame
) -> pl.DataFrame:
    """Return the rows of _ANSWER_SCHEMA: each answer with its numbers of markets."""
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


def read_observed_listings(attempts: Iterable[Sequence[Answer]], adapter: PlatformAdapter) -> list[ObservedListing]:
    """Return the listings that detail answers describe, grouped by `group_details`.

    An attempt that cannot be read, or whose match is in play, is left out; `decode_books` records it as refused.
    """
    return [listing for attempt in attempts for listing in _read_listing(attempt, adapter)]


def _read_listing(attempt: Sequence[Answer], adapter: PlatformAdapter) -> list[ObservedListing]:
    try:
        listing = adapter.read_listing(attempt)
    except PayloadRejected:
        return []
    return [] if listing.is_in_play else [ObservedListing(listing, _find_observed_at(attempt), PayloadKind.DETAIL)]


def _find_observed_at(attempt: Sequence[Answer]) -> datetime:
    return min(answer.observed_at for answer in attempt)


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
                (cycle_id, digest, platform): listings.filter(pl.col("platform") == platform) for platform in platforms
            }
            while sum(frame.height for frame in self._listings.values()) > self._max_rows:
                del self._listings[next(iter(self._listings))]

    def take(self, cycle_id: int, digest: str, platforms: Sequence[Platform]) -> pl.DataFrame | None:
        """Remove and return the listings of the platforms; None when one of them is not in the cache."""
        with self._lock:
            cached_frames = [self._listings.pop((cycle_id, digest, platform), None) for platform in platforms]
        frames = [frame for frame in cached_frames if frame is not None]
        return pl.concat(frames) if frames and len(frames) == len(cached_frames) else None
