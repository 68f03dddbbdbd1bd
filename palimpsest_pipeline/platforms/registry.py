"""The adapters of platforms: imports the dialect that a pack names and configures it for one country."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

from palimpsest_pipeline.domain.enums import Platform

from .base import DialectConfig, PlatformAdapter
from .packs import PackError, PackPlatform, load_packs

ADAPTER_METHODS: Final = (
    "build_headers",
    "discover",
    "read_discovery",
    "list_detail_requests",
    "read_listing",
    "read_detail",
    "judge",
)


def build_adapter(
    platform: Platform, params: Mapping[str, str] = MappingProxyType({}), max_lists: int | None = None
) -> PlatformAdapter:
    """Return the adapter of an installed platform.

    `params` replaces values of the dialect, `max_lists` the pack's limit on the lists of one discovery. Raises
    PackError when the platform has no pack, or the pack's code cannot be used.
    """
    pack_platform = load_packs().require(platform)
    config = _build_config(pack_platform, params, max_lists)
    dialect = import_class(pack_platform, "dialect")
    try:
        adapter: PlatformAdapter = dialect(config)
        problem = _find_problem(adapter, platform)
    except Exception as error:
        raise PackError(f"{_describe_load(pack_platform, 'dialect')}: {type(error).__name__}: {error}") from error
    if problem:
        raise PackError(f"{_describe_load(pack_platform, 'dialect')}: {problem}")
    return adapter


def _find_problem(adapter: PlatformAdapter, platform: Platform) -> str:
    """Return what the adapter lacks of `PlatformAdapter`; empty when it has everything.

    Raises whatever its own code raises.
    """
    if missing := [name for name in ADAPTER_METHODS if not callable(getattr(adapter, name, None))]:
        return f"it lacks {', '.join(missing)}"
    if not isinstance(adapter.parser_version, int) or adapter.parser_version < 1:
        return f"parser_version {adapter.parser_version!r} is not a whole number from 1"
    if adapter.platform != platform:
        return f"the platform is {adapter.platform!r}, and not the one of its configuration"
    adapter.build_headers()  # a value that they need and the pack does not have must show here, and not in a scrape
    return ""


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
        raise PackError(f"{_describe_load(pack_platform, key)}: {type(error).__name__}: {error}") from error


def _describe_load(pack_platform: PackPlatform, key: str) -> str:
    return f"the pack {pack_platform.pack.name} cannot be loaded: {key} {getattr(pack_platform.pack.content, key)}"


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
    """Return the version of these platforms' parsers together, e.g. `betpawa3.msport1+5d41aa`."""
    return ".".join(f"{adapter.platform}{adapter.parser_version}{_find_suffix(adapter)}" for adapter in adapters)


def _find_suffix(adapter: PlatformAdapter) -> str:
    """Return what tells readings by one parser with other values in `pack.toml` apart."""
    pack_platform = load_packs().platforms.get(adapter.platform)
    return "" if pack_platform is None else f"+{pack_platform.reading_digest}"
