"""Packs: bookmakers as folders, found through the entry-point group `palimpsest.platforms`.

A pack is a folder with a `pack.toml`; its modules, vocabulary rows and notes are beside it. One pack serves all its
countries: a platform is a pack in one country, with the key `<pack>` in the pack's default country and `<pack>-<cc>`
in the others.

`registry` imports their code.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from palimpsest_pipeline.domain.enums import PLATFORM_PATTERN, Platform, Sport
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.toml_lines import KeyLines, find_fault_line

ENTRY_POINT_GROUP: Final = "palimpsest.platforms"
_PACK_FILE: Final = "pack.toml"
NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9]{0,20}")
MAX_TRUST: Final = 32767
"""The highest number that the column of the database takes."""
_COUNTRY_PATTERN: Final = re.compile(r"[a-z]{2}")
_CLASS_PATTERN: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_BASE_URL_PATTERN: Final = re.compile(r"https?://[\w.-]+(:\d+)?")
_EVENT_URL_PATTERN: Final = re.compile(r"(https?://[\w.-]+|\{base_url\})/[\w./?=&#%-]*\{external_id\}[\w./?=&#%-]*")
_PLACE_PATTERN: Final = re.compile(r"`\$\.?([^`]*)`$")
_UNKNOWN_FIELD_PATTERN: Final = re.compile(r"unknown field `([^`]+)`")


PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class PackError(PalimpsestError):
    """A pack that cannot be used. The message names it and the reason."""


class Param(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that only this dialect has. Settings may change it.

    Without a default every country must set it.
    """

    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The default limits on requests. Settings of the same names replace them, within the same bounds."""

    max_in_flight: PositiveInt
    min_gap_s: Seconds = 0
    jitter_s: Seconds = 0
    max_discovery_lists: PositiveInt = 200
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 8 * 2**20


class PackCountry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One country of a pack: its site, and what differs there."""

    base_url: str
    time_zone: str = "UTC"
    """The zone of local times in its answers."""
    headers: dict[str, str] = {}
    params: dict[str, str] = {}


class PackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a `pack.toml`."""

    name: str
    """The display name."""
    dialect: str
    """The class that builds requests and reads answers: `package.module:Class`."""
    default_country: str
    trust: Annotated[int, msgspec.Meta(ge=0, le=MAX_TRUST)]
    """The pack with the lowest number is trusted first for names, country and kickoff, after home."""
    sports: dict[Sport, str]
    """The platform's own id of each sport that it covers."""
    limits: Limits
    countries: dict[str, PackCountry]
    params: dict[str, Param] = {}
    market_keys: str | None = None
    """The shared set of market keys, or the other pack, whose keys it uses.

    Its own vocabulary rows add to these keys, replace or remove them.
    """
    event_url: str | None = None
    """Address of the site's page of an event, for people: `{base_url}` and `{external_id}` are filled in."""
    simulator: str | None = None
    """The class that renders its answers for the simulator: `package.module:Class`."""


@dataclass(frozen=True)
class Pack:
    """An installed pack. `folder` holds its files; `distribution` names the package that it came with."""

    name: str
    folder: Path
    distribution: str
    content: PackFile

    @property
    def countries(self) -> Mapping[Platform, str]:
        """The country code of each platform key."""
        default = self.content.default_country
        return {
            Platform(self.name if code == default else f"{self.name}-{code}"): code for code in self.content.countries
        }


@dataclass(frozen=True)
class PackPlatform:
    """A pack in one country."""

    platform: Platform
    pack: Pack
    country_code: str

    @property
    def country(self) -> PackCountry:
        return self.pack.content.countries[self.country_code]

    @property
    def name(self) -> str:
        """The display name. Outside the default country it ends with the country's code."""
        is_default = self.country_code == self.pack.content.default_country
        return self.pack.content.name if is_default else f"{self.pack.content.name} {self.country_code.upper()}"

    @property
    def event_url(self) -> str | None:
        """The address of an event's page with `{external_id}` in it; None when its form is not known."""
        template = self.pack.content.event_url
        return None if template is None else template.replace("{base_url}", self.country.base_url)

    @property
    def reading_digest(self) -> str:
        """Six hex digits of the values in `pack.toml` that decide how answers are read."""
        content, country = self.pack.content, self.country
        values = [content.dialect, list(content.sports.items()), country.time_zone, sorted(country.params.items())]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:6]

    def fill_params(self, changed: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """Return the value of each param: from `changed`, else from the country, else the default.

        Raises ValueError for a value that is not one of its choices, and for an unknown name.
        """
        declared = self.pack.content.params
        params = {name: param.default for name, param in declared.items()} | self.country.params | dict(changed)
        filled: dict[str, str] = {}
        for name, value in params.items():
            if name not in declared:
                raise ValueError(f"{name} is no setting of {self.platform}")
            if value is None:
                raise ValueError(f"{name} of {self.platform} has no value")
            if declared[name].choices and value not in declared[name].choices:
                raise ValueError(f"{name} {value!r} is not one of {', '.join(declared[name].choices)}")
            filled[name] = value
        return filled


@dataclass(frozen=True)
class InstalledPacks:
    """All packs that can be read, by name, and the reason why others cannot."""

    packs: Mapping[str, Pack]
    problems: Mapping[str, str]

    @cached_property
    def platforms(self) -> Mapping[Platform, PackPlatform]:
        """Every platform of these packs, active or not."""
        return {
            platform: PackPlatform(platform, pack, code)
            for pack in self.packs.values()
            for platform, code in pack.countries.items()
        }

    def require(self, platform: Platform) -> PackPlatform:
        """Return the platform's pack and country. Raises PackError when there is none."""
        if (pack_platform := self.platforms.get(platform)) is not None:
            return pack_platform
        name, _, code = platform.partition("-")
        if name in self.problems:
            raise PackError(f"the pack of {platform} cannot be read: {self.problems[name]}")
        if name in self.packs:
            countries = ", ".join(sorted(self.packs[name].countries))
            raise PackError(f"{platform}: the pack {name} has no country {code or name}; its platforms are {countries}")
        raise PackError(
            f"no installed pack has the platform {platform}; `palimpsest platforms list` shows those that do"
        )

    def order_by_trust(self, platforms: Iterable[Platform | str]) -> tuple[Platform, ...]:
        """Return the platforms, each once, most trusted first. Those without a pack come last."""
        return tuple(sorted({Platform(platform) for platform in platforms}, key=self._rank))

    def _rank(self, platform: Platform) -> tuple[bool, int, str]:
        pack_platform = self.platforms.get(platform)
        return pack_platform is None, pack_platform.pack.content.trust if pack_platform else 0, platform


@cache
def load_packs() -> InstalledPacks:
    """Return the installed packs, read once.

    Raises PackError when two packages bring a pack of the same name.
    """
    return read_packs(entry_points(group=ENTRY_POINT_GROUP))


def read_packs(points: Iterable[EntryPoint]) -> InstalledPacks:
    """Return the packs of these entry points; one that cannot be read is a problem with its reason.

    Raises PackError when two of them have the same name.
    """
    sources: dict[str, str] = {}
    packs: dict[str, Pack] = {}
    problems: dict[str, str] = {}
    for point in points:
        distribution = point.dist.name if point.dist is not None else "an unnamed package"
        if sources.setdefault(point.name, point.value) != point.value:
            raise PackError(
                f"two packs are called {point.name}: {sources[point.name]} and {point.value} (of {distribution}); "
                "uninstall one of them"
            )
        try:
            packs[point.name] = read_pack(point.name, find_folder(point.value), distribution)
        except PackError as error:
            problems[point.name] = str(error)
    return InstalledPacks(dict(sorted(packs.items())), problems)


def find_folder(module: str) -> Path:
    """Return the folder of a package without importing the package itself. Raises PackError."""
    try:
        spec = find_spec(module)
    except Exception as error:  # a package above it is imported, and may raise anything
        raise PackError(f"{module} cannot be found: {type(error).__name__}: {error}") from error
    if spec is None or not spec.submodule_search_locations:
        raise PackError(f"{module} is no package with a folder")
    return Path(next(iter(spec.submodule_search_locations)))


def read_pack(name: str, folder: Path, distribution: str = "") -> Pack:
    """Return the pack in `folder`. Raises PackError that names the fault in its `pack.toml`."""
    file = folder / _PACK_FILE
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise PackError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PackError(f"{file} is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{file}:{find_fault_line(text, error)}: {error}") from error
    lines = KeyLines(text)
    try:
        content = msgspec.convert(values, type=PackFile)
    except msgspec.ValidationError as error:
        keys, problem = _find_place(values, error)
        raise PackError(f"{file}:{lines.find(keys)}: {problem}") from error
    pack = Pack(name, folder, distribution, content)
    if not NAME_PATTERN.fullmatch(name):
        raise PackError(
            f"{name!r} is not a valid pack name: use at most 21 lowercase letters and digits, a letter first"
        )
    for keys, problem in _find_problems(pack):
        raise PackError(f"{file}:{lines.find(keys)}: {problem}")
    return pack


def _find_place(values: dict[str, Any], error: msgspec.ValidationError) -> tuple[list[str], str]:
    """Return the keys that an error of decoding is about, and the error's text.

    The decoder does not name the keys of `countries` and `params`: their values are decoded one by one.
    """
    for table, item_type in (("countries", PackCountry), ("params", Param)):
        items = values.get(table)
        for key, item in items.items() if isinstance(items, dict) else ():
            try:
                msgspec.convert(item, type=item_type)
            except msgspec.ValidationError as inner:
                keys, problem = _split_error(inner)
                return [table, key, *keys], f"{table}.{key}: {problem}"
    return _split_error(error)


def _split_error(error: msgspec.ValidationError) -> tuple[list[str], str]:
    text = str(error)
    place = _PLACE_PATTERN.search(text)
    keys = [key for key in (place[1] if place else "").split(".") if key and not key.startswith("[")]
    name = _UNKNOWN_FIELD_PATTERN.search(text)
    return [*keys, *([name[1]] if name else [])], text


def _is_base_url(url: str) -> bool:
    try:
        _ = urlsplit(url).port  # raises ValueError for a bad port
    except ValueError:
        return False
    return _BASE_URL_PATTERN.fullmatch(url) is not None


def _find_problems(pack: Pack) -> Iterator[tuple[list[str], str]]:
    """Yield the keys and the text of each fault that decoding by types does not find."""
    content = pack.content
    if content.default_country not in content.countries:
        yield ["default_country"], f"default_country {content.default_country!r} is not one of countries"
    for key in ("dialect", "simulator"):
        value = getattr(content, key)
        if value is not None and not _CLASS_PATTERN.fullmatch(value):
            yield [key], f"{key} {value!r} names no class: write package.module:Class"
    if content.event_url is not None and not _EVENT_URL_PATTERN.fullmatch(content.event_url):
        yield (
            ["event_url"],
            f"event_url {content.event_url!r} is not an address with the event's id, e.g. "
            "{base_url}/event/{external_id}",
        )
    if not content.sports:
        yield ["sports"], "sports is empty"
    for code, country in content.countries.items():
        if not _COUNTRY_PATTERN.fullmatch(code):
            yield (
                ["countries", code],
                f"countries.{code}: the key of a country is its two-letter code in lowercase letters",
            )
        if not _is_base_url(country.base_url):
            yield (
                ["countries", code, "base_url"],
                f"countries.{code}.base_url: {country.base_url!r} is not scheme and host, e.g. https://www.example.com",
            )
        try:
            ZoneInfo(country.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the folder of a continent
            yield (
                ["countries", code, "time_zone"],
                f"countries.{code}.time_zone: {country.time_zone!r} is no time zone",
            )
    for platform, code in pack.countries.items():
        if not PLATFORM_PATTERN.fullmatch(platform):
            yield ["countries", code], f"{platform!r} is no key of a platform"
        try:
            PackPlatform(platform, pack, code).fill_params()
        except ValueError as error:
            yield ["countries", code], f"countries.{code}: {error}"
