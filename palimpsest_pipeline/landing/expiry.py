"""Expiry: removing hours of the landing whose time is over, whole, and only those that nobody needs any more.

Belongs here: which hours go, by a rule that is given, and removing them so that readers see all of an hour or nothing
of it. Does not: knowing who needs an hour (the caller does, which knows what was derived and exported).

An hour gets a mark first, by which it is gone for readers in one step; then everything in it is removed, the mark last.
An hour that still has the
mark is finished by the next time, whoever needs it: it is lost already.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from upath import UPath

from palimpsest_pipeline.domain.instants import HOUR

from .files import EXPIRING_FILE
from .writer import Landing

NeedCheck = Callable[[datetime], str | None]
"""Why an hour must stay, in words; None when it may go."""


@dataclass(slots=True)
class ExpiryResult:
    """What expiry did, or would do. Hours in order."""

    removed: list[datetime] = field(default_factory=list)
    bytes_removed: int = 0
    """What their answers took."""
    kept: dict[datetime, str] = field(default_factory=dict)
    """Their time is over, and why they stay."""


def expire_hours(landing: Landing, before: datetime, find_need: NeedCheck, *, dry_run: bool = False) -> ExpiryResult:
    """Remove the hours that were over at that instant and are not needed, and finish those whose removal broke off.

    One at a time: the caller sees to it that nobody else compacts or expires. Raises LandingError when the store
    refuses.
    """
    done = ExpiryResult()
    for hour in list_expired_hours(landing, before):
        begun = landing._is_expiring(landing._hour_folder(hour))
        if not begun and (why := find_need(hour)) is not None:
            done.kept[hour] = why
            continue
        done.bytes_removed += int(landing.measure_usage(start=hour, end=hour + HOUR)["bytes"].sum())
        if not dry_run:
            _remove_hour(landing, hour)
        done.removed.append(hour)
    if not dry_run:
        for _, folder in landing._list_hour_folders():
            _remove_empty(landing, folder)  # left by one that died at the very end
    return done


def list_expired_hours(landing: Landing, before: datetime) -> list[datetime]:
    """Hours that were over at that instant and are there, also those with cycles that are not closed and those half
    removed, in order.
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
            landing._remove(path, folder=landing._is_folder(path))
    landing._remove(folder / EXPIRING_FILE)
    _remove_empty(landing, folder)


def _remove_empty(landing: Landing, folder: UPath) -> None:
    landing._remove_empty(folder)
    landing._remove_empty(folder.parent)
