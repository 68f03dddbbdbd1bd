"""Buckets of the time to kickoff: their names and bounds, in one place.

Belongs here: the data of the schemes. Does not: what is counted in a bucket.
"""

from dataclasses import dataclass
from typing import Final

from .enums import BucketScheme

MINUTES_PER_HOUR: Final = 60
MINUTES_PER_DAY: Final = 24 * MINUTES_PER_HOUR


@dataclass(frozen=True, slots=True)
class Bucket:
    """Times to kickoff from `min_minutes` (included) to below `below_minutes`; None: no bound."""

    name: str
    min_minutes: int | None
    below_minutes: int | None


def _build_scheme(*named: tuple[str, int | None]) -> tuple[Bucket, ...]:
    """Buckets that follow one another, given (name, least minutes) of each, the farthest from kickoff first."""
    below: list[int | None] = [None, *(least for _, least in named[:-1])]
    return tuple(Bucket(name, least, bound) for (name, least), bound in zip(named, below, strict=True))


BUCKETS_BY_SCHEME: Final[dict[BucketScheme, tuple[Bucket, ...]]] = {
    BucketScheme.REFERENCE4: _build_scheme(
        ("7d+", 7 * MINUTES_PER_DAY), ("3-7d", 3 * MINUTES_PER_DAY), ("24-72h", MINUTES_PER_DAY), ("<24h", 0)
    ),
    BucketScheme.TRADER10: _build_scheme(
        ("7d+", 7 * MINUTES_PER_DAY),
        ("3-7d", 3 * MINUTES_PER_DAY),
        ("1-3d", MINUTES_PER_DAY),
        ("12-24h", 12 * MINUTES_PER_HOUR),
        ("6-12h", 6 * MINUTES_PER_HOUR),
        ("3-6h", 3 * MINUTES_PER_HOUR),
        ("1-3h", MINUTES_PER_HOUR),
        ("15-60m", 15),
        ("<15m", 0),
        ("in-play", None),
    ),
}
"""Every scheme, its buckets from the farthest to the nearest. What is seen only before kickoff has nothing in-play."""
