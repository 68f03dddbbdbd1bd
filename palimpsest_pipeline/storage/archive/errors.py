"""The errors of an archive; each message contains a remedy."""

import os
from collections.abc import Sequence
from datetime import date

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.secrets import list_store_secrets, redact


class ArchiveError(PalimpsestError):
    """The error when the archive cannot be used.

    The message contains a remedy and no credentials of the store.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message, *list_store_secrets(os.environ)))


class ArchiveDamaged(ArchiveError):
    """The error when a file of the catalogue is missing or changed. The message names day and file."""

    def __init__(self, day: date, file: str, problem: str) -> None:
        self.day, self.file = day, file
        super().__init__(
            f"export of {day}: {file} {problem}. Restore the file from a copy; or, while Postgres has the day or its "
            f"landing can be replayed, export it again (palimpsest export {day} {day})"
        )


class EntryUnreadable(ArchiveError):
    """The error when a day's catalogue entry is not valid. The message names the file."""

    def __init__(self, address: str, day: str, reason: str) -> None:
        super().__init__(
            f"{address} is not a valid entry of the catalogue: {reason}. Restore it from a copy; or, while Postgres "
            f"has the day or its landing can be replayed, export it again (palimpsest export --force {day})"
        )


class CyclesMissing(ArchiveError):
    """The error when Postgres lacks cycles that the exported day has. The archive is unchanged."""

    MAX_SHOWN_CYCLES = 3

    def __init__(self, day: date, cycle_ids: Sequence[int]) -> None:
        self.day = day
        self.cycle_ids = tuple(sorted(cycle_ids))
        shown_ids = _shorten_ids(self.cycle_ids, self.MAX_SHOWN_CYCLES)
        super().__init__(
            f"export of {day}: Postgres lacks {len(self.cycle_ids)} cycles that the exported day has ({shown_ids}). "
            "Nothing was switched; the earlier export stays valid. Derive these cycles again while they are landed "
            f"(palimpsest backfill {day} {day}); where they rightly have no answer any more, replace the exported day "
            f"with `palimpsest export --force {day}`"
        )


class ExportMismatch(ArchiveError):
    """The error when the written files differ from Postgres. The archive is unchanged.

    `listing_ids` are the listings whose rows differ.
    """

    MAX_SHOWN_LISTINGS = 10

    def __init__(self, day: date, listing_ids: Sequence[int]) -> None:
        self.day = day
        self.listing_ids = tuple(sorted(listing_ids))
        shown_ids = _shorten_ids(self.listing_ids, self.MAX_SHOWN_LISTINGS)
        super().__init__(
            f"export of {day}: the file read back differs from Postgres for listing {shown_ids}. Nothing was switched; "
            "the earlier export stays valid. Export the day again. If the error persists, look at these listings in "
            "core.market_changes and core.captures for two rows of one market at one instant, or values that the file "
            "format cannot hold"
        )


def _shorten_ids(ids: Sequence[int], n_shown: int) -> str:
    n_more = len(ids) - n_shown
    return ", ".join(map(str, ids[:n_shown])) + (f" and {n_more} more" if n_more > 0 else "")
