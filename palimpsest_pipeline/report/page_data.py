"""Data of the page, as it lies in the file: JSON of columns, deflated, in base64. No text of it can be taken for HTML."""

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

LEVEL: Final = 9


def packed(value: Any) -> str:
    """`value` as JSON, deflated (zlib), in base64. Raises ValueError on a number that JSON does not have, TypeError on what is no JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return b64encode(zlib.compress(text.encode(), LEVEL)).decode()


def epoch_s(column: str) -> pl.Expr:
    """An instant as whole seconds since 1970."""
    return pl.col(column).dt.epoch("s")


def instant_s(instant: datetime) -> int:
    """An instant as whole seconds since 1970."""
    return int(instant.timestamp())


def columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """The frame's columns as lists."""
    return frame.to_dict(as_series=False)


def places(words: Sequence[str]) -> Mapping[str, int]:
    """Which place each word has."""
    return {word: place for place, word in enumerate(words)}
