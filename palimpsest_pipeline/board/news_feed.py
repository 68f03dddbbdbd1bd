"""News about derived fixtures: one listener on Postgres for all open pages.

Postgres notifies the listener when a derivation commits. Pages get the ids of the fixtures and a token; with the token
they can continue after a broken connection.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Final

import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.storage.marts.changed_fixtures import FIXTURES_CHANNEL, parse_payload

from .connections import ReadOnlyConnections

log = logging.getLogger(__name__)

MAX_KEPT_NEWS: Final = 500
SETTLE_S: Final = 0.15
"""Seconds over which notifications are collected. A derivation commits many groups."""
RETRY_S: Final = 2.0
LISTEN_S: Final = 1.0
"""Seconds after which the listener checks whether it must end."""
KEEP_ALIVE_S: Final = 15.0
"""Seconds without news after which a page gets an empty message.

It shows the page and the proxies that the connection is alive.
"""


@dataclass(frozen=True, slots=True)
class News:
    """Fixtures that were derived; None when any fixture may have been. `number` counts the news from 1."""

    number: int
    sr_ids: frozenset[int] | None


class NewsFeed:
    """The news since the start of the process, and the pages that wait for more. Use it in one event loop."""

    def __init__(self) -> None:
        self._boot = f"{time.time_ns():x}"
        self._recent_news: deque[News] = deque(maxlen=MAX_KEPT_NEWS)
        self._number = 0
        self._arrival = asyncio.Condition()
        self._is_closed = False

    @property
    def token(self) -> str:
        """The token of the latest news."""
        return f"{self._boot}.{self._number}"

    async def publish(self, sr_ids: Collection[int] | None) -> None:
        """Add news, and wake the pages that wait."""
        self._number += 1
        self._recent_news.append(News(self._number, None if sr_ids is None else frozenset(sr_ids)))
        async with self._arrival:
            self._arrival.notify_all()

    async def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        async with self._arrival:
            self._arrival.notify_all()

    def collect_since(self, token: str) -> frozenset[int] | None:
        """Return the fixtures derived since a token; None when any fixture may have been."""
        boot, _, number = token.partition(".")
        if boot != self._boot or not (number.isascii() and number.isdigit()):
            return None
        begin = int(number)
        news = [each for each in self._recent_news if each.number > begin]
        if len(news) != self._number - begin or any(each.sr_ids is None for each in news):
            return None
        return frozenset().union(*(each.sr_ids for each in news if each.sr_ids is not None))

    async def stream(self, token: str | None) -> AsyncIterator[tuple[str, frozenset[int] | None] | None]:
        """Yield (token, fixtures) for news after `token`, and None after KEEP_ALIVE_S without news."""
        last_token = self.token if token is None else token

        def is_due() -> bool:
            return self._is_closed or last_token != self.token

        while not self._is_closed:
            if last_token != self.token:
                sr_ids, last_token = self.collect_since(last_token), self.token
                if sr_ids is None or sr_ids:
                    yield last_token, sr_ids
                continue
            try:
                async with self._arrival:
                    await asyncio.wait_for(self._arrival.wait_for(is_due), KEEP_ALIVE_S)
            except TimeoutError:
                yield None


def wait_for_notifications(
    connections: ReadOnlyConnections, on_news: Callable[[set[int] | None], None], is_ending: Callable[[], bool]
) -> None:
    """Listen in this thread until `is_ending`, and call `on_news` with the ids of derived fixtures.

    After each connection to the database, the first one included, `on_news` is called with None: any fixture may have
    been derived before the listener was connected.
    """
    while not is_ending():
        try:
            with connections.open_session() as conn:
                conn.execute(f"listen {FIXTURES_CHANNEL}")
                on_news(None)
                while not is_ending():
                    sr_ids = _collect(conn)
                    if sr_ids is None or sr_ids:
                        on_news(sr_ids)
        except (psycopg.Error, PalimpsestError) as error:
            log.warning("the board waits for its database: %s", str(error).strip().partition("\n")[0])
            deadline = time.monotonic() + RETRY_S
            while not is_ending() and time.monotonic() < deadline:
                time.sleep(0.1)


def _collect(conn: psycopg.Connection) -> set[int] | None:
    """Return the ids of the next notifications; None for any fixture.

    The result is empty when there is no notification for LISTEN_S.
    """
    payloads = [notification.payload for notification in conn.notifies(timeout=LISTEN_S, stop_after=1)]
    if payloads:
        payloads += [notification.payload for notification in conn.notifies(timeout=SETTLE_S)]
    sr_ids: set[int] = set()
    for payload in payloads:
        ids = parse_payload(payload)
        if ids is None:
            return None
        sr_ids |= ids
    return sr_ids
