"""The page as text: template, style, scripts and data in one file.

It may fetch nothing, and runs no script but its own, by its own policy.
"""

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
from .fixture_columns import FIXTURE_CLASSES, build_fixture_columns, build_tournament_columns, list_leads
from .page_data import pack_json, to_epoch_s
from .price_lines import PriceHistories
from .statements import PlatformOffer, build_figures, list_offers

PAGE_FOLDER: Final = Path(__file__).parent / "page"
SCRIPT_NAMES: Final = ("data", "parts", "filters", "fixtures", "missing", "charts", "trends", "prices", "main")
"""Our own scripts, in the order in which they are put together."""


@dataclass(frozen=True, slots=True)
class PageOrigin:
    """When and by what the page was made."""

    at: datetime
    version: str
    parser_version: str
    mapping_version: str


def render_page(
    origin: PageOrigin, coverage: Coverage, trends: Trends, histories: PriceHistories, market_names: pl.DataFrame
) -> str:
    """The whole page.

    `names`: `storage.marts.page_prices.MARKET_NAMES_SCHEMA` of the markets that `histories` and `trends` may speak of,
    most important first.
    """
    seen = list_offers(coverage)
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
        made=origin,
        found=coverage,
        platforms=seen,
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
        data=pack_json(_build_script_data(origin, coverage, trends, histories, market_names, seen)),
        shards=histories.shards,
        licence=(PAGE_FOLDER / "uplot" / "LICENSE").read_text(),
    )


def _build_script_data(
    made: PageOrigin,
    found: Coverage,
    trends: Trends,
    histories: PriceHistories,
    names: pl.DataFrame,
    seen: Sequence[PlatformOffer],
) -> dict[str, Any]:
    """What the scripts read."""
    markets: dict[str, dict[str, Any]] = {}
    for row in names.iter_rows(named=True):
        market = markets.setdefault(
            row["market_key"], {"key": row["market_key"], "name": row["market_name"], "outcomes": []}
        )
        market["outcomes"].append(row["outcome_name"])
    return {
        "madeAt": to_epoch_s(made.at),
        "asOf": to_epoch_s(found.as_of),
        "platforms": [{"key": platform.key, "name": platform.name} for platform in seen],
        "classes": FIXTURE_CLASSES,
        "tournaments": build_tournament_columns(found, seen),
        "fixtures": build_fixture_columns(found, seen),
        "leads": list_leads(found, seen),
        "markets": list(markets.values()),
        "buckets": trend_columns.BUCKET_LABELS,
        "cycles": trend_columns.build_cycle_columns(trends, seen),
        "skews": trend_columns.build_skew_columns(trends),
        "margins": trend_columns.build_margin_columns(trends, seen),
        "gaps": trend_columns.build_gap_columns(trends, seen),
        "prices": {
            "since": histories.since_s,
            "latest": None if histories.last_confirmed_at is None else to_epoch_s(histories.last_confirmed_at),
            "index": histories.index,
            "leftOut": histories.left_out_counts,
        },
    }


def _hash_source(text: str) -> str:
    """A source of a content security policy that stands for exactly this text."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def format_thousands(n: int) -> str:
    """A count for people."""
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def format_percent(share: float | None) -> str:
    """A share of 1 for people; a dash without one."""
    return "–" if share is None else f"{100 * share:.1f}\N{NARROW NO-BREAK SPACE}%"


def format_instant(at: datetime) -> str:
    """An instant for people."""
    return f"{at.astimezone(UTC):%a %d %b %Y, %H:%M} UTC"
