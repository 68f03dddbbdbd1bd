"""Derivation of fixtures in groups: batches, shares at the same time, and the handling of errors.

A failed group stays due and does not stop the others. Its error is raised at the end. Imports no Dagster.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import takewhile
from threading import Event
from typing import Final, TypeVar

import polars as pl

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, Busy

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


Batch = Sequence[int]
"""SportRadar ids of fixtures that are derived together."""
Derivation = TypeVar("Derivation")


def derive_shares(
    batches_by_lock: Mapping[AdvisoryLock, Iterable[Batch]],
    derive_share: Callable[[AdvisoryLock, Iterator[Batch]], Derivation],
) -> list[Derivation]:
    """Return the results of `derive_share` for all locks with their batches, called at the same time.

    An error of one share does not stop the others; it is raised at the end. When the caller is interrupted, the current
    batches are finished and no other batch begins: `derive_share` must take each batch only when it begins it.
    """
    interrupted = Event()
    with ThreadPoolExecutor(len(batches_by_lock)) as pool:
        try:
            shares = [
                pool.submit(derive_share, lock, takewhile(lambda _: not interrupted.is_set(), batches))
                for lock, batches in batches_by_lock.items()
            ]
            wait(shares)
        except BaseException:
            interrupted.set()
            raise
    return [share.result() for share in shares]


ROWS_PER_BATCH: Final = 500_000
"""Maximum number of history rows in a batch, or in those that are computed at the same time.

No result depends on it. Each row takes about 400 bytes at the peak, in addition to the observations of the whole date.
"""


def batch_listings(
    listings: pl.DataFrame, n_rows: pl.DataFrame, tournaments: pl.DataFrame, max_rows: int = ROWS_PER_BATCH
) -> Iterator[pl.DataFrame]:
    """Yield `listings` in groups with at most `max_rows` rows of history, but at least one fixture.

    `n_rows` has the columns listing_id and n_rows. All listings of a fixture are in the same group, and the fixtures of
    a tournament follow one another.
    """
    fixtures = (
        listings.join(n_rows, on="listing_id", how="left")
        .join(tournaments, on="sr_id")
        .group_by("tournament_key", "sr_id")
        .agg(pl.col("n_rows").sum(), pl.col("listing_id").sort())
        .sort("tournament_key", "sr_id")
    )
    begin, weight = 0, 0
    for place, rows in enumerate(fixtures["n_rows"]):
        if place > begin and weight + rows > max_rows:
            yield _select_listings(fixtures[begin:place], listings)
            begin, weight = place, 0
        weight += rows
    if begin < fixtures.height:
        yield _select_listings(fixtures[begin:], listings)


def _select_listings(fixtures: pl.DataFrame, listings: pl.DataFrame) -> pl.DataFrame:
    return fixtures.select("listing_id").explode("listing_id").join(listings, on="listing_id", maintain_order="left")
