"""Columns of a landed answer, and the way between answers and frames. No files here."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from ..domain.exchange import Answer, Request
from ..domain.words import FailureClass, PayloadKind, Platform

INSTANT: Final = pl.Datetime("us", "UTC")

SCHEMA: Final[dict[str, pl.DataType]] = {
    "cycle_id": pl.Int64(),
    "platform": pl.String(),
    "kind": pl.String(),
    "method": pl.String(),
    "path": pl.String(),
    "params": pl.String(),
    "json_body": pl.String(),
    "external_id": pl.String(),
    "tournament_external_id": pl.String(),
    "sr_id": pl.Int64(),
    "attempt": pl.Int16(),
    "status": pl.Int16(),
    "failure": pl.String(),
    "failure_detail": pl.String(),
    "headers": pl.String(),
    "requested_at": INSTANT,
    "received_at": INSTANT,
    "observed_at": INSTANT,
    "body": pl.Binary(),
    "body_hash": pl.String(),
    "bytes": pl.Int64(),
}
"""One row per answer. `params` and `headers` are JSON objects, `body_hash` is the SHA-256 of the body in hex, `bytes` its length (0 without one)."""


def _text(mapping: dict[str, str]) -> str:
    return json.dumps(mapping, ensure_ascii=False, separators=(",", ":"))


def body_hash(body: bytes | None) -> str | None:
    """SHA-256 of the body in hex; None without a body."""
    return None if body is None else hashlib.sha256(body).hexdigest()


def _row(cycle_id: int, answer: Answer) -> tuple[Any, ...]:
    request, body = answer.request, answer.body
    return (
        cycle_id,
        request.platform.value,
        request.kind.value,
        request.method,
        request.path,
        _text(dict(request.params)),
        None if request.json_body is None else request.json_body.decode(),
        request.external_id,
        request.tournament_external_id,
        request.sr_id,
        answer.attempt,
        answer.status,
        None if answer.failure is None else answer.failure.value,
        answer.failure_detail,
        _text(dict(answer.headers)),
        answer.requested_at,
        answer.received_at,
        answer.observed_at,
        body,
        body_hash(body),
        0 if body is None else len(body),
    )


def frame_of(cycle_id: int, answers: Sequence[Answer]) -> pl.DataFrame:
    """The answers as a frame of `SCHEMA`, in the order given."""
    return pl.DataFrame([_row(cycle_id, answer) for answer in answers], schema=SCHEMA, orient="row")


def request_of(row: dict[str, Any]) -> Request:
    """The request of one row of a landed frame (the body is not needed)."""
    return Request(
        platform=Platform(row["platform"]),
        kind=PayloadKind(row["kind"]),
        path=row["path"],
        params=json.loads(row["params"]),
        method=row["method"],
        json_body=None if row["json_body"] is None else row["json_body"].encode(),
        external_id=row["external_id"],
        tournament_external_id=row["tournament_external_id"],
        sr_id=row["sr_id"],
    )


def answers_of(frame: pl.DataFrame) -> Iterator[Answer]:
    """The answers of a landed frame, one by one, equal to those that were appended."""
    for row in frame.iter_rows(named=True):
        yield Answer(
            request=request_of(row),
            attempt=row["attempt"],
            requested_at=row["requested_at"],
            received_at=row["received_at"],
            observed_at=row["observed_at"],
            status=row["status"],
            headers=json.loads(row["headers"]),
            body=row["body"],
            failure=None if row["failure"] is None else FailureClass(row["failure"]),
            failure_detail=row["failure_detail"],
        )
