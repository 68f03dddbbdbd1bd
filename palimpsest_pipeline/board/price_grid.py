"""The board's table in memory: fixtures, listings, and the offers of one line of a market.

Pure: rows of `storage.marts.board_reader` in, fixtures and values for JSON out. Ranks and margins are those of the
marts. Instants are seconds since 1970; prices are decimal odds x 1000.
"""

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from statistics import median
from typing import Any, Final

from palimpsest_pipeline.storage.marts.board_reader import MarketRows

from .table_query import NO_COUNTRY, HomeFilter, MoveWindow, SortOrder, TableQuery

Prices = tuple[int | None, ...]
WINDOW_S: Final = {MoveWindow.QUARTER: 15 * 60.0, MoveWindow.HOUR: 60 * 60.0}
KICKOFF_ORDER: Final = attrgetter("kickoff_s", "sr_id")
LETTERS_ALIKE: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
"""Letters that Unicode does not split into a letter and an accent, with their plain forms."""


@dataclass(frozen=True, slots=True)
class PlatformColumn:
    """A platform as a column of the table.

    `event_url` is the address of the platform's page of an event, with `{external_id}` in place of the event's id; None
    when its form is not known.
    """

    key: str
    name: str
    event_url: str | None = None

    def build_link(self, external_id: str | None) -> str | None:
        """Return the address of an event's page; None when it is not known, or the id has unusual characters."""
        if self.event_url is None or not external_id or not external_id.replace("-", "").replace(":", "").isalnum():
            return None
        return self.event_url.replace("{external_id}", external_id)


@dataclass(frozen=True, slots=True)
class VocabularyMarket:
    """A market of the vocabulary. `outcome_keys` is empty when its outcomes are open, such as players."""

    key: str
    name: str
    sport: str
    outcome_keys: tuple[str, ...]
    outcomes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FixtureRow:
    """A fixture that has not begun."""

    sr_id: int
    kickoff_s: int
    home_team: str
    away_team: str
    tournament_key: str
    tournament: str
    country: str | None
    search_text: str

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> "FixtureRow":
        """Return the fixture of a row with the columns of `board_reader.FIXTURES_SQL`."""
        sr_id, kickoff_s, home_team, away_team, key, tournament, country = row
        search_text = fold(f"{home_team}\n{away_team}\n{tournament or ''}\n{country or ''}\n{sr_id}")
        return cls(sr_id, kickoff_s, home_team, away_team, key or "", tournament or "", country, search_text)


@dataclass(frozen=True, slots=True)
class ListingRow:
    """A platform's listing of a fixture, with the columns of `board_reader.LISTINGS_SQL`."""

    external_id: str | None
    answered_s: float | None
    dropped_s: float | None
    comparable: bool
    as_of_s: float


@dataclass(slots=True)
class Offer:
    """A platform's offer of the line: state, prices by outcome, and its earlier prices, oldest first."""

    state: str
    prices: Prices
    off_mask: int
    margin: float | None
    changed_s: float
    since_s: float
    history: list[tuple[float, Prices]] = field(default_factory=list)

    def is_active(self, place: int) -> bool:
        """Return whether the outcome at this position can be backed."""
        return (
            self.state == "offered"
            and place < len(self.prices)
            and self.prices[place] is not None
            and not self.off_mask >> place & 1
        )

    def find_prices_at(self, instant_s: float) -> Prices | None:
        """Return the prices in force at an instant, or the first ones if the history begins later.

        None without a history.
        """
        prices_in_force = self.history[0][1] if self.history else None
        for observed_s, prices in self.history:
            if observed_s > instant_s:
                break
            prices_in_force = prices
        return prices_in_force


@dataclass(frozen=True, slots=True)
class HomeRank:
    """The rank of home's price of an outcome, as the mart has it."""

    is_best: bool
    rank: int | None
    n_comparable: int
    best_platform: str | None

    @property
    def is_worst(self) -> bool:
        return self.rank is not None and self.n_comparable > 0 and self.rank == self.n_comparable + 1

    @property
    def code(self) -> str:
        """One letter for the page: b when home alone is best, w when it is worst; otherwise empty."""
        return "b" if self.is_best else "w" if self.is_worst else ""


@dataclass
class FixtureBook:
    """Fixtures, their listings, and the platforms of which not all listings are known."""

    fixtures: dict[int, FixtureRow] = field(default_factory=dict)
    listings: dict[int, dict[str, ListingRow]] = field(default_factory=dict)
    unseen_platforms: set[str] = field(default_factory=set)

    def replace(
        self, fixtures: Iterable[Sequence[Any]], listings: Iterable[Sequence[Any]], only: Collection[int] | None = None
    ) -> None:
        """Replace the fixtures `only`, or all; a fixture without a row is removed."""
        if only is None:
            self.fixtures, self.listings = {}, {}
        for sr_id in only or ():
            self.fixtures.pop(sr_id, None)
            self.listings.pop(sr_id, None)
        self.fixtures |= {row[0]: FixtureRow.from_row(row) for row in fixtures}
        for sr_id, platform, *values in listings:
            self.listings.setdefault(sr_id, {})[platform] = ListingRow(*values)

    def list_upcoming(self, now_s: float) -> list[FixtureRow]:
        """Return the fixtures that have not begun.

        A fixture that has begun stays in the book until it is derived.
        """
        return [row for row in self.fixtures.values() if row.kickoff_s > now_s]

    def find_as_of(self, now_s: float) -> float | None:
        """Return the time of the latest answer about any fixture that has not begun."""
        listings = (self.listings.get(row.sr_id, {}).values() for row in self.list_upcoming(now_s))
        # All listings of a fixture have the same value.
        return max((next(iter(each)).as_of_s for each in listings if each), default=None)


@dataclass
class PriceGrid:
    """The offers of one line of a market, by fixture and platform."""

    market: VocabularyMarket
    line: str
    home: str
    offers: dict[int, dict[str, Offer]] = field(default_factory=dict)
    ranks: dict[int, dict[int, HomeRank]] = field(default_factory=dict)
    _differences: dict[int, float | None] = field(default_factory=dict)
    """Results of `compute_off`, until the fixture is replaced."""

    def replace(self, rows: MarketRows, only: Collection[int] | None = None) -> None:
        """Replace the offers of the fixtures `only`, or of all."""
        if only is None:
            self.offers, self.ranks, self._differences = {}, {}, {}
        for sr_id in only or ():
            self.offers.pop(sr_id, None)
            self.ranks.pop(sr_id, None)
            self._differences.pop(sr_id, None)
        places = {key: place for place, key in enumerate(self.market.outcome_keys)}
        for sr_id, platform, _, _, outcome, state, prices, off_mask, margin, changed_s, since_s in rows.offers:
            offers = self.offers.setdefault(sr_id, {})
            if outcome is None:
                offers[platform] = Offer(state, tuple(prices), off_mask, margin, changed_s, since_s)
            elif outcome in places:
                _add_outcome(
                    offers, platform, len(places), places[outcome], state, prices, off_mask, changed_s, since_s
                )
        for sr_id, outcome, is_best, rank, n_comparable, best_platform in rows.ranks:
            if outcome in places:
                self.ranks.setdefault(sr_id, {})[places[outcome]] = HomeRank(
                    bool(is_best), rank, n_comparable, best_platform
                )
        for sr_id, platform, outcome, observed_s, prices in rows.changes:
            offer = self.offers.get(sr_id, {}).get(platform)
            if offer is not None and outcome is None:
                offer.history.append((observed_s, tuple(prices)))

    def compute_off(self, sr_id: int, listings: dict[str, ListingRow]) -> float | None:
        """Return home's largest difference, over the outcomes, from the median of the comparable competitors.

        It is a ratio with a sign: 0.05 when home pays 5 % more. It is None when nothing can be compared.
        """
        if sr_id not in self._differences:
            self._differences[sr_id] = self._compute_off(sr_id, listings)
        return self._differences[sr_id]

    def _compute_off(self, sr_id: int, listings: dict[str, ListingRow]) -> float | None:
        offers = self.offers.get(sr_id, {})
        home_offer = offers.get(self.home)
        if home_offer is None:
            return None
        largest: float | None = None
        for place, price in enumerate(home_offer.prices):
            if not home_offer.is_active(place) or price is None:
                continue
            competitor_prices = [
                other
                for platform, offer in offers.items()
                if platform != self.home
                and offer.is_active(place)
                and (other := offer.prices[place]) is not None
                and (listing := listings.get(platform)) is not None
                and listing.comparable
            ]
            if competitor_prices:
                difference = price / median(competitor_prices) - 1
                largest = difference if largest is None or abs(difference) > abs(largest) else largest
        return largest


def _add_outcome(
    offers: dict[str, Offer],
    platform: str,
    n_outcomes: int,
    place: int,
    state: str,
    prices: Sequence[int | None],
    off_mask: int,
    changed_s: float,
    since_s: float,
) -> None:
    """Add a line with one outcome to the platform's offer, which has all outcomes of the market.

    Markets with more outcomes than a mask has bits are stored in such lines.
    """
    empty = Offer("no_price", (None,) * n_outcomes, 0, None, changed_s, since_s)
    offer = offers.setdefault(platform, empty)
    offer.prices = (*offer.prices[:place], prices[0] if prices else None, *offer.prices[place + 1 :])
    is_off = state == "suspended" or off_mask & 1
    offer.off_mask |= (1 << place) if is_off else 0
    order = ("withdrawn", "no_price", "suspended", "offered")
    offer.state = max(offer.state, state, key=order.index)
    offer.changed_s, offer.since_s = max(offer.changed_s, changed_s), min(offer.since_s, since_s)


def fold(text: str) -> str:
    """Return the form in which the search compares text: lower case, without accents."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.lower().translate(LETTERS_ALIKE)


def find_base(offer: Offer, listing: ListingRow | None, window: MoveWindow, now_s: float) -> Prices | None:
    """Return the prices at the beginning of a window, if the offer changed within it; otherwise None.

    For an offer that was first seen later, these are its first prices.
    """
    if window is MoveWindow.CYCLE:
        if listing is None or listing.answered_s is None or abs(offer.changed_s - listing.answered_s) > 1e-3:
            return None
        begin_s = offer.changed_s - 1e-3
    else:
        begin_s = now_s - WINDOW_S[window]
        if offer.changed_s <= begin_s:
            return None
    base = offer.find_prices_at(begin_s)
    return None if base is None or base == offer.prices else base


def select_fixtures(book: FixtureBook, grid: PriceGrid, query: TableQuery, now_s: float) -> list[int]:
    """Return all fixtures that a query selects, in its order; `offset` and `limit` are ignored."""
    search_words = fold(query.search).split()
    begin_s = query.kickoff_from.timestamp() if query.kickoff_from else 0
    end_s = query.kickoff_until.timestamp() if query.kickoff_until else float("inf")
    if query.within_minutes is not None:
        end_s = min(end_s, now_s + 60 * query.within_minutes)
    rows = [row for row in book.list_upcoming(now_s) if begin_s <= row.kickoff_s <= end_s]
    if query.country is not None:
        country = None if query.country == NO_COUNTRY else query.country
        rows = [row for row in rows if row.country == country]
    if query.tournament is not None:
        rows = [row for row in rows if row.tournament_key == query.tournament]
    for word in search_words:
        rows = [row for row in rows if word in row.search_text]
    if query.home is not None or query.off_percent is not None:
        rows = [row for row in rows if _passes_home(book, grid, query, row.sr_id)]
    if query.move_window is not None:
        rows = [row for row in rows if has_moved(book, grid, row.sr_id, query.move_window, now_s)]
    rows.sort(key=KICKOFF_ORDER)
    if query.sort is not SortOrder.KICKOFF:
        rows.sort(key=_build_sort_key(book, grid, query.sort))  # stable, so equal rows stay in the order of kickoff
    return [row.sr_id for row in rows]


def has_moved(book: FixtureBook, grid: PriceGrid, sr_id: int, window: MoveWindow, now_s: float) -> bool:
    """Return whether a price of a fixture changed within a window, on any platform."""
    listings = book.listings.get(sr_id, {})
    return any(
        find_base(offer, listings.get(platform), window, now_s) is not None
        for platform, offer in grid.offers.get(sr_id, {}).items()
    )


def _passes_home(book: FixtureBook, grid: PriceGrid, query: TableQuery, sr_id: int) -> bool:
    ranks = grid.ranks.get(sr_id, {})
    listings = book.listings.get(sr_id, {})
    if query.home is HomeFilter.BEST and not any(rank.is_best for rank in ranks.values()):
        return False
    if query.home is HomeFilter.WORST and not any(rank.is_worst for rank in ranks.values()):
        return False
    if query.home is HomeFilter.LACKS and (grid.home in listings and listings[grid.home].dropped_s is None):
        return False
    if query.home is HomeFilter.UNOFFERED and not _is_unoffered(grid, sr_id):
        return False
    if query.off_percent is not None:
        off = grid.compute_off(sr_id, listings)
        return off is not None and abs(off) * 100 > query.off_percent
    return True


def _is_unoffered(grid: PriceGrid, sr_id: int) -> bool:
    offers = grid.offers.get(sr_id, {})
    home_offer = offers.get(grid.home)
    return (home_offer is None or home_offer.state != "offered") and any(
        offer.state == "offered" for platform, offer in offers.items() if platform != grid.home
    )


def _build_sort_key(book: FixtureBook, grid: PriceGrid, order: SortOrder) -> Callable[[FixtureRow], Any]:
    def build_key(row: FixtureRow) -> Any:
        offers = grid.offers.get(row.sr_id, {})
        value: Any = 0
        if order is SortOrder.TOURNAMENT:
            value = (row.country is None, row.country or "", row.tournament, row.tournament_key)
        elif order is SortOrder.OFF:
            value = -abs(grid.compute_off(row.sr_id, book.listings.get(row.sr_id, {})) or 0.0)
        elif order is SortOrder.MARGIN:
            home_offer = offers.get(grid.home)
            value = -(home_offer.margin if home_offer is not None and home_offer.margin is not None else -1.0)
        elif order is SortOrder.CHANGE:
            value = -max((offer.changed_s for offer in offers.values()), default=0.0)
        return value

    return build_key


def build_row(
    book: FixtureBook,
    grid: PriceGrid,
    columns: Sequence[PlatformColumn],
    sr_id: int,
    *,
    max_skew_s: float,
    now_s: float,
) -> dict[str, Any]:
    """Return a fixture's row for JSON; `cells` has one value per column."""
    fixture, listings = book.fixtures[sr_id], book.listings.get(sr_id, {})
    offers, ranks = grid.offers.get(sr_id, {}), grid.ranks.get(sr_id, {})
    return {
        "id": sr_id,
        "kickoff": fixture.kickoff_s,
        "home": fixture.home_team,
        "away": fixture.away_team,
        "tournament": fixture.tournament,
        "country": fixture.country,
        "off": grid.compute_off(sr_id, listings),
        "ranks": [ranks[place].code if place in ranks else "" for place in range(len(grid.market.outcome_keys))],
        "best": [
            ranks[place].best_platform if place in ranks else None for place in range(len(grid.market.outcome_keys))
        ],
        "cells": [
            build_cell(
                column,
                listings.get(column.key),
                offers.get(column.key),
                is_unknown=column.key in book.unseen_platforms,
                max_skew_s=max_skew_s,
                now_s=now_s,
            )
            for column in columns
        ],
    }


def build_cell(
    column: PlatformColumn,
    listing: ListingRow | None,
    offer: Offer | None,
    *,
    is_unknown: bool,
    max_skew_s: float,
    now_s: float,
) -> dict[str, Any]:
    """Return the cell of a platform for JSON.

    `state` is the state of the offer, or no_market (listed without the market), dropped (no longer listed), not_listed,
    or unknown (the platform's listings or answers are not known). `unseen` is true when the platform's last answer is
    older than another platform's by more than `max_skew_s`: its prices may have changed. `moves` has, for each window
    in which prices changed, the prices at its beginning.
    """
    if listing is None:
        return {"state": "unknown" if is_unknown else "not_listed"}
    is_unseen = listing.dropped_s is None and (
        listing.answered_s is None or listing.as_of_s - listing.answered_s > max_skew_s
    )
    cell: dict[str, Any] = {
        "state": "no_market",
        "answered": listing.answered_s,
        "unseen": is_unseen,
        "link": column.build_link(listing.external_id),
    }
    if listing.dropped_s is not None:
        return cell | {"state": "dropped", "since": listing.dropped_s, "unseen": False}
    if offer is None:
        return cell | {"state": "unknown" if listing.answered_s is None else "no_market"}
    bases = {window.value: find_base(offer, listing, window, now_s) for window in MoveWindow}
    return cell | {
        "state": offer.state,
        "since": offer.since_s,
        "changed": offer.changed_s,
        "odds": offer.prices,
        "off": offer.off_mask,
        "margin": offer.margin,
        "moves": {window: base for window, base in bases.items() if base is not None},
    }
