"""The first UTC day of an installation, with which the partitions in Dagster begin."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.settings import Settings, SettingsError
from palimpsest_pipeline.storage.archive import EntryUnreadable, read_recorded_days
from palimpsest_pipeline.storage.marts.data_freshness import read_first_hour

from .context import Pipeline, make_home

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
    try:
        return date.fromisoformat((home / FIRST_DAY_FILE).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{home / FIRST_DAY_FILE} must hold one date, such as 2026-06-26: {error}") from error


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
