"""The encoding of the page's data in its file: JSON of columns, compressed, in base64.

The encoded text contains no character that HTML could interpret.
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
    """Return `value` as JSON, compressed with zlib, in base64.

    Raises ValueError on a number that JSON lacks (NaN, infinity), and TypeError on a value that JSON cannot represent.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return b64encode(zlib.compress(text.encode(), COMPRESSION_LEVEL)).decode()


def to_epoch_s_column(column: str) -> pl.Expr:
    """Return a column of instants as whole seconds since 1970."""
    return pl.col(column).dt.epoch("s")


def to_epoch_s(instant: datetime) -> int:
    """Return an instant as whole seconds since 1970."""
    return int(instant.timestamp())


def list_columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """Return the frame's columns as lists."""
    return frame.to_dict(as_series=False)


def number_keys(keys: Sequence[str]) -> Mapping[str, int]:
    """Return the position of each key in `keys`."""
    return {key: place for place, key in enumerate(keys)}
