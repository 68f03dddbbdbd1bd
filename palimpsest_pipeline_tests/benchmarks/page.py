"""How long the coverage page takes: to open until it can be used, and to answer a filter or a key of its search. In
Chromium without a window.

The page is that of a made-up world. Each round opens it afresh, and beside it its floor: the same file without our own
script, which shows the figures of now and holds the same data, but does nothing with them.
"""

import re
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer
from playwright.sync_api import Browser

from palimpsest_pipeline.report.page import PageOrigin
from palimpsest_pipeline.report.page import render_page as page_text
from palimpsest_pipeline_tests.fixtures.chromium import chromium
from palimpsest_pipeline_tests.report import worlds

OUR_SCRIPT: Final = re.compile(r"<script>\(\(\) => \{\n'use strict';.*?</script>", re.DOTALL)
WATCHED: Final = """(isUsable) => {
    const painted = () => new Promise((done) => requestAnimationFrame(() => {
        const after = new MessageChannel();
        after.port1.onmessage = () => done(performance.now());
        after.port2.postMessage(0);
    }));
    window.answered = (act) => new Promise((done) => {
        const began = performance.now();
        new MutationObserver((_, observer) => { observer.disconnect(); painted().then((at) => done(at - began)); })
            .observe(document.getElementById('result'), { childList: true });
        act();
    });
    window.usable = new Promise((done) => {
        const wait = () => (isUsable() ? painted().then(done) : setTimeout(wait, 2));
        wait();
    });
}"""
"""Runs before the page does. `usable`: how long after it was asked for it can be used, and is on the screen;
`answered`: how long after an act that which it chooses is on the screen."""
IS_READY: Final = "() => document.documentElement?.dataset.ready === 'yes'"
IS_LOADED: Final = "() => document.readyState === 'complete'"
CHOICES: Final = (
    ("availability", "matched"),
    ("availability", ""),
    ("platform", "1"),
    ("platform", ""),
    ("country", "2"),
    ("country", ""),
)
KEYS: Final = ("l", "lo", "lod", "lodz", "")
ANSWER: Final = """([id, value]) => answered(() => {
    const control = document.getElementById(id);
    control.value = value;
    control.dispatchEvent(new Event('input', { bubbles: true }));
})"""


def measure(
    fixtures: Annotated[int, typer.Option(min=50, help="Fixtures in the page; a tenth has begun.")] = 3000,
    rounds: Annotated[
        int, typer.Option(min=1, help="Fresh loads of the page and of its floor, in turns; the median counts.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Chooses the world.")] = 1,
) -> dict[str, Any]:
    """Milliseconds until the page can be used, and until a choice of a filter and a key of the search are on the
    screen; sizes in MB (10^6).
    """
    found = worlds.coverage(fixtures, seed)
    made = PageOrigin(worlds.AS_OF + timedelta(minutes=4), "0.1.0", "3", "14+abc")
    text = page_text(made, found, worlds.trends(7 * 48), worlds.MARKETS)
    floor, n_scripts = OUR_SCRIPT.subn("", text)
    if n_scripts != 1:
        raise AssertionError(f"the page has {n_scripts} scripts of ours: a floor without it cannot be made")
    opened, floors, choices, keys = [], [], [], []
    with TemporaryDirectory(prefix="palimpsest-page-") as folder, chromium() as browser:
        files = {name: Path(folder) / f"{name}.html" for name in ("page", "floor")}
        files["page"].write_text(text)
        files["floor"].write_text(floor)
        for _ in range(rounds):
            floors.append(open_ms(browser, files["floor"], IS_LOADED)[0])
            took_ms, answered_ms = open_ms(
                browser, files["page"], IS_READY, [*CHOICES, *(("search", words) for words in KEYS)]
            )
            opened.append(took_ms)
            choices += answered_ms[: len(CHOICES)]
            keys += answered_ms[len(CHOICES) :]
    return {
        "fixtures": fixtures,
        "rounds": rounds,
        "page_mb": len(text.encode()) / 1e6,
        "usable_ms": median(opened),
        "floor_ms": median(floors),
        "usable_ratio_to_floor": median(ours / least for ours, least in zip(opened, floors, strict=True)),
        "choice_ms": median(choices),
        "slowest_choice_ms": max(choices),
        "key_ms": median(keys),
        "slowest_key_ms": max(keys),
    }


def open_ms(
    browser: Browser, file: Path, is_usable: str, acts: list[tuple[str, str]] | None = None
) -> tuple[float, list[float]]:
    """How long a fresh load takes until `is_usable` holds and is painted; then how long each of the acts does
    (control, value).
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        context.add_init_script(f"({WATCHED})({is_usable})")
        shown = context.new_page()
        shown.goto(file.as_uri())
        return shown.evaluate("usable"), [shown.evaluate(ANSWER, list(act)) for act in acts or []]
    finally:
        context.close()
