"""How long answers take: lognormal by platform and endpoint, drawn from a key.

The n-th asking of a question takes the same time in every run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import exp, log
from statistics import NormalDist
from typing import Final

from palimpsest_pipeline.domain.enums import Platform

ENDPOINTS: Final = ("tree", "listing", "detail")
ANY_PLACE: Final = "*"

_NORMAL_DISTRIBUTION: Final = NormalDist()
_P95_Z_SCORE: Final = _NORMAL_DISTRIBUTION.inv_cdf(0.95)


def draw_share(*key: object) -> float:
    """A number strictly between 0 and 1 that looks random and depends on the key alone, whatever was drawn before."""
    digest = blake2b("\0".join(map(str, key)).encode(), digest_size=6).digest()
    return (int.from_bytes(digest) + 0.5) / 2**48


@dataclass(frozen=True, slots=True)
class Latency:
    """A lognormal latency by its median and its 95th percentile, in milliseconds. Equal ones: always the same."""

    p50_ms: float
    p95_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.p50_ms <= self.p95_ms:
            raise ValueError(f"a latency needs 0 < p50 <= p95, not {self.p50_ms:g}/{self.p95_ms:g}")

    def compute_seconds(self, share: float) -> float:
        """The latency that `share` (0..1) of the answers do not exceed."""
        sigma = log(self.p95_ms / self.p50_ms) / _P95_Z_SCORE
        return self.p50_ms * exp(sigma * _NORMAL_DISTRIBUTION.inv_cdf(share)) / 1000


def parse_place(text: str) -> tuple[str, str]:
    """`bet9ja.detail`, `bet9ja`, `*.detail` or `*` as platform and endpoint. Raises ValueError."""
    platform, _, endpoint = text.partition(".")
    if platform not in {ANY_PLACE, *Platform} or endpoint not in {"", ANY_PLACE, *ENDPOINTS}:
        raise ValueError(f"{text!r} names no platform and endpoint: like 'bet9ja.detail', 'bet9ja', '*.detail' or '*'")
    return platform, endpoint or ANY_PLACE


class LatencyTable:
    """What is set for which platform and endpoint; the most particular setting counts, and without any answers come
    at once.
    """

    def __init__(self, seed: int, settings: Mapping[str, Latency] | None = None) -> None:
        self._seed = seed
        self._latency_by_place = {parse_place(text): latency for text, latency in (settings or {}).items()}

    def set_latency(self, text: str, latency: Latency) -> None:
        """Sets it for a place; see `parse_place`."""
        self._latency_by_place[parse_place(text)] = latency

    def draw_s(self, platform: str, endpoint: str, key: str, attempt: int) -> float:
        """Seconds for this asking of this question: by its key (a listing's id, or path and query) and by how often
        it was asked before.
        """
        for found in ((platform, endpoint), (platform, ANY_PLACE), (ANY_PLACE, endpoint), (ANY_PLACE, ANY_PLACE)):
            if found in self._latency_by_place:
                return self._latency_by_place[found].compute_seconds(
                    draw_share(self._seed, "latency", platform, key, attempt)
                )
        return 0.0
