"""Every dialect's whole crawl and details over HTTP against the simulated platforms, held against the simulator's
own truth.
"""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, ListingKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Request
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .support import Reply, Server, answer_to, crawl, judge_answer

Start = Callable[..., SimulatorProcess]


def over_http(base_url: str, adapter: PlatformAdapter) -> Server:
    def ask(request: Request) -> Reply:
        url = f"{base_url}{request.path}?{urllib.parse.urlencode(request.params)}"
        asked = urllib.request.Request(
            url, data=request.json_body, headers=adapter.build_headers(), method=request.method
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as got:
                return got.status, {k.lower(): v for k, v in got.headers.items()}, got.read()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    return ask


def discovered(simulator: SimulatorProcess, platform: Platform, **params: str) -> tuple[PlatformAdapter, Server, Any]:
    adapter = build_adapter(platform, params)
    server = over_http(simulator.base_urls[platform], adapter)
    answers, _ = crawl(adapter, Sport.FOOTBALL, server)
    return adapter, server, adapter.read_discovery(answers, Sport.FOOTBALL)


CONFIGURATIONS = [
    (BETPAWA, "v4"),
    (BETPAWA, "v3"),
    (SPORTYBET, "v4"),
    (BET9JA, "v4"),
]


@pytest.mark.parametrize(("platform", "version"), CONFIGURATIONS)
def test_discovery_and_details_agree_with_the_simulators_truth(
    start_simulator: Start, platform: Platform, version: str
) -> None:
    simulator = start_simulator(size=150, seed=11, betpawa_version=version)
    before = simulator.fetch_truth()
    adapter, server, discovery = discovered(
        simulator, platform, **({"api_version": version} if platform == BETPAWA else {})
    )
    assert simulator.fetch_truth()["tournaments"] == before["tournaments"], "a match kicked off in between"
    matches = {x.external_id: x for x in discovery.listings if x.kind is ListingKind.MATCH}
    known = {external_id: f for f in before["fixtures"] for external_id in f["platforms"].get(platform, [])}
    unidentified = {u["external_id"] for u in before["unidentified"] if u["platform"] == platform}
    assert discovery.completeness is Completeness.COMPLETE, discovery.reason
    assert matches.keys() == known.keys() | unidentified
    for external_id, fixture in known.items():
        # A listing in Genius dress is tied to its fixture by its Genius id, later and elsewhere.
        dressed = external_id.startswith("sr:match:1111111")
        assert matches[external_id].sr_id == (None if dressed else fixture["sr_id"])
        assert not dressed or matches[external_id].genius_id is not None
    assert {e: x.kickoff_at.isoformat() for e, x in matches.items() if e in known} == {
        e: f["kickoffs"][platform] for e, f in known.items()
    }
    assert all(matches[external_id].sr_id is None for external_id in unidentified)
    assert len(discovery.listings) - len(matches) == before["excluded"][platform]
    tournaments = before["tournaments"][platform]
    found = {t.external_id: t for t in discovery.tournaments if t.n_received}
    assert {key: (t.name, t.n_received) for key, t in found.items()} == {
        key: (n["name"], n["declared"]) for key, n in tournaments.items()
    }
    assert all(found[key].country_raw == node["country"] for key, node in tournaments.items() if node["matches"])
    for listing in list(matches.values())[:25]:
        got = answer_to(
            adapter.list_detail_requests(listing.external_id, listing.sr_id, ())[0],
            server(adapter.list_detail_requests(listing.external_id, listing.sr_id, ())[0]),
        )
        assert adapter.judge(got) is None
        detail = adapter.read_detail([got])
        assert detail.rejects == []
        claims = (
            detail.listing.sr_id,
            detail.listing.home_team,
            detail.listing.away_team,
            detail.listing.kickoff_at,
            detail.listing.tournament_name,
        )
        assert claims == (
            listing.sr_id,
            listing.home_team,
            listing.away_team,
            listing.kickoff_at,
            listing.tournament_name,
        )
        if platform == BETPAWA:
            assert (
                len(set(zip(detail.prices.market_id, detail.prices.specifier, strict=True)))
                == detail.listing.n_markets_declared
            )
        if platform == BET9JA:
            assert len(set(detail.prices.market_id)) == detail.listing.n_markets_declared


@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("block", FailureClass.BLOCKED),
        ("html", FailureClass.BLOCKED),
        ("empty202", FailureClass.BLOCKED),
        ("error", FailureClass.TRANSIENT),
        ("ratelimit", FailureClass.RATE_LIMITED),
    ],
)
def test_a_platform_in_trouble_is_failed_and_never_empty(
    start_simulator: Start, mode: str, failure: FailureClass
) -> None:
    simulator = start_simulator(size=20)
    for platform in PLATFORMS:
        simulator.set_fault(platform, mode)
        adapter, server, discovery = discovered(simulator, platform)
        assert discovery.completeness is Completeness.FAILED
        assert failure.value in discovery.reason
        request = adapter.list_detail_requests("1", None, ())[0]
        assert judge_answer(adapter, answer_to(request, server(request))).failure is failure


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_match_past_its_kickoff_gives_no_prematch_book(start_simulator: Start, platform: Platform) -> None:
    simulator = start_simulator(size=60)
    adapter, server, discovery = discovered(simulator, platform)
    first = min((x for x in discovery.listings if x.kind is ListingKind.MATCH), key=lambda x: x.kickoff_at)
    simulator.set_clock((first.kickoff_at - first.kickoff_at.now(first.kickoff_at.tzinfo)).total_seconds() + 900)
    _, _, later = discovered(simulator, platform)
    assert first.external_id not in {x.external_id for x in later.listings}
    request = adapter.list_detail_requests(first.external_id, first.sr_id, ())[0]
    got = judge_answer(adapter, answer_to(request, server(request)))
    assert got.failure in (None, FailureClass.NOT_FOUND)
    if got.failure is None:
        listing = adapter.read_listing([got])
        assert listing.is_in_play or platform == BET9JA
        assert listing.kickoff_at <= first.kickoff_at


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("tries", [1, None])
def test_a_missing_page_is_found_when_asked_for_once_more_and_named_when_it_stays_away(
    start_simulator: Start, platform: Platform, tries: int | None
) -> None:
    simulator = start_simulator(size=300)
    simulator.set_fault(platform, "page_missing", endpoint="listing", tries=tries)
    _, _, discovery = discovered(simulator, platform)
    again = [line.question for line in simulator.list_requests() if "page_missing" in line.faults]
    assert len(again) == (1 if tries else 2)
    assert [line.attempt for line in simulator.list_requests() if line.question == again[0]] == [1, 2]
    if tries:
        assert discovery.completeness is Completeness.COMPLETE, discovery.reason
    else:
        assert discovery.completeness is Completeness.PARTIAL
        assert "tournaments incomplete" in discovery.reason


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_tournament_gone_by_mistake_makes_the_platform_partial_and_says_so(
    start_simulator: Start, platform: Platform
) -> None:
    simulator = start_simulator(size=60)
    simulator.set_fault(platform, "tournament_gone")
    _, _, discovery = discovered(simulator, platform)
    assert discovery.completeness is Completeness.PARTIAL
    assert "the tree contradicts itself" in discovery.reason
    assert all(tournament.n_declared is not None for tournament in discovery.tournaments)
