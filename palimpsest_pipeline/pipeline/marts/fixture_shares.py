"""Derivation of fixtures in shares, one for each lock, at the same time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import takewhile
from threading import Event
from typing import TypeVar

from palimpsest_pipeline.storage.db.locks import AdvisoryLock

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
