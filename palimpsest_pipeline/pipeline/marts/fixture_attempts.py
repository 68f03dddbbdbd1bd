"""Some fixtures at a time, of which none stops the others: what fails is told at the end, and stays due.

Knows no Dagster.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.storage.db.locks import Busy

log = logging.getLogger(__name__)

MAX_NAMED_FIXTURES: Final = 5


class NotDerived(RuntimeError):
    """Fixtures could not be derived, and stay due. The message says which, and why the first ones."""


class FixtureAttempts:
    """What became of deriving a product. Threads may share it."""

    def __init__(self, product: FixtureProduct) -> None:
        self._product = product
        self._errors: list[tuple[Sequence[int], Exception]] = []

    @contextmanager
    def catch_error(self, sr_ids: Sequence[int]) -> Iterator[None]:
        """An error in the block is kept for the end; that somebody else is at it is none."""
        try:
            yield
        except Busy:
            raise
        except Exception as error:
            log.exception("%s of %d fixtures could not be derived: %s", self._product, len(sr_ids), _format_ids(sr_ids))
            self._errors.append((sr_ids, error))

    def raise_errors(self) -> None:
        """Raises NotDerived when something failed."""
        if self._errors:
            sr_ids, (_, first) = [sr_id for some, _ in self._errors for sr_id in some], self._errors[0]
            why = str(first).strip().partition("\n")[0]
            raise NotDerived(
                f"{self._product} of {len(sr_ids)} fixtures could not be derived, and stay due (SportRadar ids {_format_ids(sr_ids)}):"
                f" {type(first).__name__}: {why}"
            )


def _format_ids(sr_ids: Sequence[int]) -> str:
    more = f" and {len(sr_ids) - MAX_NAMED_FIXTURES} more" if len(sr_ids) > MAX_NAMED_FIXTURES else ""
    return ", ".join(map(str, sr_ids[:MAX_NAMED_FIXTURES])) + more
