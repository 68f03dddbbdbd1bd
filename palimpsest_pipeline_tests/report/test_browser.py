"""The coverage page as a person meets it, in Chromium: one page of 3,000 fixtures for all tests."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from palimpsest_pipeline.report.page import PAGE_FOLDER, PageOrigin, render_page
from palimpsest_pipeline.storage.marts.page_coverage import COUNTRIES_SCHEMA, Coverage
from palimpsest_pipeline_tests.fixtures.chromium import ON_SCREEN, READY, find_unnamed_controls, open_page

from . import worlds

pytestmark = pytest.mark.browser

SIZE = 3000
EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</script><b>bold</b>", "Żółć & 'Brøndby'")
ON_A_PHONE = {"width": 375, "height": 740}
OPENS_WITHIN_S = 30
FILTERS_WITHIN_MS = 2000
"""So that a page that hangs is noticed, however much else the machine does.

How long it takes is measured by the benchmark `page`.
"""


@pytest.fixture(scope="module")
def world() -> Coverage:
    return worlds.coverage(SIZE, names=EVIL)


@pytest.fixture(scope="module")
def file(world: Coverage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "coverage.html"
    made = PageOrigin(worlds.AS_OF + timedelta(minutes=4), "0.1.0", "3", "14+abc")
    path.write_text(render_page(made, world, worlds.trends(), worlds.MARKETS))
    return path


def opened(browser: Browser, file: Path, **context: Any) -> AbstractContextManager[Page]:
    """A page of its own, when it is ready. It may request nothing but its file."""
    return open_page(browser, file.as_uri(), file.as_uri(), **context)


@pytest.fixture(scope="module")
def the_page(browser: Browser, file: Path) -> Iterator[Page]:
    with opened(browser, file) as found:
        yield found


@pytest.fixture
def shown(the_page: Page) -> Page:
    """The one page of all tests, with nothing chosen and nothing open."""
    the_page.get_by_role("button", name="Clear").press("Enter")
    the_page.get_by_role("button", name="Close all").press("Enter")
    return the_page


def open_table(figure: Locator) -> Locator:
    """The rows of the table below a chart, opened. The page fills it only after it was opened."""
    # By the keyboard: on a busy machine the page may still move between press and release of a mouse button.
    figure.locator("summary").press("Enter")
    rows = figure.locator("tbody tr")
    expect(rows.first).to_be_visible()
    return rows


def counted(shown: Page) -> int:
    """How many fixtures the page says are chosen."""
    return int(shown.locator("#result").inner_text().split(" fixture")[0].replace("\u202f", ""))


def upcoming(world: Coverage) -> pl.DataFrame:
    return world.fixtures.filter(~pl.col("started"))


def search(shown: Page, words: str) -> None:
    """Write it, and wait until it has had its effect."""
    # In one go: of two events that a slow machine parts, the second would draw once more after what a test does next.
    shown.locator("#search").evaluate(
        """(box, words) => {
            document.querySelector('#result').textContent = '';
            box.value = words;
            box.dispatchEvent(new Event('input', { bubbles: true }));
        }""",
        words,
    )
    expect(shown.locator("#result")).not_to_be_empty()


def test_it_opens_in_time_and_asks_nobody(browser: Browser, file: Path):
    took_s = []
    for _ in range(3):
        with opened(browser, file) as shown:
            took_s.append(shown.evaluate("performance.now()") / 1000)
            shown.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert median(took_s) < OPENS_WITHIN_S


def test_a_filter_has_its_effect_at_once(shown: Page):
    took_ms = shown.evaluate("""() => [...Array(9)].map((_, n) => {
        const select = document.getElementById(n % 2 ? 'availability' : 'platform');
        select.selectedIndex = n % 3 + 1;
        const began = performance.now();
        select.dispatchEvent(new Event('input', { bubbles: true }));
        document.body.offsetHeight;
        return performance.now() - began;
    })""")
    assert median(took_ms) < FILTERS_WITHIN_MS, took_ms


def test_the_cards_are_the_marts_counts(shown: Page, world: Coverage):
    for started in (False, True):
        shown.locator("#started").set_checked(started)
        fixtures = world.fixtures.filter(pl.lit(started) | ~pl.col("started"))
        for name in ("all", "matched", "home_only", "competitor_only", "undetermined"):
            n = fixtures.height if name == "all" else fixtures.filter(fixture_class=name).height
            expect(shown.locator(f".universe:visible .card.{name} strong")).to_have_text(
                f"{n:,}".replace(",", "\u202f")
            )
        assert counted(shown) == fixtures.height


def test_filters_select_and_change_no_count(shown: Page, world: Coverage):
    cards, row = (
        shown.locator(".universe:visible .cards").inner_text(),
        shown.locator("#tournaments tbody:visible tr").first,
    )
    figures = row.locator("td").all_inner_texts()
    shown.locator("#availability").select_option("competitor_only")
    assert counted(shown) == upcoming(world).filter(fixture_class="competitor_only").height
    shown.locator("#platform").select_option(label="Bet9ja")
    chosen = upcoming(world).filter(pl.col("platforms").list.contains("bet9ja"), fixture_class="competitor_only")
    assert counted(shown) == chosen.height
    shown.locator("#country").select_option(label="Nigeria")
    assert counted(shown) == chosen.filter(country="Nigeria").height
    assert set(shown.locator("#tournaments tbody:visible .note").all_inner_texts()) and all(
        "Nigeria" in note for note in shown.locator("#tournaments tbody:visible th .note").all_inner_texts()
    )
    assert shown.locator(".universe:visible .cards").inner_text() == cards
    shown.get_by_role("button", name="Clear").press("Enter")
    expect(row.locator("td")).to_have_text(figures)


@pytest.mark.parametrize(
    ("words", "stem"), [("TROMSO", "Tromsø"), ("lodz", "Łódź"), ("besiktas", "Beşiktaş"), ("sao PAULO", "São Paulo")]
)
def test_search_knows_neither_accents_nor_case(shown: Page, world: Coverage, words: str, stem: str):
    search(shown, words)
    both = pl.col("home_team").str.contains(stem, literal=True) | pl.col("away_team").str.contains(stem, literal=True)
    assert counted(shown) == upcoming(world).filter(both).height > 0


def test_search_finds_tournaments_and_ids_too(shown: Page, world: Coverage):
    row = upcoming(world).row(0, named=True)
    search(shown, f"{row['tournament_name']}")
    assert counted(shown) >= upcoming(world).filter(tournament_name=row["tournament_name"]).height
    search(shown, str(row["sr_id"]))
    assert counted(shown) == 1


def test_a_row_opens_by_keyboard_to_its_fixtures(shown: Page, world: Coverage):
    opener = shown.locator("#tournaments tbody:visible .opener").first
    opener.focus()
    expect(opener).to_have_attribute("aria-expanded", "false")
    shown.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    name, country = opener.inner_text().split("\n")[:2]
    mine = upcoming(world).filter(pl.col("tournament_name") == name.strip(), pl.col("country") == country.strip())
    events = shown.locator("#tournaments .event")
    assert events.count() == mine.height > 0
    first = mine.sort("effective_kickoff", "home_team").row(0, named=True)
    expect(events.first.locator(".teams")).to_contain_text(f"{first['home_team']} – {first['away_team']}")
    marks = {
        p: f"✓ {worlds.PLATFORM_NAMES[p]}" if p in first["platforms"] else f"– {worlds.PLATFORM_NAMES[p]}"
        for p in worlds.PLATFORM_NAMES
    }
    assert all(mark in events.first.locator(".who").inner_text() for mark in marks.values())
    shown.keyboard.press("Enter")
    expect(events).to_have_count(0)


def test_what_few_fixtures_are_chosen_are_shown_and_closed_again(shown: Page, world: Coverage):
    search(shown, str(world.fixtures["sr_id"][0]))
    expect(shown.locator("#tournaments .event")).to_have_count(1)
    search(shown, "")
    expect(shown.locator("#tournaments .event")).to_have_count(0)


def test_kickoffs_that_differ_and_suspects_are_said(shown: Page, world: Coverage):
    moved = upcoming(world).filter((pl.col("kickoff_max_delta_s") > 0) & ~pl.col("rotated")).row(0, named=True)
    search(shown, str(moved["sr_id"]))
    expect(shown.locator("#tournaments .said")).to_contain_text("(30 min later)")
    odd = upcoming(world).filter(suspect_code="home_away_swapped").row(0, named=True)
    search(shown, str(odd["sr_id"]))
    expect(shown.locator("#tournaments .said")).to_contain_text("⚠ home and away are swapped")


def test_markets_that_one_lacks_are_counted_at_the_fixture(shown: Page, world: Coverage):
    row = upcoming(world).join(world.gaps.filter(pl.col("n_platform_missing") > 0), on="sr_id").row(0, named=True)
    search(shown, str(row["sr_id"]))
    expect(shown.locator("#tournaments .event .who .gap").first).to_have_text("+7 −11")


def test_markets_that_were_not_compared_are_a_question_mark_that_says_how_many(shown: Page, world: Coverage):
    row = upcoming(world).join(world.gaps.filter(pl.col("n_unknown") > 0), on="sr_id").row(0, named=True)
    search(shown, str(row["sr_id"]))
    name = worlds.PLATFORM_NAMES[row["platform"]]
    told = f"at least 17 markets not compared: BetPawa and {name} were not looked at together, or another platform is home by now"
    mark = shown.locator("#tournaments .event .who").get_by_role("img", name=told, exact=True)
    expect(mark).to_have_text("?")
    expect(mark).to_have_attribute("title", told)
    assert told in (mark.locator("xpath=..").get_attribute("title") or "")
    compared = upcoming(world).join(world.gaps.filter(n_unknown=0), on="sr_id").row(0, named=True)
    search(shown, str(compared["sr_id"]))
    expect(shown.locator("#tournaments .event .who")).not_to_contain_text("?")


def test_what_home_lacks_is_listed_with_since_when_and_how_much(shown: Page, world: Coverage):
    row = upcoming(world).filter(fixture_class="competitor_only").sort("effective_kickoff").row(0, named=True)
    search(shown, str(row["sr_id"]))
    event = shown.locator("#missing-list .event")
    expect(event).to_have_count(1)
    platform = row["platforms"][0]
    markets = world.listings.filter(sr_id=row["sr_id"], platform=platform)["n_markets_priced"].item()
    expect(event).to_contain_text(f"✓ {worlds.PLATFORM_NAMES[platform]} {markets}")
    expect(event).to_contain_text("Sat 21 Nov 00:00")
    expect(event).to_contain_text("before kickoff")
    search(shown, "")
    expect(shown.locator("#missing-list .event")).to_have_count(50)
    shown.locator("#missing-more").press("Enter")
    expect(shown.locator("#missing-list .event")).to_have_count(250)


@pytest.mark.parametrize("n", range(len(EVIL)))
def test_a_team_whose_name_is_markup_is_only_a_name(shown: Page, world: Coverage, n: int):
    search(shown, str(world.fixtures["sr_id"][n]))
    teams = shown.locator("#tournaments .event .teams:visible")
    expect(teams).to_contain_text(EVIL[n])
    assert teams.locator("script, img, b").count() == 0
    assert shown.evaluate("document.querySelectorAll('img').length") == 0


INK = """(canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 255) colours.add(pixels.slice(i, i + 3).join());
    return [...colours];
}"""


def test_trends_are_drawn_and_can_be_read_as_tables(shown: Page):
    titles = shown.locator("#trend-figures h3").all_inner_texts()
    assert titles == ["Match rate", "Coverage", "Fixtures", "Skew", "Margins", "Gaps"]
    for n in range(len(titles)):
        figure = shown.locator("#trend-figures figure").nth(n)
        assert len(figure.locator("canvas").evaluate(INK)) > 5, titles[n]
        assert "from " in (figure.locator(".uplot").get_attribute("aria-label") or "")
    rates = shown.locator("#trend-figures figure").first
    rows = open_table(rates)
    expect(rows).to_have_count(40)
    assert rows.nth(20).locator("td").all_inner_texts() == ["–", "–", "–"]  # a platform could not be looked at
    rates.locator("summary").press("Enter")


def test_the_match_rate_of_all_fixtures_is_said_to_be_of_those_that_home_and_a_competitor_list(shown: Page):
    figure = shown.locator("#trend-figures figure").first
    expect(figure).to_contain_text(
        "Of all upcoming fixtures, those that BetPawa and a competitor list; of each competitor's, those that BetPawa lists too."
    )


def test_margins_change_with_what_is_chosen(shown: Page):
    figure = shown.locator("#trend-figures figure").nth(4)
    before = figure.locator("output").all_inner_texts()
    figure.get_by_label("Market").select_option("total_goals")
    assert figure.locator("output").all_inner_texts() != before
    figure.get_by_label("Time to kickoff").select_option("7d+")
    expect(figure.locator(".empty")).to_be_visible()
    figure.get_by_label("Time to kickoff").select_option("<24h")
    expect(figure.locator("canvas")).to_be_visible()


DRAWN = """(figure, parts) => {
    const canvas = figure.querySelector('canvas'), over = figure.querySelector('.u-over'), px = devicePixelRatio;
    const wanted = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    wanted.fillStyle = figure.querySelector('.legend button[aria-pressed=true] line').getAttribute('stroke');
    wanted.fillRect(0, 0, 1, 1);
    const rgb = wanted.getImageData(0, 0, 1, 1).data;
    const { data, width } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const range = (from, to) => [...Array(Math.max(0, Math.floor(to) - Math.ceil(from))).keys()].map((n) => n + Math.ceil(from));
    const rows = range(over.offsetTop * px, (over.offsetTop + over.offsetHeight) * px);
    const isLine = (x, y) => [0, 1, 2].every((k) => Math.abs(data[4 * (y * width + x) + k] - rgb[k]) < 40);
    const at = (share) => (over.offsetLeft + share * over.offsetWidth) * px;
    return parts.map(([from, to]) => range(at(from) + 4, at(to) - 4).map((x) => rows.some((y) => isLine(x, y))));
}"""
"""Parts of the plot's width to whether the one line that is not hidden has ink, for each column of pixels."""
STEPPED_CHART = """
    const line = {
        name: 'BetPawa', colour: '--p0', width: 3, ends: 1600000400,
        values: [1.725, null, null, 1.8, null], off: [null, 1.725, null, null, null],
    };
    const x = [0, 100, 200, 300, 400].map((s) => 1600000000 + s);
    const chart = Chart({ title: 'Price', x, lines: [line], stepped: true, format: (v) => v.toFixed(3) });
    document.body.append(chart.figure);
    chart.draw();
"""
"""A price, the same while it could not be backed, a time without a look, another price; 100 seconds each."""


@pytest.fixture
def stepped(browser: Browser) -> Iterator[Locator]:
    """The figure of STEPPED_CHART, on a page that has only the parts of charts."""
    made = browser.new_context(viewport=ON_SCREEN)
    shown = made.new_page()
    styles = "".join((PAGE_FOLDER / name).read_text() for name in ("uplot/uPlot.min.css", "style.css"))
    shown.set_content(f"<!doctype html><style>{styles}</style>")
    scripts = [PAGE_FOLDER / f"{name}.js" for name in ("uplot/uPlot.iife.min", "data", "parts", "charts")]
    shown.add_script_tag(content="\n".join([*(script.read_text() for script in scripts), STEPPED_CHART]))
    yield shown.locator("figure")
    made.close()


def test_what_could_not_be_backed_is_dashed_and_what_could_is_not(stepped: Locator):
    offered, suspended, unobserved, offered_later = stepped.evaluate(DRAWN, [(n / 4, (n + 1) / 4) for n in range(4)])
    assert all(offered), "solid"
    assert all(offered_later), "solid"
    assert 0.3 < sum(suspended) / len(suspended) < 0.9, "some dashes, with gaps between"
    assert not any(unobserved), "nobody looked"


def test_a_table_of_prices_ends_with_what_the_last_look_showed(stepped: Locator):
    rows = [row.split("\t") for row in open_table(stepped).all_inner_texts()]
    assert [cell for _, cell in rows] == ["1.725", "(1.725)", "–", "1.800", "1.800"]
    assert rows[-1][0] == "last look"


def test_dark_and_light_follow_the_system_until_somebody_chooses(browser: Browser, file: Path):
    paper: Callable[[Page], str] = lambda shown: str(shown.evaluate("getComputedStyle(document.body).backgroundColor"))  # noqa: E731
    with opened(browser, file, color_scheme="dark") as shown:
        dark = paper(shown)
        shown.locator("#theme").select_option("light")
        light = paper(shown)
        assert light != dark
        shown.locator("#theme").select_option("")
        assert paper(shown) == dark
        shown.emulate_media(color_scheme="light")
        assert paper(shown) == light


def test_times_can_be_those_of_the_reader(browser: Browser, file: Path, world: Coverage):
    first = upcoming(world).filter(fixture_class="competitor_only")["effective_kickoff"].min()

    def expect_times(shown: Page, ahead: timedelta) -> None:
        expect(shown.locator("#missing-list time").first).to_contain_text(f"{first + ahead:%H:%M}")

    with opened(browser, file, timezone_id="Africa/Lagos") as shown:
        expect_times(shown, timedelta(0))
        shown.locator("#zone").select_option("local")
        expect_times(shown, timedelta(hours=1))
        shown.reload()
        expect_times(shown, timedelta(hours=1))


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, file: Path):
    with opened(browser, file, viewport=ON_A_PHONE, has_touch=True, is_mobile=True) as shown:
        shown.locator("#tournaments tbody:visible .opener").first.click()
        expect(shown.locator("#tournaments .event").first).to_be_visible()
        assert shown.evaluate("document.documentElement.scrollWidth") <= ON_A_PHONE["width"]


def test_every_control_has_a_name(shown: Page):
    assert find_unnamed_controls(shown) == []


def test_without_scripts_the_figures_of_now_are_there(browser: Browser, file: Path, world: Coverage):
    with opened(browser, file, java_script_enabled=False) as shown:
        matched = upcoming(world).filter(fixture_class="matched").height
        expect(shown.locator(".universe:visible .card.matched strong")).to_have_text(
            f"{matched:,}".replace(",", "\u202f")
        )
        expect(shown.locator("#fixtures")).to_be_hidden()


def test_a_damaged_page_says_so(browser: Browser, file: Path, tmp_path: Path):
    broken = tmp_path / "broken.html"
    begin = '<script type="application/octet-stream" id="data">'
    broken.write_text(file.read_text().replace(begin, begin + "AAAA", 1))
    made = browser.new_context()
    shown = made.new_page()
    shown.goto(broken.as_uri())
    expect(shown.locator("#broken")).to_contain_text("This page is damaged")
    made.close()


RECORD_TEXTS = """(() => {
    window.texts = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.texts.push([this.canvas, text]);
        return write.call(this, text, ...rest);
    };
})()"""
ON_A_NARROW_PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def calm(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of few fixtures, on which platforms spell a country in two ways."""
    found = worlds.coverage(30)
    keys = found.tournaments["tournament_key"].unique().sort()[:3].to_list()
    spelled = {keys[0]: "Czechia", keys[1]: "Czech Republic", keys[2]: "Europe"}
    tournaments = found.tournaments.with_columns(
        country=pl.col("tournament_key").replace_strict(spelled, default=pl.col("country"))
    )
    rows = [
        (keys[0], "betpawa", "Czechia", "CZ"),
        (keys[1], "bet9ja", "Czech Republic", "CZ"),
        (keys[2], "betpawa", "Europe", None),
    ]
    rows += [(keys[0], "sportybet", "Czech Republic", "CZ"), (keys[2], "sportybet", "International Clubs", None)]
    found = replace(found, tournaments=tournaments, countries=pl.DataFrame(rows, schema=COUNTRIES_SCHEMA, orient="row"))
    path = tmp_path_factory.mktemp("calm") / "coverage.html"
    path.write_text(
        render_page(PageOrigin(worlds.AS_OF, "0.1.0", "3", "14+abc"), found, worlds.trends(), worlds.MARKETS)
    )
    context = browser.new_context(viewport=ON_SCREEN, reduced_motion="reduce")
    context.add_init_script(RECORD_TEXTS)
    shown = context.new_page()
    shown.goto(path.as_uri())
    shown.wait_for_selector(READY, timeout=60_000)
    yield shown
    context.close()


def test_no_two_labels_of_an_axis_are_alike(calm: Page):
    labels = calm.evaluate("""() => [...document.querySelectorAll('#trend-figures canvas')].map((canvas) => {
        const texts = window.texts.filter(([of]) => of === canvas).map(([, text]) => text);
        const last = texts.lastIndexOf(texts[0]);
        return texts.slice(last).filter((text) => /^[\\d.]+(\\u202f%| m?s)?$/.test(text));
    })""")
    assert [len(of_one) for of_one in labels if len(of_one) < 2] == []
    assert len(labels) > 4
    assert [of_one for of_one in labels if len(set(of_one)) < len(of_one)] == []


def test_a_country_is_there_once_and_what_platforms_place_elsewhere_is_found_under_both(calm: Page):
    choices = calm.locator("#country option").all_inner_texts()
    assert "Czechia" in choices
    assert "Czech Republic" not in choices
    notes = calm.locator("#tournaments .opener .note").all_inner_texts()
    assert sum("Czechia" in note for note in notes) >= 2
    assert sum("Europe · International Clubs on SportyBet" in note for note in notes) == 1
    assert not any("Czech Republic" in note for note in notes)


def test_what_is_chosen_is_said_to_be_of_all_fixtures(calm: Page):
    calm.locator("#platform").select_option(index=1)
    expect(calm.locator("#result")).to_have_text(
        re.compile(r"^\d+ fixtures in \d+ tournaments?, of \d+ fixtures in all$")
    )
    calm.get_by_role("button", name="Clear").press("Enter")


def test_on_a_narrow_phone_the_rates_are_not_cut_off(browser: Browser, file: Path):
    with opened(browser, file, viewport=ON_A_NARROW_PHONE) as shown:
        edges = shown.evaluate(
            "[...document.querySelectorAll('.rates th, .rates td, .rates li')].map((e) => e.getBoundingClientRect().right)"
        )
        assert 0 < max(edges) <= ON_A_NARROW_PHONE["width"]
