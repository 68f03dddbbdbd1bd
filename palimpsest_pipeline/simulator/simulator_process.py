"""The simulator as a separate process, and a client for its controls, for tests and demonstrations."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.simulator.simulated_platforms import BETPAWA, PLATFORMS

from .request_log import RequestLine

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0
CONTROL_TIMEOUT_S = 60.0
MAX_STDERR_LINES = 40


class SimulatorError(PalimpsestError, RuntimeError):
    """The simulator did not start or does not answer; the message has the end of its error output."""


def start_process(arguments: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a simulator with these arguments of its command line, in a session of its own."""
    root = Path(__file__).parents[2]
    search = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "palimpsest_pipeline.simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
        start_new_session=True,
    )


class SimulatorProcess:
    """A running simulator. As a context manager it starts on construction and stops on exit.

    `size` is the number of fixtures in the union of the platforms; `clock_offset_s` shifts its present; `log_path`
    receives its error output. `latency` is p50 and p95 in ms by platform and endpoint (`{"*": (250, 700),
    "bet9ja.detail": (200, 900)}`). `bodies` is `rendered` or `real` (details of real size, packed beforehand).
    `platforms` are the served ones.
    """

    def __init__(
        self,
        size: int = 120,
        seed: int = 7,
        *,
        clock_offset_s: float = 0.0,
        betpawa_version: str = "v4",
        log_path: Path | None = None,
        epoch: datetime | None = None,
        port: int = 0,
        latency: Mapping[str, tuple[float, float]] | None = None,
        bodies: str = "rendered",
        platforms: Sequence[Platform] = PLATFORMS,
    ) -> None:
        arguments = ["--port", str(port), "--size", str(size), "--seed", str(seed)]
        arguments += ["--clock-offset-s", str(clock_offset_s), "--betpawa-version", betpawa_version]
        arguments += ["--parent-pid", str(os.getpid())]
        arguments += ["--epoch", epoch.isoformat()] if epoch else []
        arguments += [f"--latency={at}={p50:g}/{p95:g}" for at, (p50, p95) in (latency or {}).items()]
        arguments += [f"--bodies={bodies}", f"--platforms={','.join(platforms)}"]
        self._stderr: deque[str] = deque(maxlen=MAX_STDERR_LINES)
        self._log_path = log_path
        self._process = start_process(arguments)
        self._ready_event: Queue[str] = Queue()
        self._readers = [
            threading.Thread(target=self._read_stdout, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.port: int = self._wait_until_ready()["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_urls: dict[Platform, str] = {platform: f"{self.url}/{platform}" for platform in platforms}

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read_stdout(self) -> None:
        stream: IO[str] = self._process.stdout  # type: ignore[assignment]
        for line in stream:
            self._ready_event.put(line)
        self._ready_event.put("")

    def _read_stderr(self) -> None:
        stream: IO[str] = self._process.stderr  # type: ignore[assignment]
        for line in stream:
            self._stderr.append(line)
            if self._log_path:
                with self._log_path.open("a", encoding="utf-8") as log:
                    log.write(line)

    def _wait_until_ready(self) -> dict[str, int]:
        try:
            line = self._ready_event.get(timeout=_START_TIMEOUT_S)
            ready: dict[str, int] = json.loads(line)
        except (Empty, ValueError):
            code = self._process.poll()
            self.stop()
            if len(self._stderr) == 1:  # the process wrote its own error message
                raise SimulatorError(f"the simulator cannot start: {self._stderr[0].strip()}") from None
            state = f"ended with code {code}" if code is not None else f"said nothing for {_START_TIMEOUT_S:.0f} s"
            raise SimulatorError(f"the simulator {state}\n{''.join(self._stderr)}") from None
        return ready

    def _control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode(self._request(path, body))
        return answer

    def _request(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(
            f"{self.url}/_sim/{path}", data=data, headers={"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=CONTROL_TIMEOUT_S) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise SimulatorError(f"/_sim/{path}: {error.read().decode()}") from None
        except OSError as error:
            raise SimulatorError(f"/_sim/{path}: {error}\n{''.join(self._stderr)}") from None

    def fetch_truth(self, home: Platform = BETPAWA) -> dict[str, Any]:
        """Return the true state of the world now, as `truth.collect_truth` describes it."""
        return self._control(f"truth?home={home}")

    def fetch_book(self, platform: Platform, external_id: str) -> list[dict[str, Any]]:
        """Return the listing's book now with canonical keys, as `truth.collect_book_truth` describes it."""
        lines: list[dict[str, Any]] = self._control(f"book?platform={platform}&external_id={external_id}")["lines"]
        return lines

    def fetch_log(self) -> dict[str, Any]:
        """Return requests per platform and endpoint, the maximum in flight, and CPU seconds (`cpu_s`)."""
        return self._control("log")

    def list_requests(self) -> list[RequestLine]:
        """Return every request so far, in order of arrival, with its latency and times."""
        return msgspec.json.Decoder(RequestLine).decode_lines(self._request("log?detail=1"))

    def clear_log(self) -> None:
        """Clear the log. Attempts are counted from 1 again, so the same latencies and failures recur."""
        self._control("log", {})

    def set_latency(self, at: str, p50_ms: float, p95_ms: float) -> None:
        """Set the latency of a platform and endpoint: `bet9ja.detail`, `bet9ja`, `*.detail` or `*`."""
        self._control("latency", {"at": at, "p50_ms": p50_ms, "p95_ms": p95_ms})

    def set_clock(self, offset_s: float, *, stopped: bool = False) -> datetime:
        """Set the world's current time to the machine's time plus `offset_s` seconds; return it.

        With `stopped`, the world's time does not advance.
        """
        return datetime.fromisoformat(self._control("clock", {"offset_s": offset_s, "stopped": stopped})["now"])

    def move_prices(self, share: float) -> int:
        """Change the prices of `share` of the markets of every listing; return the number of markets changed.

        Each call changes other markets. It needs `bodies` other than `rendered`; see
        `bodies.PackedDetails.move_prices`.
        """
        n_moved: int = self._control("prices", {"share": share})["markets"]
        return n_moved

    def set_fault(self, platform: Platform, mode: str, **settings: Any) -> None:
        """Activate a failure in addition to other modes; mode `none` deactivates all failures of the platform.

        `faults.Fault` describes modes and settings.
        """
        self._control("faults", {"platform": platform, "mode": mode, **settings})

    def run_script(self, action: str, sr_id: int, **settings: Any) -> dict[str, Any]:
        """Change a fixture, or what platforms do with it, manually; see `script.apply_script`."""
        return self._control("script", {"action": action, "sr_id": sr_id, **settings})

    def stop(self) -> None:
        """End the process with SIGTERM, then SIGKILL if needed. Does nothing when it has ended already."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_STOP_TIMEOUT_S)
        for reader in self._readers:
            reader.join(_STOP_TIMEOUT_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream and not stream.closed:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
