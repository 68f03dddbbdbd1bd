"""Run the simulator: `python -m palimpsest_pipeline.simulator --port 0 --size 120 --seed 7`.

Prints one JSON line when it is ready.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import socket
import sys
from datetime import UTC, datetime, timedelta

import uvicorn

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import PackError

from .app import REAL_BODIES, RENDERED_BODIES, Simulator, build_simulator_app
from .latency import Latency
from .simulated_platforms import PLATFORMS

PARENT_CHECK_INTERVAL_S = 1.0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m palimpsest_pipeline.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--size", type=int, default=120, help="fixtures in the union of the platforms")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epoch", help="ISO instant at which the world starts; default: now, floored to the minute")
    parser.add_argument(
        "--clock-offset-s", type=float, default=0.0, help="shift of the simulated now against the machine's"
    )
    parser.add_argument("--betpawa-version", choices=("v3", "v4"), default="v4")
    parser.add_argument(
        "--latency",
        action="append",
        default=[],
        metavar="AT=P50/P95",
        help="lognormal, in ms: '*=250/700', 'bet9ja.detail=200/900'; may be repeated",
    )
    parser.add_argument(
        "--bodies",
        choices=(RENDERED_BODIES, REAL_BODIES),
        default=RENDERED_BODIES,
        help=f"{RENDERED_BODIES} (default): details rendered on request; {REAL_BODIES}: details of real size, packed "
        "at the start",
    )
    parser.add_argument("--platforms", default=",".join(PLATFORMS), help="platforms to serve, separated by commas")
    parser.add_argument("--parent-pid", type=int, help="exit when this process has ended")
    return parser.parse_args()


def _parse_epoch(text: str | None, offset_s: float) -> datetime:
    if text is None:
        return (datetime.now(UTC) + timedelta(seconds=offset_s)).replace(second=0, microsecond=0)
    epoch = datetime.fromisoformat(text)
    if epoch.tzinfo is None:
        raise SystemExit(f"--epoch {text!r} carries no time zone")
    return epoch.astimezone(UTC)


def _parse_latencies(texts: list[str]) -> dict[str, Latency]:
    try:
        pairs = [text.split("=") for text in texts]
        return {place: Latency(*map(float, value.split("/"))) for place, value in pairs}
    except (TypeError, ValueError) as error:
        raise SystemExit(f"--latency: {error}") from None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def _serve(server: uvicorn.Server, bound_socket: socket.socket, parent_pid: int | None) -> None:
    server_task = asyncio.create_task(server.serve(sockets=[bound_socket]))
    while not server.started and not server_task.done():
        await asyncio.wait({server_task}, timeout=0.01)
    if server.started:
        sys.stdout.write(json.dumps({"port": bound_socket.getsockname()[1], "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
    while parent_pid is not None and not server_task.done():
        # When a parent dies, another process becomes the parent, so the parent's id changes.
        if os.getppid() != parent_pid and not _is_alive(parent_pid):
            server.should_exit = True
            server.force_exit = True
        await asyncio.wait({server_task}, timeout=PARENT_CHECK_INTERVAL_S)
    await server_task


def main() -> None:
    """Serve until SIGTERM or SIGINT, or until the given parent process has ended."""
    arguments = _parse_arguments()
    epoch = _parse_epoch(arguments.epoch, arguments.clock_offset_s)
    try:
        simulator = Simulator(
            arguments.seed,
            arguments.size,
            epoch,
            arguments.clock_offset_s,
            betpawa_version=arguments.betpawa_version,
            latency=_parse_latencies(arguments.latency),
            bodies=arguments.bodies,
            platforms=[Platform(key) for key in arguments.platforms.split(",")],
        )
    except (PackError, ValueError) as error:
        raise SystemExit(str(error)) from None
    try:
        bound_socket = socket.create_server((arguments.host, arguments.port), backlog=512)
    except OSError as error:
        raise SystemExit(
            f"port {arguments.port} of {arguments.host} cannot be used ({error.strerror}): "
            "choose another one with --port, or 0 for any free one"
        ) from None
    config = uvicorn.Config(
        build_simulator_app(simulator),
        http=simulator.board.connections.build_protocol(),
        date_header=False,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    # The world stays in memory, so freezing it spares the garbage collector repeated scans.
    gc.collect()
    gc.freeze()
    # Where uvloop is installed, uvicorn uses it, which has more precise timers.
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(uvicorn.Server(config), bound_socket, arguments.parent_pid))


if __name__ == "__main__":
    main()
