"""The command line as a user meets it, in an empty folder: in this process, or in a process of its own where it matters."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.operate.databases import open_databases
from palimpsest_pipeline.operate.serve import service_record
from palimpsest_pipeline.operate.serve.up import run_services
from palimpsest_pipeline.runtime.processes import KnownProcess
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline_tests.fixtures.commands import (
    PALIMPSEST,
    Command,
    assert_one_clear_line,
    environment,
    free_port,
    ours,
)
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings


def test_settings_are_printed_without_secrets(palimpsest: Command):
    urls = {
        "PALIMPSEST_DATABASE_URL": "postgresql://me:hunter2@db/x",
        "PALIMPSEST_DAGSTER_DATABASE_URL": "postgresql://me:hunter2@db/y",
    }
    done = palimpsest("settings", "--json", **urls)
    shown = json.loads(done.stdout)
    assert shown["PALIMPSEST_DATABASE_URL"] == "postgresql://me:***@db/x"
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", [("coverage",), ("scrape",), ("db", "check"), ("backfill", "2026-06-26-10:00", "2026-06-26-10:00")]
)
def test_a_wrong_database_url_is_one_clear_line(command: tuple[str, ...], palimpsest_here: Command):
    url = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/nowhere"
    done = palimpsest_here(*command, PALIMPSEST_DATABASE_URL=url, PALIMPSEST_DAGSTER_DATABASE_URL=f"{url}_else")
    assert_one_clear_line(done, "cannot reach", "PALIMPSEST_DATABASE_URL")
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("command", "settings", "says"),
    [
        ("coverage", {}, ("has no tables of ours", "palimpsest db upgrade")),
        ("coverage", {"HOME_DIR": "/proc/nowhere"}, ("/proc/nowhere", "choose one that you can write")),
        ("scrape --day 2026-06-26", {}, ("2026-06-26 cannot be scraped", "palimpsest backfill", "landing import")),
        ("scrape --day 2099-01-01", {}, ("2099-01-01 has no partition in Dagster",)),
        ("settings", {"PLATFORM__BETPAWA__BASE_URL": "x"}, ("PLATFORM__BETPAWA__BASE_URL", "is not an http(s) URL")),
        ("settings", {"KICKOFF_TIERS": "often"}, ('TIERS is not JSON; write it like {"120": 5, "30": 1}',)),
        ("settings", {"MAIN_MARKETS": "1x2"}, ('MARKETS is not JSON; write it like ["match_result", ',)),
        (
            "settings",
            {"PLATFORM__BETPAWA__HEADERS": "x-token: hunter2"},
            ('PALIMPSEST_PLATFORM__BETPAWA__HEADERS is not JSON; write it like {"name": "value"}',),
        ),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    palimpsest_here: Command, command: str, settings: dict[str, str], says: tuple[str, ...]
):
    done = palimpsest_here(*command.split(), **{f"PALIMPSEST_{name}": value for name, value in settings.items()})
    assert_one_clear_line(done, *says)
    assert "hunter2" not in done.stderr


def test_a_demo_in_an_unwritable_folder_is_one_clear_line(palimpsest_here: Command):
    done = palimpsest_here("demo", "--no-ui", PALIMPSEST_HOME_DIR="/proc/nowhere")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: cannot make the folder /proc/nowhere/demo")
    assert "Traceback" not in done.stderr


def test_an_unwritable_landing_is_one_clear_line(palimpsest_here: Command, samples: Path, folder: Path):
    recordings = write_recordings(samples, folder / "recordings")
    done = palimpsest_here("landing", "import", str(recordings), PALIMPSEST_LANDING_URL="/proc/nowhere")
    assert_one_clear_line(done, "/proc/nowhere", "Make it writable")


def test_a_port_in_use_is_one_clear_line(palimpsest_here: Command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_one_clear_line(palimpsest_here("up", "--port", port), f"port {port} is in use", "--port")
        assert_one_clear_line(palimpsest_here("demo", "--port", port), f"port {port} is in use", "--port")


@pytest.mark.parametrize("day", ["2026-06-26-19:00", "today"])
def test_what_is_no_day_cannot_be_scraped(day: str):
    done = CliRunner().invoke(app, ["scrape", "--day", day])
    assert done.exit_code == 2
    assert f"{day!r} is not a day; write it as 2026-06-26" in " ".join(done.stderr.replace("│", " ").split())


def test_the_databases_address_is_printed_for_psql(palimpsest_here: Command):
    urls = {
        "PALIMPSEST_DATABASE_URL": "postgresql+psycopg://me:hunter2@db/x",
        "PALIMPSEST_DAGSTER_DATABASE_URL": "postgresql+psycopg://me:hunter2@db/y",
    }
    assert palimpsest_here("db", "url", **urls).stdout == "postgresql://me:hunter2@db/x\n"
    assert_one_clear_line(palimpsest_here("db", "url"), "is not running", "palimpsest db upgrade")
    upgraded = palimpsest_here("db", "upgrade")
    assert upgraded.returncode == 0
    assert re.fullmatch(r"upgraded in \d+\.\d s; our database takes \d+\.\d MB, \d+\.\d MB before\n", upgraded.stderr)
    with psycopg.connect(palimpsest_here("db", "url").stdout.strip()) as conn:
        assert conn.execute("select count(*) > 0 from core.markets").fetchone() == (True,)
    theirs = palimpsest_here("db", "url", "--analyst").stdout.strip()
    with psycopg.connect(theirs) as conn:
        assert conn.execute("select user, count(*) > 0 from markets").fetchone() == ("palimpsest_analyst", True)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from core.markets")
    for database in ("dagster", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="CONNECT"):
            psycopg.connect(theirs, dbname=database)
    done = palimpsest_here("db", "roles")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_no_setting_is_told_once_with_the_nearest_one_and_refuses_nothing(palimpsest_here: Command):
    done = palimpsest_here(
        "settings",
        PALIMPSEST_UIPORT="4000",
        PALIMPSEST_PORT="tcp://10.0.0.1:80",
        PALIMPSEST_WEB_SERVICE_HOST="10.0.0.1",
    )
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: PALIMPSEST_UIPORT (environment) is not a setting, but PALIMPSEST_UI_PORT is"
    ]


def test_a_simulator_on_a_busy_port_is_one_clear_line(palimpsest_here: Command):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        assert_one_clear_line(
            palimpsest_here("simulate", "--port", port, "--size", "10"),
            f"port {port} of 127.0.0.1 cannot be used",
            "--port",
        )


def test_a_failure_that_the_simulator_does_not_know_is_wrong_usage_and_names_those_it_knows(palimpsest_here: Command):
    done = palimpsest_here("simulate", "--fail", "bet9ja=sulking")
    assert done.returncode == 2
    assert "unknown mode 'sulking'" in done.stderr
    assert "down" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("home", ["home", pytest.param("home/simulated", marks=pytest.mark.slow)])
def test_a_simulator_fails_from_the_start_as_told_and_prints_settings_that_point_at_it(folder: Path, home: str):
    """Also in a terminal where these settings were pasted before."""
    command = [
        *PALIMPSEST,
        "simulate",
        "--port",
        "0",
        "--size",
        "10",
        "--fail",
        "bet9ja=down",
        "--fail",
        "sportybet=error,share=0,endpoint=detail",
    ]
    told = {**environment(folder), "PALIMPSEST_HOME_DIR": str(folder / home)}
    with subprocess.Popen(
        command, cwd=folder, env=told, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            printed = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(5))
            groups = "desktop/feapi/PalimpsestAjax/GetSports?DISP=0&v_cache_version=1"
            statuses = {
                name: status_of(f"{url}/{groups}") for name, url in printed.items() if name.endswith("BASE_URL")
            }
        finally:
            process.send_signal(signal.SIGINT)
    assert printed["PALIMPSEST_HOME_DIR"] == str(folder / "home" / "simulated")
    assert statuses == {
        "PALIMPSEST_PLATFORM__BETPAWA__BASE_URL": 404,
        "PALIMPSEST_PLATFORM__SPORTYBET__BASE_URL": 404,
        "PALIMPSEST_PLATFORM__BET9JA__BASE_URL": 503,
    }


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_word_that_is_no_hour_is_wrong_usage(palimpsest_here: Command):
    done = palimpsest_here("backfill", "yesterday", "today")
    assert done.returncode == 2
    assert "2026-06-26-19:00" in done.stderr


@pytest.mark.parametrize("other", ["--stale", "--dry-run"])
def test_to_derive_anew_and_only_what_is_due_or_nothing_at_all_is_wrong_usage(other: str):
    done = CliRunner().invoke(app, ["backfill", "2026-06-26-09:00", "2026-06-26-10:00", "--again", other])
    assert done.exit_code == 2
    assert "--again cannot be combined with --stale or --dry-run" in done.output


NOWHERE = {f"PALIMPSEST_{platform}__BASE_URL": "http://127.0.0.1:9" for platform in ("BETPAWA", "SPORTYBET", "BET9JA")}
"""Platforms of a pipeline whose cadence is switched on and that may ask nobody."""


@contextmanager
def up(folder: Path, port: int, *, as_background_job: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """`palimpsest up` in `folder`, once it says that it is up; killed when the block did not end it.

    A background job of a shell ignores Ctrl-C.
    """
    log = folder / "up.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [*PALIMPSEST, "up", "--port", str(port)],
            cwd=folder,
            env=environment(folder, **NOWHERE),
            stdout=said,
            stderr=said,
            start_new_session=True,
            preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if as_background_job else None,  # noqa: PLW1509 - no threads here
        )
    try:
        until(lambda: "daemon alive" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.kill()
        process.wait(10)


def until(holds: Callable[[], object], timeout_s: float = 150) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_the_ui_comes_up_on_the_embedded_instance_and_ctrl_c_leaves_nothing_also_of_a_background_job(
    palimpsest: Command, folder: Path
):
    port = free_port()
    with up(folder, port, as_background_job=True) as serving:
        query = b'{"query": "{ assetNodes { assetKey { path } description } }"}'
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", data=query, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assets = json.load(answer)["data"]["assetNodes"]
        assert {"/".join(a["assetKey"]["path"]) for a in assets} >= {
            "landing/odds_payloads",
            "core/matched_events",
            "mart/match_rate_platform",
        }
        assert all(a["description"] for a in assets)
        findings = {f["name"]: f for f in json.loads(palimpsest("doctor", "--json").stdout)}
        assert {name: findings[name]["ok"] for name in ("ui", "daemons", "definitions", "dagster")} == dict.fromkeys(
            ("ui", "daemons", "definitions", "dagster"), True
        )
        for words, on in (([], False), (["on"], True), ([], True), (["off"], False)):
            told = json.loads(palimpsest("cadence", *words, "--json").stdout)
            assert {one["name"]: one["on"] for one in told} == {"full_cycle_schedule": on, "kickoff": on}
        serving.send_signal(signal.SIGINT)
        serving.wait(150)  # twice as long as it waits for runs and ends them
    assert_one_clear_line(palimpsest("cadence"), "nothing is up in", "palimpsest up")
    assert ours(folder) == [], (folder / "up.log").read_text()


@pytest.mark.slow
def test_a_killed_daemon_is_started_again_and_what_a_killed_supervisor_leaves_ends_by_itself(
    palimpsest: Command, folder: Path
):
    with up(folder, free_port()) as serving:
        first = service_record.read_record(folder / "home")
        assert first is not None
        os.kill(first.children[service_record.DAEMON].pid, signal.SIGKILL)
        until(lambda: children(folder)[service_record.DAEMON] != first.children[service_record.DAEMON])
        assert {name: known for name, known in children(folder).items() if name != service_record.DAEMON} == {
            name: known for name, known in first.children.items() if name != service_record.DAEMON
        }
        assert "the daemon was ended by signal 9, and restarts in 1 s" in (folder / "up.log").read_text()
        left = children(folder)
        serving.kill()
        serving.wait(10)
    until(lambda: not any(known.find() for known in left.values()), 60)
    assert palimpsest("down").stdout == f"stopped the embedded Postgres of {folder / 'home'}\n"
    assert ours(folder) == []


def children(folder: Path) -> dict[str, KnownProcess]:
    found = service_record.read_record(folder / "home")
    assert found is not None
    return found.children


@pytest.mark.slow
def test_definitions_that_cannot_be_loaded_are_one_clear_message(folder: Path):
    (folder / "broken.py").write_text("import no_such_module\n")
    own = load_settings(
        home_dir=folder / "home",
        embedded_durable=False,
        ui_port=free_port(),
        board_port=0,
        database_url=None,
        dagster_database_url=None,
    )
    with (
        open_databases(own) as found,
        pytest.raises(
            service_record.ServeError, match=r"the definitions cannot be loaded: .*No module named 'no_such_module'"
        ),
        run_services(found.settings, {}, folder, lambda _: None, definitions="broken"),
    ):
        pytest.fail("it is not up")
    assert ours(folder) == []


ENDING: str = """
import atexit, sys
from palimpsest_pipeline.cli import __main__ as cli

def command():
    atexit.register(print, "exit functions are called", end="")
    sys.exit({code})

cli.app = command
cli.main()
"""


@pytest.mark.parametrize(("code", "returncode"), [("None", 0), ("0", 0), ("3", 3), ("'a reason'", 1)])
def test_a_process_that_ends_quickly_keeps_its_exit_code_and_calls_exit_functions(code: str, returncode: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING.format(code=code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (returncode, "exit functions are called")
