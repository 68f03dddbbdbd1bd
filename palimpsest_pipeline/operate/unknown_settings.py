"""Environment variables that begin like a setting but are not one, so that no code reads them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.settings import (
    DOTENV_ENCODING,
    DOTENV_FILE,
    ENV_PREFIX,
    SERVICE_ADDRESS_PATTERN,
    Settings,
    list_setting_names,
    name_platform_variable,
    parse_platform_variable,
)

SERVER_USER_VARIABLE: Final = "PALIMPSEST_PG_USER"
"""A variable that the embedded Postgres reads itself; it is not a field of the settings."""
MIN_SIMILARITY: Final = 60
"""Minimum similarity (0 to 100) of a known name that is suggested for an unknown one."""
SERVICE_VARIABLE_PATTERN: Final = re.compile(
    rf"{ENV_PREFIX}(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""Names that Kubernetes sets in every container for a service whose name begins with `palimpsest`."""
SERVICE_PORT_PATTERN: Final = re.compile(r".*_(SERVICE|TCP|UDP|SCTP)_PORT")


@dataclass(frozen=True, slots=True)
class UnknownSetting:
    """A variable that begins like a setting but is not one.

    `nearest` is the setting with the most similar name, or None when no name is similar.
    """

    name: str
    place: str
    nearest: str | None
    is_service_variable: bool

    @property
    def sentence(self) -> str:
        if self.is_service_variable:
            return f"{self.name} ({self.place}) is set by Kubernetes for a service and is not a setting"
        suggestion = f", but {self.nearest} is" if self.nearest else ""
        return f"{self.name} ({self.place}) is not a setting{suggestion}"


def find_unknown_settings(
    environment: Mapping[str, str | None] | None = None, dotenv: Path | None = None
) -> list[UnknownSetting]:
    """Return the variables that begin like a setting but are not one.

    They come from the environment and the `.env` file, in that order.
    """
    file = dotenv or Path(DOTENV_FILE)
    places: dict[str, Mapping[str, str | None]] = {
        "environment": os.environ if environment is None else environment,
        file.name: dotenv_values(file, encoding=DOTENV_ENCODING) if file.exists() else {},
    }
    is_known = _KnownNames()
    return [
        _describe(name, value, place, is_known.names)
        for place, values in places.items()
        for name, value in values.items()
        if name.upper().startswith(ENV_PREFIX)
        and (not is_known(name.upper()) or SERVICE_ADDRESS_PATTERN.fullmatch(value or ""))
    ]


def _describe(name: str, value: str | None, place: str, known_names: set[str]) -> UnknownSetting:
    # A number such as PALIMPSEST_PORT=3000 is a user's mistake for PALIMPSEST_UI_PORT. An address such as
    # tcp://10.0.0.1:80 is set by Kubernetes.
    is_bare_port = name.endswith("_PORT") and SERVICE_PORT_PATTERN.fullmatch(name) is None
    has_address = SERVICE_ADDRESS_PATTERN.fullmatch(value or "") is not None
    is_service_variable = SERVICE_VARIABLE_PATTERN.fullmatch(name) is not None and (has_address or not is_bare_port)
    return UnknownSetting(
        name, place, None if is_service_variable else _find_nearest(name.upper(), known_names), is_service_variable
    )


class _KnownNames:
    """A test whether a name is a setting, one header of a platform, or an entry of a mapping."""

    def __init__(self) -> None:
        unset = Settings.model_construct()
        fields = {f"{ENV_PREFIX}{name.upper()}": getattr(unset, name) for name in Settings.model_fields}
        self.names = {*list_setting_names(), SERVER_USER_VARIABLE}
        mappings = {name for name, value in fields.items() if isinstance(value, dict)} - {f"{ENV_PREFIX}PLATFORM"}
        self._entries = tuple(f"{name}__" for name in mappings)

    def __call__(self, name: str) -> bool:
        return name in self.names or name.startswith(self._entries) or self._is_platform_variable(name)

    def _is_platform_variable(self, name: str) -> bool:
        if (place := parse_platform_variable(name)) is None:
            return False
        platform, setting = place[0], place[1].partition("__")[0]
        return platform in load_packs().platforms and name_platform_variable(platform, setting) in self.names


def _find_nearest(name: str, known_names: set[str]) -> str | None:
    from rapidfuzz import fuzz, process  # noqa: PLC0415 - needed only after a mistake

    names_by_suffix = {name.removeprefix(ENV_PREFIX): name for name in sorted(known_names)}
    match = process.extractOne(
        name.removeprefix(ENV_PREFIX), names_by_suffix.keys(), scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY
    )
    return names_by_suffix[match[0]] if match else None
