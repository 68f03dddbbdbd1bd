"""Shorthands of the wire's tests: a request, a judge, a client that does not wait long, one attempt."""

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.proxy import Proxy
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA


def request(path: str = "/events", **fields: object) -> Request:
    return Request(BETPAWA, PayloadKind.DETAIL, path, **fields)  # type: ignore[arg-type]


def html_is_a_block(answer: Answer) -> tuple[FailureClass, str] | None:
    """A dialect's judge at its smallest."""
    return (FailureClass.BLOCKED, "HTML in place of JSON") if (answer.body or b"").startswith(b"<") else None


def client(
    base_url: str, *, proxy: str | None = None, read_timeout_s: float = 2, total_timeout_s: float = 5, **headers: str
) -> PlatformClient:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    config = HostConfig(
        BETPAWA,
        base_url,
        named,
        Proxy.from_url(proxy) if proxy else None,
        2,
        read_timeout_s,
        total_timeout_s,
        100_000,
    )
    return PlatformClient(config, Clock())


async def send_request(asking: PlatformClient, path: str = "/events", attempt: int = 1) -> Answer:
    """One attempt."""
    return await asking.send(request(path), attempt, html_is_a_block)
