"""Import recorded answers: a folder of body files with a `manifest.json` that describes each file.

Recorded answers prove that a listing existed, never that it was absent. No request is sent, and no body is parsed here.

`manifest.json` is a list with one object per file:

    {"file": "paris.json", "platform": "betpawa", "kind": "detail", "external_id": "35429065",
     "received_at": "2026-06-26T10:25:00Z"}

- Required: file (relative to the folder), platform, kind (tree, listing, detail) and received_at (with time zone);
  external_id too for kind detail.
- Optional: path, params, method, json_body (the request), tournament_external_id, sr_id, status (200 only), headers,
  observed_at (within an hour of received_at).
"""

from collections import defaultdict
from collections.abc import Iterator
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


def import_payloads(landing: Landing, directory: Path, home_platform: Platform, clock: Clock) -> list[Manifest]:
    """Import the folder and return the new cycles' manifests: one per UTC hour with new answers.

    An answer is skipped if the hour already has one with the same request, instant and body. Raises
    RecordedPayloadError before anything is written.
    """
    by_hour: dict[datetime, list[Answer]] = defaultdict(list)
    for number, raw in enumerate(_read_entries(directory), start=1):
        answer = _build_answer(directory, number, raw, clock.now())
        by_hour[floor_to_hour(answer.received_at)].append(answer)
    manifests = [_import_hour(landing, hour, by_hour[hour], home_platform) for hour in sorted(by_hour)]
    return [manifest for manifest in manifests if manifest is not None]


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


def _build_answer(directory: Path, number: int, raw: msgspec.Raw, now: datetime) -> Answer:
    where = f"{directory / 'manifest.json'}, entry {number}"
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except JSON_ERRORS as error:
        name = _find_named_file(raw)
        raise RecordedPayloadError(f"{where}{f' ({name})' if name else ''}: {error}. Correct the entry.") from error
    where = f"{where} ({entry.file})"
    for field in ("received_at", "observed_at"):
        instant = getattr(entry, field)
        if instant is not None and instant.tzinfo is None:
            raise RecordedPayloadError(
                f"{where}: {field} {instant.isoformat()} has no time zone. Write it with one, e.g."
                f" {instant.isoformat()}Z."
            )
    if entry.received_at > now:
        raise RecordedPayloadError(
            f"{where}: received_at {entry.received_at.isoformat()} lies in the future. Correct it."
        )
    if entry.kind is PayloadKind.DETAIL and entry.external_id is None:
        raise RecordedPayloadError(
            f"{where}: a detail needs external_id, the platform's own id of the listing. Add it."
        )
    if entry.status != 200:
        raise RecordedPayloadError(
            f"{where}: status {entry.status}; a recorded failure proves nothing. Leave the entry out."
        )
    if entry.observed_at is not None and abs(entry.observed_at - entry.received_at) > MAX_CACHE_AGE:
        raise RecordedPayloadError(
            f"{where}: observed_at {entry.observed_at.isoformat()} lies more than an hour from received_at"
            f" {entry.received_at.isoformat()}. Correct it, or leave it out."
        )
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
    return Answer(request, 1, received_at, received_at, observed_at, entry.status, entry.headers, body)


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


def _import_hour(landing: Landing, hour: datetime, answers: list[Answer], home_platform: Platform) -> Manifest | None:
    there = landing.list_cycles(hour=hour)
    taken_ids = {manifest.cycle_id for manifest in there}
    begun = min(answer.received_at for answer in answers)
    while make_cycle_id(begun) in taken_ids:
        begun += timedelta(milliseconds=1)
    cycle_id = make_cycle_id(begun)
    if cycle_id in landing.list_unclosed_cycles(hour=hour):
        # An earlier import of these answers died before it wrote the manifest. Its segments are used, so nothing is
        # written twice.
        landing.close_interrupted(
            Cycle(cycle_id, Trigger.IMPORT, Scope.RECORDED, home_platform, hour, begun), finished_at=begun
        )
        return _import_hour(landing, hour, answers, home_platform)
    known_identities = {identity for manifest in there for identity in _read_identities(landing, manifest)}
    new: list[Answer] = []
    for answer in sorted(answers, key=lambda answer: answer.received_at):
        identity = (answer.request.key, answer.received_at, hash_body(answer.body))
        if identity not in known_identities:
            known_identities.add(identity)
            new.append(answer)
    if not new:
        return None
    writer = landing.open_writer(
        Cycle(cycle_id, Trigger.IMPORT, Scope.RECORDED, home_platform, hour, new[0].received_at)
    )
    for answer in new:
        writer.append(answer)
    return writer.close(RunStatus.COMPLETED, new[-1].received_at, (RECORDED_STAGE,))


def _read_identities(landing: Landing, manifest: Manifest) -> Iterator[AnswerIdentity]:
    for frame in landing.read_segments(manifest):
        for row in frame.drop("body").iter_rows(named=True):
            yield build_request(row).key, row["received_at"], row["body_hash"]
