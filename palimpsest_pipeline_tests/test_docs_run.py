"""The blocks of the README and of docs/ run as they stand, page by page, in one home that the tutorial's demo has made.

A block that cannot run here says why in a comment on the line before it. Commands run in this process, since starting Python takes longer than most
of them; a line with a pipe or a redirection runs in a shell. A query runs as `palimpsest sql` would run it.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest.mock import patch

import psycopg
import pytest

from palimpsest_pipeline.cli import __main__ as cli
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment, ours
from palimpsest_pipeline_tests.fixtures.documents import CHECKOUT, PAGES, Block, find_blocks, name_page

pytestmark = [pytest.mark.slow, pytest.mark.long]

HOME: Final = ".palimpsest/demo"
TUTORIAL: Final = CHECKOUT / "docs" / "tutorial" / "first-answer.md"
RUNNABLE: Final = ("sh", "sql", "python")
BLOCKS: Final = {page: list(find_blocks(page)) for page in PAGES}
PAGES_TO_RUN: Final = [
    page for page, blocks in BLOCKS.items() if any(b.language in RUNNABLE and b.not_run is None for b in blocks)
]
DEMO: Final = next(block for block in BLOCKS[TUTORIAL] if block.language == "sh" and "palimpsest demo" in block.text)
OPERATORS: Final = frozenset("|<>;&")
ASSIGNMENT: Final = re.compile(r"[A-Z_][A-Z0-9_]*=")


@dataclass(frozen=True)
class World:
    """A folder that looks like a checkout, with the home of the tutorial's demo in it, and what the demo printed."""

    folder: Path
    printed: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "sql").symlink_to(CHECKOUT / "sql")
    (folder / ".venv").symlink_to(sys.prefix)
    command = [*PALIMPSEST, *shlex.split(DEMO.text)[3:]]
    env = {**environment(folder), "PALIMPSEST_HOME_DIR": ".palimpsest"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    yield World(folder, done.stdout)
    for home in (HOME, "backup/home", "restored"):
        if ours(folder):
            subprocess.run(
                [*PALIMPSEST, "down"],
                cwd=folder,
                env={**env, "PALIMPSEST_HOME_DIR": home},
                capture_output=True,
                timeout=60,
                check=False,
            )


@dataclass
class Shell:
    """A terminal in which somebody pastes the blocks of one page, one after the other."""

    read_output: Callable[[], str]
    """Returns what was printed since it was called last."""
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, block: Block) -> str:
        """Run a block line by line and return what its commands printed. Raises AssertionError where a line fails."""
        if block.language == "python":
            return self._run_process([sys.executable, "-c", block.text])
        if block.language == "sql":
            return self._run_queries(block.text)
        return "".join(self._run_line(line) for line in block.text.replace("\\\n", " ").splitlines() if line.strip())

    def _run_line(self, line: str) -> str:
        if any(token and set(token) <= OPERATORS for token in shlex.shlex(line, posix=True, punctuation_chars=True)):
            return self._run_process(["bash", "-euo", "pipefail", "-c", line])
        words = self._run_process(["bash", "-c", f"printf '%s\\n' {line}"]).splitlines()
        if words[0] == "export":
            words = words[1:]
        assigned = [word for word in words if ASSIGNMENT.match(word)]
        settings = dict(word.split("=", 1) for word in assigned)
        command = words[len(assigned) :]
        if not command:
            self.variables |= settings
            return ""
        if command[:3] == ["uv", "run", "palimpsest"]:
            return self._run_command(command[3:], settings)
        return self._run_process(command)

    def _run_command(self, words: list[str], settings: dict[str, str]) -> str:
        with patch.dict(os.environ, {**self.variables, **settings}), pytest.raises(SystemExit) as ended:
            cli.app(words)
        printed = self.read_output()
        assert ended.value.code in (0, None), printed
        return printed

    def _run_process(self, words: list[str]) -> str:
        with patch.dict(os.environ, self.variables):
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def _run_queries(self, text: str) -> str:
        with psycopg.connect(self._run_command(["db", "url"], {}).strip()) as conn:
            conn.execute("set search_path = palimpsest, mart, public")
            for query in filter(None, map(str.strip, text.split(";"))):
                conn.execute(query.encode())
            conn.rollback()
        return ""


@pytest.fixture
def shell(world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    """A shell in the world, in which `uv run palimpsest` is this version's command and the demo's database runs."""
    uv = world.folder / "bin" / "uv"
    uv.parent.mkdir(exist_ok=True)
    uv.write_text(f'#!/bin/sh\nshift 2\nexec {shlex.join(PALIMPSEST)} "$@"\n')
    uv.chmod(0o755)
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PALIMPSEST_HOME_DIR", HOME)
    monkeypatch.setenv("PALIMPSEST_EMBEDDED_DURABLE", "false")
    with pytest.raises(SystemExit) as ended:
        cli.app(["db", "url"])
    if ended.value.code:  # the page before has stopped it
        with pytest.raises(SystemExit):
            cli.app(["db", "upgrade"])
    capfd.readouterr()
    return Shell(lambda: capfd.readouterr().out)


@pytest.mark.parametrize("page", PAGES_TO_RUN, ids=name_page)
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, world: World, shell: Shell):
    printed = None
    for block in BLOCKS[page]:
        if block.language == "text" and printed is not None:
            assert squeeze(block.text.splitlines()[0]) in squeeze(printed), (
                f"{block.place}: this is not what the command before it prints"
            )
        elif block.language in RUNNABLE and block.not_run is None:
            try:
                printed = world.printed if block == DEMO else shell.run(block)
            except AssertionError as error:
                raise AssertionError(f"{block.place}: {error}") from None
        else:
            printed = None


def squeeze(text: str) -> str:
    """Return text in which numbers and room between words do not count: they differ from run to run."""
    return re.sub(r"\d+", "0", " ".join(text.split()))
