"""The check of a pack against its simulated site: the dialect must read exactly what the site shows.

The expected fixtures, kickoffs and books come from the simulated world. It has three platforms. A pack with another
dialect renders the matches and lines of one of them, its source, at prices of its own near the source's prices.
"""

import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from palimpsest_pipeline.domain.enums import Completeness, ListingKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Listing, PayloadRejected
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.packs import Pack
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline.simulator.pack_sites import find_world_platform
from palimpsest_pipeline.simulator.simulated_markets import list_simulated_markets
from palimpsest_pipeline.simulator.simulated_platforms import RENDERED_SOURCE
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess

from .recorded_answers import UnsoundAnswers, raise_faults

N_FIXTURES: Final = 80
SEED: Final = 7
N_BOOKS: Final = 12
TIMEOUT_S: Final = 30
MAX_BATCHES: Final = 500
MAX_REQUESTS_PER_BOOK: Final = 50
MAX_DISTANCE: Final = 0.12
"""Maximum difference of implied probability between the source's price and the pack's."""

SendRequest = Callable[[Request], Answer]
Truth = Mapping[tuple[str, tuple[str, ...], str], list[float | None]]
"""Odds by market key, values of the line, and outcome key; None where the source quotes nothing."""


def check_simulated_answers(pack: Pack) -> str:
    """Return a summary of the answers read from the simulated site of the pack's default country.

    Raises UnsoundAnswers for a difference from the simulated world, and SimulatorError when the site cannot be served.
    """
    default = pack.content.default_country
    platform = next(one for one, country in pack.countries.items() if country == default)
    world_platform = find_world_platform(platform)
    if world_platform is None and pack.content.simulator is None:
        return "none: pack.toml names no simulator"
    if Sport.FOOTBALL not in pack.content.sports:
        return "none: the simulated world has football only"
    adapter = build_adapter(platform)
    with SimulatorProcess(N_FIXTURES, SEED, platforms=[platform]) as simulator:
        simulator.set_clock(0, stopped=True)
        send = _build_http_sender(simulator.base_urls[platform], adapter)
        return _compare(simulator, adapter, send, world_platform or RENDERED_SOURCE)


def _build_http_sender(base_url: str, adapter: PlatformAdapter) -> SendRequest:
    """Return a function that sends a request and returns the answer with the adapter's verdict."""

    def send(request: Request) -> Answer:
        query = urllib.parse.urlencode(request.params)
        url = f"{base_url}{request.path}{f'?{query}' if query else ''}"
        sent = urllib.request.Request(
            url, data=request.json_body, headers=adapter.build_headers(), method=request.method
        )
        requested_at = datetime.now(UTC)
        try:
            with urllib.request.urlopen(sent, timeout=TIMEOUT_S) as response:
                status, headers, body = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, error.read()
        now = datetime.now(UTC)
        lower = {name.lower(): value for name, value in headers.items()}
        answer = Answer(request, 1, requested_at, now, now, status, lower, body)
        verdict = adapter.judge(answer)
        return answer if verdict is None else replace(answer, failure=verdict[0], failure_detail=verdict[1])

    return send


def _compare(simulator: SimulatorProcess, adapter: PlatformAdapter, send: SendRequest, source: Platform) -> str:
    truth = simulator.fetch_truth()
    fixtures = {fixture["sr_id"]: fixture for fixture in truth["fixtures"] if source in fixture["platforms"]}
    listings = _discover(adapter, send)
    identified = {listing.sr_id: listing for listing in listings if listing.sr_id is not None}
    faults = [f"{sr_id} is not a match of the simulated world" for sr_id in identified.keys() - fixtures.keys()]
    for sr_id in identified.keys() & fixtures.keys():
        kickoff = datetime.fromisoformat(fixtures[sr_id]["kickoffs"][source])
        if identified[sr_id].kickoff_at != kickoff:
            faults.append(f"kickoff of {sr_id} read as {identified[sr_id].kickoff_at}, it is {kickoff}")
    if not identified:
        faults.append(f"none of {len(fixtures)} matches found with its SportRadar id")
    raise_faults(faults)
    n_prices, faults = 0, []
    world_keys = frozenset(part.key for market in list_simulated_markets(source) for part in market.parts)
    in_order = sorted(identified.items())
    for sr_id, listing in in_order[:: max(len(in_order) // N_BOOKS, 1)][:N_BOOKS]:
        try:
            detail = _fetch_book(adapter, send, listing)
        except PayloadRejected as rejected:
            faults.append(f"book of {listing.external_id}: {rejected.path}: {rejected.reason}")
            continue
        n_read, wrong = _compare_prices(detail, _read_truth(simulator, source, fixtures[sr_id]), world_keys)
        n_prices += n_read
        faults += [f"book of {listing.external_id}: {text}" for text in wrong]
    if not n_prices:
        faults.append("no price was read")
    raise_faults(faults)
    return f"{len(identified)} of {len(fixtures)} matches, {n_prices} prices of {min(N_BOOKS, len(in_order))} books"


def _read_truth(simulator: SimulatorProcess, source: Platform, fixture: Mapping[str, Any]) -> Truth:
    """Return the source's books of the fixture. There are two if the source lists the match twice."""
    truth: dict[tuple[str, tuple[str, ...], str], list[float | None]] = defaultdict(list)
    for external_id in fixture["platforms"][source]:
        for line in simulator.fetch_book(source, external_id):
            for outcome, odds in line["odds"].items():
                truth[line["key"], _split_line(line["line"]), outcome].append(odds)
    return truth


def _discover(adapter: PlatformAdapter, send: SendRequest) -> list[Listing]:
    answers: list[Answer] = []
    crawl = adapter.discover(Sport.FOOTBALL)
    batch = next(crawl, None)
    for _ in range(MAX_BATCHES):
        if batch is None:
            break
        latest = [send(request) for request in batch]
        answers += latest
        try:
            batch = crawl.send(latest)
        except StopIteration:
            batch = None
    else:
        raise UnsoundAnswers(f"the discovery does not end: {MAX_BATCHES} batches of requests")
    discovery = adapter.read_discovery(answers, Sport.FOOTBALL)
    if discovery.completeness is not Completeness.COMPLETE or discovery.rejects:
        first = f"; {discovery.rejects[0].path}: {discovery.rejects[0].reason}" if discovery.rejects else ""
        raise UnsoundAnswers(f"the discovery is {discovery.completeness}: {discovery.reason}{first}")
    return [one for one in discovery.listings if one.kind is ListingKind.MATCH and not one.is_in_play]


def _fetch_book(adapter: PlatformAdapter, send: SendRequest, listing: Listing) -> Detail:
    """Return a listing's book. Raises PayloadRejected."""
    answers: list[Answer] = []
    while requests := adapter.list_detail_requests(listing.external_id, listing.sr_id, answers):
        latest = [send(request) for request in requests]
        for answer in latest:
            if answer.failure is not None:
                reason = f"{answer.request.path}: {answer.failure}: {answer.failure_detail}"
                raise PayloadRejected(adapter.platform, "$", reason)
        answers += latest
        if len(answers) > MAX_REQUESTS_PER_BOOK:
            raise PayloadRejected(adapter.platform, "$", f"not complete after {len(answers)} requests")
    detail = adapter.read_detail(answers)
    if detail.rejects:
        raise PayloadRejected(adapter.platform, detail.rejects[0].path, detail.rejects[0].reason)
    if (detail.listing.external_id, detail.listing.sr_id) != (listing.external_id, listing.sr_id):
        raise PayloadRejected(adapter.platform, "$", f"read as the book of {detail.listing.external_id}")
    return detail


def _compare_prices(detail: Detail, truth: Truth, world_keys: Set[str]) -> tuple[int, list[str]]:
    """Return the number of canonical prices, and a text for each that differs from the true book.

    Two kinds of prices are left out: those of players, because the world names players by number only, and those of
    filler markets, which have no canonical key in the world.
    """
    vocabulary = load_installed_vocabulary()
    keys = dict(vocabulary.markets.select("market_id", "market_key").iter_rows())
    names = {
        (market_id, ordinal): key
        for market_id, ordinal, key in vocabulary.outcomes.select("market_id", "ordinal", "outcome_key").iter_rows()
    }
    prices = normalise(collect_raw_books([detail]), vocabulary).prices.drop_nulls("odds_milli")
    n_compared, wrong = 0, []
    for market_id, specifier, outcome, ordinal, milli in prices.select(
        "market_id", "specifier", "outcome", "ordinal", "odds_milli"
    ).iter_rows():
        if outcome or keys[market_id] not in world_keys:
            continue
        values = tuple(sorted(piece.partition("=")[2] for piece in specifier.split("|"))) if specifier else ()
        key = keys[market_id], values, names[market_id, ordinal]
        offered = [odds for odds in truth.get(key, ()) if odds]
        n_compared += 1
        if not any(abs(1 / odds - 1000 / milli) <= MAX_DISTANCE for odds in offered):
            wrong.append(f"{key[0]} {specifier} {key[2]}: {milli / 1000} read, {offered or 'nothing'} offered")
    return n_compared, wrong


def _split_line(line: str) -> tuple[str, ...]:
    return tuple(sorted(filter(None, line.split("|"))))
