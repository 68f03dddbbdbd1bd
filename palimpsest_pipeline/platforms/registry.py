"""All dialects, configured. The one place that knows every platform."""

from collections.abc import Mapping

from ..domain.words import Platform
from .base import PlatformAdapter
from .bet9ja import Bet9jaAdapter
from .bet9ja.endpoints import CACHE_VERSION
from .betpawa import BetpawaAdapter
from .betpawa.endpoints import BRANDS
from .sportybet import SportybetAdapter


def adapters(
    *,
    betpawa_api_version: str = "v4",
    betpawa_brand: str = BRANDS["ng"].header,
    sportybet_country: str = "ng",
    bet9ja_cache_version: str = CACHE_VERSION,
) -> Mapping[Platform, PlatformAdapter]:
    """Every platform's dialect, in the platforms' own order. Raises ValueError on an unknown BetPawa API version."""
    return {
        Platform.BETPAWA: BetpawaAdapter(betpawa_api_version, betpawa_brand),
        Platform.SPORTYBET: SportybetAdapter(sportybet_country),
        Platform.BET9JA: Bet9jaAdapter(bet9ja_cache_version),
    }


def parser_version() -> str:
    """Version of the reading of all platforms, e.g. `betpawa2.sportybet2.bet9ja2`."""
    return ".".join(f"{platform}{adapter.parser_version}" for platform, adapter in adapters().items())
