"""The buckets of the time to kickoff: names and bounds."""

from dataclasses import dataclass
from typing import Final

from .enums import BucketScheme

MINUTES_PER_HOUR: Final = 60
MINUTES_PER_DAY: Final = 24 * MINUTES_PER_HOUR


@dataclass(frozen=True, slots=True)
class Bucket:
    """A range of times to kickoff in minutes: `min_minutes` is included, `below_minutes` excluded.

    None means no bound.
    """

    name: str
    min_minutes: int | None
    below_minutes: int | None


def _build_scheme(*named_minimums: tuple[str, int | None]) -> tuple[Bucket, ...]:
    """Return adjacent buckets from pairs (name, minimum minutes), the farthest from kickoff first."""
    upper_bounds: list[int | None] = [None, *(least for _, least in named_minimums[:-1])]
    return tuple(Bucket(name, least, bound) for (name, least), bound in zip(named_minimums, upper_bounds, strict=True))


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
"""The buckets of each scheme, the farthest from kickoff first.

The bucket `in-play` never contains data from before kickoff.
"""
