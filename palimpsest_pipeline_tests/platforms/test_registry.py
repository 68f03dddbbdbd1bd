"""The set of dialects and their configuration."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import structs

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.platforms import registry
from palimpsest_pipeline.platforms.packs import InstalledPacks, load_packs
from palimpsest_pipeline.platforms.registry import build_adapter, join_parser_versions
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters


def test_every_platform_has_its_adapter() -> None:
    assert all(adapter.platform == platform for platform, adapter in build_adapters().items())


def test_the_parser_version_names_every_platform() -> None:
    assert join_parser_versions(build_adapters().values()) == "betpawa3+af0512.sportybet3+61ce48.bet9ja3+ec9525"


@pytest.mark.parametrize("name", ["betpawa", "sportybet", "bet9ja", "betika"])
def test_values_by_which_answers_are_read_are_part_of_the_parser_version(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    packs, platform = load_packs(), Platform(name)
    pack = packs.packs[name]
    code = pack.content.default_country

    def find_version(*, country: Mapping[str, Any] = MappingProxyType({}), **changed: Any) -> str:
        countries = {**pack.content.countries, code: structs.replace(pack.content.countries[code], **country)}
        content = structs.replace(pack.content, countries=countries, **changed)
        other = InstalledPacks({**packs.packs, name: replace(pack, content=content)}, {})
        with monkeypatch.context() as patched:
            patched.setattr(registry, "load_packs", lambda: other)
            return join_parser_versions(build_adapters([platform]).values())

    version = find_version()
    limits = structs.replace(pack.content.limits, max_in_flight=1)
    for same in (
        {"limits": limits, "trust": 99, "name": "Another"},
        {"country": {"base_url": "https://www.example.com", "headers": {"x-a": "b"}}},
    ):
        assert find_version(**same) == version
    params = pack.content.countries[code].params
    versions = [
        find_version(country={"time_zone": "Asia/Tokyo"}),
        find_version(sports={**pack.content.sports, Sport.TENNIS: "999"}),
        *([find_version(country={"params": dict.fromkeys(params, "other")})] if params else []),
    ]
    assert len({version, *versions}) == 1 + len(versions)


def test_configuration_reaches_the_requests() -> None:
    made = {
        BETPAWA: build_adapter(BETPAWA, {"api_version": "v3", "brand": "betpawa-ghana"}),
        SPORTYBET: build_adapter(SPORTYBET, {"country": "gh"}),
        BET9JA: build_adapter(BET9JA, {"cache_version": "1.2.3.4"}),
    }
    first = {platform: next(adapter.discover(Sport.FOOTBALL))[0] for platform, adapter in made.items()}
    assert first[BETPAWA].path == "/api/sportsbook/v3/categories/list/2"
    assert made[BETPAWA].build_headers()["x-pawa-brand"] == "betpawa-ghana"
    assert first[SPORTYBET].path == "/api/gh/factsCenter/popularAndSportList"
    assert first[BET9JA].params["v_cache_version"] == "1.2.3.4"


def test_a_second_country_is_another_platform_with_requests_of_its_own() -> None:
    ghana = build_adapter(Platform("sportybet-gh"))
    (tree, _) = next(ghana.discover(Sport.FOOTBALL))
    assert (ghana.platform, tree.platform) == ("sportybet-gh",) * 2
    assert tree.path == "/api/gh/factsCenter/popularAndSportList"
    assert ghana.build_headers()["referer"] == "https://www.sportybet.com/gh/sport/football"


def test_an_unknown_value_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="v3, v4"):
        build_adapter(BETPAWA, {"api_version": "v5"})


@pytest.mark.parametrize("platform", PLATFORMS)
def test_headers_ask_for_json_as_a_browser(platform: Platform) -> None:
    headers = build_adapters()[platform].build_headers()
    assert headers["accept"].startswith("application/json")
    assert headers["user-agent"].startswith("Mozilla/5.0")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("sport", Sport)
def test_discovery_begins_with_the_tree_for_every_sport(platform: Platform, sport: Sport) -> None:
    tree = next(build_adapters()[platform].discover(sport))[0]
    assert tree.kind == "tree"
    assert tree.platform == platform


@pytest.mark.parametrize(
    ("platform", "external_id", "asked"),
    [
        (BETPAWA, "35429065", "/api/sportsbook/v4/events/35429065"),
        (SPORTYBET, "sr:match:66457014", "/api/ng/factsCenter/event"),
        (BET9JA, "782203257", "/desktop/feapi/PalimpsestAjax/GetEvent"),
    ],
)
def test_a_detail_request_carries_the_listing_and_the_fixture(platform: Platform, external_id: str, asked: str) -> None:
    request = build_adapters()[platform].list_detail_requests(external_id, 66457014, ())[0]
    assert (request.path, request.external_id, request.sr_id, request.kind) == (asked, external_id, 66457014, "detail")
    assert external_id in (request.path.rsplit("/", 1)[-1], *request.params.values())
