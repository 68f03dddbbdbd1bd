"""The latency of answers: lognormal, by platform and endpoint.

It is pseudo-random: the n-th attempt of a request takes the same time in every run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import exp, log
from statistics import NormalDist
from typing import Final

from palimpsest_pipeline.platforms.packs import load_packs

ENDPOINTS: Final = ("tree", "listing", "detail")
ANY_PLACE: Final = "*"

_NORMAL_DISTRIBUTION: Final = NormalDist()
_P95_Z_SCORE: Final = _NORMAL_DISTRIBUTION.inv_cdf(0.95)


def draw_share(*key: object) -> float:
    """Return a pseudo-random number strictly between 0 and 1 that depends only on the key."""
    digest = blake2b("\0".join(map(str, key)).encode(), digest_size=6).digest()
    return (int.from_bytes(digest) + 0.5) / 2**48


@dataclass(frozen=True, slots=True)
class Latency:
    """A lognormal latency by its median and 95th percentile in milliseconds; constant when equal."""

    p50_ms: float
    p95_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.p50_ms <= self.p95_ms:
            raise ValueError(f"a latency needs 0 < p50 <= p95, not {self.p50_ms:g}/{self.p95_ms:g}")

    def compute_seconds(self, share: float) -> float:
        """Return the latency in seconds that `share` (0..1) of the answers do not exceed."""
        sigma = log(self.p95_ms / self.p50_ms) / _P95_Z_SCORE
        return self.p50_ms * exp(sigma * _NORMAL_DISTRIBUTION.inv_cdf(share)) / 1000


def parse_place(text: str) -> tuple[str, str]:
    """Return platform and endpoint of `bet9ja.detail`, `bet9ja`, `*.detail` or `*`. Raises ValueError."""
    platform, _, endpoint = text.partition(".")
    if platform not in {ANY_PLACE, *load_packs().platforms} or endpoint not in {"", ANY_PLACE, *ENDPOINTS}:
        raise ValueError(f"{text!r} names no platform and endpoint: like 'bet9ja.detail', 'bet9ja', '*.detail' or '*'")
    return platform, endpoint or ANY_PLACE


class LatencyTable:
    """The latencies by platform and endpoint.

    The most specific setting is used. Without any setting, answers are sent at once.
    """

    def __init__(self, seed: int, settings: Mapping[str, Latency] | None = None) -> None:
        self._seed = seed
        self._latency_by_place = {parse_place(text): latency for text, latency in (settings or {}).items()}

    def set_latency(self, text: str, latency: Latency) -> None:
        """Set the latency of platform and endpoint, given as in `parse_place`."""
        self._latency_by_place[parse_place(text)] = latency

    def draw_s(self, platform: str, endpoint: str, key: str, attempt: int) -> float:
        """Return the latency in seconds for one attempt of a request.

        It depends on the request's key (a listing's id, or path and query) and on the number of the attempt.
        """
        for place in ((platform, endpoint), (platform, ANY_PLACE), (ANY_PLACE, endpoint), (ANY_PLACE, ANY_PLACE)):
            if place in self._latency_by_place:
                return self._latency_by_place[place].compute_seconds(
                    draw_share(self._seed, "latency", platform, key, attempt)
                )
        return 0.0
