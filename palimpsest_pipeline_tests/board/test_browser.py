"""The board as a trader meets it, in Chromium."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from palimpsest_pipeline.board.app import BoardConfig
from palimpsest_pipeline.board.live_tables import LiveTables
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.chromium import READY, find_unnamed_controls, open_page
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines

from .servers import make_config, served
from .worlds import EVIL, PLATFORMS, World, write_world

pytestmark = pytest.mark.browser

ON_SCREEN = {"width": 1400, "height": 4000}  # room for all rows, which come as they are scrolled to
ON_A_PHONE = {"width": 390, "height": 844}
NO_OBSERVER = "window.IntersectionObserver = class { observe() {} unobserve() {} }"
"""Rows are then requested by the button alone."""


@pytest.fixture(scope="module")
def url(config: BoardConfig, coverage_page: Path) -> Iterator[str]:
    with served(config) as address:
        yield address


@contextmanager
def opened(browser: Browser, address: str, script: str = "", **context: Any) -> Iterator[Page]:
    """Yield a page when it is ready. It may request its own server only."""
    home = "{0.scheme}://{0.netloc}/".format(urlsplit(address))
    with open_page(browser, address, home, script, **{"viewport": ON_SCREEN, **context}) as shown:
        yield shown


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
            link = f"/table.{suffix}?{query}&market=match_result&line="
            expect(shown.locator(f"#{suffix}")).to_have_attribute("href", link)


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


def hold_next_answer(shown: Page, part: str) -> None:
    """Let the answer to the next request whose address has this part wait until the page calls `release()`.

    The address must end with the part. `isHeld` is true when the server has answered.
    """
    shown.evaluate(
        """(part) => {
            const { fetch } = window;
            let isFirst = true;
            window.isHeld = false;
            const released = new Promise((resolve) => { window.release = resolve; });
            window.fetch = async (path, ...rest) => {
                const isChosen = isFirst && path.endsWith(part);
                if (isChosen) isFirst = false;
                const answer = await fetch(path, ...rest);
                if (isChosen) { await answer.clone().text(); window.isHeld = true; await released; }
                return answer;
            };
        }""",
        part,
    )


FAILING_REQUEST = """(part) => {
    const { fetch } = window;
    window.hasFailed = false;
    window.fetch = (path, ...rest) => {
        if (window.hasFailed || !path.includes(part)) return fetch(path, ...rest);
        window.hasFailed = true;
        return Promise.reject(new TypeError('Failed to fetch'));
    };
}"""


def fail_next_request(shown: Page, part: str) -> None:
    """Let the next request whose address has this part fail as without a network. `hasFailed` is then true."""
    shown.evaluate(FAILING_REQUEST, part)


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
        assert find_unnamed_controls(shown) == []
        reached = set()
        for _ in range(40):
            shown.keyboard.press("Tab")
            reached.add(shown.evaluate("document.activeElement.id || document.activeElement.className"))
        filters = {"search", "within", "country", "tournament", "home", "off", "moved", "arrows", "sort", "clear"}
        assert filters | {"zone", "theme", "market-search", "csv", "xlsx", "sql"} <= reached


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
        expect(shown).to_have_url(f"{url}/fixture/{sr_id}?market=asian_handicap&line=hcp%3D-0.5#search=asian")
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
        wide = (
            "prices => prices.filter((price) => price.scrollWidth > price.clientWidth).map((price) => price.innerText)"
        )
        assert shown.locator("#grid .o").evaluate_all(wide) == []
        expect(shown.locator("#within")).to_be_hidden()
        shown.locator("#more-filters summary").click()
        shown.locator("#home").select_option("worst")
        wait_for(shown, len(expected(url, shown)))


def test_the_theme_is_chosen_by_the_keyboard_and_kept(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        shown.locator("#theme").press("d")
        dark = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        shown.reload()
        shown.wait_for_selector(READY)
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        shown.locator("#theme").press("ArrowUp")
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == light


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


# --- one table at a time ----------------------------------------------------------------------------------------------


def test_a_table_keeps_its_line(browser: Browser, url: str, world: World, monkeypatch: pytest.MonkeyPatch):
    sr_id = world.sr_ids[12]
    with opened(browser, f"{url}/?market=total_goals") as shown:
        wait_for(shown, 48)
        cell = shown.locator(f"tr[data-id='{sr_id}'] td.is-home .odds")
        before = cell.inner_text()
        expect(shown.locator("#csv")).to_have_attribute("href", "/table.csv?market=total_goals&line=total%3D2.5")

        async def read_other_lines(*_: Any) -> list[str]:
            return ["total=1.5", "total=2.5", "total=3.5"]

        monkeypatch.setattr(LiveTables, "_read_lines", read_other_lines)
        with shown.expect_response(lambda answer: f"fixtures={sr_id}" in answer.url) as refreshed:
            world.change([sr_id], 1.1)
        assert refreshed.value.json()["line"] == "total=2.5"
        expect(shown.locator("#line")).to_have_value("total=2.5")
        assert cell.inner_text() == before
        fixture_link = shown.locator(f"tr[data-id='{sr_id}'] .teams a").get_attribute("href") or ""
        assert fixture_link.startswith(f"/fixture/{sr_id}?market=total_goals&line=total%3D2.5")


def test_an_answer_about_another_line_replaces_the_table(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]

    def answer_other_line(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "line": "total=9.5"})

    with opened(browser, f"{url}/?market=total_goals") as shown:
        wait_for(shown, 48)
        shown.route(f"**/api/table?*fixtures={sr_id}*", answer_other_line)
        with shown.expect_request(lambda asked: "offset=0" in asked.url and "fixtures" not in asked.url):
            world.change([sr_id], 1.1)
        wait_for_ids(shown, expected(url, shown))
        expect(shown.locator("#line")).to_have_value("total=2.5")


def test_a_market_that_could_not_be_loaded_is_loaded_later(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]
    with opened(browser, f"{url}/") as shown:
        wait_for(shown, 48)
        fail_next_request(shown, "market=both_teams_to_score")
        shown.get_by_role("button", name="Both Teams To Score").click()
        expect(shown.locator("#broken")).to_contain_text("does not answer")
        world.change([sr_id], 1.1)
        expect(shown.locator("#grid thead .labels").first).to_contain_text("Yes")
        expect(shown.locator("#broken")).to_be_hidden()
        wait_for(shown, 48)
        assert shown.locator(f"tr[data-id='{sr_id}'] td.is-home .o").count() == 2


def test_news_during_a_load_wait_for_it(browser: Browser, url: str, world: World):
    with opened(browser, f"{url}/") as shown:
        wait_for(shown, 48)
        sr_id = int(shown.locator("#grid tbody tr:has(td.is-home .odds)").first.get_attribute("data-id") or 0)
        hold_next_answer(shown, "market=both_teams_to_score&offset=0&limit=20")
        shown.get_by_role("button", name="Both Teams To Score").click()
        shown.wait_for_function("() => window.isHeld")
        requests: list[str] = []
        shown.on("request", lambda asked: requests.append(asked.url))
        world.change([sr_id], 1.1)
        shown.evaluate(
            """(since) => new Promise((resolve) => {
                const stream = new EventSource(`/api/news?since=${since}`);
                stream.addEventListener('derived', () => { stream.close(); resolve(); });
            })""",
            shown.evaluate("document.documentElement.dataset.token"),
        )
        assert not any("/api/table" in asked for asked in requests)
        with shown.expect_response(lambda answer: f"fixtures={sr_id}" in answer.url):
            shown.evaluate("window.release()")
        expect(shown.locator("#grid thead .labels").first).to_contain_text("Yes")
        assert shown.locator(f"tr[data-id='{sr_id}'] td.is-home .o").count() == 2


@pytest.mark.parametrize("part", ["/api/table", "/api/choices"])
def test_a_first_request_that_fails_is_repeated(browser: Browser, url: str, part: str):
    with opened(browser, f"{url}/", script=f"({FAILING_REQUEST})('{part}')") as shown:
        assert shown.evaluate("window.hasFailed")
        wait_for(shown, 48)
        expect(shown.locator("#broken")).to_be_hidden()
        links = shown.locator(".teams a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        assert not any("undefined" in link for link in links)


def test_derived_fixtures_of_a_failed_request_are_requested_again(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]
    with opened(browser, f"{url}/") as shown:
        wait_for(shown, 48)
        expect(shown.locator("#live")).to_have_class("live on")
        cell = shown.locator(f"tr[data-id='{sr_id}'] td.is-home .odds")
        before = cell.inner_text()
        fail_next_request(shown, f"fixtures={sr_id}")
        world.change([sr_id], 1.1)
        shown.wait_for_function("() => window.hasFailed")
        expect(cell).not_to_have_text(before)
        expect(shown.locator("#broken")).to_be_hidden()


@pytest.fixture(scope="module")
def large_world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """More fixtures than the rows of one answer."""
    with pipelines(postgres, tmp_path_factory.mktemp("large")) as make:
        yield write_world(make(platforms=list(PLATFORMS)), 520)


@pytest.fixture(scope="module")
def large_url(large_world: World, postgres: EmbeddedPostgres) -> Iterator[str]:
    with served(make_config(large_world.pipeline, postgres)) as address:
        yield address


def scroll_to_end(shown: Page, total: int) -> None:
    """Scroll until all rows are shown."""
    shown.wait_for_function(
        """(total) => {
            scrollTo(0, document.body.scrollHeight);
            return document.querySelectorAll('#grid tbody tr').length === total;
        }""",
        arg=total,
        timeout=60_000,
    )


def test_all_shown_rows_are_kept_up_to_date(browser: Browser, large_url: str, large_world: World):
    with opened(browser, f"{large_url}/") as shown:
        scroll_to_end(shown, 520)
        expect(shown.locator("#live")).to_have_class("live on")
        last = shown.locator("#grid tbody tr:has(td.is-home[data-state=offered])").last
        sr_id = int(last.get_attribute("data-id") or 0)
        assert ids(shown).index(sr_id) >= 500
        cell = shown.locator(f"tr[data-id='{sr_id}'] td.is-home .odds")
        before = cell.inner_text()
        large_world.change([sr_id], 1.1)
        expect(cell).not_to_have_text(before)
        # Sorted by the latest change, a fixture that moves to the top pushes all others down.
        shown.locator("#sort").select_option("moved")
        expect(shown.locator("#grid tbody tr").first).to_have_attribute("data-id", str(sr_id))
        scroll_to_end(shown, 520)
        order = expected(large_url, shown)
        lower = next(sr_id for sr_id in ids(shown)[::-1] if (sr_id, "betpawa") in large_world.listing_ids)
        large_world.change([lower], 1.1)
        expect(shown.locator("#grid tbody tr").first).to_have_attribute("data-id", str(lower))
        assert ids(shown)[:501] == [lower, *order]
        assert len(ids(shown)) == 520


def test_further_rows_can_be_requested_after_a_failure(browser: Browser, url: str):
    with opened(browser, f"{url}/", script=NO_OBSERVER) as shown:
        wait_for(shown, 20)
        fail_next_request(shown, "offset=20")
        shown.locator("#more").click()
        expect(shown.locator("#more")).to_have_text("Showing more failed: try again (28 left)")
        expect(shown.locator("#broken")).to_be_visible()
        shown.locator("#more").click()
        wait_for(shown, 40)
        expect(shown.locator("#more")).to_have_text("Show more (8 left)")
        expect(shown.locator("#broken")).to_be_hidden()


def test_arrows_disappear_when_the_move_is_too_old(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]
    world.change([sr_id], 1.1)
    made = browser.new_context(viewport=ON_SCREEN)
    try:
        shown = made.new_page()
        shown.clock.install()
        shown.goto(f"{url}/?arrows=15")
        shown.wait_for_selector(READY)
        row = shown.locator(f"tr[data-id='{sr_id}']")
        expect(row.locator("td.is-home .up")).not_to_have_count(0)
        row.locator(".teams a").focus()
        hold_next_request(shown, "/api/table")  # its answer would set the clock
        shown.clock.fast_forward("16:00")
        expect(row.locator("td.is-home .up")).to_have_count(0)
        expect(row.locator(".teams a")).to_be_focused()
        shown.locator("#arrows").select_option("60")
        expect(row.locator("td.is-home .up")).not_to_have_count(0)
    finally:
        made.close()


# --- news of hidden pages and of fixtures -----------------------------------------------------------------------------

RECORDED_STREAMS = """
window.streams = [];
window.EventSource = class extends EventSource { constructor(...values) { super(...values); window.streams.push(this); } };
window.setHidden = (isHidden) => {
    Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
};
window.countStreams = () => window.streams.filter((stream) => stream.readyState !== EventSource.CLOSED).length;
"""


def test_a_hidden_page_has_no_connection_for_news(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]
    with opened(browser, f"{url}/", script=RECORDED_STREAMS) as shown:
        expect(shown.locator("#live")).to_have_class("live on")
        wait_for(shown, 48)
        cell = shown.locator(f"tr[data-id='{sr_id}'] td.is-home .odds")
        before = cell.inner_text()
        shown.evaluate("setHidden(true)")
        assert shown.evaluate("countStreams()") == 0
        world.change([sr_id], 1.1)
        assert cell.inner_text() == before
        shown.evaluate("setHidden(false)")
        expect(cell).not_to_have_text(before)
        expect(shown.locator("#live")).to_have_class("live on")
        assert shown.evaluate("countStreams()") == 1


@contextmanager
def opened_fixture(browser: Browser, url: str, sr_id: int) -> Iterator[tuple[Page, Locator]]:
    """The page of a fixture when it is connected for news, and home's first price of 1X2 on it."""
    with opened(browser, f"{url}/fixture/{sr_id}?market=match_result") as shown:
        expect(shown.locator("#live")).to_have_class("live on")
        yield shown, shown.locator("#markets tbody").filter(has_text="1X2").first.locator("td.is-home .o").first


def test_a_fixture_is_requested_again_after_a_failure(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]
    with opened_fixture(browser, url, sr_id) as (shown, price):
        before = price.inner_text()
        fail_next_request(shown, f"/api/fixture/{sr_id}")
        world.change([sr_id], 1.1)
        shown.wait_for_function("() => window.hasFailed")
        expect(price).not_to_have_text(before)
        expect(shown.locator("#broken")).to_be_hidden()


def test_an_older_answer_does_not_replace_a_newer_one(browser: Browser, url: str, world: World):
    sr_id = world.sr_ids[12]
    with opened_fixture(browser, url, sr_id) as (shown, price):
        first = price.inner_text()
        hold_next_answer(shown, f"/api/fixture/{sr_id}")
        world.change([sr_id], 1.1)
        shown.wait_for_function("() => window.isHeld")
        world.change([sr_id], 1.1)
        expect(price).not_to_have_text(first)
        newest = price.inner_text()
        shown.evaluate("window.release()")
        with shown.expect_response(lambda answer: "history" in answer.url):
            shown.locator("#market").select_option("double_chance")
        assert price.inner_text() == newest


# --- controls ---------------------------------------------------------------------------------------------------------


def test_kickoff_from_and_until_are_set_by_mouse_and_keyboard(browser: Browser, url: str, world: World):
    with opened(browser, f"{url}/?within=60", locale="en-US") as shown:
        shown.locator("#within").select_option("custom")
        expect(shown).to_have_url(f"{url}/")  # the earlier choice is gone from the address, the table and the control
        wait_for(shown, 48)
        expect(shown.locator("#within")).to_have_value("custom")
        expect(shown.locator("#filter-count")).to_be_empty()
        begin, end = world.now + timedelta(hours=1), world.now + timedelta(hours=3)
        box = shown.locator("#from").bounding_box()
        assert box is not None
        shown.mouse.click(box["x"] + 12, box["y"] + box["height"] / 2)
        type_instant(shown, begin)
        expect(shown).to_have_url(f"{url}/?from={begin:%Y-%m-%dT%H%%3A%M}")
        wait_for_ids(shown, expected(url, shown))
        shown.locator("#from").focus()
        while shown.evaluate("document.activeElement.id") == "from":
            shown.keyboard.press("Tab")
        assert shown.evaluate("document.activeElement.id") == "until"
        type_instant(shown, end)
        expect(shown).to_have_url(f"{url}/?from={begin:%Y-%m-%dT%H%%3A%M}&until={end:%Y-%m-%dT%H%%3A%M}")
        chosen = expected(url, shown)
        assert 0 < len(chosen) < 48
        wait_for_ids(shown, chosen)
        shown.locator("#within").select_option("")
        expect(shown).to_have_url(f"{url}/")
        wait_for(shown, 48)
        expect(shown.locator("#from")).to_be_hidden()


def type_instant(shown: Page, instant: datetime) -> None:
    """Type an instant into the parts of a field for date and time, as American English orders them."""
    for part in (f"{instant:%m}", f"{instant:%d}"):
        shown.keyboard.type(part)
    shown.keyboard.type(f"{instant:%Y}")
    shown.keyboard.press("ArrowRight")  # a year may have six digits
    shown.keyboard.type(f"{instant:%I%M%p}")


def test_a_percentage_is_rounded_to_what_the_server_takes(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        shown.locator("#off").fill("2.12345")
        expect(shown).to_have_url(f"{url}/?off=2.123")
        wait_for_ids(shown, expected(url, shown))
        expect(shown.locator("#broken")).to_be_hidden()


def test_the_time_zone_is_chosen_by_mouse_and_keyboard_and_kept(browser: Browser, url: str):
    with opened(browser, f"{url}/", timezone_id="Asia/Kathmandu") as shown:  # 5 h 45 min ahead of UTC
        first = shown.locator("#grid .kick b").first
        in_utc = first.inner_text()
        hour, minute = map(int, in_utc.split(":"))
        later = hour * 60 + minute + 345
        local = f"{later // 60 % 24:02}:{later % 60:02}"
        shown.locator("#zone").select_option("local")
        expect(first).to_have_text(local)
        shown.locator("#zone").press("ArrowUp")
        expect(first).to_have_text(in_utc)
        shown.locator("#zone").press("l")
        expect(first).to_have_text(local)
        shown.reload()
        shown.wait_for_selector(READY)
        expect(shown.locator("#zone")).to_have_value("local")
        expect(first).to_have_text(local)


def test_the_legend_is_opened_and_closed_by_its_button(browser: Browser, url: str):
    with opened(browser, f"{url}/") as shown:
        button = shown.get_by_role("button", name="Legend and keys")
        for operate, is_open in (
            (button.click, True),
            (button.click, False),
            (lambda: button.press("Enter"), True),
            (lambda: button.press("Space"), False),
        ):
            operate()
            expect(shown.locator("#help")).to_be_visible(visible=is_open)
            expect(button).to_have_attribute("aria-expanded", str(is_open).lower())


def test_further_rows_are_requested_by_the_button(browser: Browser, url: str):
    with opened(browser, f"{url}/", script=NO_OBSERVER) as shown:
        wait_for(shown, 20)
        shown.locator("#more").click()
        wait_for(shown, 40)
        expect(shown.locator("#more")).to_have_text("Show more (8 left)")
        shown.locator("#more").press("Enter")
        wait_for_ids(shown, expected(url, shown))
        expect(shown.locator("#more")).to_be_hidden()


def test_the_market_filter_of_a_fixture_is_in_its_address(browser: Browser, url: str, world: World):
    address = f"{url}/fixture/{world.sr_ids[4]}"
    with opened(browser, f"{address}?market=match_result") as shown:
        markets, differing = shown.locator("#markets tbody"), shown.locator("#differing")
        all_markets = markets.count()
        entries = httpx.get(f"{url}/api/fixture/{world.sr_ids[4]}", timeout=30).json()["markets"]
        marked = sum(any(outcome["rank"] in ("b", "w") for outcome in entry["outcomes"]) for entry in entries)
        assert 0 < marked < all_markets
        differing.click()
        expect(shown).to_have_url(f"{address}?market=match_result&line=#differing=yes")
        expect(markets).to_have_count(marked)
        differing.press("Space")
        expect(markets).to_have_count(all_markets)
        expect(shown).to_have_url(f"{address}?market=match_result&line=")
        differing.press("Space")
        shown.keyboard.press("/")
        shown.keyboard.type("score")
        expect(shown).to_have_url(f"{address}?market=match_result&line=#differing=yes&search=score")
        n = markets.count()
        shown.reload()
        shown.wait_for_selector(READY)
        expect(shown.locator("#search")).to_have_value("score")
        expect(differing).to_be_checked()
        expect(markets).to_have_count(n)
        shown.locator(".skip").press("Enter")
        expect(shown).to_have_url(f"{address}?market=match_result&line=#differing=yes&search=score")


def test_a_fixture_leads_back_to_its_table(browser: Browser, url: str):
    with opened(browser, f"{url}/?home=worst&sort=off") as shown:
        shown.locator("#arrows").select_option("60")
        shown.locator(".teams a").first.click()
        shown.wait_for_url(f"{url}/fixture/*")
        shown.wait_for_selector(READY)
        shown.locator("#back").click()
        expect(shown).to_have_url(f"{url}/?home=worst&sort=off&arrows=60")
        shown.wait_for_selector(READY)
        shown.locator(".teams a").first.click()
        shown.wait_for_url(f"{url}/fixture/*")
        shown.wait_for_selector(READY)
        shown.locator("#market").select_option("total_goals")
        shown.locator("#line").select_option("total=1.5")
        shown.reload()
        shown.wait_for_selector(READY)
        shown.locator("#back").click()
        expect(shown).to_have_url(f"{url}/?home=worst&sort=off&arrows=60&market=total_goals&line=total%3D1.5")
