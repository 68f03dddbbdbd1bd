"""The origin of the answers in a home folder: the real sites or the simulator.

One home folder never contains answers of both.
"""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.settings import Settings, SettingsError, name_platform_variable

from .context import make_home

DATA_SOURCE_FILE: Final = "data_source"


class DataSource(StrEnum):
    """The two origins of answers: the bookmakers' sites, or the simulator on this machine."""

    REAL = "real"
    SIMULATED = "simulated"


def classify_url(url: str) -> DataSource:
    """Return `SIMULATED` for an address of this machine, otherwise `REAL`."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
        is_local = address.is_loopback or address.is_unspecified
    except ValueError:
        is_local = host == "localhost"
    return DataSource.SIMULATED if is_local else DataSource.REAL


def read_noted_source(home: Path) -> DataSource | None:
    """Return the origin in the home folder's file `data_source`; None when there is no such file.

    Raises SettingsError when the file cannot be read or contains another word.
    """
    try:
        text = (home / DATA_SOURCE_FILE).read_text(encoding="utf-8").strip()
        return DataSource(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{home / DATA_SOURCE_FILE} must hold the word `real` or `simulated`: {error}") from error


def note_source(settings: Settings, source: DataSource) -> None:
    """Write the origin of the answers, `real` or `simulated`, into the home folder's file `data_source`."""
    replace_text(make_home(settings) / DATA_SOURCE_FILE, f"{source}\n")


def describe_conflict(settings: Settings, source: DataSource) -> str | None:
    """Return why these settings must not add answers to data of this origin, with advice, or None.

    Only active platforms with a pack count, because no other one is ever requested.
    """
    for platform in settings.platforms:
        if platform not in settings.platform:
            continue  # its pack is missing
        url = settings.platform[platform].base_url
        if classify_url(url) is source:
            continue
        variable = name_platform_variable(platform, "base_url")
        if source is DataSource.SIMULATED:
            return (
                f"{settings.home} holds simulated data, and {variable} leads to the real site {url}: start `palimpsest"
                " simulate` and export the addresses that it prints, or choose another folder with PALIMPSEST_HOME_DIR"
            )
        return (
            f"{settings.home} holds data of the real sites, and {variable} leads to a simulator at {url}: choose"
            " another folder for simulated data with PALIMPSEST_HOME_DIR, or unset the variable"
        )
    return None


def require_same_source(settings: Settings, *, has_cycles: bool) -> None:
    """Raise SettingsError when the settings lead to another origin than that of the home folder's data.

    Write the file with the origin if it is missing. `has_cycles` tells whether the ledger has earlier cycles. If it
    has, and the file is missing, no file is written and no error is raised; `palimpsest doctor` then asks the user to
    write it.
    """
    noted_source = read_noted_source(settings.home)
    if noted_source is None and has_cycles:
        return
    source = noted_source or classify_url(settings.get_platform(settings.home_platform).base_url)
    if conflict := describe_conflict(settings, source):
        raise SettingsError(conflict)
    if noted_source is None:
        note_source(settings, source)
