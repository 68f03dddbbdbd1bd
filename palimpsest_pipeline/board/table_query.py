"""The parameters of the board's table, as a URL gives them. Pure: text in, values out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from palimpsest_pipeline.domain.errors import PalimpsestError

MAX_TEXT: Final = 200
_MAX_ROWS: Final = 500
MAX_IDS: Final = 10_000
"""Largest `limit` when `fixtures` chooses the rows: it then limits only the ids of an answer."""
PAGE_ROWS: Final = 60
"""Rows of one answer when the URL gives no number."""
NO_COUNTRY: Final = "-"
"""Value of the parameter `country` for fixtures of which no platform gives a country."""
MAX_DIGITS: Final = 15
INSTANT_PATTERN: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|\+00:00)?")


class BadParameter(PalimpsestError, ValueError):
    """The error for a parameter of a URL that cannot be used. `field` is its name."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class HomeFilter(StrEnum):
    """The condition that home must meet."""

    BEST = "best"
    """Home alone has the best price of an outcome."""
    WORST = "worst"
    """Every comparable competitor has a better price of an outcome."""
    LACKS = "lacks"
    """Home does not list the fixture."""
    UNOFFERED = "unoffered"
    """A competitor offers the market, and home does not."""


class SortOrder(StrEnum):
    """The order of the fixtures."""

    KICKOFF = "kickoff"
    TOURNAMENT = "tournament"
    OFF = "off"
    """Largest difference between home and the median of the competitors first."""
    MARGIN = "margin"
    """Highest margin of home first."""
    CHANGE = "moved"
    """Latest change of a price first."""


class MoveWindow(StrEnum):
    """The time over which arrows show moves of prices."""

    CYCLE = "cycle"
    """Since the answer before the last one."""
    QUARTER = "15"
    """The last 15 minutes."""
    HOUR = "60"
    """The last 60 minutes."""


@dataclass(frozen=True, slots=True)
class TableQuery:
    """The selection and order of the fixtures in the table. None means no restriction."""

    market: str
    line: str | None = None
    within_minutes: int | None = None
    kickoff_from: datetime | None = None
    kickoff_until: datetime | None = None
    country: str | None = None
    tournament: str | None = None
    home: HomeFilter | None = None
    off_percent: float | None = None
    move_window: MoveWindow | None = None
    """Only fixtures with a price that moved within this time."""
    search: str = ""
    sort: SortOrder = SortOrder.KICKOFF
    offset: int = 0
    limit: int = PAGE_ROWS
    """Number of fixtures of a page, which are those at the positions from `offset` on."""
    fixtures: frozenset[int] | None = None
    """Ids of the fixtures whose rows are returned, on any page; None returns the rows of the page."""


def parse_table_query(values: Mapping[str, str], default_market: str) -> TableQuery:
    """Return the query that the parameters of a URL give. Raises BadParameter.

    The parameter `arrows`, which only the page uses, is checked and left out. An empty value counts as a missing one;
    only an empty `line` means the market without a line.
    """
    present = {name: value for name, value in values.items() if value != "" or name == "line"}
    if unknown := sorted(present.keys() - PARSERS.keys()):
        raise BadParameter(_shorten(unknown[0]), f"there is no such filter; there are {', '.join(PARSERS)}")
    parsed: dict[str, Any] = {}
    for name, value in present.items():
        field_name, parse = PARSERS[name]
        try:
            if "\0" in value or (len(value) > MAX_TEXT and name != "fixtures"):
                raise ValueError(f"use at most {MAX_TEXT} characters, and no null character")
            parsed[field_name] = parse(value)
        except ValueError as error:
            raise BadParameter(name, str(error)) from None
    parsed.pop("", None)
    query = TableQuery(**{"market": default_market, **parsed})
    if query.kickoff_from and query.kickoff_until and query.kickoff_until < query.kickoff_from:
        raise BadParameter("until", "it is before `from`")
    if query.fixtures is None and query.limit > _MAX_ROWS:
        raise BadParameter("limit", f"'{query.limit}' is not a whole number from 1 to {_MAX_ROWS}")
    return query


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _parse_integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and low <= int(text) <= high):
            raise ValueError(f"{_shorten(text)!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _parse_percent(text: str) -> float:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?", text, re.ASCII):
        raise ValueError(f"{_shorten(text)!r} is not a percentage, such as 5 or 2.5")
    return float(text)


def _parse_instant(text: str) -> datetime:
    if not INSTANT_PATTERN.fullmatch(text):
        raise ValueError(f"{_shorten(text)!r} is not an instant in UTC, such as 2026-11-24T18:00")
    try:
        return datetime.fromisoformat(text.removesuffix("Z").removesuffix("+00:00") + "+00:00")
    except ValueError:
        raise ValueError(f"{_shorten(text)!r} is not an instant in UTC, such as 2026-11-24T18:00") from None


def _parse_choice(choices: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(text: str) -> StrEnum:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"{_shorten(text)!r} is not one of {', '.join(choices)}") from None

    return parse


def _parse_fixtures(text: str) -> frozenset[int]:
    ids = text.split(",")
    if len(ids) > _MAX_ROWS or not all(
        sr_id.isascii() and sr_id.isdigit() and len(sr_id) <= MAX_DIGITS for sr_id in ids
    ):
        raise ValueError(f"write at most {_MAX_ROWS} SportRadar ids, separated by commas")
    return frozenset(map(int, ids))


PARSERS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "market": ("market", str),
    "line": ("line", str),
    "within": ("within_minutes", _parse_integer(1, 60 * 24 * 60)),
    "from": ("kickoff_from", _parse_instant),
    "until": ("kickoff_until", _parse_instant),
    "country": ("country", str),
    "tournament": ("tournament", str),
    "home": ("home", _parse_choice(HomeFilter)),
    "off": ("off_percent", _parse_percent),
    "moved": ("move_window", _parse_choice(MoveWindow)),
    "search": ("search", str),
    "sort": ("sort", _parse_choice(SortOrder)),
    "arrows": ("", _parse_choice(MoveWindow)),
    "offset": ("offset", _parse_integer(0, 1_000_000)),
    "limit": ("limit", _parse_integer(1, MAX_IDS)),
    "fixtures": ("fixtures", _parse_fixtures),
}
"""Parameter of the URL: the field of TableQuery (empty: none) and the function that parses its value."""


def parse_fixture_id(text: str) -> int:
    """Return the SportRadar id in a path. Raises BadParameter."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise BadParameter("fixture", f"{_shorten(text)!r} is not a SportRadar id")
    return int(text)
