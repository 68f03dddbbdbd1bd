"""The board as a command and as a child of `palimpsest up`: served, read-only, and ended with the others."""

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from palimpsest_pipeline_tests.fixtures.commands import (
    PALIMPSEST,
    Command,
    assert_one_clear_line,
    environment,
    free_port,
    ours,
)


def wait_until_served(url: str, process: subprocess.Popen[bytes], log: Path) -> httpx.Response:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/api/table", timeout=10)
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("words", [("up",), ("board",)])
def test_it_is_served_and_ends_with_its_command(palimpsest: Command, folder: Path, words: tuple[str, ...]):
    assert palimpsest("db", "upgrade").returncode == 0
    settings = {"PALIMPSEST_BOARD_PORT": str(free_port()), "PALIMPSEST_UI_PORT": str(free_port())}
    log = folder / "board-test.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*PALIMPSEST, *words], cwd=folder, env=environment(folder, **settings), stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{settings['PALIMPSEST_BOARD_PORT']}"
        answer = wait_until_served(url, process, log)
        assert (answer.status_code, answer.json()["total"]) == (200, 0)
        if words == ("up",):
            deadline = time.monotonic() + 120
            while "traders' board" not in log.read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert url in log.read_text()
    finally:
        process.terminate()
        process.wait(90)
    with pytest.raises(httpx.TransportError):
        httpx.get(url, timeout=2)
    assert palimpsest("down").returncode == 0
    assert ours(folder) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"PALIMPSEST_BOARD_HOST": "0.0.0.0", "PALIMPSEST_BOARD_PORT": "3999"}, "PALIMPSEST_BOARD_TOKEN"),
        ({"PALIMPSEST_BOARD_PORT": "0"}, "has no port"),
    ],
)
def test_what_is_missing_is_one_clear_line(palimpsest: Command, settings: dict[str, str], says: str):
    assert_one_clear_line(palimpsest("board", timeout_s=60, **settings), says)
