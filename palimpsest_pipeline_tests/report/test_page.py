"""The page as a file: whole, alone, and proof against text from outside."""

import base64
import hashlib
import json
import re
import zlib
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from palimpsest_pipeline.report.page import (
    PAGE_FOLDER,
    SCRIPT_NAMES,
    PageOrigin,
    format_percent,
    format_thousands,
    render_page,
)

from . import worlds

MADE = PageOrigin(worlds.AS_OF + timedelta(minutes=4), "0.1.0", "3", "14+abc")
EVIL = ("<script>alert(1)</script>", "</script><b>", "\u2028\u2029 ' \" & ${x}", "<img src=x onerror=alert(2)>")


@pytest.fixture(scope="module")
def text() -> str:
    found = worlds.coverage(40, names=EVIL, failed=("bet9ja",))
    return render_page(MADE, found, worlds.trends(), worlds.MARKETS)


class Parts(HTMLParser):
    """Every element with its attributes, and the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.data: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.texts.get(self.inside, self.data).append(data)


@pytest.fixture(scope="module")
def parts(text: str) -> Parts:
    found = Parts()
    found.feed(text)
    return found


def unpacked(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def test_nothing_is_fetched(parts: Parts):
    for tag, attributes in parts.elements:
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in "".join(parts.texts["style"])
    assert "url(" not in "".join(parts.texts["style"])


def test_its_policy_allows_its_own_scripts_and_styles_and_nothing_else(parts: Parts):
    (policy,) = (
        a["content"] for tag, a in parts.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert "unsafe" not in policy

    def sources(texts: list[str]) -> set[str]:
        return {
            f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'"
            for t in texts
            if not re.fullmatch(r"[A-Za-z0-9+/=]+", t)
        }

    assert set(rules["script-src"]) == sources(parts.texts["script"])
    assert set(rules["style-src"]) == sources(parts.texts["style"])
    handlers = [(tag, a) for tag, a in parts.elements if any(name.startswith("on") or name == "style" for name in a)]
    assert not handlers


def test_text_from_outside_is_nowhere_markup(text: str, parts: Parts):
    assert "alert(1)" not in text
    assert "<b>403" not in text
    assert any("<b>403</b> & a block page" in data for data in parts.data)
    assert "\u2028" not in text
    shown = unpacked(parts.texts["script"][0])
    assert set(EVIL) <= set(shown["fixtures"]["home_team"])


def test_it_holds_what_it_was_given(parts: Parts):
    shown = unpacked(parts.texts["script"][0])
    assert len(shown["fixtures"]["sr_id"]) == 40
    assert all(len(column) in (40, 3, 2) for column in shown["fixtures"].values())
    assert {market["key"]: market["name"] for market in shown["markets"]} == worlds.MARKETS
    cycles = shown["cycles"]
    assert cycles["overall"].count(None) == 1  # the cycle in which a platform could not be looked at
    (unseen,) = (n for n, rate in enumerate(cycles["overall"]) if rate is None)
    for name in ("n_union", "n_matched_fixtures", "n_home_only", "n_competitor_only"):
        assert [n for n, value in enumerate(cycles[name]) if value is None] == [unseen], name
    assert None not in cycles["n_undetermined"]
    assert len(cycles["covered"]) == len(cycles["rate"]) == 2
    assert all(
        [n for n, value in enumerate(lines) if value is None] == [unseen]
        for lines in (*cycles["covered"], *cycles["rate"])
    )
    assert cycles["carried"].count(1) == 1


def test_it_says_when_and_from_what_it_was_made(parts: Parts):
    words = " ".join(" ".join(parts.data).split())
    for said in (
        "Sun 22 Nov 2026, 06:04 UTC, by palimpsest 0.1.0 (parsers 3, market vocabulary 14+abc)",
        f"cycle {worlds.CYCLE_ID} (full, scheduled), as of Sun 22 Nov 2026, 06:00 UTC",
        "Bet9ja : could not be looked at",
        "Copyright (c) 2022 Leon Sorokin",
    ):
        assert said in words


def test_what_may_be_more_and_what_is_not_known_are_said_so(text: str):
    found = worlds.coverage(40, failed=("betpawa",))
    blind = render_page(MADE, found, worlds.trends(), worlds.MARKETS)
    assert "seen</span>" in text
    assert re.search(
        r'<li class="fixture_match_rate"><strong>≥ [\d.]+\u202f%</strong> of its fixtures with a competitor', text
    )
    assert (
        blind.count('<li class="home_covered_rate"><strong>?</strong> of home') == 4
    )  # two competitors, with started ones and without
    assert "<strong>0.0\u202f%</strong>" not in blind


def test_without_its_data_it_is_small(text: str, parts: Parts):
    data = sum(len(t) for t in parts.texts["script"] if re.fullmatch(r"[A-Za-z0-9+/=]+", t))
    assert len(text) - data < 150_000


def test_every_script_of_the_folder_is_in_it():
    assert {path.stem for path in PAGE_FOLDER.glob("*.js")} == set(SCRIPT_NAMES)


def test_a_world_without_anything_is_a_page_too():
    found = worlds.coverage(40)
    for name in ("fixtures", "tournaments", "listings", "leads", "gaps"):
        object.__setattr__(found, name, getattr(found, name).clear())
    object.__setattr__(found, "rates", worlds._rates(found.fixtures, (), ()))
    nothing = worlds.trends(0)
    for name in ("margins", "gaps"):
        object.__setattr__(nothing, name, getattr(nothing, name).clear())
    assert "Fixtures by tournament" in render_page(MADE, found, nothing, {})


def test_figures_are_written_for_people():
    assert format_thousands(1234567) == "1\u202f234\u202f567"
    assert format_percent(None) == "–"
    assert format_percent(0.8372) == "83.7\u202f%"
