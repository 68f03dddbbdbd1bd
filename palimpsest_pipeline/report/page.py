"""The page as text: template, style, scripts and data in one file. It may fetch nothing, and runs no script but its own, by its own policy."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from palimpsest_pipeline.storage.marts.page_coverage import Coverage
from palimpsest_pipeline.storage.marts.page_trends import Trends

from . import trend_columns
from .fixture_columns import CLASSES, fixtures, leads, tournaments
from .page_data import instant_s, packed
from .price_lines import Histories
from .statements import PlatformSeen, figures, platforms_seen

PAGE: Final = Path(__file__).parent / "page"
SCRIPTS: Final = ("data", "parts", "filters", "fixtures", "missing", "charts", "trends", "prices", "main")
"""Our own scripts, in the order in which they are put together."""


@dataclass(frozen=True, slots=True)
class Made:
    """When and by what the page was made."""

    at: datetime
    version: str
    parser_version: str
    mapping_version: str


def page(made: Made, found: Coverage, trends: Trends, histories: Histories, names: pl.DataFrame) -> str:
    """The whole page. `names`: `storage.marts.page_prices.NAMES` of the markets that `histories` and `trends` may speak of, most important first."""
    seen = platforms_seen(found)
    script = "(() => {\n'use strict';\n" + "\n".join((PAGE / f"{name}.js").read_text() for name in SCRIPTS) + "\n})();\n"
    scripts = [(PAGE / "uplot" / "uPlot.iife.min.js").read_text(), script]
    styles = [(PAGE / "uplot" / "uPlot.min.css").read_text(), (PAGE / "style.css").read_text()]
    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"thousands": thousands, "percent": percent, "instant": instant}
    return environment.get_template("page.html.jinja").render(
        made=made,
        found=found,
        platforms=seen,
        figures=[figures(found, include_started) for include_started in (False, True)],
        policy="; ".join(
            (
                "default-src 'none'",
                "img-src data:",
                f"script-src {' '.join(map(_hash, scripts))}",
                f"style-src {' '.join(map(_hash, styles))}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        scripts=scripts,
        styles=styles,
        data=packed(_data(made, found, trends, histories, names, seen)),
        shards=histories.shards,
        licence=(PAGE / "uplot" / "LICENSE").read_text(),
    )


def _data(made: Made, found: Coverage, trends: Trends, histories: Histories, names: pl.DataFrame, seen: Sequence[PlatformSeen]) -> dict[str, Any]:
    """What the scripts read."""
    markets: dict[str, dict[str, Any]] = {}
    for row in names.iter_rows(named=True):
        market = markets.setdefault(row["market_key"], {"key": row["market_key"], "name": row["market_name"], "outcomes": []})
        market["outcomes"].append(row["outcome_name"])
    return {
        "madeAt": instant_s(made.at),
        "asOf": instant_s(found.as_of),
        "platforms": [{"key": platform.key, "name": platform.name} for platform in seen],
        "classes": CLASSES,
        "tournaments": tournaments(found, seen),
        "fixtures": fixtures(found, seen),
        "leads": leads(found, seen),
        "markets": list(markets.values()),
        "buckets": trend_columns.BUCKETS,
        "cycles": trend_columns.by_cycle(trends, seen),
        "skews": trend_columns.skews(trends),
        "margins": trend_columns.margins(trends, seen),
        "gaps": trend_columns.gaps(trends, seen),
        "prices": {
            "since": histories.since_s,
            "latest": None if histories.latest is None else instant_s(histories.latest),
            "index": histories.index,
            "leftOut": histories.left_out,
        },
    }


def _hash(text: str) -> str:
    """A source of a content security policy that stands for exactly this text."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def thousands(n: int) -> str:
    """A count for people."""
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(share: float | None) -> str:
    """A share of 1 for people; a dash without one."""
    return "–" if share is None else f"{100 * share:.1f}\N{NARROW NO-BREAK SPACE}%"


def instant(at: datetime) -> str:
    """An instant for people."""
    return f"{at.astimezone(UTC):%a %d %b %Y, %H:%M} UTC"
