"""Remove old hours of the landing that are not needed any more.

The rule that selects them is in `pipeline.upkeep.landing_retention`.

An hour first gets a marker file (EXPIRING_FILE), which hides it from readers. Then its content is removed, and the
marker file last. The next expiry completes the removal of an hour that still has the marker file, even if the hour is
needed, because some of its answers are already gone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from upath import UPath

from palimpsest_pipeline.domain.instants import HOUR

from .files import EXPIRING_FILE
from .writer import Landing

NeedCheck = Callable[[datetime], str | None]
"""A function that returns the reason why an hour must stay; None when it may be removed."""


@dataclass(slots=True)
class ExpiryResult:
    """The result of an expiry or of its dry run. All hours are in order."""

    removed: list[datetime] = field(default_factory=list)
    bytes_removed: int = 0
    """Size of the removed answers in bytes."""
    kept_hours: dict[datetime, str] = field(default_factory=dict)
    """Old hours that were not removed, with the reason."""


def expire_hours(landing: Landing, before: datetime, find_need: NeedCheck, *, dry_run: bool = False) -> ExpiryResult:
    """Remove the hours that ended before `before` and are not needed.

    Interrupted removals are completed. The caller must ensure that no other process expires the landing.
    Raises LandingError when the store fails.
    """
    result = ExpiryResult()
    for hour in list_expired_hours(landing, before):
        has_mark = landing._is_expiring(landing._hour_folder(hour))
        if not has_mark and (reason := find_need(hour)) is not None:
            result.kept_hours[hour] = reason
            continue
        result.bytes_removed += int(landing.measure_usage(start=hour, end=hour + HOUR)["bytes"].sum())
        if not dry_run:
            _remove_hour(landing, hour)
        result.removed.append(hour)
    if not dry_run:
        for _, folder in landing._list_hour_folders():
            _remove_empty(landing, folder)  # an expiry that died after its last step leaves empty folders
    return result


def list_expired_hours(landing: Landing, before: datetime) -> list[datetime]:
    """Return the hours in the landing that ended before `before`, in order.

    Hours with running cycles and partly removed hours are included.
    """
    return [
        hour
        for hour, folder in landing._list_hour_folders()
        if hour + HOUR <= before and landing._list_children(folder)
    ]


def _remove_hour(landing: Landing, hour: datetime) -> None:
    folder = landing._hour_folder(hour)
    landing._replace_file(folder / EXPIRING_FILE, b"")
    for path in landing._list_children(folder):
        if path.name != EXPIRING_FILE:
            landing._remove(path, folder=True)
    landing._remove(folder / EXPIRING_FILE)
    _remove_empty(landing, folder)


def _remove_empty(landing: Landing, folder: UPath) -> None:
    landing._remove_empty(folder)
    landing._remove_empty(folder.parent)
