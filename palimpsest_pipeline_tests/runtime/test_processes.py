"""Stopping a known process later: its process tree, never another process with the same id."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from palimpsest_pipeline.runtime.processes import KnownProcess, stop_process_tree

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPER) as process:
        yield process
        process.kill()


def test_a_process_and_its_children_are_stopped():
    parent = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run({SLEEPER!r})"])
    known = KnownProcess.from_pid(parent.pid)
    while not (children := psutil.Process(parent.pid).children()):
        pass
    stop_process_tree(known)
    parent.wait(10)
    assert known.find() is None
    assert not children[0].is_running()


def test_a_process_with_a_reused_pid_is_not_stopped(sleeper: subprocess.Popen[bytes]):
    reused = KnownProcess(sleeper.pid, KnownProcess.from_pid(sleeper.pid).created_at - 3600)
    assert reused.find() is None
    stop_process_tree(reused)
    assert sleeper.poll() is None
