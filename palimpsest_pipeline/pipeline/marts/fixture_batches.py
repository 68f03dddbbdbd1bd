"""Derivation of fixtures in batches, several at the same time, and the handling of errors.

A failed group stays due and does not stop the others. Its error is raised at the end. Imports no Dagster.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from itertools import takewhile
from threading import Event
from typing import Final, TypeVar

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, Busy, hold_lock

from ..context import Pipeline

log = logging.getLogger(__name__)

MAX_NAMED_FIXTURES: Final = 5


class NotDerived(RuntimeError):
    """Fixtures could not be derived and stay due. The message names them and gives the first error."""


def _format_ids(sr_ids: Sequence[int]) -> str:
    remainder = f" and {len(sr_ids) - MAX_NAMED_FIXTURES} more" if len(sr_ids) > MAX_NAMED_FIXTURES else ""
    return ", ".join(map(str, sr_ids[:MAX_NAMED_FIXTURES])) + remainder


Batch = Sequence[int]
"""SportRadar ids of fixtures that are derived together."""
Derivation = TypeVar("Derivation")


def derive_batches(
    pipeline: Pipeline,
    product: FixtureProduct,
    batches_by_lock: Mapping[AdvisoryLock, Iterable[Batch]],
    derive_batch: Callable[[psycopg.Connection, AdvisoryLock, Batch], Derivation],
    *,
    wait: bool = True,
) -> list[Derivation]:
    """Derive the batches of each lock one after another; return the results in any order.

    A batch is derived while its lock is held. Each lock has a thread and an autocommit connection of its own.
    Without `wait`, a thread stops when another process holds its lock; its other fixtures stay due. When the caller
    is interrupted, the current batches are finished and no other begins. A failed batch does not stop the others;
    NotDerived is raised at the end.
    """
    interrupted, derivations, errors = Event(), list[Derivation](), list[tuple[Batch, Exception]]()

    def derive_share(lock: AdvisoryLock, batches: Iterator[Batch]) -> None:
        with pipeline.database.connect(autocommit=True) as conn:
            for batch in takewhile(lambda _: not interrupted.is_set(), batches):
                try:
                    with hold_lock(conn, lock, wait=wait):
                        derivations.append(derive_batch(conn, lock, batch))
                except Busy:
                    n_left = len(batch) + sum(map(len, batches))
                    log.info(
                        "another process derives %s: %d fixtures stay due for the next derivation", product, n_left
                    )
                    return
                except Exception as error:
                    log.exception("%s of %d fixtures could not be derived: %s", product, len(batch), _format_ids(batch))
                    errors.append((batch, error))

    with ThreadPoolExecutor(len(batches_by_lock)) as pool:
        try:
            shares = [pool.submit(derive_share, lock, iter(batches)) for lock, batches in batches_by_lock.items()]
            wait_for(shares)
        except BaseException:
            interrupted.set()
            raise
    for share in shares:
        share.result()
    if errors:
        sr_ids, (_, first) = [sr_id for batch, _ in errors for sr_id in batch], errors[0]
        raise NotDerived(
            f"{product} of {len(sr_ids)} fixtures could not be derived, and stay due (SportRadar ids"
            f" {_format_ids(sr_ids)}): {type(first).__name__}: {str(first).strip().partition(chr(10))[0]}"
        )
    return derivations


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
