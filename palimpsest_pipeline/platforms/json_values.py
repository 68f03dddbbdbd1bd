"""Readers of loosely typed JSON: numbers as text, lists as objects, instants, odds.

Each function accepts one kind of variation; all dialects share them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI
from palimpsest_pipeline.domain.text_limits import MAX_KEY_CHARS

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_RAW: Final = msgspec.Raw(b"")

BROKEN_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""A decoder's exceptions: broken JSON or another shape, text that is not UTF-8, endless nesting."""

_DECIMAL_PATTERN: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")
"""The notation of a price.

`Decimal` accepts more: exponents, underscores between digits, digits of other scripts.
"""
_PRICE_OR_NONE_PATTERN: Final = re.compile(rf"(?:{_DECIMAL_PATTERN.pattern})?|[-\u2010-\u2015]+")
"""A price, or one of the texts for no price: empty or dashes."""
_MAX_DIGITS: Final = 18
_MAX_MILLI: Final = 2**31 - 1
_MAX_COUNT: Final = 100_000
"""Maximum number of events that is believed; no sport has nearly so many.

Counts are summed in 32 bits, so a larger number counts as unknown.
"""
_ERROR_PATH_PATTERN: Final = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


class UnreadableError(Exception):
    """An unreadable entry: its place in the JSON, and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def decode(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw | bytes, path: str) -> T:
    """Return `raw` as the decoder's type.

    Raises UnreadableError with the place inside the whole document; `path` is the place of `raw` in it.
    """
    try:
        return decoder.decode(raw)
    except BROKEN_JSON as error:
        match = _ERROR_PATH_PATTERN.match(str(error))
        reason, inner = (match["reason"], match["path"] or "$") if match else (str(error), "$")
        raise UnreadableError(path + inner.removeprefix("$"), reason) from error


def read_text(value: Any) -> str | None:
    """Return the text of an id or a name that may come as a number.

    None for blank text and for any other type.
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def read_key_text(value: Any, path: str) -> str:
    """Return the text of an id that becomes a storage key.

    Raises UnreadableError when there is none, and when it is longer than a key can be.
    """
    text = read_text(value)
    if text is None:
        raise UnreadableError(path, "no id")
    if len(text) > MAX_KEY_CHARS:
        raise UnreadableError(
            path, f"an id of {len(text)} characters, {text[:20]!r}...: at most {MAX_KEY_CHARS} are read"
        )
    return text


def read_raw_text(value: Any) -> str | None:
    """Return the unchanged text of an id or a name inside a book.

    None for empty text and for anything but text and whole numbers.
    """
    return value or None if isinstance(value, str) else read_text(value)


def read_integer(value: Any) -> int | None:
    """Return a whole number that may come as text or as a float without fraction; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        digits = value.strip()
        sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
        if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
            return sign * int(digits)
    return None


def read_count(value: Any) -> int | None:
    """Return a whole number from 0 to `_MAX_COUNT`; None (unknown) for anything else."""
    number = read_integer(value)
    return number if number is not None and 0 <= number <= _MAX_COUNT else None


def read_positive_id(value: Any) -> int | None:
    """Return a numeric id above zero, from a number or digits; None for anything else."""
    number = read_integer(value)
    return number if number is not None and 0 < number < 10**_MAX_DIGITS else None


def parse_odds_milli(value: Any) -> int | None:
    """Return decimal odds x 1000, exact for text, half to even.

    None for anything that is not a price: 1.00 and less, null, blanks, dashes, any other text.
    """
    if isinstance(value, str):
        return _parse_milli_text(value)
    if isinstance(value, int | float) and 1 < value < _MAX_MILLI:
        return _drop_non_price(round(value * 1000))
    return None


def _parse_milli_text(value: str) -> int | None:
    if not _DECIMAL_PATTERN.fullmatch(written_price := value.strip()):
        return None
    number = Decimal(written_price)
    return (
        _drop_non_price(int(number.scaleb(3).to_integral_value(ROUND_HALF_EVEN))) if 1 < number < _MAX_MILLI else None
    )


def _drop_non_price(milli: int) -> int | None:
    return milli if EVENS_MILLI < milli <= _MAX_MILLI else None


class Memo(dict[K, V]):
    """A cache of a pure function over a few values that recur often: `memo[value]`.

    Forgets everything when it is full.
    """

    def __init__(self, make: Callable[[K], V], size: int) -> None:
        super().__init__()
        self._make, self._size = make, size

    def __missing__(self, key: K) -> V:
        if len(self) >= self._size:
            self.clear()
        value = self[key] = self._make(key)
        return value


RawOdds = str | float | None
"""A price as the platforms write it: text, a number, or none."""

OutcomeId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_CHARS)]
"""An outcome may be stored under its id, so the id is bounded like any key."""


def describe_outcome_damage(outcome: str | None) -> str:
    """Return the defect of an outcome's id, in words; '' for a usable id."""
    if outcome is None:
        return "no outcome id"
    return (
        f"an outcome id of {len(outcome)} characters: at most {MAX_KEY_CHARS} are read"
        if len(outcome) > MAX_KEY_CHARS
        else ""
    )


MILLI_BY_ODDS: Final[Memo[RawOdds, int | None]] = Memo(parse_odds_milli, 1 << 16)
"""`parse_odds_milli` with a cache: a book of thousands of prices has some hundreds of different ones."""


def read_odds(value: Any) -> RawOdds:
    """Return the value when its type can hold odds; None for anything else."""
    return value if isinstance(value, str | int | float) else None


def require_readable_odds(
    platform: Platform,
    path: str,
    odds: Sequence[RawOdds],
    milli: Sequence[int | None],
    damage: Sequence[tuple[str, str]] = (),
) -> None:
    """Raise PayloadRejected when a book has more unreadable prices than readable ones.

    Also raises it when a damaged book has no readable price. `milli` holds `MILLI_BY_ODDS` of each of `odds`; `damage`
    holds (path, reason) of the entries that were left out. Empty text, dashes and numbers up to 1 mean "no price" and
    count on neither side: a suspended book is readable.
    """
    n_none = milli.count(None)
    if not milli and damage:
        raise PayloadRejected(platform, path, f"nothing in the book can be read, e.g. {damage[0][0]}: {damage[0][1]}")
    n_read = len(milli) - n_none
    if n_none <= n_read:
        return
    unreadable = [
        written_price
        for written_price in odds
        if isinstance(written_price, str) and not _PRICE_OR_NONE_PATTERN.fullmatch(written_price.strip())
    ]
    if len(unreadable) > n_read:
        raise PayloadRejected(
            platform, path, f"{len(unreadable)} of {len(milli)} prices cannot be read, e.g. {unreadable[0][:20]!r}"
        )


def parse_iso_instant(value: Any, default_zone: Any = None) -> datetime | None:
    """Return an ISO instant in UTC; None if it is unreadable, or has no zone without a `default_zone`.

    Callers judge whether it is credible.
    """
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if instant.tzinfo is None:
        if default_zone is None:
            return None
        instant = instant.replace(tzinfo=default_zone)
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # the last hours of year 9999, west of Greenwich
        return None


def parse_epoch_ms(value: Any) -> datetime | None:
    """Return Unix milliseconds as an instant in UTC; None for no number or an impossible year.

    Callers judge whether it is credible.
    """
    number = read_integer(value)
    if number is None:
        return None
    try:
        return EPOCH + timedelta(milliseconds=number)
    except OverflowError:
        return None


def decode_items(
    decoder: msgspec.json.Decoder[T],
    raws: Sequence[msgspec.Raw] | None,
    path: str,
    damage: list[tuple[str, str]],
) -> list[T]:
    """Return the entries of a list; (path, reason) of each unreadable one goes to `damage`."""
    items = []
    for n, raw in enumerate(raws or ()):
        try:
            items.append(decoder.decode(raw))
        except BROKEN_JSON as error:
            damage.append((f"{path}[{n}]", str(error)))
    return items


def iterate_items(collection: Any) -> Iterator[tuple[str, Any]]:
    """Yield the pairs of an object, or (index, value) of a list; nothing for any other type.

    For collections whose type varies.
    """
    if isinstance(collection, dict):
        yield from collection.items()
    elif isinstance(collection, list):
        yield from ((str(index), value) for index, value in enumerate(collection))


def read_object(value: Any) -> dict[str, Any]:
    """Return `value` when it is an object, else an empty one: an optional part of another type is absent."""
    return value if isinstance(value, dict) else {}


def is_empty_json(raw: bytes) -> bool:
    """Return whether a JSON value is missing, null, false, or an empty object or list, blanks ignored."""
    return len(raw) < 64 and b"".join(raw.split()) in (b"", b"null", b"false", b"{}", b"[]")


_ESCAPED_NUL_PATTERN: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
r"""`\\u0000` with the pairs of backslashes before it, each of which is a backslash of the text."""


def read_json_body(answer: Answer) -> bytes:
    """Return the body for a decoder, with NUL characters as U+FFFD; empty without a body.

    Postgres refuses a whole COPY because of one NUL, and the normaliser uses NUL as a placeholder. Without the
    character one id might equal another, which would misplace prices. With U+FFFD a name stays recognisable, and an id
    is unmapped.
    """
    body = answer.body or b""
    return _ESCAPED_NUL_PATTERN.sub(rb"\1\\ufffd", body) if _has_nul(body) else body


def _has_nul(body: bytes) -> bool:
    """Return whether the body has an escaped NUL.

    It searches for backslashes, of which a body has few: several times as fast as a search for the whole escape.
    """
    position = body.find(b"\\")
    while position >= 0:
        if body.startswith(b"u0000", position + 1):
            return True
        position = body.find(b"\\", position + 2)
    return False


def require_body(platform: Platform, answer: Answer, verdict: tuple[Any, str] | None) -> bytes:
    """Return the body of a usable answer (`read_json_body`). Raises PayloadRejected for an unusable one.

    `verdict` is the result of the platform's `judge` for the answer: None when it is usable.
    """
    if verdict is not None:
        raise PayloadRejected(platform, "$", f"{verdict[0]}: {verdict[1]}")
    if answer.body is None:
        raise PayloadRejected(platform, "$", "no body")
    return read_json_body(answer)


_SIMULATED_PATTERN: Final = re.compile(
    r"\b(simulated reality|electronic leagues?|e-?soccer|e-?football|e-?basketball|e-?tennis"
    r"|esports?|virtuals?|zoom)\b",
    re.IGNORECASE,
)


def is_simulated(country: str | None, tournament: str, home: str, away: str) -> bool:
    """Return whether the names show a simulated or electronic match.

    Such matches imitate real clubs, including their ids.
    """
    if _SIMULATED_PATTERN.search(tournament) or (country and _SIMULATED_PATTERN.search(country)):
        return True
    return _ends_in_srl(tournament) or (_ends_in_srl(home) and _ends_in_srl(away))


def _ends_in_srl(name: str) -> bool:
    return name.strip().lower().endswith(" srl")
