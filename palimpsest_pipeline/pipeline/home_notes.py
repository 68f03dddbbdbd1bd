"""The notes in a home folder: the source of its answers, and the first UTC day of the installation.

The source is the real sites or the simulator; one home folder never contains answers of both. The partitions in Dagster
begin with the first day.
"""

import ipaddress
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.settings import Settings, SettingsError, name_platform_variable
from palimpsest_pipeline.storage.archive import EntryUnreadable, read_recorded_days
from palimpsest_pipeline.storage.marts.data_freshness import read_first_hour

from .context import Pipeline, make_home

DATA_SOURCE_FILE: Final = "data_source"
Note = TypeVar("Note")


class DataSource(StrEnum):
    """The two sources of answers: the bookmakers' sites, or the simulator on this machine."""

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
    """Return the source in the home folder's file `data_source`; None when there is no such file.

    Raises SettingsError when the file cannot be read or contains another word.
    """
    return _read_note(home / DATA_SOURCE_FILE, DataSource, "the word `real` or `simulated`")


def _read_note(file: Path, parse: Callable[[str], Note], content: str) -> Note | None:
    try:
        return parse(file.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} must hold {content}: {error}") from error


def note_source(settings: Settings, source: DataSource) -> None:
    """Write the source of the answers, `real` or `simulated`, into the home folder's file `data_source`."""
    replace_text(make_home(settings) / DATA_SOURCE_FILE, f"{source}\n")


def describe_conflict(settings: Settings, source: DataSource) -> str | None:
    """Return why these settings must not add answers to data of this source, with advice, or None.

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
    """Raise SettingsError when the settings lead to another source than that of the home folder's data.

    Write the file with the source if it is missing. `has_cycles` tells whether the ledger has earlier cycles. If it
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


FIRST_DAY_FILE: Final = "first_day"
"""Name of the file in the home folder that contains the first day as a date, such as `2026-06-26`."""


def read_first_day(settings: Settings) -> date:
    """Return PALIMPSEST_FIRST_DAY, otherwise the day in the file `first_day`, otherwise today.

    Raises SettingsError when the file cannot be read, or when the setting is in the future: today would have no
    partition.
    """
    today = datetime.now(UTC).date()
    if settings.first_day is not None and settings.first_day > today:
        raise SettingsError(
            f"PALIMPSEST_FIRST_DAY: {settings.first_day} lies in the future; give today ({today}, UTC) or an earlier"
            " day"
        )
    return settings.first_day or read_noted_day(settings.home) or today


def read_noted_day(home: Path) -> date | None:
    """Return the day in the file `first_day` of the home folder; None when there is no such file.

    Raises SettingsError when the file cannot be read.
    """
    return _read_note(home / FIRST_DAY_FILE, date.fromisoformat, "one date, such as 2026-06-26")


def note_day(settings: Settings, day: date) -> bool:
    """Write `day` into the file `first_day` unless the file already has this day or an earlier one.

    Return whether the file was written.
    """
    noted = read_noted_day(settings.home)
    if noted is not None and noted <= day:
        return False
    replace_text(make_home(settings) / FIRST_DAY_FILE, f"{day}\n")
    return True


def lower_first_day(settings: Settings, day: date, say: Callable[[str], None]) -> None:
    """Write `day` into the file `first_day` if it is earlier than the day there.

    When the setting PALIMPSEST_FIRST_DAY is later than `day`, or servers must be restarted, `say` gets the advice.
    """
    before = read_first_day(settings)
    noted = note_day(settings, day)
    if settings.first_day is not None and day < settings.first_day:
        say(
            f"PALIMPSEST_FIRST_DAY is {settings.first_day}: days before it have no partition in Dagster. To derive them"
            f" set it to {day}"
        )
    elif noted and day < before:
        say(
            f"the first day is now {day} (before: {before}): restart running servers with `palimpsest down` and"
            " `palimpsest up`"
        )


def settle_first_day(pipeline: Pipeline) -> None:
    """Write the file `first_day` if it is missing: the earliest day with data, otherwise today.

    The partitions of a new home folder then include data that exist already. Raises DatabaseUnreachable, LandingError.
    """
    settings = pipeline.settings
    if read_noted_day(settings.home) is not None:
        return
    with pipeline.connect() as conn:
        stored = read_first_hour(conn)
        try:
            exported = list(pipeline.archive.read_catalogue())
        except EntryUnreadable:  # upgrades run before the command that repairs such an entry
            exported = list(read_recorded_days(conn))
    hours = [*pipeline.landing.list_hours(), *([stored] if stored else []), pipeline.clock.now()]
    note_day(settings, min([*(hour.date() for hour in hours), *exported]))
