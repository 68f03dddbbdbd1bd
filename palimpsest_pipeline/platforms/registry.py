"""All adapters with their configuration. Only this module imports every platform."""

from collections.abc import Mapping

from palimpsest_pipeline.domain.enums import Platform

from .base import PlatformAdapter
from .bet9ja import Bet9jaAdapter
from .bet9ja import discovery as bet9ja_discovery
from .bet9ja.endpoints import CACHE_VERSION
from .betpawa import BetpawaAdapter
from .betpawa import discovery as betpawa_discovery
from .betpawa.endpoints import BRANDS
from .sportybet import SportybetAdapter
from .sportybet import discovery as sportybet_discovery


def build_adapters(
    *,
    betpawa_api_version: str = "v4",
    betpawa_brand: str = BRANDS["ng"].header,
    sportybet_country: str = "ng",
    bet9ja_cache_version: str = CACHE_VERSION,
    max_lists: Mapping[Platform, int] | None = None,
) -> Mapping[Platform, PlatformAdapter]:
    """Return every platform's adapter, in the order of `Platform`.

    `max_lists` overrides a dialect's own limit on the lists (pages, competitions) that one discovery requests. Raises
    ValueError on an unknown BetPawa API version.
    """
    list_limits = {
        Platform.BETPAWA: betpawa_discovery.MAX_LISTS,
        Platform.SPORTYBET: sportybet_discovery.MAX_LISTS,
        Platform.BET9JA: bet9ja_discovery.MAX_LISTS,
        **(max_lists or {}),
    }
    return {
        Platform.BETPAWA: BetpawaAdapter(betpawa_api_version, betpawa_brand, list_limits[Platform.BETPAWA]),
        Platform.SPORTYBET: SportybetAdapter(sportybet_country, list_limits[Platform.SPORTYBET]),
        Platform.BET9JA: Bet9jaAdapter(bet9ja_cache_version, list_limits[Platform.BET9JA]),
    }


def join_parser_versions() -> str:
    """Return the version of all parsers together, e.g. `betpawa2.sportybet2.bet9ja2`."""
    return ".".join(f"{platform}{adapter.parser_version}" for platform, adapter in build_adapters().items())
