"""Data of the page, as it lies in the file: JSON of columns, deflated, in base64.

No text of it can be taken for HTML.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

COMPRESSION_LEVEL: Final = 9


def pack_json(value: Any) -> str:
    """`value` as JSON, deflated (zlib), in base64.

    Raises ValueError on a number that JSON does not have, TypeError on what is no JSON.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return b64encode(zlib.compress(text.encode(), COMPRESSION_LEVEL)).decode()


def to_epoch_s_column(column: str) -> pl.Expr:
    """An instant as whole seconds since 1970."""
    return pl.col(column).dt.epoch("s")


def to_epoch_s(instant: datetime) -> int:
    """An instant as whole seconds since 1970."""
    return int(instant.timestamp())


def list_columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """The frame's columns as lists."""
    return frame.to_dict(as_series=False)


def number_words(words: Sequence[str]) -> Mapping[str, int]:
    """Which place each word has."""
    return {word: place for place, word in enumerate(words)}
