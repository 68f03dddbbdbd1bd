"""The board as a trader meets it, in Chromium."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from palimpsest_pipeline.board.app import BoardConfig
from palimpsest_pipeline_tests.fixtures.chromium import chromium

from .servers import served
from .worlds import EVIL, World

pytestmark = pytest.mark.browser

ON_SCREEN = {"width": 1400, "height": 4000}  # room for all rows, which come as they are scrolled to
ON_A_PHONE = {"width": 390, "height": 844}
READY = "html[data-ready=yes]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Without Chromium a local test is skipped; in CI it fails."""
    try:
        with chromium() as launched:
            yield launched
    except FileNotFoundError as missing:
        (pytest.fail if os.environ.get("NO_SKIPS") else pytest.skip)(str(missing))


@pytest.fixture(scope="module")
def url(config: BoardConfig, coverage_page: Path) -> Iterator[str]:
    with served(config) as address:
        yield address


@contextmanager
def opened(browser: Browser, address: str, **context: Any) -> Iterator[Page]:
    """A page when it is ready. It may ask its own server alone, and nothing may be complained of in its console."""
    made = browser.new_context(**{"viewport": ON_SCREEN, "reduced_motion": "reduce", **context})
    shown = made.new_page()
    troubles: list[str] = []
    shown.on("console", lambda told: troubles.append(told.text) if told.type in ("error", "warning") else None)
    shown.on("pageerror", lambda error: troubles.append(str(error)))
    shown.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    shown.on("request", lambda asked: None if same(asked.url, address) else troubles.append(asked.url))
    shown.goto(address)
    shown.wait_for_selector(READY, timeout=60_000)
    try:
        yield shown
        assert troubles == []
    finally:
        made.close()


def same(asked: str, address: str) -> bool:
    return urlsplit(asked).netloc == urlsplit(address).netloc


def ids(shown: Page) -> list[int]:
    return [int(each) for each in shown.locator("#grid tbody tr").evaluate_all("rows => rows.map((r) => r.dataset.id)")]


def expected(url: str, shown: Page) -> list[int]:
    """The fixtures that the server selects for the page's own URL."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(shown.url).query).items()}
    answer = httpx.get(f"{url}/api/table", params={**query, "limit": "500"}, timeout=30).json()
    found: list[int] = answer["ids"]
    return found


def wait_for(shown: Page, total: int) -> None:
    expect(shown.locator("#grid tbody tr")).to_have_count(total)


def wait_for_ids(shown: Page, sr_ids: list[int]) -> None:
    shown.wait_for_function(
        """(ids) => JSON.stringify([...document.querySelectorAll('#grid tbody tr')].map((row) => Number(row.dataset.id)))
        === JSON.stringify(ids)""",
        arg=sr_ids,
    )


def test_every_filter_changes_the_url_and_the_rows(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        for control, value in (
            ("within", "180"), ("country", "England"), ("country", "-"), ("home", "worst"), ("home", "lacks"),
            ("moved", "15"), ("sort", "off"), ("sort", "kickoff"), ("arrows", "60"),
        ):  # fmt: skip
            shown.get_by_role("button", name="Clear", exact=True).click()
            shown.locator(f"#{control}").select_option(value)
            if value != "kickoff":
                expect(shown).to_have_url(f"{url}/?{control}={value}")
            wait_for_ids(shown, expected(url, shown))
        shown.get_by_role("button", name="Clear", exact=True).click()
        shown.locator("#off").fill("5")
        expect(shown).to_have_url(f"{url}/?off=5")
        wait_for(shown, len(expected(url, shown)))
        shown.locator("#tournament").select_option(index=1)
        expect(shown.locator("#filter-count")).to_contain_text("2")
        query = urlsplit(shown.url).query
        wait_for(shown, len(expected(url, shown)))
        for suffix in ("csv", "xlsx", "sql"):
            assert shown.locator(f"#{suffix}").get_attribute("href") == f"/table.{suffix}?{query}"


def hold_next_request(shown: Page, part: str) -> None:
    """Let the next request whose address has this part wait until the page calls `release()`."""
    shown.evaluate(
        """(part) => {
            const { fetch } = window;
            window.isHeld = false;
            const released = new Promise((resolve) => { window.release = resolve; });
            window.fetch = async (path, ...rest) => {
                if (!window.isHeld && path.includes(part)) { window.isHeld = true; await released; }
                return fetch(path, ...rest);
            };
        }""",
        part,
    )


def test_a_table_replaced_while_further_rows_are_awaited_is_completed(browser: Browser, url: str):
    with opened(browser, f"{url}/?search=zzzz") as shown:
        hold_next_request(shown, "offset=20")
        shown.get_by_role("button", name="Clear the filters").click()
        shown.wait_for_function("() => window.isHeld")
        shown.locator("#sort").select_option("off")
        order = expected(url, shown)
        wait_for_ids(shown, order[:20])
        shown.evaluate("window.release()")
        wait_for_ids(shown, order)


def test_the_focus_stays_on_its_fixture_when_the_table_is_replaced(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        wait_for(shown, 48)
        hold_next_request(shown, "market=")
        shown.keyboard.press("]")
        shown.wait_for_function("() => window.isHeld")
        shown.keyboard.press("j")
        shown.keyboard.press("j")
        fixture = ids(shown)[1]
        shown.evaluate("window.release()")
        expect(shown.locator("#grid thead .labels").first).to_contain_text("Over")
        assert shown.evaluate("document.activeElement.closest('tr')?.dataset.id") == str(fixture)


def test_a_url_restores_its_filters(browser: Browser, url: str):
    with opened(browser, f"{url}/?market=total_goals&line=total%3D1.5&home=best&sort=margin&arrows=15") as shown:
        expect(shown.locator("#home")).to_have_value("best")
        expect(shown.locator("#sort")).to_have_value("margin")
        expect(shown.locator("#line")).to_have_value("total=1.5")
        expect(shown.locator("#market-buttons [aria-pressed=true]")).to_contain_text("Total Score")
        wait_for_ids(shown, expected(url, shown))


def test_a_search_without_a_result_says_so_and_can_be_cleared(browser: Browser, url: str):
    with opened(browser, f"{url}/?search=zzzz") as shown:
        expect(shown.locator("#nothing")).to_be_visible()
        shown.get_by_role("button", name="Clear the filters").click()
        wait_for(shown, 48)


def test_markets_are_switched_by_button_by_search_and_by_line(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        shown.get_by_role("button", name="Both Teams To Score").click()
        expect(shown.locator("#grid thead .labels").first).to_contain_text("Yes")
        shown.get_by_role("button", name="Total Score").click()
        shown.locator("#line").select_option("total=1.5")
        expect(shown).to_have_url(f"{url}/?market=total_goals&line=total%3D1.5")
        shown.locator("#market-search").fill("Double Chance - FT")
        expect(shown).to_have_url(f"{url}/?market=double_chance")
        expect(shown.locator("#grid thead .labels").first).to_contain_text("1X")


def test_names_from_platforms_are_text(browser: Browser, url: str, world: World):
    with opened(browser, f"{url}/") as shown:
        for name in EVIL:
            expect(shown.locator(".teams a").filter(has_text=name)).to_have_count(1)
        assert shown.locator("main img, main script").count() == 0
    with opened(browser, f"{url}/fixture/{world.sr_ids[0]}") as shown:
        expect(shown.locator("#teams")).to_contain_text(EVIL[0])


def test_all_of_it_is_used_by_the_keyboard(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        shown.keyboard.press("j")
        shown.keyboard.press("j")
        shown.keyboard.press("k")
        shown.keyboard.press("j")
        focused = shown.evaluate("document.activeElement.closest('tr').dataset.id")
        assert int(focused) == ids(shown)[1]
        shown.keyboard.press("/")
        shown.keyboard.type("Brøndby")
        expect(shown).to_have_url(f"{url}/?search=Br%C3%B8ndby")
        shown.keyboard.press("Escape")
        shown.keyboard.press("]")
        expect(shown.locator("#market-buttons [aria-pressed=true]")).to_contain_text("Total Score")
        shown.keyboard.press("[")
        shown.keyboard.press("?")
        expect(shown.locator("#help")).to_be_visible()
        shown.keyboard.press("?")
        expect(shown.locator("#help")).to_be_hidden()
        shown.keyboard.press("f")
        expect(shown.locator("#within")).to_be_hidden()
        wait_for_ids(shown, expected(url, shown))
        shown.keyboard.press("j")
        shown.keyboard.press("Enter")
        shown.wait_for_url(f"{url}/fixture/*")
        shown.wait_for_selector(READY)


def test_every_control_is_reached_by_tab_and_has_a_name(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        unnamed = shown.evaluate(
            """[...document.querySelectorAll('input, select, button, a[href]')].filter((element) => element.checkVisibility()
            && !(element.labels?.length || element.textContent.trim() || element.getAttribute('aria-label'))).map((e) => e.outerHTML)"""
        )
        assert unnamed == []
        reached = set()
        for _ in range(40):
            shown.keyboard.press("Tab")
            reached.add(shown.evaluate("document.activeElement.id || document.activeElement.className"))
        assert {
            "zone",
            "theme",
            "market-search",
            "search",
            "within",
            "country",
            "tournament",
            "home",
            "off",
            "moved",
            "arrows",
            "sort",
            "clear",
            "csv",
            "xlsx",
            "sql",
        } <= reached


def test_a_derivation_is_shown_without_a_reload(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]  # at home, offered
    with opened(browser, f"{url}/") as shown:
        expect(shown.locator("#live")).to_have_class("live on")
        wait_for(shown, 48)
        cell = shown.locator(f"tr[data-id='{sr_id}'] td.is-home .odds")
        before = cell.inner_text()
        requests: list[str] = []
        shown.on("request", lambda asked: requests.append(asked.url))
        world.change([sr_id], 1.1)
        expect(cell).not_to_have_text(before)
        expect(cell.locator(".up")).not_to_have_count(0)
        tables = [asked for asked in requests if "/api/table" in asked]
        assert all(f"fixtures={sr_id}" in asked for asked in tables), tables


def test_a_lost_server_is_said(browser: Browser, config: BoardConfig):
    made = browser.new_context(viewport=ON_SCREEN)
    try:
        with served(config) as address:
            shown = made.new_page()
            shown.goto(address)
            shown.wait_for_selector(READY)
        expect(shown.locator("#live-text")).to_contain_text("not connected", timeout=20_000)
    finally:
        made.close()


def test_the_page_of_a_fixture_shows_markets_and_charts(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[4]
    with opened(browser, f"{url}/fixture/{sr_id}") as shown:
        expect(shown.locator("#listings li")).to_have_count(5)
        expect(shown.locator("#charts figure")).to_have_count(3)
        assert [each.strip() for each in shown.locator("#charts h3").all_inner_texts()] == ["1", "X", "2"]
        expect(shown.locator("#charts canvas").first).to_be_visible()
        expect(shown.locator("#markets .chip.suspended").first).to_be_visible()
        shown.locator("#search").fill("asian")
        expect(shown.locator("#markets tbody")).to_have_count(2)
        shown.locator("#markets tbody button").first.press("Enter")
        expect(shown).to_have_url(f"{url}/fixture/{sr_id}?market=asian_handicap&line=hcp%3D-0.5")
        expect(shown.locator("#charts figure")).to_have_count(2)
        shown.locator("#market").select_option("total_goals")
        expect(shown.locator("#line option")).to_have_count(3)
        expect(shown.locator("#history-csv")).to_have_attribute(
            "href", re.compile(r"\?market=total_goals&line=total%3D")
        )
        for name in ("history-csv", "history-xlsx", "history-sql", "markets-csv", "markets-xlsx", "markets-sql"):
            assert httpx.get(f"{url}{shown.locator(f'#{name}').get_attribute('href')}", timeout=30).status_code == 200
        shown.locator("#back").click()
        shown.wait_for_url(f"{url}/?market=total_goals*")


def test_the_page_of_a_fixture_that_has_begun_shows_its_history(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[4]
    with world.begun(sr_id), opened(browser, f"{url}/fixture/{sr_id}?market=total_goals&line=total%3D2.5") as shown:
        expect(shown.locator("#begun")).to_be_visible()
        expect(shown.locator("#listings li")).to_have_count(0)
        expect(shown.locator("#all-markets")).to_be_hidden()
        expect(shown.locator("#charts figure")).to_have_count(2)
        expect(shown.locator("#line option")).to_have_count(3)
        expect(shown.locator("#line")).to_have_value("total=2.5")


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, url: str, world: World):
    for path in ("/", "/?market=asian_handicap", f"/fixture/{world.sr_ids[4]}"):
        with opened(browser, f"{url}{path}", viewport=ON_A_PHONE) as shown:
            assert shown.evaluate("document.documentElement.scrollWidth") <= ON_A_PHONE["width"], path
    with opened(browser, f"{url}/", viewport=ON_A_PHONE) as shown:
        expect(shown.locator("#within")).to_be_hidden()
        shown.locator("#more-filters summary").click()
        shown.locator("#home").select_option("worst")
        wait_for(shown, len(expected(url, shown)))


def test_the_theme_is_kept(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        shown.locator("#theme").select_option("dark")
        dark = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        shown.reload()
        shown.wait_for_selector(READY)
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_the_coverage_page_is_a_tab(browser: Browser, url: str):
    made = browser.new_context(viewport=ON_SCREEN)
    try:
        shown = made.new_page()
        shown.goto(url)
        shown.get_by_role("link", name="Coverage").click()
        expect(shown.frame_locator("iframe").locator("h1")).to_have_text("Coverage of BetPawa")
        expect(shown.get_by_role("link", name="Coverage")).to_have_attribute("aria-current", "page")
    finally:
        made.close()


def test_a_download_is_the_file_of_the_server(browser: Browser, url: str, tmp_path: Path):
    with opened(browser, f"{url}/?home=worst") as shown:
        with shown.expect_download() as begun:
            shown.locator("#csv").click()
        begun.value.save_as(tmp_path / "table.csv")
        assert (tmp_path / "table.csv").read_bytes() == httpx.get(f"{url}/table.csv?home=worst", timeout=30).content
