"""Judge given prices: their fair probabilities, and their closing-line value."""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import MarketState, Platform
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.markets.describe_market import suggest_markets
from palimpsest_pipeline.metrics.prices import fair_prices
from palimpsest_pipeline.metrics.prices.closing_line_value import PRICE_LIST_SCHEMA, compute_closing_line_values
from palimpsest_pipeline.storage.marts.closing_prices import read_closing_prices, read_judged_fixtures

from .installed_vocabulary import build_vocabulary_frames

REQUIRED_FIELDS: Final = ("sr_id", "market_key", "outcome_key", "odds")
OPTIONAL_FIELDS: Final = ("specifier", "taken_at")
NUMBERED_KINDS: Final = frozenset({"total", "handicap"})
"""Kinds of lines (column line_kind of the vocabulary's markets) whose specifier is never empty."""
ODDS_PATTERN: Final = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?", re.IGNORECASE)
"""A decimal number. Python would also read `2_1`, as 21, and digits of other scripts."""
MAX_ERRORS: Final = 10
"""Maximum number of bad values that an error names."""
_MAX_ODDS: Final = 2_000_000
"""The highest odds that the history can store."""


class PriceListError(PalimpsestError, ValueError):
    """A list of prices cannot be read. The message names line and field of each bad value."""


def judge_prices(
    conn: psycopg.Connection[Any], prices: pl.DataFrame, now: datetime, platform: Platform | None = None
) -> pl.DataFrame:
    """Return the values of `prices` (CLOSING_LINE_VALUES_SCHEMA) against every exact close.

    `prices` is the result of `read_price_list` or `check_price_list`. With `platform`, only the closes of this platform
    count. A fixture that kicks off after `now` has no close yet. The connection may be an analyst's.
    """
    sr_ids = prices["sr_id"].unique().to_list()
    fixtures = read_judged_fixtures(conn, sr_ids)
    closes = read_closing_prices(conn, fixtures["sr_id"].to_list(), prices["market_key"].unique().to_list())
    if platform is not None:
        closes = closes.filter(pl.col("platform") == platform)
    return compute_closing_line_values(prices, fixtures, closes, now)


def list_offered_prices(prices: pl.DataFrame, instant: datetime, seller: str) -> pl.DataFrame:
    """Return the prices of `seller` that could be backed at an instant (PRICE_LIST_SCHEMA).

    `prices` is the result of `OddsHistoryReader.read_prices_as_of` for this instant. Only the primary listing of a
    fixture counts. `line` is the number of the row, from 1.
    """
    offered = prices.filter("is_primary", "is_active", pl.col("platform") == seller, pl.col("odds").is_not_null())
    numbered = offered.with_columns(taken_at=pl.lit(instant.astimezone(UTC))).with_row_index("line", offset=1)
    return numbered.select(pl.col(name).cast(dtype) for name, dtype in PRICE_LIST_SCHEMA.items())


def add_fair_probabilities_per_book(
    prices: pl.DataFrame, book_keys: Sequence[str], vocabulary: Vocabulary
) -> pl.DataFrame:
    """Return `prices` with fair_multiplicative, fair_power and fair_shin; the order of rows stays.

    `prices` has one row per outcome with market_key, specifier, outcome_key and odds (decimal, null without a price).
    If it has the column is_active, an outcome can be backed only when that is true. `book_keys` are the columns that
    tell the books apart, such as platform and sr_id. The new columns are null for markets without a margin.

    Raises ValueError when a column is missing, or when an outcome of a market appears twice in a book.
    """
    keys = [*book_keys, "market_key", "specifier"]
    if missing := sorted({*keys, "outcome_key", "odds"} - set(prices.columns)):
        raise ValueError(f"the rows lack {', '.join(missing)}")
    outcomes, sets = build_vocabulary_frames(vocabulary)
    is_active = pl.col("is_active") if "is_active" in prices.columns else pl.lit(value=True)
    can_be_backed = is_active & pl.col("odds").is_not_null()
    rows = prices.with_row_index("row")
    books = (
        rows.join(outcomes, on=("market_key", "outcome_key"))
        .join(sets.select("market_key", "market_id").unique(), on="market_key")
        .select(
            "row",
            *keys,
            "market_id",
            "ordinal",
            outcome=pl.lit(""),
            odds_milli=(pl.col("odds") * EVENS_MILLI).round().cast(pl.Int32),
            state=pl.when(can_be_backed)
            .then(pl.lit(MarketState.OFFERED.value))
            .when(pl.col("odds").is_not_null())
            .then(pl.lit(MarketState.SUSPENDED.value))
            .otherwise(pl.lit(MarketState.NO_PRICE.value)),
        )
    )
    methods = [name for name in fair_prices.FAIR_SCHEMA if name.startswith("fair_")]
    fair = fair_prices.add_fair_probabilities(books, [*keys, "market_id"], sets.drop("market_key"))
    return rows.join(fair.select("row", *methods), on="row", how="left", maintain_order="left").drop("row")


def read_price_list(path: Path, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the prices of a CSV file (PRICE_LIST_SCHEMA).

    The first line has the names of the columns: REQUIRED_FIELDS and any of OPTIONAL_FIELDS. `taken_at` is an instant in
    ISO 8601 with its zone, or empty. `line` is the line of the file. Raises PriceListError.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse_rows(_read_csv(file, str(path)), str(path), "line", vocabulary)
    except OSError as error:
        raise PriceListError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PriceListError(f"{path} is not UTF-8 text: save it as CSV in UTF-8") from error


def check_price_list(prices: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Check a frame that has the columns of a CSV file of prices, and return it as PRICE_LIST_SCHEMA.

    `line` is the number of the row in `prices`, from 1. Raises PriceListError, which names the rows and fields that
    cannot be used.
    """
    _check_header(prices.columns, "the frame")
    rows = (
        (number, {name: _write_text(value) for name, value in row.items()})
        for number, row in enumerate(prices.iter_rows(named=True), 1)
    )
    return _parse_rows(rows, "the frame", "row", vocabulary)


def _read_csv(file: Iterable[str], source: str) -> Iterable[tuple[int, Mapping[str, str]]]:
    """Return the lines of a CSV file with their numbers; empty lines are left out."""
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, f"{source} line 1")
        line = reader.line_num + 1
        for row in reader:
            if len(row) > len(header) or 0 < len(row) < len(header):
                raise PriceListError(f"{source} line {line}: {len(row)} fields, but line 1 names {len(header)}")
            if row:
                yield line, {name: value.strip() for name, value in zip(header, row, strict=True)}
            line = reader.line_num + 1
    except csv.Error as error:
        raise PriceListError(f"{source} line {reader.line_num}: {error}") from error


def _check_header(names: Sequence[str], place: str) -> None:
    allowed = f"required are {', '.join(REQUIRED_FIELDS)}; allowed are {', '.join(OPTIONAL_FIELDS)}"
    for field, problem in (
        *((name, "is missing") for name in REQUIRED_FIELDS if name not in names),
        *(
            (name, "is not a column of a price list")
            for name in names
            if name not in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)
        ),
        *((name, "is there twice") for name in dict.fromkeys(names) if names.count(name) > 1),
    ):
        raise PriceListError(f"{place}, {field!r}: {problem}; {allowed}")


def _parse_rows(
    rows: Iterable[tuple[int, Mapping[str, str]]], source: str, unit: str, vocabulary: Vocabulary
) -> pl.DataFrame:
    """Return the rows (number, text by field) as prices. Raises PriceListError with the first bad values."""
    line_kinds = dict(vocabulary.markets.select("market_key", "line_kind").iter_rows())
    market_keys = dict(vocabulary.markets.select("market_id", "market_key").iter_rows())
    outcome_keys: dict[str, list[str]] = {}
    for market_id, outcome_key in vocabulary.outcomes.select("market_id", "outcome_key").iter_rows():
        outcome_keys.setdefault(market_keys[market_id], []).append(outcome_key)
    parsed, errors = [], []
    for number, fields in rows:
        values: dict[str, Any] = {"line": number}
        for field in PRICE_LIST_SCHEMA:
            if field == "line":
                continue
            try:
                values[field] = _parse_field(field, fields, line_kinds, outcome_keys, vocabulary)
            except ValueError as error:
                errors.append(f"{source} {unit} {number}, {field}: {error}")
        parsed.append(values)
    if errors:
        n_unnamed = len(errors) - MAX_ERRORS
        rest = [f"and {n_unnamed} other bad values"] if n_unnamed > 0 else []
        raise PriceListError("\n".join(errors[:MAX_ERRORS] + rest))
    return pl.DataFrame(parsed, schema=PRICE_LIST_SCHEMA, orient="row")


def _parse_field(
    field: str,
    fields: Mapping[str, str],
    line_kinds: Mapping[str, str],
    outcome_keys: Mapping[str, Sequence[str]],
    vocabulary: Vocabulary,
) -> Any:
    """Return the value of a field of one price. Raises ValueError with the reason why it cannot be used."""
    text, market_key = fields.get(field, ""), fields["market_key"]
    match field:
        case "sr_id":
            if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 63):
                raise ValueError(f"{text!r} is not a SportRadar id, a whole number above 0")
            return int(text)
        case "odds":
            return _parse_odds(text)
        case "taken_at":
            return _parse_instant(text) if text else None
        case "market_key":
            if text not in line_kinds:
                raise ValueError(f"{text!r} is not a market_key: {suggest_markets(text, vocabulary)}")
        case "specifier" if market_key in line_kinds:
            if line_kinds[market_key] == "none" and text:
                raise ValueError(f"{text!r} is given, but {market_key} has no lines: leave it empty")
            if not text and not NUMBERED_KINDS.isdisjoint(line_kinds[market_key].split("+")):
                raise ValueError(f"it is empty, but {market_key} has lines: write its specifier, such as total=2.5")
        case "outcome_key" if market_key in line_kinds:
            keys = outcome_keys.get(market_key)
            if not text or (keys and text not in keys):
                hint = f"its outcomes are {', '.join(keys)}" if keys else "write the outcome's own name"
                raise ValueError(f"{text!r} is not an outcome of {market_key}: {hint}")
    return text


def _parse_odds(text: str) -> float:
    odds = float(text) if ODDS_PATTERN.fullmatch(text) else math.nan
    if not 1 < odds <= _MAX_ODDS:
        raise ValueError(f"{text!r} is not decimal odds, a number above 1 such as 2.15")
    return odds


def _parse_instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an instant; write it as 2026-06-26T19:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-06-26T19:00Z")
    return instant.astimezone(UTC)


def _write_text(value: object) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)
