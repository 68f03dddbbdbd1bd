"""The coverage page of twelve platforms in Chromium: nothing is cut, and every line has a colour."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from palimpsest_pipeline.report.page import PageOrigin, render_page
from palimpsest_pipeline_tests.fixtures.chromium import READY

from . import worlds

pytestmark = pytest.mark.browser

NAMES = {
    **worlds.PLATFORM_NAMES,
    "msport": "MSport",
    "betway": "Betway",
    "betika": "Betika",
    "sportpesa": "SportPesa",
    "betpawa-gh": "BetPawa GH",
    "sportybet-gh": "SportyBet GH",
    "msport-gh": "MSport GH",
    "betway-gh": "Betway GH",
    "betpawa-ke": "BetPawa KE",
}
CUT_SCRIPT = """
    (selector) => [...document.querySelectorAll(selector)].filter((one) => one.offsetParent !== null)
        .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)
"""
COLOURS_SCRIPT = "() => [...document.querySelectorAll('#trends .legend line')].map((one) => one.getAttribute('stroke'))"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "coverage.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "PLATFORM_NAMES", NAMES)
        patch.setattr(worlds, "COMPETITORS", tuple(list(NAMES)[1:]))
        world = worlds.coverage(300)
        origin = PageOrigin(worlds.AS_OF + timedelta(minutes=4), "0.1.0", "3", "14+abc")
        path.write_text(render_page(origin, world, worlds.trends(), worlds.MARKETS))
    return path


@pytest.fixture(scope="module", params=[(1280, 900), (375, 740)], ids=["on a screen", "on a phone"])
def shown(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    page = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce").new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(READY, timeout=60_000)
    page.get_by_role("button", name="Open all").click()
    yield page
    page.close()


@pytest.mark.parametrize("selector", ["#tournaments thead th", ".event .who > span"])
def test_no_name_is_cut(selector: str, shown: Page) -> None:
    names: list[str] = shown.evaluate(CUT_SCRIPT, selector)
    assert names == []


def test_the_page_is_as_wide_as_the_window(shown: Page) -> None:
    widths: list[int] = shown.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]


def test_every_line_has_a_colour(shown: Page) -> None:
    colours: list[Any] = shown.evaluate(COLOURS_SCRIPT)
    assert len(colours) > 30
    assert all(colours)
