"""The coverage page as text: template, style, scripts and data in one file.

The content security policy in the page forbids loading anything and running any other script.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from palimpsest_pipeline.storage.marts.page_coverage import Coverage, Trends

from . import trend_columns
from .fixture_columns import FIXTURE_CLASSES, build_fixture_columns, build_tournament_columns, list_leads
from .page_data import pack_json, to_epoch_s
from .statements import PlatformOffer, build_figures, list_offers

PAGE_FOLDER: Final = Path(__file__).parent / "page"
SCRIPT_NAMES: Final = ("data", "parts", "filters", "fixtures", "missing", "charts", "trends", "main")
"""Names of the page's own scripts, in the order in which they are concatenated."""


@dataclass(frozen=True, slots=True)
class PageOrigin:
    """The instant at which the page was made, and the versions of program, parsers and vocabulary."""

    at: datetime
    version: str
    parser_version: str
    mapping_version: str


def render_page(origin: PageOrigin, coverage: Coverage, trends: Trends, market_names: Mapping[str, str]) -> str:
    """Return the whole page as HTML.

    `market_names` are the names of the markets that `trends` may contain, by key, most important first.
    """
    offers = list_offers(coverage)
    script = (
        "(() => {\n'use strict';\n"
        + "\n".join((PAGE_FOLDER / f"{name}.js").read_text() for name in SCRIPT_NAMES)
        + "\n})();\n"
    )
    scripts = [(PAGE_FOLDER / "uplot" / "uPlot.iife.min.js").read_text(), script]
    styles = [(PAGE_FOLDER / "uplot" / "uPlot.min.css").read_text(), (PAGE_FOLDER / "style.css").read_text()]
    environment = Environment(
        loader=FileSystemLoader(PAGE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"thousands": format_thousands, "percent": format_percent, "instant": format_instant}
    return environment.get_template("page.html.jinja").render(
        origin=origin,
        coverage=coverage,
        platforms=offers,
        figures=[build_figures(coverage, include_started) for include_started in (False, True)],
        policy="; ".join(
            (
                "default-src 'none'",
                "img-src data:",
                f"script-src {' '.join(map(_hash_source, scripts))}",
                f"style-src {' '.join(map(_hash_source, styles))}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        scripts=scripts,
        styles=styles,
        data=pack_json(_build_script_data(origin, coverage, trends, market_names, offers)),
        licence=(PAGE_FOLDER / "uplot" / "LICENSE").read_text(),
    )


def _build_script_data(
    origin: PageOrigin,
    coverage: Coverage,
    trends: Trends,
    market_names: Mapping[str, str],
    offers: Sequence[PlatformOffer],
) -> dict[str, Any]:
    return {
        "madeAt": to_epoch_s(origin.at),
        "asOf": to_epoch_s(coverage.as_of),
        "platforms": [{"key": platform.key, "name": platform.name} for platform in offers],
        "classes": FIXTURE_CLASSES,
        "tournaments": build_tournament_columns(coverage, offers),
        "fixtures": build_fixture_columns(coverage, offers),
        "leads": list_leads(coverage, offers),
        "markets": [{"key": key, "name": name} for key, name in market_names.items()],
        "buckets": trend_columns.BUCKET_LABELS,
        "cycles": trend_columns.build_cycle_columns(trends, offers),
        "skews": trend_columns.build_skew_columns(trends),
        "margins": trend_columns.build_margin_columns(trends, offers),
        "gaps": trend_columns.build_gap_columns(trends, offers),
    }


def _hash_source(text: str) -> str:
    """Return the hash source for the content security policy that allows exactly this script or style."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def format_thousands(n: int) -> str:
    """Return a count with thousands separated by narrow spaces."""
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def format_percent(share: float | None) -> str:
    """Return a fraction of 1 as a percentage with one decimal, or a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}\N{NARROW NO-BREAK SPACE}%"


def format_instant(at: datetime) -> str:
    """Return an instant in UTC as text, to the minute."""
    return f"{at.astimezone(UTC):%a %d %b %Y, %H:%M} UTC"
