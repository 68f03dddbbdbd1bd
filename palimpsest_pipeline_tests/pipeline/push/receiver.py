"""A receiver of webhooks on loopback, in a thread of its own, that answers as a test says."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 60
"""For what comes in seconds: past it something hangs."""


@dataclass(frozen=True)
class Arrival:
    """One request as it came: its time in Unix seconds, and the status that it was answered with."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers each request with the status, and the headers, that `answer` gives for its path and number."""

    answer: Callable[[str, int], int | tuple[int, dict[str, str]]] = lambda path, number: 200
    arrivals: list[Arrival] = field(default_factory=list)
    base_url: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def accepted(self, path: str | None = None) -> list[Arrival]:
        """What was answered with 200, in the order in which it came."""
        return [each for each in list(self.arrivals) if each.status == 200 and path in (None, each.path)]

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Return when the condition holds; it is checked at each arrival. Raises TimeoutError."""
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_S):
                raise TimeoutError(f"{len(self.arrivals)} requests came, of which {len(self.accepted())} were accepted")


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            at = time.time()
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.changed:
                answer = receiver.answer(self.path, len(receiver.arrivals))
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                lower = {name.lower(): value for name, value in self.headers.items()}
                receiver.arrivals.append(Arrival(at, self.path, lower, body, status))
                receiver.changed.notify_all()
            if status == 0:  # hang up without an answer
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Stay silent: a killed sender breaks its connections."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.base_url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
