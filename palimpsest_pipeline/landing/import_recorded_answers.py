"""Import recorded answers: a folder of body files with a `manifest.json` that describes each file.

Recorded answers prove that a listing existed, never that it was absent. No request is sent, and no body is parsed here.

`manifest.json` is a list with one object per file:

    {"file": "paris.json", "platform": "betpawa", "kind": "detail", "external_id": "35429065",
     "received_at": "2026-06-26T10:25:00Z"}

Required: file (relative to the folder), platform, kind (tree, listing, detail) and received_at (with time zone);
external_id too for kind detail.
Optional: path, params, method, json_body (the request), tournament_external_id, sr_id, status (200 only), headers,
observed_at (within an hour of received_at), book (any text, equal for all answers of one book, if the platform
sends a book in several parts; path and params then identify the part).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.exchange import MAX_CACHE_AGE, Answer, Request
from palimpsest_pipeline.domain.instants import Clock, floor_to_hour, make_cycle_id

from .manifest import Manifest
from .schema import build_request, hash_body
from .writer import Landing

RECORDED_STAGE = "recorded"

JSON_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors of decoding JSON: invalid syntax, wrong types, too deep nesting, or text that is not UTF-8."""

AnswerIdentity = tuple[str, datetime, str | None]
"""Identity of an answer: request key, instant, hash of the body."""


class RecordedPayloadError(PalimpsestError):
    """The error when a folder of recorded answers cannot be imported.

    The message is one line that names the file and contains a remedy. Nothing of the folder is imported.
    """


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    file: str
    platform: Platform
    kind: PayloadKind
    received_at: datetime
    external_id: str | None = None
    tournament_external_id: str | None = None
    sr_id: int | None = None
    method: str = "GET"
    path: str | None = None
    params: dict[str, str] = {}
    json_body: str | None = None
    status: int = 200
    headers: dict[str, str] = {}
    observed_at: datetime | None = None
    book: str | None = None


def import_payloads(
    landing: Landing, directory: Path, platforms: Sequence[Platform], installed: Collection[Platform], clock: Clock
) -> list[Manifest]:
    """Import the folder and return the new cycles' manifests: one per UTC hour with new answers.

    A cycle covers `platforms`, home first, and the platforms of its answers. Its products become due for another
    derivation only when the parser or vocabulary of one of these platforms changes. An answer that the hour already has
    (same request, instant and body) is left out. Raises RecordedPayloadError before anything is written, also for an
    answer of a platform that is not in `installed`.
    """
    by_hour: dict[datetime, list[list[Answer]]] = defaultdict(list)
    for book in read_recorded_books(directory, installed, clock.now()):
        by_hour[floor_to_hour(_find_start(book.answers))].append(book.answers)
    manifests = [_import_hour(landing, hour, by_hour[hour], platforms) for hour in sorted(by_hour)]
    return [manifest for manifest in manifests if manifest is not None]


@dataclass(frozen=True, slots=True)
class RecordedBook:
    """The recorded answers of one book, or a single answer of another kind, with the files that hold them."""

    files: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def read_recorded_books(directory: Path, installed: Collection[Platform], now: datetime) -> list[RecordedBook]:
    """Return the answers of a folder, those of one book together, in the order of its manifest.

    Raises RecordedPayloadError for a faulty entry, also of a platform that is not in `installed`.
    """
    books: dict[tuple[object, ...], RecordedBook] = defaultdict(RecordedBook)
    for number, raw in enumerate(_read_entries(directory), start=1):
        answer, entry = _build_answer(directory, number, raw, installed, now)
        request = answer.request
        book = books[
            (number,) if entry.book is None else (request.platform, request.kind, request.external_id, entry.book)
        ]
        for earlier_file, earlier_answer in zip(book.files, book.answers, strict=True):
            if earlier_answer.request.key == request.key:
                raise RecordedPayloadError(
                    f"{directory / 'manifest.json'}, entry {number} ({entry.file}): the same request as"
                    f" {earlier_file} in the book {entry.book!r}. Add the path and params of each, which tell its"
                    " parts apart."
                )
        book.files.append(entry.file)
        book.answers.append(answer)
    return list(books.values())


def _find_start(answers: Sequence[Answer]) -> datetime:
    return min(answer.received_at for answer in answers)


def _read_entries(directory: Path) -> list[msgspec.Raw]:
    path = directory / "manifest.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw])
    except OSError as error:
        reason = error.strerror or str(error)
        raise RecordedPayloadError(
            f"{path}: cannot be read ({reason}). Put a manifest.json into the folder that describes each file."
        ) from error
    except JSON_ERRORS as error:
        raise RecordedPayloadError(f"{path}: not a JSON list of entries ({error}). Correct it.") from error


def _build_answer(
    directory: Path, number: int, raw: msgspec.Raw, installed: Collection[Platform], now: datetime
) -> tuple[Answer, _Entry]:
    where = f"{directory / 'manifest.json'}, entry {number}"
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except JSON_ERRORS as error:
        name = _find_named_file(raw)
        raise RecordedPayloadError(f"{where}{f' ({name})' if name else ''}: {error}. Correct the entry.") from error
    where = f"{where} ({entry.file})"
    for problem in _find_problems(entry, installed, now):
        raise RecordedPayloadError(f"{where}: {problem}")
    body = _read_body(where, directory / entry.file)
    received_at = entry.received_at.astimezone(UTC)
    request = Request(
        platform=entry.platform,
        kind=entry.kind,
        path=entry.path
        if entry.path is not None
        else f"/recorded/{entry.kind.value}/{entry.external_id or entry.file}",
        params=entry.params,
        method=entry.method,
        json_body=None if entry.json_body is None else entry.json_body.encode(),
        external_id=entry.external_id,
        tournament_external_id=entry.tournament_external_id,
        sr_id=entry.sr_id,
    )
    observed_at = received_at if entry.observed_at is None else entry.observed_at.astimezone(UTC)
    answer = Answer(request, 1, received_at, received_at, observed_at, entry.status, entry.headers, body)
    return answer, entry


def _find_problems(entry: _Entry, installed: Collection[Platform], now: datetime) -> Iterator[str]:
    """Yield the reasons why an entry cannot be imported, each with its remedy."""
    if entry.platform not in installed:
        yield f"no installed pack has the platform {entry.platform!r}. Correct it, or install its package."
    for name in ("received_at", "observed_at"):
        instant = getattr(entry, name)
        if instant is not None and instant.tzinfo is None:
            text = instant.isoformat()
            yield f"{name} {text} has no time zone. Write it with one, e.g. {text}Z."
    if entry.received_at > now:
        yield f"received_at {entry.received_at.isoformat()} lies in the future. Correct it."
    if entry.kind is PayloadKind.DETAIL and entry.external_id is None:
        yield "a detail needs external_id, the platform's own id of the listing. Add it."
    if entry.status != 200:
        yield f"status {entry.status}; a recorded failure proves nothing. Leave the entry out."
    if entry.observed_at is not None and abs(entry.observed_at - entry.received_at) > MAX_CACHE_AGE:
        yield (
            f"observed_at {entry.observed_at.isoformat()} lies more than an hour from received_at"
            f" {entry.received_at.isoformat()}. Correct it, or leave it out."
        )


def _find_named_file(raw: msgspec.Raw) -> str | None:
    """Return the file name in an invalid entry; None if it has no file name."""
    try:
        entry = msgspec.json.decode(raw)
    except JSON_ERRORS:
        return None
    return str(entry["file"]) if isinstance(entry, dict) and "file" in entry else None


def _read_body(where: str, path: Path) -> bytes:
    try:
        body = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RecordedPayloadError(
            f"{where}: {path} cannot be read ({reason}). Add the file or remove the entry."
        ) from error
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except JSON_ERRORS as error:
        raise RecordedPayloadError(
            f"{where}: {path} is not JSON ({error}). Record the answer again or remove the entry."
        ) from error
    return body


def _import_hour(
    landing: Landing, hour: datetime, books: list[list[Answer]], platforms: Sequence[Platform]
) -> Manifest | None:
    there = landing.list_cycles(hour=hour)
    taken_ids = {manifest.cycle_id for manifest in there}
    begun = min(map(_find_start, books))
    while make_cycle_id(begun) in taken_ids:
        begun += timedelta(milliseconds=1)
    cycle_id = make_cycle_id(begun)
    if cycle_id in landing.list_unclosed_cycles(hour=hour):
        # An import of these answers died before its manifest. Its segments count, so that nothing is written twice.
        landing.close_interrupted(_make_cycle(cycle_id, hour, begun, books, platforms), finished_at=begun)
        return _import_hour(landing, hour, books, platforms)
    known_identities = {identity for manifest in there for identity in _read_identities(landing, manifest)}
    new: list[list[Answer]] = []
    for answers in sorted(books, key=_find_start):
        identities = {(answer.request.key, answer.received_at, hash_body(answer.body)) for answer in answers}
        if not identities <= known_identities:
            known_identities |= identities
            new.append(answers)
    if not new:
        return None
    writer = landing.open_writer(_make_cycle(cycle_id, hour, _find_start(new[0]), new, platforms))
    for answers in new:
        writer.append_together(answers)
    last = max(answer.received_at for answers in new for answer in answers)
    return writer.close(RunStatus.COMPLETED, last, (RECORDED_STAGE,))


def _make_cycle(
    cycle_id: int, hour: datetime, begun: datetime, books: Sequence[Sequence[Answer]], platforms: Sequence[Platform]
) -> Cycle:
    covered = {*platforms, *(answers[0].request.platform for answers in books)}
    return Cycle(
        cycle_id,
        Trigger.IMPORT,
        Scope.RECORDED,
        platforms[0],
        hour,
        begun,
        platforms=tuple(sorted(covered)),
    )


def _read_identities(landing: Landing, manifest: Manifest) -> Iterator[AnswerIdentity]:
    for frame in landing.read_segments(manifest):
        for row in frame.drop("body").iter_rows(named=True):
            yield build_request(row).key, row["received_at"], row["body_hash"]
