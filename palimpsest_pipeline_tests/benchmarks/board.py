"""How long the traders' board takes, in Chromium without a window: to open until its rows are on the screen, to answer
a filter, and to show a derivation after its commit; and what open boards cost while nothing is derived.

The board is a process of its own, as under `palimpsest up`, on a made-up world of five platforms.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import httpx
import psutil
import typer
from playwright.sync_api import Browser
from rich.table import Table

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.board.servers import make_config
from palimpsest_pipeline_tests.board.worlds import PLATFORMS, World, write_world
from palimpsest_pipeline_tests.fixtures.chromium import chromium
from palimpsest_pipeline_tests.fixtures.commands import free_port
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.postgres import make_server_folder

FILTERS: Final = (
    ("home", "worst"),
    ("home", ""),
    ("within", "360"),
    ("within", ""),
    ("country", "England"),
    ("country", ""),
    ("sort", "off"),
    ("sort", "kickoff"),
    ("search", "tro"),
    ("search", ""),
)
DRAWN: Final = """() => {
    const painted = () => new Promise((done) => requestAnimationFrame(() => {
        const after = new MessageChannel();
        after.port1.onmessage = () => done(performance.now());
        after.port2.postMessage(0);
    }));
    window.usable = new Promise((done) => {
        const wait = () => (document.querySelector('#grid tbody tr') ? painted().then(done) : setTimeout(wait, 2));
        wait();
    });
    window.answered = (act) => new Promise((done) => {
        const began = performance.now();
        new MutationObserver((_, observer) => { observer.disconnect(); painted().then((at) => done(at - began)); })
            .observe(document.querySelector('#grid tbody'), { childList: true });
        act();
    });
}"""
FILTER: Final = """([id, value]) => answered(() => {
    const control = document.getElementById(id);
    control.value = value;
    control.dispatchEvent(new Event('input', { bubbles: true }));
})"""
CHANGED: Final = """([id, before]) => new Promise((done) => {
    const wait = () => {
        const cell = document.querySelector(`tr[data-id="${id}"] td.is-home .odds`);
        if (cell && cell.innerText !== before) done(Date.now() / 1000); else setTimeout(wait, 2);
    };
    wait();
})"""
SERVER: Final = """
import json, sys
from pathlib import Path
from palimpsest_pipeline.board.app import BoardConfig
from palimpsest_pipeline.board.price_grid import PlatformColumn
from palimpsest_pipeline.board.server import serve_board
values = json.loads(sys.stdin.readline())
columns = [PlatformColumn(*each) for each in values.pop("columns")]
page = Path(values.pop("coverage_page"))
port = values.pop("port")
serve_board(BoardConfig(columns=columns, coverage_page=page, **values), port)
"""


def measure(
    fixtures: Annotated[int, typer.Option(min=24, help="Fixtures to come, on up to five platforms.")] = 3000,
    rounds: Annotated[int, typer.Option(min=1, help="Fresh loads of the page; the median counts.")] = 5,
    changes: Annotated[int, typer.Option(min=1, help="Derivations whose appearance is waited for.")] = 5,
    boards: Annotated[int, typer.Option(min=1, help="Open streams of news while nothing is derived.")] = 20,
    quiet_s: Annotated[float, typer.Option(min=1, help="Seconds over which they are measured.")] = 20,
    seed: Annotated[int, typer.Option(help="Chooses the world.")] = 1,
) -> dict[str, Any]:
    """Milliseconds of each; the cost of open boards as a share of a core, of the board and of its database."""
    with make_server_folder() as folder, TemporaryDirectory(prefix="palimpsest-board-") as home:
        postgres = EmbeddedPostgres(folder / "postgres", durable=False)
        postgres.start()
        try:
            with pipelines(postgres, Path(home)) as make:
                world = write_world(make(platforms=list(PLATFORMS)), fixtures, seed)
                with run_server(world, postgres) as (url, process), chromium() as browser:
                    return {
                        "fixtures": fixtures,
                        "platforms": len(PLATFORMS),
                        "rounds": rounds,
                        **measure_page(browser, url, world, rounds, changes),
                        "boards": boards,
                        **measure_quiet(url, process, boards, quiet_s),
                        "board_mb": process.memory_info().rss / 1e6,
                    }
        finally:
            postgres.remove()


@contextmanager
def run_server(world: World, postgres: EmbeddedPostgres) -> Iterator[tuple[str, psutil.Process]]:
    """The board as a process of its own, when it answers."""
    config, port = make_config(world.pipeline, postgres), free_port()
    values = {
        "database_url": config.database_url,
        "columns": [[column.key, column.name] for column in config.columns],
        "main_markets": list(config.main_markets),
        "sport": config.sport,
        "max_skew_s": config.max_skew_s,
        "coverage_page": str(config.coverage_page),
        "port": port,
    }
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        assert server.stdin is not None
        server.stdin.write(json.dumps(values) + "\n")
        server.stdin.flush()
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    httpx.get(f"{url}/api/table", timeout=60).raise_for_status()
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            yield url, psutil.Process(server.pid)
        finally:
            server.terminate()


def measure_page(browser: Browser, url: str, world: World, rounds: int, changes: int) -> dict[str, float]:
    """Fresh loads with an empty cache, each filter in each load, and derivations of single fixtures."""
    opened, filtered, shown_s = [], [], []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.add_init_script(f"({DRAWN})()")
        page = context.new_page()
        page.goto(url)
        opened.append(page.evaluate("usable"))
        page.wait_for_selector("html[data-ready=yes]")
        filtered += [page.evaluate(FILTER, list(each)) for each in FILTERS]
        context.close()
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("html[data-ready=yes]")
    page.wait_for_selector("#live.on")
    offered = page.locator("tr:has(td.is-home[data-state=offered])")
    for n in range(changes):
        sr_id = int(offered.nth(n).get_attribute("data-id") or 0)
        before = page.locator(f"tr[data-id='{sr_id}'] td.is-home .odds").inner_text()
        world.change([sr_id], 1.1)
        committed_at = time.time()
        shown_s.append(page.evaluate(CHANGED, [str(sr_id), before]) - committed_at)
    context.close()
    return {
        "open_ms": median(opened),
        "slowest_open_ms": max(opened),
        "filter_ms": median(filtered),
        "slowest_filter_ms": max(filtered),
        "shown_after_commit_ms": 1000 * median(shown_s),
        "slowest_shown_after_commit_ms": 1000 * max(shown_s),
    }


def measure_quiet(url: str, process: psutil.Process, boards: int, quiet_s: float) -> dict[str, float]:
    """Processor time of the board's process while streams of news are open and nothing is derived."""
    limits = httpx.Limits(max_connections=boards)
    with httpx.Client(base_url=url, timeout=60, limits=limits) as client:
        streams = [client.stream("GET", "/api/news") for _ in range(boards)]
        answers = [stream.__enter__() for stream in streams]
        try:
            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(quiet_s)
            used_s, took_s = sum(process.cpu_times()[:2]) - before, time.monotonic() - began
        finally:
            for answer in answers:
                answer.close()
    return {"quiet_core_share": used_s / took_s}


def table(found: dict[str, Any]) -> Table:
    """One row per figure."""
    shown = Table(
        title=f"Board of {found['fixtures']:,} fixtures on {found['platforms']} platforms", title_justify="left"
    )
    shown.add_column("figure")
    shown.add_column("value", justify="right")
    for name, value in found.items():
        shown.add_row(name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
    return shown
