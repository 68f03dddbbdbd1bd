"""The supervisor's parts: what is written down, what is started again, what counts as up, and what becomes of runs
at the end.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import GRPC_INFO_TAG
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.operate.databases import open_databases
from palimpsest_pipeline.operate.doctor import machine
from palimpsest_pipeline.operate.serve import readiness, restart_services, service_record, up
from palimpsest_pipeline.operate.serve.down import StopResult, stop_home
from palimpsest_pipeline.pipeline.context import make_embedded_server
from palimpsest_pipeline.runtime.processes import KnownProcess
from palimpsest_pipeline.runtime.server_sharing import mark_in_use
from palimpsest_pipeline.settings import load_settings

SOCKET = "/somewhere/code.sock"
AT_WORK = """
import sys
from pathlib import Path
from palimpsest_pipeline.operate.databases import open_databases
from palimpsest_pipeline.runtime.server_sharing import mark_in_use
from palimpsest_pipeline.settings import load_settings
_, home, url = sys.argv[1:]
settings = load_settings(home_dir=home, database_url=url or None, dagster_database_url=url + "_dagster" if url else None)
with open_databases(settings) if url else mark_in_use(Path(home)):
    print("at work", flush=True)
    sys.stdin.readline()
"""
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("a location"), "a repository"), "some_job")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def served(known: KnownProcess, tmp_path: Path) -> service_record.ServiceRecord:
    return service_record.ServiceRecord(
        known, {service_record.DAEMON: known}, "http://127.0.0.1:3000", str(tmp_path / "private")
    )


# --- what is written down ----------------------------------------------------------------------------------------------------------------


def test_what_serves_is_remembered_until_its_processes_are_gone(tmp_path: Path, sleeper: subprocess.Popen[bytes]):
    serving = served(KnownProcess.from_pid(sleeper.pid), tmp_path)
    service_record.write_record(tmp_path, serving)
    assert service_record.read_record(tmp_path) == serving
    with pytest.raises(service_record.ServeError, match="already up at http"):
        service_record.check_not_serving(tmp_path)
    sleeper.kill()
    sleeper.wait(10)
    assert service_record.read_record(tmp_path) is None
    service_record.check_not_serving(tmp_path)


def test_children_of_a_dead_supervisor_are_remembered_and_do_not_forbid_a_new_one(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
):
    dead = KnownProcess(sleeper.pid, KnownProcess.from_pid(sleeper.pid).created_at - 3600)
    serving = served(dead, tmp_path).with_child(service_record.CODE_SERVER, KnownProcess.from_pid(sleeper.pid))
    service_record.write_record(tmp_path, serving)
    assert service_record.read_record(tmp_path) == serving
    service_record.check_not_serving(tmp_path)


def test_how_long_to_wait_is_asked_once(tmp_path: Path):
    service_record.request_stop(tmp_path, 7)
    assert [service_record.take_requested_wait_s(tmp_path, 30), service_record.take_requested_wait_s(tmp_path, 30)] == [
        7,
        30,
    ]


# --- children ----------------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=12).map(sorted))
def test_pauses_grow_with_recent_deaths_up_to_the_longest_and_then_there_are_none(deaths: list[float]):
    now = deaths[-1]
    recent = [died for died in deaths if died > now - restart_services.DEATHS_WINDOW_S]
    pause = restart_services.compute_pause_s(deaths, now)
    assert (pause is None) == (len(recent) >= restart_services.MAX_DEATHS)
    if pause is not None:
        assert pause == min(restart_services.MAX_PAUSE_S, restart_services.FIRST_PAUSE_S * 2 ** (len(recent) - 1))


def install_command(folder: Path, name: str, code: str) -> None:
    """Make a package whose command `name` is the function `main` of the code, for who has the folder in its path."""
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[console_scripts]\n{name} = {name}:main\n")


def test_a_child_that_dies_again_and_again_ends_it_all_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(restart_services, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(restart_services, "MAX_DEATHS", 2)
    install_command(tmp_path, "dying", "def main():\n    raise SystemExit('no such luck')\n")
    said: list[str] = []
    found = restart_services.ChildProcesses(
        tmp_path, tmp_path, {"daemon": ("dying",)}, {"PYTHONPATH": str(tmp_path)}, tmp_path, said.append
    )
    (tmp_path / "code.sock").touch()
    listener = listening(tmp_path)
    with (
        listener,
        pytest.raises(
            service_record.ServeError,
            match=r"the daemon died 2 times in 5 minutes: no such luck \(all of it in .*daemon.log\)",
        ),
    ):
        until_dead(found)
    assert [line.split(":")[0] for line in said] == ["the daemon ended with code 1, and restarts in 0 s"]


@pytest.mark.parametrize("name", [service_record.BOARD, service_record.SENDER])
def test_a_board_or_sender_that_dies_again_and_again_is_restarted_with_the_longest_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """For example while its database is away: it must be back when the database is."""
    monkeypatch.setattr(restart_services, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(restart_services, "MAX_PAUSE_S", 0.001)
    monkeypatch.setattr(restart_services, "MAX_DEATHS", 2)
    install_command(tmp_path, "dying", "def main():\n    raise SystemExit('no such luck')\n")
    said: list[str] = []
    found = restart_services.ChildProcesses(
        tmp_path, tmp_path, {name: ("dying",)}, {"PYTHONPATH": str(tmp_path)}, tmp_path, said.append
    )
    n_started = 0
    with listening(tmp_path):
        deadline = time.monotonic() + 60
        while n_started < 4 and time.monotonic() < deadline:
            n_started += len(found.start_due())
    assert n_started == 4
    assert all("and restarts in" in line and "no such luck" in line for line in said)


def test_the_board_is_a_child_unless_it_has_no_port_and_the_sender_when_there_are_rules(tmp_path: Path):
    plain = restart_services.build_commands(tmp_path, 3000)
    assert {service_record.BOARD, service_record.SENDER}.isdisjoint(plain)
    assert restart_services.build_commands(tmp_path, 3000, with_board=True, has_sender=True) == plain | {
        service_record.BOARD: ("palimpsest", "board"),
        service_record.SENDER: ("palimpsest", "odds-alerts", "send"),
    }


def listening(folder: Path) -> Any:
    import socket

    (folder / "code.sock").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "code.sock"))
    listener.listen()
    return listener


def until_dead(found: restart_services.ChildProcesses) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found.start_due()


PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "palimpsest_pipeline.operate.serve.service_main", str(os.getpid()), *sys.argv[1:]], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""
PATIENT = """
import signal, sys, time
def main():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print("at work", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["parent killed", pytest.param("terminated", marks=pytest.mark.slow)])
def test_a_child_of_a_background_job_ends_when_it_is_asked_to_and_when_its_parent_was_killed(how: str, tmp_path: Path):
    install_command(tmp_path, "patient", PATIENT)
    with listening(tmp_path):
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path), str(tmp_path / "code.sock"), "patient"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - no threads here
        )
        assert parent.stdout is not None
        child = KnownProcess.from_pid(int(parent.stdout.readline()))
        assert parent.stdout.readline() == "at work\n"
        process = child.find()
        assert process is not None
        if how == "terminated":
            process.terminate()
        else:
            parent.kill()
        parent.wait(20)
        process.wait(20)
        parent.stdout.close()
    assert child.find() is None


def test_the_last_words_of_a_log_are_those_since_its_process_began(tmp_path: Path):
    log = tmp_path / "a.log"
    log.write_text("of an earlier one\n")
    start = log.stat().st_size
    assert restart_services.read_log_tail(log, start) == ""
    with log.open("a") as file:
        file.write("one\n\ntwo\nthree\nfour\n")
    assert restart_services.read_log_tail(log, start) == "two / three / four"


# --- what counts as up -------------------------------------------------------------------------------------------------------------------


def told(location: dict[str, Any] | None, beat: float | None) -> dict[str, Any]:
    entries = (
        []
        if location is None
        else [{"name": "palimpsest_pipeline", "loadStatus": "LOADED", "locationOrLoadError": location}]
    )
    beats = [
        {
            "daemonType": "SENSOR",
            "required": True,
            "healthy": True,
            "lastHeartbeatTime": beat,
            "lastHeartbeatErrors": [],
        },
        {
            "daemonType": "OTHER",
            "required": False,
            "healthy": None,
            "lastHeartbeatTime": None,
            "lastHeartbeatErrors": [],
        },
    ]
    health = {"daemonHealth": {"allDaemonStatuses": beats}}
    return {"workspaceOrError": {"__typename": "Workspace", "locationEntries": entries}, "instance": health}


@pytest.mark.parametrize(
    ("location", "loaded", "error"),
    [
        (None, False, None),
        ({"__typename": "RepositoryLocation"}, True, None),
        (
            {
                "__typename": "PythonError",
                "message": "outer",
                "errorChain": [{"error": {"message": "middle"}}, {"error": {"message": "No\n module x"}}],
            },
            False,
            "No module x",
        ),
        ({"__typename": "PythonError", "message": "it alone", "errorChain": []}, False, "it alone"),
    ],
)
def test_definitions_are_loaded_when_there_are_some_and_none_has_an_error(
    location: dict[str, Any] | None, loaded: bool, error: str | None
):
    answer = readiness.parse_readiness(told(location, 1000.0))
    assert (answer.is_loaded, answer.error) == (loaded, error)


@pytest.mark.parametrize(("beat", "alive"), [(None, False), (999.0, False), (1000.0, True)])
def test_a_daemon_is_alive_by_a_sign_of_this_start_and_not_of_one_before(beat: float | None, alive: bool):
    assert readiness.parse_readiness(told(None, beat)).is_daemon_alive_since(1000.0) is alive


# --- the end -----------------------------------------------------------------------------------------------------------------------------


@dg.job
def some_job() -> None:
    pass


def under_way(
    instance: dg.DagsterInstance, socket: str | None, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED
) -> dg.DagsterRun:
    tags = {} if socket is None else {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": socket})}
    return instance.create_run_for_job(some_job, tags=tags, status=status, remote_job_origin=ORIGIN)


def end(instance: dg.DagsterInstance, wait_s: float, tmp_path: Path) -> list[str]:
    said: list[str] = []
    serving = service_record.ServiceRecord(KnownProcess(1, 0.0), {}, "", str(Path(SOCKET).parent))
    up.stop_services(serving, instance, wait_s, said.append, cancel_wait_s=0)
    return said


def test_a_run_that_is_over_in_time_is_not_asked_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with dg.DagsterInstance.ephemeral() as instance:
        run = under_way(instance, SOCKET)
        monkeypatch.setattr(up.time, "sleep", lambda _: instance.report_run_failed(run))
        monkeypatch.setattr(instance.run_launcher, "terminate", pytest.fail)
        assert end(instance, 30, tmp_path) == [f"waiting up to 30 s for run {run.run_id[:8]} (some_job)"]


def test_a_run_that_is_not_over_in_time_is_asked_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with dg.DagsterInstance.ephemeral() as instance:
        run = under_way(instance, SOCKET)
        monkeypatch.setattr(
            instance.run_launcher,
            "terminate",
            lambda run_id: instance.report_run_canceled(instance.get_run_by_id(run_id)),
        )
        assert end(instance, 0, tmp_path) == [
            f"asking to end: run {run.run_id[:8]} (some_job); answers that have arrived are kept"
        ]


def test_a_run_that_waits_for_its_next_minute_is_ended_at_once_and_another_gets_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with dg.DagsterInstance.ephemeral() as instance:
        at_work, waits = under_way(instance, SOCKET), under_way(instance, SOCKET)
        ended: list[str] = []

        def terminate(run_id: str) -> None:
            ended.append(run_id)
            instance.report_run_canceled(instance.get_run_by_id(run_id))

        def pause(_: float) -> None:
            assert ended == [waits.run_id]
            instance.report_run_failed(at_work)

        instance.add_run_tags(
            waits.run_id, {"palimpsest/rests_until": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
        )
        instance.add_run_tags(at_work.run_id, {"palimpsest/rests_until": datetime.now(UTC).isoformat()})
        monkeypatch.setattr(instance.run_launcher, "terminate", terminate)
        monkeypatch.setattr(up.time, "sleep", pause)
        said = end(instance, 30, tmp_path)
        assert said[1:] == [f"asking to end: run {waits.run_id[:8]} (some_job); answers that have arrived are kept"]
        tags = {run.run_id: run.tags for run in instance.get_runs()}
        assert "palimpsest/ended_with_server" in tags[waits.run_id]
        assert "palimpsest/ended_with_server" not in tags[at_work.run_id]


def test_a_run_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with dg.DagsterInstance.ephemeral() as instance:
        run = under_way(instance, SOCKET)
        monkeypatch.setattr(instance.run_launcher, "terminate", lambda _: True)
        assert end(instance, 0, tmp_path)[-1].startswith(f"did not end, and is killed: run {run.run_id[:8]} (some_job)")


def test_runs_of_others_are_left_alone_and_told_and_queued_ones_stay_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with dg.DagsterInstance.ephemeral() as instance:
        others = [under_way(instance, None), under_way(instance, "/elsewhere/code.sock")]
        under_way(instance, None, dg.DagsterRunStatus.QUEUED)
        under_way(instance, SOCKET, dg.DagsterRunStatus.SUCCESS)
        monkeypatch.setattr(instance.run_launcher, "terminate", pytest.fail)
        first, second = end(instance, 30, tmp_path)
        assert first == "1 queued run will start after the next `palimpsest up`"
        assert second.startswith("not started by this supervisor, therefore not ended: run ")
        assert all(run.run_id[:8] in second for run in others)
        assert {r.status for r in instance.get_runs()} == {
            *(dg.DagsterRunStatus(s) for s in ("STARTED", "QUEUED", "SUCCESS"))
        }


@pytest.mark.parametrize("n_signals", [1, 2, 3, 4])
@pytest.mark.parametrize("by_down", [True, False])
def test_however_often_it_is_asked_it_comes_to_its_end(
    n_signals: int, by_down: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first signal is what began the end."""
    waits: list[tuple[float, float]] = []

    def interrupted(serving: object, instance: object, wait_s: float, say: object, cancel_wait_s: float = 30) -> None:
        waits.append((wait_s, cancel_wait_s))
        if len(waits) < n_signals:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(up, "stop_services", interrupted)
    serving = served(KnownProcess(1, 0.0), tmp_path)
    Path(serving.folder).mkdir()
    service_record.write_record(tmp_path, serving)
    if by_down:
        service_record.request_stop(tmp_path, 7)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    said: list[str] = []
    try:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            pytest.raises(KeyboardInterrupt) if n_signals == 4 else nullcontext(),
        ):
            up._stop_on_request(tmp_path, serving, instance, said.append)
    finally:
        signal.signal(signal.SIGINT, before)
    assert waits == [(7 if by_down else up.DEFAULT_WAIT_S, 30), (0, 30), (0, 0)][:n_signals]
    assert not (tmp_path / service_record.RECORD_FILE).exists()
    assert not Path(serving.folder).exists()
    assert (tmp_path / service_record.STOPPING_LOG_FILE).exists() is (by_down and n_signals > 1), "for who waits for it"
    assert len(said) == min(n_signals, 3) - 1


def test_what_a_dead_supervisor_left_is_told_and_tidied_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    serving = served(KnownProcess(1, 0.0), tmp_path)
    Path(serving.folder).mkdir()
    settings = load_settings(home_dir=tmp_path, database_url=None, dagster_database_url=None)
    service_record.write_record(tmp_path, serving)
    found = machine.check_ui_port(settings)
    assert (found.ok, "`palimpsest down` removes its files" in found.detail) == (False, True)
    assert not stop_home(settings, tmp_path, 0, [].append).was_running
    assert not (tmp_path / service_record.RECORD_FILE).exists()
    assert not Path(serving.folder).exists()
    assert "did not end normally" not in machine.check_ui_port(settings).detail
    monkeypatch.setattr(
        machine, "make_embedded_server", lambda _: SimpleNamespace(status=lambda: SimpleNamespace(running=True))
    )
    for stops in (True, False):  # which a server does not that was started to stay
        with mark_in_use(tmp_path) as use:
            use.set_stop_when_last(stops)
            assert "still runs" not in machine.check_ui_port(settings).detail
        assert ("still runs: `palimpsest down` stops it" in machine.check_ui_port(settings).detail) is stops


def test_a_command_in_another_terminal_is_left_alone_and_named_and_so_is_its_server():
    with tempfile.TemporaryDirectory(prefix="palimpsest-serve-") as folder:
        Path(folder).chmod(0o711)
        own = load_settings(home_dir=Path(folder), database_url=None, dagster_database_url=None, embedded_durable=False)
        said: list[str] = []
        with open_databases(own, keep_running=True):
            assert stop_home(own, own.home, 0, said.append) == StopResult(was_running=False, is_in_use=True)
            assert make_embedded_server(own).status().running
        assert not make_embedded_server(own).status().running, "it was told to stop when the last one leaves"
        assert len(said) == 1
        assert said[0].startswith(f"still at work in {own.home}: another command. Press Ctrl-C")
        assert stop_home(own, own.home, 0, said.append) == StopResult(was_running=False, is_in_use=False)
        make_embedded_server(own).remove()


@pytest.mark.parametrize(
    "database_url",
    [
        pytest.param(None, id="embedded"),
        pytest.param("postgresql+psycopg://nobody@127.0.0.1:1/none", id="own_database", marks=pytest.mark.slow),
    ],
)
def test_a_command_that_works_in_the_home_is_named_with_its_process(database_url: str | None, tmp_path: Path):
    at_work = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, "scrape", str(tmp_path), database_url or ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert at_work.stdin is not None
    assert at_work.stdout is not None
    assert at_work.stdout.readline() == "at work\n"
    own = load_settings(
        home_dir=tmp_path, database_url=database_url, dagster_database_url=database_url and f"{database_url}_dagster"
    )
    said: list[str] = []
    assert stop_home(own, tmp_path, 0, said.append) == StopResult(was_running=False, is_in_use=True)
    assert f" scrape {tmp_path} {database_url or ''} (pid {at_work.pid}). Press Ctrl-C" in said[0]
    at_work.communicate("end\n", timeout=60)
    assert stop_home(own, tmp_path, 0, said.append) == StopResult(was_running=False, is_in_use=False)


@pytest.mark.slow
def test_two_ctrl_c_while_the_embedded_server_starts_leave_none_running():
    with tempfile.TemporaryDirectory(prefix="palimpsest-serve-") as folder:
        Path(folder).chmod(0o711)
        own = load_settings(home_dir=Path(folder), database_url=None, dagster_database_url=None, embedded_durable=False)
        server = make_embedded_server(own)
        pid_file = server.data_dir / "cluster" / "postmaster.pid"

        def press_ctrl_c_twice() -> None:
            deadline = time.monotonic() + 60
            while not pid_file.exists() and time.monotonic() < deadline:  # then it has begun to start
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.25)  # two signals at the same instant are one
            os.kill(os.getpid(), signal.SIGINT)

        pressing = threading.Thread(target=press_ctrl_c_twice)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        was_interrupted = False
        try:
            pressing.start()
            try:
                with open_databases(own):
                    pressing.join()
            finally:
                pressing.join()
        except KeyboardInterrupt:
            was_interrupted = True
        finally:
            signal.signal(signal.SIGINT, before)
        assert was_interrupted
        assert not pid_file.exists()
        server.remove()
