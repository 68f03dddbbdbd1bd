"""Buckets of the time to kickoff: their names and bounds, in one place.

Belongs here: the data of the schemes. Does not: what is counted in a bucket.
"""

from dataclasses import dataclass
from typing import Final

from .enums import BucketScheme

HOUR: Final = 60
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Bucket:
    """Times to kickoff from `least_minutes` (included) to below `below_minutes`; None: no bound."""

    name: str
    least_minutes: int | None
    below_minutes: int | None


def _scheme(*named: tuple[str, int | None]) -> tuple[Bucket, ...]:
    """Buckets that follow one another, given (name, least minutes) of each, the farthest from kickoff first."""
    below: list[int | None] = [None, *(least for _, least in named[:-1])]
    return tuple(Bucket(name, least, bound) for (name, least), bound in zip(named, below, strict=True))


BUCKETS: Final[dict[BucketScheme, tuple[Bucket, ...]]] = {
    BucketScheme.REFERENCE4: _scheme(("7d+", 7 * DAY), ("3-7d", 3 * DAY), ("24-72h", DAY), ("<24h", 0)),
    BucketScheme.TRADER10: _scheme(
        ("7d+", 7 * DAY),
        ("3-7d", 3 * DAY),
        ("1-3d", DAY),
        ("12-24h", 12 * HOUR),
        ("6-12h", 6 * HOUR),
        ("3-6h", 3 * HOUR),
        ("1-3h", HOUR),
        ("15-60m", 15),
        ("<15m", 0),
        ("in-play", None),
    ),
}
"""Every scheme, its buckets from the farthest to the nearest. What is seen only before kickoff has nothing in-play."""
