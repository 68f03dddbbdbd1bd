"""The tables that all open pages share, in memory.

A table is refreshed when a page requests it: only the fixtures that were derived since its last refresh are read from
the database.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from starlette.concurrency import run_in_threadpool

from palimpsest_pipeline.storage.marts import board_reader

from .connections import ReadOnlyConnections
from .news_feed import NewsFeed
from .price_grid import FixtureBook, PlatformColumn, PriceGrid, VocabularyMarket, build_row, select_fixtures
from .table_query import BadParameter, TableQuery

MAX_GRIDS: Final = 24
"""Tables kept in memory. One of 3,000 fixtures and 5 platforms takes about 20 MB."""
MAX_PART: Final = 700
"""Number of fixtures above which a whole table is read: that is faster than many look-ups."""
LINES_AGE_S: Final = 60.0
"""Seconds after which the lines of a market are read again."""
VOCABULARY_AGE_S: Final = 3600.0
"""Seconds after which the markets are read again."""
COMMON_LINES: Final = ("total=2.5", "hcp=-0.5", "hcp=0.5")
"""Lines that are shown first if they have nearly as many offers as the line with the most."""


@dataclass
class Stale:
    """The fixtures of a table that must be read again."""

    is_whole: bool = True
    sr_ids: set[int] = field(default_factory=set)

    def add(self, sr_ids: Collection[int] | None) -> None:
        """Mark fixtures, or all of them with None."""
        self.is_whole |= sr_ids is None
        self.sr_ids.update(sr_ids or ())

    def take(self) -> list[int] | None:
        """Return the marked fixtures, or None for all, and remove the marks."""
        only = None if self.is_whole or len(self.sr_ids) > MAX_PART else sorted(self.sr_ids)
        self.is_whole, self.sr_ids = False, set()
        return only

    @property
    def is_due(self) -> bool:
        return self.is_whole or bool(self.sr_ids)


@dataclass(frozen=True, slots=True)
class TableView:
    """A table as of one token. The answers to a page are built from it."""

    token: str
    book: FixtureBook
    grid: PriceGrid
    lines: list[str]


class LiveTables:
    """The current tables.

    `columns` are the platforms, home first; `main_markets` come first in the list of markets.
    """

    def __init__(
        self,
        connections: ReadOnlyConnections,
        feed: NewsFeed,
        columns: Sequence[PlatformColumn],
        main_markets: Sequence[str],
        max_skew_s: float,
        sport: str,
    ) -> None:
        self.connections, self.feed, self.columns = connections, feed, tuple(columns)
        self._main_markets, self._max_skew_s, self._sport = tuple(main_markets), max_skew_s, sport
        self._book, self._book_stale = FixtureBook(), Stale()
        self._grids: OrderedDict[tuple[str, str], tuple[PriceGrid, Stale]] = OrderedDict()
        self._markets: tuple[float, dict[str, VocabularyMarket]] | None = None
        self._lines: dict[str, tuple[float, list[str]]] = {}
        self._lock = asyncio.Lock()

    @property
    def home(self) -> str:
        return self.columns[0].key

    @property
    def max_skew_s(self) -> float:
        return self._max_skew_s

    @property
    def default_market(self) -> str:
        return self._main_markets[0]

    async def mark(self, sr_ids: Collection[int] | None) -> None:
        """Mark fixtures as derived (None: all), and publish the news to the pages."""
        self._book_stale.add(sr_ids)
        for _, stale in self._grids.values():
            stale.add(sr_ids)
        await self.feed.publish(sr_ids)

    async def read_markets(self) -> dict[str, VocabularyMarket]:
        """Return the markets by key, the main ones first."""
        if self._markets is None or time.monotonic() - self._markets[0] > VOCABULARY_AGE_S:
            rows = await self.run(board_reader.read_markets)
            markets = {
                key: VocabularyMarket(key, name, sport, tuple(keys), tuple(names))
                for key, name, sport, keys, names in rows
            }
            order = sorted(markets, key=lambda key: (self._rank_market(key), markets[key].name, key))
            self._markets = time.monotonic(), {key: markets[key] for key in order}
        return self._markets[1]

    async def require_market(self, key: str, *, is_for_table: bool) -> VocabularyMarket:
        """Return a market.

        Raises BadParameter when it does not exist, or when the table needs fixed outcomes and it has none.
        """
        market = (await self.read_markets()).get(key)
        if market is None:
            raise BadParameter("market", f"there is no market {key[:40]!r}")
        if is_for_table and not market.outcome_keys:
            raise BadParameter(
                "market",
                f"{key!r} has no fixed outcomes (it is about players), so the table cannot show it; "
                "the page of a fixture does",
            )
        return market

    def _rank_market(self, key: str) -> int:
        return self._main_markets.index(key) if key in self._main_markets else len(self._main_markets)

    async def read_choices(self) -> dict[str, Any]:
        """Return the choices of the page's filters: markets, platforms, countries and tournaments."""
        markets = await self.read_markets()
        async with self._lock:
            await self._refresh_book()
            fixtures = self._book.list_upcoming(time.time())
        tournaments = sorted({(f.tournament, f.country or "", f.tournament_key) for f in fixtures})
        return {
            "markets": [
                {"key": market.key, "name": market.name}
                for market in markets.values()
                if market.sport == self._sport and market.outcome_keys
            ],
            "main": [key for key in self._main_markets if key in markets],
            "platforms": [{"key": column.key, "name": column.name} for column in self.columns],
            "countries": sorted({f.country for f in fixtures if f.country is not None}),
            "tournaments": [
                {"key": key, "name": name, "country": country or None} for name, country, key in tournaments if key
            ],
        }

    async def read_view(self, query: TableQuery) -> TableView:
        """Return the query's table, refreshed. Raises BadParameter for a market that the table cannot show."""
        market = await self.require_market(query.market, is_for_table=True)
        lines = await self._read_lines(market)
        line = query.line if query.line is not None else (lines[0] if lines else "")
        async with self._lock:
            token = self.feed.token
            await self._refresh_book()
            grid = await self._refresh_grid(market, line)
        return TableView(token, self._book, grid, sorted(lines, key=_order_line))

    async def _read_lines(self, market: VocabularyMarket) -> list[str]:
        """Return the lines that any platform has.

        COMMON_LINES with many offers come first, then the others by number of offers. Of lines with as many offers, the
        one that is compared more often comes first.
        """
        cached = self._lines.get(market.key)
        if cached is None or time.monotonic() - cached[0] > LINES_AGE_S:
            rows = await self.run(board_reader.read_lines, market.key)
            max_offers = max((n_offers for _, n_offers, _ in rows), default=0)
            order = sorted(
                (line not in COMMON_LINES or n_offers < 0.9 * max_offers, -n_offers, -n_compared, line)
                for line, n_offers, n_compared in rows
            )
            cached = self._lines[market.key] = (time.monotonic(), [line for *_, line in order])
        return cached[1]

    async def _refresh_book(self) -> None:
        if not self._book_stale.is_due:
            return
        only = self._book_stale.take()
        try:
            fixtures, listings, unseen = await self.run(_read_book, only)
        except BaseException:
            self._book_stale.add(only)
            raise
        self._book.replace(fixtures, listings, only)
        self._book.unseen_platforms = unseen

    async def _refresh_grid(self, market: VocabularyMarket, line: str) -> PriceGrid:
        key = (market.key, line)
        grid, stale = self._grids.get(key) or (PriceGrid(market, line, self.home), Stale())
        if stale.is_due:
            only = stale.take()
            try:
                rows = await self.run(board_reader.read_market_rows, market.key, line, only)
            except BaseException:
                stale.add(only)
                raise
            grid.replace(rows, only)
        self._grids[key] = (grid, stale)
        self._grids.move_to_end(key)
        while len(self._grids) > MAX_GRIDS:
            self._grids.popitem(last=False)
        return grid

    async def run(self, read: Callable[..., Any], *values: Any) -> Any:
        """Return `read(conn, *values)`, called in a thread with a read-only session."""

        def call() -> Any:
            with self.connections.snapshot() as conn:
                return read(conn, *values)

        return await run_in_threadpool(call)

    def build_answer(self, view: TableView, query: TableQuery) -> dict[str, Any]:
        """Return a page of the table for JSON.

        `ids` are the fixtures of the page, in their order. `rows` has their rows. With `query.fixtures` it has the rows
        of these fixtures instead, as far as the query selects them, on whatever page they are.
        """
        now_s = time.time()
        selected = select_fixtures(view.book, view.grid, query, now_s)
        page = selected[query.offset : query.offset + query.limit]
        shown_ids = page if query.fixtures is None else [sr_id for sr_id in selected if sr_id in query.fixtures]
        market = view.grid.market
        return {
            "token": view.token,
            "now": now_s,
            "asOf": view.book.find_as_of(now_s),
            "market": {"key": market.key, "name": market.name, "outcomes": market.outcomes},
            "line": view.grid.line,
            "lines": view.lines,
            "total": len(selected),
            "all": len(view.book.list_upcoming(now_s)),
            "offset": query.offset,
            "ids": page,
            "rows": [
                build_row(view.book, view.grid, self.columns, sr_id, max_skew_s=self._max_skew_s, now_s=now_s)
                for sr_id in shown_ids
            ],
        }


def _read_book(conn: psycopg.Connection, only: Sequence[int] | None) -> tuple[list[Any], list[Any], set[str]]:
    return (
        board_reader.read_fixtures(conn, only),
        board_reader.read_listings(conn, only),
        board_reader.read_unseen_platforms(conn),
    )


def _order_line(line: str) -> tuple[str, float, str]:
    name, _, value = line.partition("=")
    try:
        return (name, float(value), line)
    except ValueError:
        return (name, 0.0, line)
