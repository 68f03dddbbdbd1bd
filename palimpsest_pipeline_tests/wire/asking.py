"""Shorthands of the wire's tests: limits without waits, a request, a judge, a client."""

from collections.abc import Awaitable, Callable

from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.words import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.wire import HostConfig, HostLimits, PlatformClient

QUICK = HostLimits(
    max_in_flight=4,
    min_gap_s=0,
    connect_timeout_s=2,
    read_timeout_s=2,
    total_timeout_s=5,
    max_body_bytes=100_000,
    max_attempts=3,
    backoff_initial_s=0,
    backoff_max_s=0,
)


def request(path: str = "/events", **fields: object) -> Request:
    return Request(Platform.BETPAWA, PayloadKind.DETAIL, path, **fields)  # type: ignore[arg-type]


def html_is_a_block(answer: Answer) -> tuple[FailureClass, str] | None:
    """A dialect's judge at its smallest."""
    return (FailureClass.BLOCKED, "HTML in place of JSON") if (answer.body or b"").startswith(b"<") else None


class Waits(list[float]):
    """In place of sleeping: notes how long, and goes on at once."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client(
    base_url: str, limits: HostLimits = QUICK, *, sleep: Callable[[float], Awaitable[None]] | None = None, proxy: str | None = None, **headers: str
) -> PlatformClient:
    config = HostConfig(Platform.BETPAWA, base_url, {k.replace("_", "-"): v for k, v in headers.items()}, limits, proxy)
    return PlatformClient(config, Clock()) if sleep is None else PlatformClient(config, Clock(), sleep=sleep)
