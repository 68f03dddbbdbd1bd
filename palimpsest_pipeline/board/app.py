"""The board as a web application: its routes, and the start and end of its listener."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import psycopg
from psycopg.sql import Composed
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.marts import board_reader

from .connections import ReadOnlyConnections
from .downloads import MEDIA_TYPES, FileFormat, build_sql_text, write_file
from .fixture_prices import build_history, build_listing_cells, build_markets, build_past_markets
from .live_tables import LiveTables
from .news_feed import NewsFeed, wait_for_notifications
from .page_files import build_assets, read_template
from .price_grid import FixtureRow, ListingRow, PlatformColumn, select_fixtures
from .security import (
    COOKIE_NAME,
    EMBEDDED_PAGE_POLICY,
    LOGIN_PATH,
    TABLE_PATH,
    TARGET_PARAMETER,
    Protection,
    build_cookie_value,
    choose_local_target,
    is_loopback,
    is_same_secret,
)
from .table_query import BadParameter, parse_fixture_id, parse_table_query

log = logging.getLogger(__name__)

MAX_LOGIN_BYTES: Final = 4096
LOGIN_PAUSE_S: Final = 0.5
"""Seconds before a wrong token is refused.

This slows a client that waits for each answer. Parallel requests are not slowed: the length of the token protects
against these.
"""
BROWSER_RETRY_MS: Final = 2000
ICON_NAME: Final = "icon.svg"
ICON_CACHING: Final = "private, max-age=86400"
"""Browsers ask for the icon at each change of the address, which every filter makes."""


@dataclass(frozen=True)
class BoardConfig:
    """The configuration of the board.

    `columns` are the platforms, home first; `main_markets` are keys of markets.
    """

    database_url: str = field(repr=False)
    columns: Sequence[PlatformColumn]
    main_markets: Sequence[str]
    sport: str
    max_skew_s: float
    coverage_page: Path
    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)


class Board:
    """The handlers of requests, and the state that they share."""

    def __init__(self, config: BoardConfig) -> None:
        self.config = config
        self.connections = ReadOnlyConnections(config.database_url)
        self.feed = NewsFeed()
        self.tables = LiveTables(
            self.connections, self.feed, config.columns, config.main_markets, config.max_skew_s, config.sport
        )
        self._is_ending = threading.Event()
        self._assets = build_assets()

    # --- pages ------------------------------------------------------------------------------------------------------

    async def show_table(self, request: Request) -> Response:
        """Return the page of the table.

        Its parameters are checked here, so that a bad link is answered with the reason.
        """
        query = parse_table_query(dict(request.query_params), self.tables.default_market)
        await self.tables.require_market(query.market, is_for_table=True)
        return _html("board.html")

    async def show_fixture(self, request: Request) -> Response:
        """Return the page of a fixture."""
        parse_fixture_id(request.path_params["sr_id"])
        if unknown := sorted(request.query_params.keys() - {"market", "line"}):
            raise BadParameter(unknown[0][:40], "there is no such parameter; there are market, line")
        if market := request.query_params.get("market"):
            await self.tables.require_market(market, is_for_table=False)
        return _html("fixture.html")

    async def show_coverage(self, _: Request) -> Response:
        """Return the page of the tab "Coverage", which shows the coverage page in a frame."""
        return _html("coverage.html" if self.config.coverage_page.exists() else "no_coverage.html")

    async def send_coverage(self, _: Request) -> Response:
        """Return the coverage page that the pipeline wrote last."""
        if not self.config.coverage_page.exists():
            return PlainTextResponse("The coverage page has not been written yet.\n", 404)
        return FileResponse(
            self.config.coverage_page, media_type="text/html", headers={"content-security-policy": EMBEDDED_PAGE_POLICY}
        )

    async def send_asset(self, request: Request) -> Response:
        """Return a script or a style."""
        name = request.path_params["name"]
        asset = self._assets.get(name)
        if asset is None:
            return PlainTextResponse("There is no such file.\n", 404)
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers={"etag": asset.etag})
        return Response(
            asset.content,
            media_type=asset.media_type,
            headers={"etag": asset.etag, "cache-control": ICON_CACHING if name == ICON_NAME else "no-cache"},
        )

    async def login(self, request: Request) -> Response:
        """Show the form for the token, or check it and go to the page that was requested first."""
        target = choose_local_target(request.query_params.get(TARGET_PARAMETER, ""))
        if self.config.token is None:
            return RedirectResponse(target, 303)
        if request.method == "GET":
            return _html("login.html")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_LOGIN_BYTES:
                return PlainTextResponse("The form is too large.\n", 413)
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if not is_same_secret(token.strip(), self.config.token):
            await asyncio.sleep(LOGIN_PAUSE_S)
            return _html("login_failed.html", 403)
        response = RedirectResponse(target, 303)
        # A proxy that ends TLS names the browser's scheme. A false header makes only its sender's own cookie secure.
        schemes = (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
        response.set_cookie(
            COOKIE_NAME, build_cookie_value(self.config.token), httponly=True, samesite="strict", max_age=30 * 86400,
            secure="https" in schemes,
        )  # fmt: skip
        return response

    # --- data -------------------------------------------------------------------------------------------------------

    async def send_choices(self, _: Request) -> Response:
        """Return the choices that the filters offer."""
        return _json(await self.tables.read_choices())

    async def send_table(self, request: Request) -> Response:
        """Return a page of the table."""
        query = parse_table_query(dict(request.query_params), self.tables.default_market)
        view = await self.tables.read_view(query)
        return _json(self.tables.build_answer(view, query))

    async def send_file(self, request: Request) -> Response:
        """Return the whole selected table as a file."""
        query = parse_table_query(dict(request.query_params), self.tables.default_market)
        view = await self.tables.read_view(query)
        file_format = FileFormat(request.path_params["suffix"])
        selected = select_fixtures(view.book, view.grid, query, time.time())
        platforms = [column.key for column in self.config.columns]
        market, line = view.grid.market.key, view.grid.line
        rows = board_reader.build_table_query(platforms, market, line, selected, self.tables.max_skew_s)
        return await self._build_file_answer(rows, file_format, "prices", market, line)

    async def send_markets_file(self, request: Request) -> Response:
        """Return all markets of a fixture as a file."""
        sr_id = parse_fixture_id(request.path_params["sr_id"])
        platforms = [column.key for column in self.config.columns]
        rows = board_reader.build_markets_query(platforms, sr_id, list(await self.tables.read_markets()))
        return await self._build_file_answer(rows, FileFormat(request.path_params["suffix"]), "markets", str(sr_id))

    async def send_history_file(self, request: Request) -> Response:
        """Return the price history of a line of a fixture as a file."""
        sr_id, market, line = await self._parse_history(request)
        if await self.tables.run(board_reader.read_fixture_row, sr_id) is None:
            return _answer_unknown_fixture(sr_id)
        rows = board_reader.build_history_query(sr_id, market, line)
        file_format = FileFormat(request.path_params["suffix"])
        return await self._build_file_answer(rows, file_format, "history", str(sr_id), market, line)

    async def _build_file_answer(self, rows: Composed, file_format: FileFormat, *name_parts: str) -> Response:
        """Return the answer with the rows of a query as a file; the parts of its name are joined by hyphens."""
        if file_format is FileFormat.SQL:
            content = await self.tables.run(build_sql_text, rows)
        else:
            frame = await self.tables.run(read_frame, rows)
            content = await run_in_threadpool(write_file, frame, file_format)
        name = "-".join(part.replace("=", "") for part in name_parts if part)
        headers = {"content-disposition": f'attachment; filename="{_keep_plain(name)}.{file_format}"'}
        return Response(content, media_type=MEDIA_TYPES[file_format], headers=headers)

    async def send_fixture(self, request: Request) -> Response:
        """Return all markets of a fixture.

        When it has begun, there are no listings (`cells`), and the markets are those of its history, without prices.
        """
        sr_id = parse_fixture_id(request.path_params["sr_id"])
        markets = await self.tables.read_markets()

        columns, max_skew_s = self.config.columns, self.tables.max_skew_s
        now_s = time.time()

        def read(conn: psycopg.Connection) -> tuple[Any, ...]:
            row = board_reader.read_fixture_row(conn, sr_id)
            if row is None:
                return None, [], []
            if row[-1]:  # Nothing is known about the present offers of a fixture that has begun.
                return row, [], build_past_markets(markets, board_reader.read_past_lines(conn, sr_id), columns)
            listings = {
                platform: ListingRow(*values) for _, platform, *values in board_reader.read_listings(conn, [sr_id])
            }
            unseen = board_reader.read_unseen_platforms(conn)
            offers, ranks = board_reader.read_fixture_offers(conn, sr_id)
            return (
                row,
                build_listing_cells(columns, listings, unseen, max_skew_s, now_s),
                build_markets(markets, offers, ranks, columns),
            )

        token = self.feed.token
        row, cells, entries = await self.tables.run(read)
        if row is None:
            return _answer_unknown_fixture(sr_id)
        *values, has_begun = row
        fixture = FixtureRow.from_row(values)
        return _json(
            {
                "token": token,
                "now": now_s,
                "id": sr_id,
                "begun": has_begun,
                "kickoff": fixture.kickoff_s,
                "home": fixture.home_team,
                "away": fixture.away_team,
                "tournament": fixture.tournament,
                "country": fixture.country,
                "platforms": [{"key": column.key, "name": column.name} for column in columns],
                "cells": cells,
                "markets": entries,
            }
        )

    async def send_history(self, request: Request) -> Response:
        """Return the price history of a line of a fixture."""
        sr_id, market, line = await self._parse_history(request)
        if await self.tables.run(board_reader.read_fixture_row, sr_id) is None:
            return _answer_unknown_fixture(sr_id)
        changes, unseen, answers = await self.tables.run(board_reader.read_history, sr_id, market, line)
        return _json(build_history(changes, unseen, answers, self.config.columns))

    async def _parse_history(self, request: Request) -> tuple[int, str, str]:
        """Return fixture, market and line of a request for a history. Raises BadParameter."""
        sr_id = parse_fixture_id(request.path_params["sr_id"])
        market = request.query_params.get("market", self.tables.default_market)
        await self.tables.require_market(market, is_for_table=False)
        line = request.query_params.get("line", "")
        if "\0" in line:
            raise BadParameter("line", "it has a null character")
        return sr_id, market, line

    async def send_news(self, request: Request) -> Response:
        """Return the stream of news (server-sent events): the fixtures that were derived since a token."""
        token = request.headers.get("last-event-id") or request.query_params.get("since")

        async def stream() -> AsyncIterator[str]:
            yield f"retry: {BROWSER_RETRY_MS}\n\n"
            async for news in self.feed.stream(token):
                if news is None:
                    yield ": nothing new\n\n"
                    continue
                news_token, sr_ids = news
                data = json.dumps({"token": news_token, "fixtures": None if sr_ids is None else sorted(sr_ids)})
                yield f"id: {news_token}\nevent: derived\ndata: {data}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    # --- listener -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def run_listener(self, _: Starlette) -> AsyncIterator[None]:
        """Listen for derived fixtures inside the block, and read the first table, so that nobody waits for it."""
        loop = asyncio.get_running_loop()

        def mark_fixtures(sr_ids: set[int] | None) -> None:
            asyncio.run_coroutine_threadsafe(self.tables.mark(sr_ids), loop)

        thread = threading.Thread(
            target=wait_for_notifications, args=(self.connections, mark_fixtures, self._is_ending.is_set), daemon=True
        )
        thread.start()
        first_read = asyncio.create_task(self._read_first_table())
        try:
            yield
        finally:
            first_read.cancel()
            with suppress(asyncio.CancelledError):
                await first_read
            self._is_ending.set()
            await self.feed.close()
            await asyncio.to_thread(thread.join, 3.0)
            self.connections.close()

    async def _read_first_table(self) -> None:
        try:
            await self.tables.read_view(parse_table_query({}, self.tables.default_market))
        except (psycopg.Error, PalimpsestError) as error:
            log.warning("the first table could not be read: %s", error)


def build_board_app(config: BoardConfig, extra_routes: Sequence[BaseRoute] = ()) -> Protection:
    """Return the board's application (ASGI). `extra_routes` are added, with the same protection."""
    board = Board(config)
    routes: list[BaseRoute] = [
        Route(TABLE_PATH, board.show_table),
        Route("/fixture/{sr_id}", board.show_fixture),
        Route("/coverage", board.show_coverage),
        Route("/coverage/page", board.send_coverage),
        Route("/assets/{name}", board.send_asset),
        Route(LOGIN_PATH, board.login, methods=["GET", "POST"]),
        Route("/api/choices", board.send_choices),
        Route("/api/table", board.send_table),
        *(
            Route(f"{path}.{suffix}", _with_suffix(handler, suffix))
            for path, handler in (
                ("/table", board.send_file),
                ("/fixture/{sr_id}/markets", board.send_markets_file),
                ("/fixture/{sr_id}/history", board.send_history_file),
            )
            for suffix in FileFormat
        ),
        Route("/api/fixture/{sr_id}", board.send_fixture),
        Route("/api/fixture/{sr_id}/history", board.send_history),
        Route("/api/news", board.send_news),
        *extra_routes,
    ]
    app = Starlette(
        routes=routes,
        lifespan=board.run_listener,
        middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)],
        exception_handlers={
            BadParameter: _answer_bad_parameter,
            psycopg.Error: _answer_without_database,
            DatabaseUnreachable: _answer_without_database,
            ClientDisconnect: _answer_disconnected,
        },
    )
    # Starlette answers unexpected errors outside its middleware, so the protection is around the whole application.
    return Protection(app, token=config.token, is_open_to_hosts=not is_loopback(config.host))


def _with_suffix(handler: Callable[[Request], Any], suffix: str) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        request.scope["path_params"] = {**request.path_params, "suffix": suffix}
        response: Response = await handler(request)
        return response

    return handle


def _answer_unknown_fixture(sr_id: int) -> Response:
    return _json({"error": f"no fixture with SportRadar id {sr_id} is known", "field": "fixture"}, 404)


def _answer_bad_parameter(_: Request, error: Exception) -> Response:
    assert isinstance(error, BadParameter)
    return _json({"error": str(error), "field": error.field}, 400)


def _answer_without_database(_: Request, error: Exception) -> Response:
    # The text of the error may contain the address of the database.
    log.warning("a request failed: %s", str(error).strip().partition("\n")[0])
    return _json({"error": "the database does not answer now; the page tries again"}, 503)


def _answer_disconnected(_: Request, __: Exception) -> Response:
    return Response(status_code=400)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _html(template: str, status: int = 200) -> Response:
    return Response(read_template(template), status, media_type="text/html; charset=utf-8")


def _keep_plain(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in name)
