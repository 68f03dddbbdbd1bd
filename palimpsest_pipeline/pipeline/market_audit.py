"""The input of `palimpsest markets audit`: answer files, folders, landings, or a CSV of counts.

Writes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, PayloadRejected
from palimpsest_pipeline.landing import Landing, LandingError
from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.markets.audit_occurrences import OCCURRENCES_SCHEMA, expand_counted_markets, list_occurrences
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.packs import load_packs

from .ingest.books import collect_raw_books, group_details

_ANSWERS_PER_BATCH: Final = 200
"""Number of answers that are normalised together."""
CSV_COLUMNS: Final = {"platform": "platform", "raw_market_id": "external_market_id", "occurrences": "occurrences"}
"""Required columns of a CSV with counted market ids, and their names here."""
_MANIFEST_FILE: Final = "manifest.json"
"""Name of the file that describes the recorded answers in its folder. It contains no answer."""
FILE_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The instant of an answer from a file, which names none.

Before any kickoff: some platforms' matches count as begun by the clock alone.
"""

Adapters = Mapping[Platform, PlatformAdapter]


@dataclass(frozen=True, slots=True)
class LeftOutInput:
    """An input in which no book of an upcoming match could be read, with the reason.

    An answer about a match in play is a normal case; any other reason is a problem.
    """

    where: str
    reason: str

    @property
    def is_in_play(self) -> bool:
        return self.reason.startswith("in play")


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The result of an audit.

    `occurrences` has the columns `markets.audit_occurrences.OCCURRENCES_SCHEMA`, with each (event, market, line) once.
    """

    occurrences: pl.DataFrame
    left_out: list[LeftOutInput]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The part of the input to audit: a platform, a value of the CSV's column `source`, a landing's hour.

    None in a field selects everything.
    """

    platform: Platform | None = None
    source: str | None = None
    hour: datetime | None = None


def audit_markets(
    places: Sequence[str], landing: Landing, adapters: Adapters, vocabulary: Vocabulary, audit_filter: AuditFilter
) -> AuditResult:
    """Audit the books in `places` (files, folders, landings by folder or URL), otherwise in `landing`.

    Inputs that cannot be read are left out and named in the result.
    """
    left_out: list[LeftOutInput] = []
    books: list[pl.DataFrame] = []
    counted_markets: list[pl.DataFrame] = []
    batch: list[Detail] = []
    for item in (
        _read_places(places, adapters, audit_filter) if places else read_landed_details(landing, adapters, audit_filter)
    ):
        if isinstance(item, LeftOutInput):
            left_out.append(item)
        elif isinstance(item, pl.DataFrame):
            counted_markets.append(expand_counted_markets(item, vocabulary))
        else:
            batch.append(item)
            if len(batch) == _ANSWERS_PER_BATCH:
                books.append(_count_occurrences(batch, vocabulary))
                batch.clear()
    if batch:
        books.append(_count_occurrences(batch, vocabulary))
    return AuditResult(
        pl.concat([pl.DataFrame(schema=OCCURRENCES_SCHEMA), *counted_markets, *_deduplicate(books)]), left_out
    )


def _count_occurrences(details: Sequence[Detail], vocabulary: Vocabulary) -> pl.DataFrame:
    raw = collect_raw_books(details)
    events = pl.Series([d.listing.external_id for d in details], dtype=pl.String)
    return list_occurrences(raw, events.gather(raw.markets["capture"]), vocabulary)


def _deduplicate(books: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Return each (event, market, line) once: unmapped if it is unmapped in at least one answer."""
    if not books:
        return []
    identity = ["event", "platform", "sport", "external_market_id", "specifier"]
    return [
        pl.concat(books)
        .sort(pl.col("error_class") == "", maintain_order=True)
        .unique(subset=identity, keep="first", maintain_order=True)
        .drop("event")
    ]


def _read_places(
    places: Iterable[str], adapters: Adapters, audit_filter: AuditFilter
) -> Iterator[Detail | pl.DataFrame | LeftOutInput]:
    for place in places:
        path = Path(place)
        if "://" in place or (path.is_dir() and any(child.name.startswith("date=") for child in path.iterdir())):
            try:
                landing = Landing(place)
            except LandingError as error:
                yield LeftOutInput(place, str(error))
            else:
                yield from read_landed_details(landing, adapters, audit_filter)
        elif path.is_dir():
            files = sorted(file for file in path.rglob("*.json") if file.name != _MANIFEST_FILE)
            yield from (_read_recorded_answer(file, adapters, audit_filter) for file in files)
            if not files:
                yield LeftOutInput(place, "neither a landing nor a folder with .json files in it")
        elif path.suffix.lower() == ".csv":
            yield _read_counts(path, audit_filter)
        else:
            yield _read_recorded_answer(path, adapters, audit_filter)


def read_landed_details(
    landing: Landing, adapters: Adapters, audit_filter: AuditFilter
) -> Iterator[Detail | LeftOutInput]:
    """Yield the newest book of every listing in the landing, without matches in play."""
    platforms = tuple(adapters) if audit_filter.platform is None else (audit_filter.platform,)
    try:
        manifests = landing.list_cycles(hour=audit_filter.hour)
    except LandingError as error:
        yield LeftOutInput(str(landing.root), str(error))
        return
    if not manifests:
        yield LeftOutInput(
            str(landing.root),
            "the landing is empty" if audit_filter.hour is None else "the landing has no cycle in this hour",
        )
    audited_listings: set[tuple[Platform, str | None]] = set()
    for manifest in reversed(manifests):
        # Backwards, because a cycle may have requested a listing twice. One segment at a time, so that a broken segment
        # does not affect the others.
        for segment in reversed([segment for segment in manifest.segments if segment.platform in platforms]):
            try:
                frame = landing.read_answers(
                    msgspec.structs.replace(manifest, segments=(segment,)), [PayloadKind.DETAIL]
                )
            except LandingError as error:
                yield LeftOutInput(str(landing.root), str(error))
                continue
            adapter = adapters[segment.platform]
            answers = (answer for answer in landing.iterate_answers(frame) if answer.ok)
            # An audited listing's answers are dropped before they are decoded.
            attempts = [
                (external_id, attempt)
                for external_id, listing_answers in groupby(answers, lambda answer: answer.request.external_id)
                if (segment.platform, external_id) not in audited_listings
                for attempt in group_details(listing_answers, adapter)
            ]
            for external_id, attempt in reversed(attempts):
                listing = (segment.platform, external_id)
                if listing not in audited_listings:
                    item = _read_book(attempt, adapter, f"cycle {manifest.cycle_id}, {listing[0]} {listing[1]}")
                    if isinstance(item, Detail):
                        audited_listings.add(listing)
                    yield item


def _read_recorded_answer(file: Path, adapters: Adapters, audit_filter: AuditFilter) -> Detail | LeftOutInput:
    """Return the content of a file as a detail answer of its platform.

    Platforms may have the same envelope. Its platform is the first one that can read a book in it.
    """
    try:
        body = file.read_bytes()
    except OSError as error:
        return LeftOutInput(str(file), f"cannot be read: {error.strerror or error}")
    candidates = tuple(adapters) if audit_filter.platform is None else (audit_filter.platform,)
    at = FILE_INSTANT
    answers = {p: Answer(Request(p, PayloadKind.DETAIL, file.name), 1, at, at, at, 200, {}, body) for p in candidates}
    verdicts = {p: adapters[p].judge(answer) for p, answer in answers.items()}
    items = {p: _read_book([answers[p]], adapters[p], str(file)) for p, verdict in verdicts.items() if verdict is None}
    if items:
        return _select_item(items)
    if len(candidates) == 1:
        (verdict,) = verdicts.values()
        return LeftOutInput(str(file), f"no detail answer of {candidates[0]}: {verdict[1] if verdict else ''}")
    return LeftOutInput(str(file), f"no detail answer of {', '.join(candidates)}")


def _select_item(items: Mapping[Platform, Detail | LeftOutInput]) -> Detail | LeftOutInput:
    """Return the first book that platforms read in one file; without one, the reason why it is left out."""
    failures: dict[Platform, LeftOutInput] = {}
    for platform, item in items.items():
        if isinstance(item, Detail):
            return item
        failures[platform] = item
    decisive = [failure for failure in failures.values() if failure.is_in_play or len(failures) == 1]
    if decisive:
        return decisive[0]
    reason = "; ".join(f"{platform}: {failure.reason}" for platform, failure in failures.items())
    return LeftOutInput(next(iter(failures.values())).where, reason)


def _read_book(attempt: Sequence[Answer], adapter: PlatformAdapter, where: str) -> Detail | LeftOutInput:
    try:
        detail = adapter.read_detail(attempt)
    except PayloadRejected as rejected:
        return LeftOutInput(
            where, rejected.reason if rejected.reason.startswith("in play") else f"{rejected.path}: {rejected.reason}"
        )
    return LeftOutInput(where, "in play") if detail.listing.is_in_play else detail


def _read_counts(file: Path, audit_filter: AuditFilter) -> pl.DataFrame | LeftOutInput:
    """Return the counted market ids of the selected source and platform."""
    try:
        # All columns are text: market ids are text, and a count that is not a number is reported below.
        frame = pl.read_csv(file, infer_schema=False).with_columns(pl.all().fill_null(""))
    except (OSError, pl.exceptions.PolarsError) as error:
        return LeftOutInput(str(file), f"cannot be read: {error}")
    missing_columns = [
        name for name in (*CSV_COLUMNS, *(["source"] if audit_filter.source else [])) if name not in frame.columns
    ]
    if missing_columns:
        return LeftOutInput(str(file), f"has no column {', '.join(missing_columns)}; it needs {', '.join(CSV_COLUMNS)}")
    if audit_filter.source is not None:
        sources = frame["source"].unique().sort()
        frame = frame.filter(pl.col("source") == audit_filter.source)
        if frame.is_empty():
            return LeftOutInput(str(file), f"has no source {audit_filter.source!r}; it has {', '.join(sources)}")
    invalid_rows = frame.filter(
        ~pl.col("platform").is_in([str(platform) for platform in load_packs().platforms])
        | pl.col("occurrences").cast(pl.Int64, strict=False).is_null()
    )
    if invalid_rows.height:
        return LeftOutInput(
            str(file),
            f"neither a platform nor a count in a row: {', '.join(invalid_rows.select(list(CSV_COLUMNS)).row(0))}",
        )
    if audit_filter.platform is not None:
        frame = frame.filter(pl.col("platform") == audit_filter.platform)
    sample_outcomes = pl.col("sample_outcomes") if "sample_outcomes" in frame.columns else pl.lit("")
    return frame.select(
        *(pl.col(name).alias(name_here) for name, name_here in CSV_COLUMNS.items()),
        (pl.col("raw_name") if "raw_name" in frame.columns else pl.lit("")).alias("name"),
        sample_outcomes.str.split(" | ").list.filter(pl.element() != "").alias("sample_outcomes"),
    )
