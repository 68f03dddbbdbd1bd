"""What can be wrong with an archive, in words that say what to do."""

import os
from collections.abc import Sequence
from datetime import date

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.secrets import list_store_secrets, redact


class ArchiveError(PalimpsestError):
    """The archive cannot be used as asked. The message says what to do, and shows no credentials of the store."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message, *list_store_secrets(os.environ)))


class ArchiveDamaged(ArchiveError):
    """A file that the catalogue names is missing or not as it was written. The message names day and file."""

    def __init__(self, day: date, file: str, problem: str) -> None:
        self.day, self.file = day, file
        super().__init__(
            f"export of {day}: {file} {problem}. Bring the file back from a copy; or, while Postgres holds the day or its landing can be replayed, "
            f"export it again (palimpsest export {day} {day})"
        )


class EntryUnreadable(ArchiveError):
    """The file of a day's entry of the catalogue is there and is none. The message names it."""

    def __init__(self, address: str, day: str, reason: str) -> None:
        super().__init__(
            f"{address} is no entry of the catalogue: {reason}. Bring it back from a copy; or, while Postgres holds the day or its landing can be "
            f"replayed, export it again (palimpsest export --force {day})"
        )


class CyclesMissing(ArchiveError):
    """The day in Postgres lacks cycles that the exported day has; nothing was switched."""

    MAX_SHOWN_CYCLES = 3

    def __init__(self, day: date, cycle_ids: Sequence[int]) -> None:
        self.day = day
        self.cycle_ids = tuple(sorted(cycle_ids))
        more = len(self.cycle_ids) - self.MAX_SHOWN_CYCLES
        named = ", ".join(map(str, self.cycle_ids[: self.MAX_SHOWN_CYCLES])) + (f" and {more} more" if more > 0 else "")
        super().__init__(
            f"export of {day}: Postgres lacks {len(self.cycle_ids)} cycles that the exported day has ({named}). Nothing was switched, what was "
            f"exported before stands. Derive these cycles again while they are landed (palimpsest backfill {day} {day}); where they rightly have no "
            f"answer any more, replace the exported day with `palimpsest export --force {day}`"
        )


class ExportMismatch(ArchiveError):
    """What was written does not say what Postgres says; nothing was switched.

    `listing_ids` are the listings that differ.
    """

    MAX_SHOWN_LISTINGS = 10

    def __init__(self, day: date, listing_ids: Sequence[int]) -> None:
        self.day = day
        self.listing_ids = tuple(sorted(listing_ids))
        more = len(self.listing_ids) - self.MAX_SHOWN_LISTINGS
        named = ", ".join(map(str, self.listing_ids[: self.MAX_SHOWN_LISTINGS])) + (
            f" and {more} more" if more > 0 else ""
        )
        super().__init__(
            f"export of {day}: the file read back differs from Postgres for listing {named}. Nothing was switched, what was exported before "
            "stands. Export the day again; if it stays so, look at these listings in core.market_changes and core.captures: two rows of one "
            "market at one instant, or values that the file format cannot hold"
        )
