"""The files of the board's pages: HTML templates, and scripts and styles joined from their parts.

Parts that the coverage page uses too are read from its folder, `report/page`.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from palimpsest_pipeline.report.page import PAGE_FOLDER as REPORT_FOLDER

FOLDER: Final = Path(__file__).parent / "page"
TABS: Final = {"board.html": "board", "fixture.html": "", "coverage.html": "coverage", "no_coverage.html": "coverage"}
SHARED_SCRIPTS: Final = ("data", "parts", "charts")
"""Scripts of the coverage page that the board uses."""
BOARD_SCRIPTS: Final = ("shell", "cells", "grid", "board")
FIXTURE_SCRIPTS: Final = ("shell", "cells", "fixture")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file for browsers. Its tag (`etag`) shows them whether it has changed."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def build_assets() -> dict[str, Asset]:
    """Return the scripts and styles by their names in URLs."""

    def read(folder: Path, *names: str) -> list[str]:
        return [(folder / name).read_text(encoding="utf-8") for name in names]

    def join_scripts(shared: tuple[str, ...], board_parts: tuple[str, ...]) -> Asset:
        parts = read(REPORT_FOLDER, *(f"{name}.js" for name in shared)) + read(
            FOLDER, *(f"{name}.js" for name in board_parts)
        )
        text = "(() => {\n'use strict';\n" + "\n".join(parts) + "\n})();\n"
        return Asset(text.encode(), "text/javascript; charset=utf-8")

    style = "\n".join(read(REPORT_FOLDER, "style.css") + read(FOLDER, "board.css"))
    uplot = REPORT_FOLDER / "uplot"
    return {
        "board.js": join_scripts(("data", "parts"), BOARD_SCRIPTS),
        "fixture.js": join_scripts(SHARED_SCRIPTS, FIXTURE_SCRIPTS),
        "tab.js": join_scripts(("data", "parts"), ("shell", "tab")),
        "board.css": Asset(style.encode(), "text/css; charset=utf-8"),
        "uPlot.js": Asset((uplot / "uPlot.iife.min.js").read_bytes(), "text/javascript; charset=utf-8"),
        "uPlot.css": Asset((uplot / "uPlot.min.css").read_bytes(), "text/css; charset=utf-8"),
        "uPlot-licence.txt": Asset((uplot / "LICENSE").read_bytes(), "text/plain; charset=utf-8"),
        "icon.svg": Asset((FOLDER / "icon.svg").read_bytes(), "image/svg+xml"),
    }


@cache
def read_template(name: str) -> bytes:
    """Return a page. It contains no data: its scripts request them."""
    head = (FOLDER / "head.html").read_text(encoding="utf-8")
    body = (FOLDER / name).read_text(encoding="utf-8")
    tab = TABS.get(name, "")
    shell = (FOLDER / "shell.html").read_text(encoding="utf-8") if name in TABS else ""
    if tab:
        shell = shell.replace(f'data-tab="{tab}"', f'data-tab="{tab}" aria-current="page"')
    return body.replace("<!-- head -->", head).replace("<!-- shell -->", shell).encode()
