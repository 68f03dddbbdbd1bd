"""The web server: the routes of all platforms, each under its own prefix, and `/_sim` controls.

The packs render answers. This module reads requests, refuses the requests that the platforms refuse, counts, and caches
rendered details. Platforms with the dialect of one of the world's three platforms have routes here; the
others have theirs in `pack_sites`.
"""

import gzip
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.bet9ja.simulator import Bet9jaRenderer
from palimpsest_pipeline.platforms.betpawa.simulator import BetPawaRenderer, QueryError
from palimpsest_pipeline.platforms.sportybet.simulator import SportyBetRenderer, build_envelope, build_refusal
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .bodies import PackedDetails, pad_details
from .book import BookGenerator
from .damaged_answers import BOMB_MB, FAR_PAGE, build_bomb, remove_tournament
from .faults import Fault, FaultBoard
from .latency import Latency, LatencyTable
from .pack_sites import SiteRenderer, SiteRoute, build_renderer, find_world_platform
from .route import Endpoint, Handler, SimulatorControls, get_request_faults
from .script import apply_script
from .timeline import Timeline
from .truth import collect_book_truth, collect_truth
from .world import SimulatedListing, build_world

MAX_KEPT_DETAILS = 6000
MIN_GZIP_BYTES = 500
GZIP_LEVEL = 1
SPORTYBET_COUNTRIES = {"ng", "gh", "ke", "tz", "za", "cm", "zm"}
LISTS_MAX_AGE_S = 3
RENDERED_BODIES, REAL_BODIES = "rendered", "real"


def _accepts_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _make_json_response(
    request: Request, body: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    raw = msgspec.json.encode(body)
    if status == 200 and len(raw) >= MIN_GZIP_BYTES and _accepts_gzip(request):
        return _make_packed_response(request, gzip.compress(raw, GZIP_LEVEL, mtime=0), headers)
    return Response(raw, status, headers, media_type="application/json")


def _make_packed_response(request: Request, compressed: bytes, headers: dict[str, str] | None = None) -> Response:
    if not _accepts_gzip(request):
        return Response(gzip.decompress(compressed), 200, headers, media_type="application/json")
    return Response(
        compressed,
        200,
        {**(headers or {}), "content-encoding": "gzip", "vary": "accept-encoding"},
        media_type="application/json",
    )


class Simulator:
    """The simulated world with its routes. `clock_offset_s` shifts the world's current time, in seconds.

    `bodies` selects the details: `rendered` ones are built on request; `real` ones have the real platforms' size and
    are compressed before the start.
    """

    def __init__(
        self,
        seed: int,
        size: int,
        epoch: datetime,
        clock_offset_s: float = 0.0,
        *,
        betpawa_version: str = "v4",
        latency: Mapping[str, Latency] | None = None,
        bodies: str = RENDERED_BODIES,
        platforms: Sequence[Platform] = PLATFORMS,
    ) -> None:
        """Build the world and the sites. Raises PackError for a platform whose pack has no rendering."""
        self.clock_offset_s = clock_offset_s
        self.stopped_at: datetime | None = None
        self.betpawa_version = betpawa_version
        self.timeline = Timeline(build_world(seed, size, epoch))
        self.books = BookGenerator(self.timeline)
        self.betpawa = BetPawaRenderer(self.timeline, self.books, betpawa_version)
        self.sportybet = SportyBetRenderer(self.timeline, self.books)
        self.bet9ja = Bet9jaRenderer(self.timeline, self.books)
        self.world_platforms = {
            platform: world_platform
            for platform in platforms
            if (world_platform := find_world_platform(platform)) is not None
        }
        """Platform to the platform of the world that has the same dialect, and whose listings it shows."""
        self.renderers: dict[Platform, SiteRenderer] = {
            platform: build_renderer(platform, self.timeline, self.books)
            for platform in platforms
            if platform not in self.world_platforms
        }
        self.board = SimulatorControls(self.timeline, LatencyTable(seed, latency), FaultBoard(seed))
        self._details: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._listing_by_id = {
            (listing.platform, listing.external_id): listing
            for entries in self.timeline.world.listings.values()
            for listing in entries
        }
        self._listing_by_id |= {
            (listing.platform, listing.external_id): listing
            for listing in (*self.timeline.world.simulated_listings, *self.timeline.world.antepost_listings)
        }
        self._packed_bodies = self._build_real_bodies(seed) if bodies == REAL_BODIES else None

    def _build_real_bodies(self, seed: int) -> PackedDetails:
        """Return compressed details of all listings that are active now."""
        now = self.now()
        books = {platform: pad_details(platform, self._render_richest(platform, now), seed) for platform in PLATFORMS}
        packed_details = PackedDetails(seed, books)
        only_head: frozenset[str] = frozenset()
        for platform in PLATFORMS:
            for listing in [
                *self.timeline.list_upcoming(platform, now),
                *(self.timeline.list_simulated(now) if platform == SPORTYBET else ()),
            ]:
                packed_details.add_detail(
                    listing,
                    self.timeline.find_kickoff(listing.fixture, platform, now),
                    self._render_detail(listing, now, only_head),
                )
        return packed_details

    def _render_richest(self, platform: Platform, now: datetime, n: int = 4) -> list[dict[str, Any]]:
        """Return details of the listings with the largest books, the largest last."""
        listings = sorted(
            self.timeline.list_upcoming(platform, now), key=lambda candidate: (candidate.n_pairs, candidate.external_id)
        )
        return [self._render_detail(listing, now) for listing in listings[-n:]]

    def _render_detail(
        self, listing: SimulatedListing, now: datetime, only: frozenset[str] | None = None
    ) -> dict[str, Any]:
        """Return a detail without its JSON envelope; `only` limits it to these market ids."""
        if listing.platform == BETPAWA:
            return self.betpawa.render_event(listing, now, only)
        if listing.platform == SPORTYBET:
            return self.sportybet.render_event(listing, now, only)
        detail: dict[str, Any] = (
            self.bet9ja.render_event(listing, now)["D"] if only is None else self.bet9ja.render_header(listing, now)
        )
        return detail

    def now(self) -> datetime:
        return self.stopped_at or datetime.now(UTC) + timedelta(seconds=self.clock_offset_s)

    def find_listing(self, platform: Platform, external_id: str) -> SimulatedListing | None:
        """Return the listing with this id, whether the platform lists it now or not; None for an unknown id."""
        listing = self._listing_by_id.get((platform, external_id))
        return listing or next(
            (
                added
                for _, added in self.timeline.added_listings
                if (added.platform, added.external_id) == (platform, external_id)
            ),
            None,
        )

    def _load_detail(self, listing: SimulatedListing, now: datetime, variant: str, render: Callable[[], Any]) -> bytes:
        """Return the compressed detail, from a cache or from `render`.

        It is cached as long as prices, suspensions and kickoff do not change.
        """
        kickoff = self.timeline.find_kickoff(listing.fixture, listing.platform, now)
        packed = (
            self._packed_bodies
            and kickoff > now
            and self._packed_bodies.find_body(listing.platform, listing.external_id, kickoff)
        )
        if packed:
            return packed
        steps = (
            self.timeline.find_price_step(listing, now),
            self.timeline.find_suspension_step(listing, now),
            self.timeline.count_planted_moves(listing, now),
            self.timeline.is_planted_suspended(listing, now),
        )
        key = (listing.platform, listing.external_id, variant, kickoff, kickoff <= now, *steps)
        body = self._details.pop(key, None)
        if body is None:
            body = gzip.compress(msgspec.json.encode(render()), GZIP_LEVEL, mtime=0)
        self._details[key] = body
        if len(self._details) > MAX_KEPT_DETAILS:
            self._details.popitem(last=False)
        return body

    def _is_missing(self, request: Request, page: int) -> bool:
        """Return whether an active failure makes this page of a list empty."""
        fault = get_request_faults(request).faults.get("page_missing")
        return (
            fault is not None
            and fault.page == page
            and get_request_faults(request).meet_fault("page_missing") is not None
        )

    def _remove_tournament(self, request: Request, platform: Platform, body: Any) -> Any:
        """Return a tree or a list without the tournament that an active failure removes."""
        fault = get_request_faults(request).meet_fault("tournament_gone")
        return (
            remove_tournament(platform, body, self._find_gone_tournament(fault.tournament, platform)) if fault else body
        )

    def _find_gone_tournament(self, tournament: str, platform: Platform) -> str:
        return tournament or self.timeline.world.listings[platform][0].group_id

    # BetPawa

    def _refuse_betpawa(self, request: Request) -> Response | None:
        if "x-pawa-brand" not in request.headers:
            return _make_json_response(
                request, {"error": "BAD_REQUEST", "serverMessage": "Header x-pawa-brand is required"}, 400
            )
        if not request.headers["x-pawa-brand"].startswith("betpawa-"):
            return HTMLResponse("<html><body>403 Forbidden</body></html>", 403)
        if request.path_params["version"] != self.betpawa_version:
            return _make_json_response(request, {"error": "NOT_FOUND"}, 404)
        return None

    @staticmethod
    def _build_betpawa_headers(max_age_s: int, age_s: int = 0) -> dict[str, str]:
        cached = {"age": str(age_s), "cf-cache-status": "HIT"} if age_s else {"cf-cache-status": "EXPIRED"}
        return {"cache-control": f"public, max-age={max_age_s}", "server": "cloudflare", **cached}

    async def betpawa_tree(self, request: Request) -> Response:
        refusal = self._refuse_betpawa(request)
        if refusal:
            return refusal
        body = self.betpawa.render_tree(self.now(), request.path_params["category"])
        return _make_json_response(
            request, self._remove_tournament(request, BETPAWA, body), headers=self._build_betpawa_headers(5)
        )

    async def betpawa_list(self, request: Request) -> Response:
        refusal = self._refuse_betpawa(request)
        if refusal:
            return refusal
        if self.betpawa_version == "v4" and "application/json" not in request.headers.get("accept", ""):
            return Response(bytes(range(128, 160)), media_type="application/x-protobuf;charset=UTF-8")
        try:
            queries = msgspec.json.decode(request.query_params.get("q", ""))
            body = self.betpawa.render_query_lists(self._replace_missing_pages(request, queries), self.now())
        except (msgspec.DecodeError, QueryError) as error:
            return _make_json_response(request, {"error": "BAD_REQUEST", "serverMessage": str(error)}, 400)
        return _make_json_response(
            request,
            self._remove_tournament(request, BETPAWA, body),
            headers=self._build_betpawa_headers(LISTS_MAX_AGE_S),
        )

    def _replace_missing_pages(self, request: Request, body: Any) -> Any:
        """Return the queries, with those for a missing page changed to a page beyond the end."""
        queries = body.get("queries") if isinstance(body, dict) else None
        for query in queries if isinstance(queries, list) else ():
            take, skip = query.get("take"), query.get("skip", 0)
            if (
                isinstance(take, int)
                and isinstance(skip, int)
                and take > 0
                and self._is_missing(request, skip // take + 1)
            ):
                query["skip"] = FAR_PAGE
        return body

    async def betpawa_event(self, request: Request) -> Response:
        refusal = self._refuse_betpawa(request)
        if refusal:
            return refusal
        listing = self.find_listing(BETPAWA, request.path_params["event"])
        # Some answers come from the edge cache, up to two seconds old.
        age_s = int(request.path_params["event"]) % 3 if request.path_params["event"].isdigit() else 0
        now = self.now() - timedelta(seconds=age_s)
        if listing is None or not (self.timeline.is_up(listing, now) or self.timeline.is_in_play(listing, now)):
            return _make_json_response(request, {"error": "NOT_FOUND"}, 404)
        body = self._load_detail(listing, now, self.betpawa_version, lambda: self.betpawa.render_event(listing, now))
        return _make_packed_response(request, body, self._build_betpawa_headers(LISTS_MAX_AGE_S, age_s))

    # SportyBet

    def _refuse_sportybet(self, request: Request) -> Response | None:
        if request.path_params["country"] not in SPORTYBET_COUNTRIES:
            return HTMLResponse("<html><body>502 Bad Gateway</body></html>", 502)
        return None

    async def sportybet_tree(self, request: Request) -> Response:
        return self._refuse_sportybet(request) or _make_json_response(
            request, self._remove_tournament(request, SPORTYBET, self.sportybet.render_tree(self.now()))
        )

    async def sportybet_upcoming(self, request: Request) -> Response:
        refusal = self._refuse_sportybet(request)
        if refusal:
            return refusal
        params = request.query_params
        markets = [market for market in params.get("marketId", "").split(",") if market]
        sizes = (params.get("pageNum", "1"), params.get("pageSize", "100"))
        if (
            not markets
            or params.get("sportId") != "sr:sport:1"
            or not all(size.isdigit() and int(size) for size in sizes)
        ):
            return _make_json_response(request, build_refusal(19000, "Invalid"))
        page = FAR_PAGE if self._is_missing(request, int(sizes[0])) else int(sizes[0])
        body = self.sportybet.render_upcoming(self.now(), markets, page, min(int(sizes[1]), 100))
        return _make_json_response(request, self._remove_tournament(request, SPORTYBET, body))

    async def sportybet_event(self, request: Request) -> Response:
        refusal = self._refuse_sportybet(request)
        if refusal:
            return refusal
        params, now = request.query_params, self.now()
        listing = self.find_listing(SPORTYBET, params.get("eventId", ""))
        product = int(params.get("productId") or 3) if params.get("productId", "3").isdigit() else 0
        if (
            listing is None
            or product not in {1, 3}
            or not (self.timeline.is_up(listing, now) or self.timeline.is_in_play(listing, now))
        ):
            return _make_json_response(request, build_refusal(19000, "Invalid"))
        body = self._load_detail(
            listing,
            now,
            str(product),
            lambda: build_envelope(self.sportybet.render_event(listing, now, product=product)),
        )
        return _make_packed_response(request, body)

    async def sportybet_unknown(self, request: Request) -> Response:
        return self._refuse_sportybet(request) or _make_json_response(
            request, build_refusal(19001, "Resource not found"), 404
        )

    # Bet9ja

    async def bet9ja_tree(self, request: Request) -> Response:
        body = self._remove_tournament(request, BET9JA, self.bet9ja.render_tree(self.now()))
        return _make_json_response(request, body)

    async def bet9ja_group(self, request: Request) -> Response:
        group, now = request.query_params.get("GROUPID", ""), self.now()
        group = "" if self._is_group_missing(request, group, now) else group
        return _make_json_response(request, self.bet9ja.render_group(group, now))

    def _is_group_missing(self, request: Request, group: str, now: datetime) -> bool:
        """Return whether an active failure makes this group empty: a removed tournament or a missing page."""
        request_faults = get_request_faults(request)
        removal, missing_page = request_faults.faults.get("tournament_gone"), request_faults.faults.get("page_missing")
        if removal and group == self._find_gone_tournament(removal.tournament, BET9JA):
            return request_faults.meet_fault(removal.mode) is not None
        return (
            missing_page is not None
            and self.bet9ja.list_groups_in_tree_order(now)[missing_page.page - 1 : missing_page.page] == [group]
            and request_faults.meet_fault(missing_page.mode) is not None
        )

    async def bet9ja_event(self, request: Request) -> Response:
        now = self.now()
        listing = self.find_listing(BET9JA, request.query_params.get("EVENTID", ""))
        if listing is None or not self.timeline.is_up(listing, now):
            return _make_json_response(request, {"R": "E", "D": False})
        return _make_packed_response(
            request, self._load_detail(listing, now, "", lambda: self.bet9ja.render_event(listing, now))
        )

    # Other packs

    def _make_site_handler(self, renderer: SiteRenderer) -> Handler:
        cached_answers: dict[str, bytes] = {}
        cached_state: tuple[datetime, int] | None = None

        async def answer(request: Request) -> Response:
            nonlocal cached_state
            now, url = self.now(), f"{request.url.path}?{request.url.query}"
            if cached_state != (now, self.timeline.n_manual_changes):
                cached_answers.clear()
            cached_state = now, self.timeline.n_manual_changes
            if (packed := cached_answers.get(url)) is not None:
                return _make_packed_response(request, packed)
            status, body = renderer.answer(f"/{request.path_params['path']}", request.query_params, now)
            if self.stopped_at is not None and status == 200 and body is not None:
                # The clock is stopped for a measurement, which the time for rendering would distort.
                cached_answers[url] = gzip.compress(msgspec.json.encode(body), GZIP_LEVEL, mtime=0)
                return _make_packed_response(request, cached_answers[url])
            return Response(b"", status) if body is None else _make_json_response(request, body, status)

        return answer

    # Controls

    async def control_truth(self, request: Request) -> Response:
        home = Platform(request.query_params.get("home", BETPAWA))
        return _make_json_response(request, collect_truth(self.timeline, self.now(), home))

    async def control_book(self, request: Request) -> Response:
        platform = Platform(request.query_params["platform"])
        listing = self.find_listing(platform, request.query_params["external_id"])
        if listing is None:
            return _make_json_response(request, {"error": "no such listing"}, 404)
        version = self.betpawa_version if platform == BETPAWA else ""
        return _make_json_response(
            request,
            {"now": self.now().isoformat(), "lines": collect_book_truth(self.books, listing, self.now(), version)},
        )

    async def control_clock(self, request: Request) -> Response:
        settings = await request.json()
        self.clock_offset_s, self.stopped_at = float(settings["offset_s"]), None
        if settings.get("stopped"):
            self.stopped_at = self.now()
        return _make_json_response(request, {"now": self.now().isoformat(), "offset_s": self.clock_offset_s})

    async def control_faults(self, request: Request) -> Response:
        settings = await request.json()
        try:
            platform = Platform(settings["platform"])
            fault = Fault.from_json(settings)
            if fault.mode == "bomb":
                build_bomb(fault.size_mb or BOMB_MB)
            self.board.faults.switch_fault(platform, fault)
        except (ValueError, TypeError, KeyError) as error:
            return _make_json_response(request, {"error": str(error)}, 400)
        return _make_json_response(request, {"platform": platform, "mode": settings.get("mode", "none")})

    async def control_prices(self, request: Request) -> Response:
        settings = await request.json()
        if self._packed_bodies is None:
            return _make_json_response(
                request, {"error": "rendered prices move with the clock: start the simulator with other bodies"}, 400
            )
        try:
            return _make_json_response(request, {"markets": self._packed_bodies.move_prices(float(settings["share"]))})
        except (ValueError, TypeError, KeyError) as error:
            return _make_json_response(request, {"error": str(error)}, 400)

    async def control_script(self, request: Request) -> Response:
        try:
            result = apply_script(self.timeline, await request.json(), self.now())
        except (ValueError, TypeError, KeyError) as error:
            return _make_json_response(request, {"error": str(error)}, 400)
        return _make_json_response(request, result)

    async def control_latency(self, request: Request) -> Response:
        settings = await request.json()
        try:
            self.board.latencies.set_latency(
                settings["at"], Latency(float(settings["p50_ms"]), float(settings["p95_ms"]))
            )
        except (ValueError, TypeError, KeyError) as error:
            return _make_json_response(request, {"error": str(error)}, 400)
        return _make_json_response(request, {"at": settings["at"]})

    async def control_log(self, request: Request) -> Response:
        if request.method == "POST":
            self.board.log.clear()
        if request.query_params.get("detail"):
            return Response(self.board.log.encode_lines(), media_type="application/x-ndjson")
        return _make_json_response(request, self.board.log.summarise())

    # Wiring

    def build_routes(self) -> list[Route]:
        """Return the routes of all platforms under their prefixes, and the controls."""
        own_routes: dict[Platform, list[tuple[str, str, Handler, str]]] = {
            BETPAWA: [
                ("tree", "/api/sportsbook/{version}/categories/list/{category}", self.betpawa_tree, "GET"),
                ("listing", "/api/sportsbook/{version}/events/lists/by-queries", self.betpawa_list, "GET"),
                ("detail", "/api/sportsbook/{version}/events/{event}", self.betpawa_event, "GET"),
            ],
            SPORTYBET: [
                ("tree", "/api/{country}/factsCenter/popularAndSportList", self.sportybet_tree, "GET"),
                ("listing", "/api/{country}/factsCenter/pcUpcomingEvents", self.sportybet_upcoming, "GET"),
                ("detail", "/api/{country}/factsCenter/event", self.sportybet_event, "GET"),
                ("unknown", "/api/{country}/factsCenter/{rest:path}", self.sportybet_unknown, "GET"),
            ],
            BET9JA: [
                ("tree", "/{site}/feapi/PalimpsestAjax/GetSports", self.bet9ja_tree, "GET"),
                ("listing", "/{site}/feapi/PalimpsestAjax/GetEventsInGroupV2", self.bet9ja_group, "GET"),
                ("detail", "/{site}/feapi/PalimpsestAjax/GetEvent", self.bet9ja_event, "GET"),
            ],
        }
        controls = [("truth", self.control_truth), ("book", self.control_book), ("log", self.control_log)]
        switches = [("clock", self.control_clock), ("faults", self.control_faults), ("script", self.control_script)]
        switches += [("latency", self.control_latency), ("log", self.control_log), ("prices", self.control_prices)]
        return [
            *(
                Route(f"/{platform}{path}", Endpoint(platform, endpoint, handler, self.board), methods=[method])
                for platform, world_platform in self.world_platforms.items()
                for endpoint, path, handler, method in own_routes[world_platform]
            ),
            *(
                Route(
                    f"/{platform}/{{path:path}}",
                    SiteRoute(platform, renderer, self._make_site_handler(renderer), self.board),
                )
                for platform, renderer in self.renderers.items()
            ),
            *(Route(f"/_sim/{name}", handler, methods=["GET"]) for name, handler in controls),
            *(Route(f"/_sim/{name}", handler, methods=["POST"]) for name, handler in switches),
        ]


def build_simulator_app(simulator: Simulator) -> Starlette:
    """Return the ASGI application of one simulator."""
    return Starlette(routes=simulator.build_routes())
