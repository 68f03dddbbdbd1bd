"""The columns of landed answers, and their conversion from and to Python objects. No file access."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.schemas import INSTANT

ANSWER_SCHEMA: Final[dict[str, pl.DataType]] = {
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
"""Columns of a frame with one row per answer.

`params` and `headers` are JSON objects. `body_hash` is the SHA-256 of the body in hex. `bytes` is the length of the
body, 0 without one.
"""
LISTING_COLUMNS: Final[dict[str, str]] = {
    **{name: name for name in ("platform", "kind", "path", "params", "external_id", "sr_id", "attempt", "status")},
    **{name: name for name in ("failure", "failure_detail", "requested_at", "received_at", "observed_at")},
    "n_bytes": "bytes",
}
"""Columns of landed answers without their bodies: new name -> column of `ANSWER_SCHEMA`."""


def _encode_mapping(mapping: Mapping[str, str]) -> str:
    return json.dumps(dict(mapping), ensure_ascii=False, separators=(",", ":"))


def hash_body(body: bytes | None) -> str | None:
    """Return the SHA-256 of the body in hex; None without a body."""
    return None if body is None else hashlib.sha256(body).hexdigest()


def build_frame(cycle_id: int, answers: Sequence[Answer]) -> pl.DataFrame:
    """Convert answers to a frame of `ANSWER_SCHEMA`, in the given order."""
    requests = [answer.request for answer in answers]
    bodies = [answer.body for answer in answers]
    columns: dict[str, Sequence[Any]] = {
        "cycle_id": [cycle_id] * len(answers),
        "platform": [request.platform for request in requests],
        "kind": [request.kind.value for request in requests],
        "method": [request.method for request in requests],
        "path": [request.path for request in requests],
        "params": [_encode_mapping(request.params) for request in requests],
        "json_body": [None if request.json_body is None else request.json_body.decode() for request in requests],
        "external_id": [request.external_id for request in requests],
        "tournament_external_id": [request.tournament_external_id for request in requests],
        "sr_id": [request.sr_id for request in requests],
        "attempt": [answer.attempt for answer in answers],
        "status": [answer.status for answer in answers],
        "failure": [None if answer.failure is None else answer.failure.value for answer in answers],
        "failure_detail": [answer.failure_detail for answer in answers],
        "headers": [_encode_mapping(answer.headers) for answer in answers],
        "requested_at": [answer.requested_at for answer in answers],
        "received_at": [answer.received_at for answer in answers],
        "observed_at": [answer.observed_at for answer in answers],
        "body": bodies,
        "body_hash": [hash_body(body) for body in bodies],
        "bytes": [0 if body is None else len(body) for body in bodies],
    }
    return pl.DataFrame({name: pl.Series(name, columns[name], dtype) for name, dtype in ANSWER_SCHEMA.items()})


def build_request(row: dict[str, Any]) -> Request:
    """Convert one row of a landed frame to its request. The row needs no body."""
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


def build_answers(frame: pl.DataFrame) -> Iterator[Answer]:
    """Convert the rows of a landed frame to answers, equal to those that were written."""
    for row in frame.iter_rows(named=True):
        yield Answer(
            request=build_request(row),
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
