"""The HTTP route of the metrics: it serves the page that the supervisor of `palimpsest up` writes."""

import os
import time
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

METRICS_FILE: Final = "metrics.prom"
"""Name of the page in the home folder."""
METRICS_PATH: Final = "/metrics"
MAX_PAGE_AGE_S: Final = 60.0
"""Maximum age in seconds of a page that is served. An older one would show a state that has passed."""


def make_metrics_route(page: Path, path: str = METRICS_PATH) -> Route:
    """Return the route that answers GET with the content of the file `page`.

    Without a page, or with one older than `MAX_PAGE_AGE_S`, the status is 503, which Prometheus shows as `up == 0`.
    """

    def respond(_: Request) -> Response:
        try:
            with page.open("rb") as file:
                age_s = time.time() - os.fstat(file.fileno()).st_mtime
                body = file.read()
        except OSError:
            return PlainTextResponse("There are no metrics: `palimpsest up` writes them while it runs.\n", 503)
        if age_s > MAX_PAGE_AGE_S:
            return PlainTextResponse(f"The metrics are {age_s:.0f} s old: run `palimpsest doctor`.\n", 503)
        headers = {"content-type": CONTENT_TYPE_PLAIN_0_0_4, "cache-control": "no-store"}
        return Response(body, headers=headers)

    return Route(path, respond, methods=["GET"])
