"""What a terminal is sent: names from outside show their control characters as escapes, in every kind of output."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.cli import console
from palimpsest_pipeline.cli.console import escape_markup
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.printable_text import CONTROL_CHARACTERS, escape_controls
from palimpsest_pipeline.runtime.progress import open_terminal
from palimpsest_pipeline.runtime.terminal import PrintableConsole, log_to_terminal
from palimpsest_pipeline.wire import failures
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, answering
from palimpsest_pipeline_tests.wire.asking import client, send_request

NAME = "Bayern\x1b[2J\x1b]0;title\x07\x9b31m\nerror: gone\r\u202eM\u00fcnchen"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to a terminal of colours."""
    stream = io.StringIO()
    for name in ("out", "err"):
        monkeypatch.setattr(console, name, PrintableConsole(file=stream, width=200, force_terminal=True))
    return stream


def steering(text: str) -> list[str]:
    """Control characters that are not the console's own styles."""
    return [found[0] for found in CONTROL_CHARACTERS.finditer(text.replace("\n", "")) if found[0] != "\x1b"] + [
        text[found.start() : found.start() + 6]
        for found in CONTROL_CHARACTERS.finditer(text)
        if found[0] == "\x1b" and text[found.start() + 1] != "["
    ]


def assert_shown(text: str, lines: int) -> None:
    assert not steering(text), repr(text)
    assert "\x1b[2J" not in text
    assert "\\u001b[2J" in text
    assert "M\u00fcnchen" in text
    assert len(text.splitlines()) == lines, text


def test_a_table_shows_them_as_escapes_in_one_line(printed: io.StringIO) -> None:
    console.print_table("", [("team", False)], [[NAME]])
    assert_shown(printed.getvalue(), 5)
    console.print_frame("teams", pl.DataFrame({"team": [NAME]}))
    assert not steering(printed.getvalue())


def test_a_line_of_text_shows_them_as_escapes(printed: io.StringIO) -> None:
    console.out.print(f"[bold]{escape_markup(NAME)}[/]  kickoff soon", highlight=False)
    assert_shown(printed.getvalue(), 1)


def test_progress_and_errors_show_them_as_escapes(printed: io.StringIO) -> None:
    console.say(NAME)
    console.fail(NAME)
    assert not steering(printed.getvalue())
    assert "\x1b[2J" not in printed.getvalue()


def test_json_shows_them_as_escapes_and_reads_back_as_it_was(printed: io.StringIO) -> None:
    plain = PrintableConsole(file=printed, force_terminal=False)
    plain.print_json(json.dumps({"team": NAME}))
    assert not CONTROL_CHARACTERS.search(printed.getvalue().replace("\n", ""))
    assert json.loads(printed.getvalue()) == {"team": NAME}


@given(st.text())
def test_nothing_but_control_characters_changes(text: str) -> None:
    shown = escape_controls(text)
    assert not CONTROL_CHARACTERS.search(shown)
    assert CONTROL_CHARACTERS.sub("", text) == "".join(part for part in CONTROL_CHARACTERS.split(text))
    assert shown == text or CONTROL_CHARACTERS.search(text)


async def test_what_a_host_says_reaches_ledger_and_logs_without_them() -> None:
    async with Loopback() as host, client(host.base_url) as asking:
        host.script(
            "/events",
            answering(status=400, body=NAME.encode(), content_type="text/plain"),
            answering(body=b"{" + NAME.encode()),
        )
        answers: list[Answer] = [await send_request(asking), await send_request(asking)]
    assert answers[0].failure is FailureClass.PERMANENT
    assert not [answer.failure_detail for answer in answers if CONTROL_CHARACTERS.search(answer.failure_detail)]
    verdict = failures.classify_status(200, {}, PayloadKind.DETAIL, b"x" + NAME.encode())
    assert verdict is not None
    assert not CONTROL_CHARACTERS.search(verdict[1])


def test_the_console_of_progress_shows_them_as_escapes(capfd: pytest.CaptureFixture[str]) -> None:
    with open_terminal() as progress:
        progress.print(NAME, markup=False, highlight=False, soft_wrap=True)
    told = capfd.readouterr().err
    assert not steering(told), repr(told)
    assert "\\u001b[2J" in told


WORKER_THAT_WARNS = """
import logging, multiprocessing, os
from palimpsest_pipeline.operate.backfill import worker_processes as workers
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline_tests.cli.test_console import NAME

def open_instance(settings):
    logging.getLogger("palimpsest_pipeline.defs").warning("team %s", NAME)
    logging.getLogger("sqlalchemy").warning("a library")
    raise EOFError

workers.open_instance = open_instance
workers.run_backfill_worker(multiprocessing.Pipe()[0], load_settings(), os.getppid())
"""


def test_a_process_of_a_backfill_warns_in_one_line_and_shows_them_as_escapes(tmp_path: Path) -> None:
    environment = {**os.environ, "PALIMPSEST_HOME_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WORKER_THAT_WARNS], capture_output=True, env=environment, timeout=120, check=True
    )
    told = done.stderr.decode()
    assert told.startswith("warning: team Bayern\\u001b[2J")
    assert_shown(told, 1)


@pytest.fixture
def handlers_as_before() -> Iterator[None]:
    before = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = before


@pytest.mark.usefixtures("handlers_as_before")
def test_warnings_of_this_product_are_one_line_each_and_libraries_are_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_to_terminal()
    try:
        raise ValueError("a cause")
    except ValueError:
        logging.getLogger("palimpsest_pipeline.pipeline.live.stage").exception(
            "cycle %d: not written\n  down [for now]", 7
        )
    logging.getLogger("palimpsest_pipeline.defs").warning("team %s", NAME)
    logging.warning("Retrying failed database connection")
    logging.getLogger("dagster._core.execution.plan.active").warning("Blocking asset check 'x' emitted no result")
    logging.getLogger("palimpsest_pipeline.wire").info("an answer")
    told = capsys.readouterr()
    first, second = told.err.splitlines()
    assert (told.out, first) == ("", "warning: cycle 7: not written down [for now]")
    assert second == "warning: team Bayern\\u001b[2J\\u001b]0;title\\u0007\\u009b31m error: gone \\u202eM\u00fcnchen"


@pytest.mark.parametrize(
    ("n_platforms", "n_outcomes", "first"), [(3, 3, "outcome"), (12, 3, "platform"), (12, 30, "outcome")]
)
def test_prices_of_many_platforms_stand_below_each_other(
    n_platforms: int, n_outcomes: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(console, "out", PrintableConsole(file=stream, width=80))
    platforms = [f"platform-{n}" for n in range(n_platforms)]
    prices = {f"o{n}": dict.fromkeys(platforms, f"{n + 1}.50") for n in range(n_outcomes)}
    console.print_price_table("prices", platforms, prices)
    lines = [line.replace("┃", "│").strip("│ ") for line in stream.getvalue().splitlines()]
    assert [line for line in lines if line.startswith(first)]
    assert stream.getvalue().count(" 1.50 ") == n_platforms, "no price is broken into pieces"
    if first == "platform":
        assert [line.split("│")[0].strip() for line in lines if line.startswith("platform-")] == platforms
        assert [cell.strip() for cell in lines[-2].split("│")] == ["platform-11", "1.50", "2.50", "3.50"]
