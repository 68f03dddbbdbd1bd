"""The adapters of platforms: imports the dialect that a pack names and configures it for one country."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from palimpsest_pipeline.domain.enums import Platform

from .base import DialectConfig, PlatformAdapter
from .packs import PackError, PackPlatform, load_packs


def build_adapter(
    platform: Platform, params: Mapping[str, str] = MappingProxyType({}), max_lists: int | None = None
) -> PlatformAdapter:
    """Return the adapter of an installed platform.

    `params` replaces values of the dialect, `max_lists` the pack's limit on the lists of one discovery. Raises
    PackError when the platform has no pack, or the pack's code cannot be imported.
    """
    pack_platform = load_packs().require(platform)
    adapter: PlatformAdapter = import_class(pack_platform, "dialect")(_build_config(pack_platform, params, max_lists))
    return adapter


def build_adapters(platforms: Iterable[Platform]) -> dict[Platform, PlatformAdapter]:
    """Return the adapters of these platforms as their packs configure them. Raises PackError."""
    return {platform: build_adapter(platform) for platform in platforms}


def import_class(pack_platform: PackPlatform, key: str) -> Any:
    """Return the class that the pack's `pack.toml` names under `key`. Raises PackError."""
    name = getattr(pack_platform.pack.content, key)
    if name is None:
        raise PackError(f"the pack {pack_platform.pack.name} names no {key}")
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise PackError(
            f"the pack {pack_platform.pack.name} cannot be loaded: {key} {name}: {type(error).__name__}: {error}"
        ) from error


def _build_config(pack_platform: PackPlatform, params: Mapping[str, str], max_lists: int | None) -> DialectConfig:
    content, country = pack_platform.pack.content, pack_platform.country
    return DialectConfig(
        platform=pack_platform.platform,
        base_url=country.base_url,
        time_zone=country.time_zone,
        headers=country.headers,
        sport_ids=content.sports,
        params=pack_platform.fill_params(params),
        max_lists=content.limits.max_discovery_lists if max_lists is None else max_lists,
    )


def join_parser_versions(adapters: Iterable[PlatformAdapter]) -> str:
    """Return the version of these platforms' parsers together, e.g. `betpawa2.sportybet2`."""
    return ".".join(f"{adapter.platform}{adapter.parser_version}" for adapter in adapters)
