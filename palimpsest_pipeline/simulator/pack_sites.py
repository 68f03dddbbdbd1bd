"""The simulated sites of platforms whose packs render their own answers.

The renderings are in each pack's `simulator.py`; sites with routes of their own are in `app`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.platforms.registry import import_class

from .book import BookGenerator
from .route import Endpoint, Handler, SimulatorControls
from .simulated_platforms import PLATFORMS, RENDERED_SOURCE
from .timeline import Timeline
from .world import SimulatedListing

ENDPOINT_KINDS: Final = ("tree", "listing", "detail")


def find_world_platform(platform: Platform) -> Platform | None:
    """Return the one of `PLATFORMS` with the dialect of this platform, or None. Raises PackError."""
    dialect = load_packs().require(platform).pack.content.dialect
    return next(
        (
            world_platform
            for world_platform in PLATFORMS
            if load_packs().require(world_platform).pack.content.dialect == dialect
        ),
        None,
    )


class SiteRenderer(Protocol):
    """The renderer of a platform's answers.

    Its class takes the timeline, the books, and a platform of the world, the source. It shows the source's matches, and
    those of the source's lines that the site also sells.
    """

    endpoints: Mapping[str, str]
    """Kind of request (tree, detail) by a pattern of its path and query; any other request is for a list."""

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return the matches that the platform lists now."""
        ...

    def answer(self, path: str, params: Mapping[str, str], now: datetime) -> tuple[int, Any]:
        """Return the status and the JSON of a request; None as JSON for an empty body."""
        ...


def build_renderer(platform: Platform, timeline: Timeline, books: BookGenerator) -> SiteRenderer:
    """Return the renderer of a platform's pack. Raises PackError when the pack has none."""
    renderer: SiteRenderer = import_class(load_packs().require(platform), "simulator")(timeline, books, RENDERED_SOURCE)
    return renderer


class SiteRoute:
    """The ASGI application of a platform's whole site."""

    def __init__(self, platform: Platform, renderer: SiteRenderer, handler: Handler, board: SimulatorControls) -> None:
        self._patterns = [(re.compile(pattern), kind) for pattern, kind in renderer.endpoints.items()]
        self._endpoints = {
            kind: Endpoint(platform, kind, handler, board, has_id_param=False) for kind in ENDPOINT_KINDS
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        url = Request(scope).url
        text = f"{url.path}?{url.query}"
        kind = next((kind for pattern, kind in self._patterns if pattern.search(text)), "listing")
        await self._endpoints[kind](scope, receive, send)
