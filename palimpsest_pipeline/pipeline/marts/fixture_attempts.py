"""Error handling for derivations that work through groups of fixtures.

A failed group stays due and does not stop the others. Its error is raised at the end. Imports no Dagster.
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
    """Fixtures could not be derived and stay due. The message names them and gives the first error."""


class FixtureAttempts:
    """The failed groups of fixtures of one derivation. Several threads may share an object."""

    def __init__(self, product: FixtureProduct) -> None:
        self._product = product
        self._errors: list[tuple[Sequence[int], Exception]] = []

    @contextmanager
    def catch_error(self, sr_ids: Sequence[int]) -> Iterator[None]:
        """Catch an error of the block and keep it for `raise_errors`; Busy is raised at once."""
        try:
            yield
        except Busy:
            raise
        except Exception as error:
            log.exception("%s of %d fixtures could not be derived: %s", self._product, len(sr_ids), _format_ids(sr_ids))
            self._errors.append((sr_ids, error))

    def raise_errors(self) -> None:
        """Raise NotDerived if a group of fixtures has failed."""
        if self._errors:
            sr_ids, (_, first) = [sr_id for batch, _ in self._errors for sr_id in batch], self._errors[0]
            reason = str(first).strip().partition("\n")[0]
            raise NotDerived(
                f"{self._product} of {len(sr_ids)} fixtures could not be derived, and stay due (SportRadar ids"
                f" {_format_ids(sr_ids)}): {type(first).__name__}: {reason}"
            )


def _format_ids(sr_ids: Sequence[int]) -> str:
    remainder = f" and {len(sr_ids) - MAX_NAMED_FIXTURES} more" if len(sr_ids) > MAX_NAMED_FIXTURES else ""
    return ", ".join(map(str, sr_ids[:MAX_NAMED_FIXTURES])) + remainder
