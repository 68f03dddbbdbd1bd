"""The set of dialects and their configuration."""

import pytest

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.platforms.betpawa.endpoints import BRANDS
from palimpsest_pipeline.platforms.registry import build_adapters, join_parser_versions


def test_every_platform_has_a_dialect_in_the_platforms_own_order() -> None:
    assert list(build_adapters()) == list(Platform)
    assert all(adapter.platform is platform for platform, adapter in build_adapters().items())


def test_the_parser_version_names_every_platform() -> None:
    assert join_parser_versions() == "betpawa3.sportybet3.bet9ja3"


def test_configuration_reaches_the_requests() -> None:
    made = build_adapters(
        betpawa_api_version="v3", betpawa_brand="betpawa-ghana", sportybet_country="gh", bet9ja_cache_version="1.2.3.4"
    )
    first = {platform: next(adapter.discover(Sport.FOOTBALL))[0] for platform, adapter in made.items()}
    assert first[Platform.BETPAWA].path == "/api/sportsbook/v3/categories/list/2"
    assert made[Platform.BETPAWA].build_headers()["x-pawa-brand"] == "betpawa-ghana"
    assert first[Platform.SPORTYBET].path == "/api/gh/factsCenter/popularAndSportList"
    assert first[Platform.BET9JA].params["v_cache_version"] == "1.2.3.4"


def test_an_unknown_betpawa_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="v3, v4"):
        build_adapters(betpawa_api_version="v5")


def test_brands_pair_one_host_with_one_header_each() -> None:
    assert len(BRANDS) == len({b.base_url for b in BRANDS.values()}) == len({b.header for b in BRANDS.values()}) == 22
    assert (BRANDS["ng"].base_url, BRANDS["ng"].header) == ("https://www.betpawa.ng", "betpawa-nigeria")


@pytest.mark.parametrize("platform", Platform)
def test_headers_ask_for_json_as_a_browser(platform: Platform) -> None:
    headers = build_adapters()[platform].build_headers()
    assert headers["accept"].startswith("application/json")
    assert headers["user-agent"].startswith("Mozilla/5.0")


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("sport", Sport)
def test_discovery_begins_with_the_tree_for_every_sport(platform: Platform, sport: Sport) -> None:
    tree = next(build_adapters()[platform].discover(sport))[0]
    assert tree.kind == "tree"
    assert tree.platform is platform


@pytest.mark.parametrize(
    ("platform", "external_id", "asked"),
    [
        (Platform.BETPAWA, "35429065", "/api/sportsbook/v4/events/35429065"),
        (Platform.SPORTYBET, "sr:match:66457014", "/api/ng/factsCenter/event"),
        (Platform.BET9JA, "782203257", "/desktop/feapi/PalimpsestAjax/GetEvent"),
    ],
)
def test_a_detail_request_carries_the_listing_and_the_fixture(platform: Platform, external_id: str, asked: str) -> None:
    request = build_adapters()[platform].list_detail_requests(external_id, 66457014, ())[0]
    assert (request.path, request.external_id, request.sr_id, request.kind) == (asked, external_id, 66457014, "detail")
    assert external_id in (request.path.rsplit("/", 1)[-1], *request.params.values())
