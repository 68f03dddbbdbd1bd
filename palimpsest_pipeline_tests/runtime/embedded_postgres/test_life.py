"""The embedded server from its first start to its removal, as the user who runs the tests."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from palimpsest_pipeline.runtime.embedded_postgres import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    file_places,
    postmaster,
)
from palimpsest_pipeline.runtime.embedded_postgres.privilege import find_server_user
from palimpsest_pipeline_tests.fixtures.commands import free_port

MakeServer = Callable[..., EmbeddedPostgres]
STARTER = [sys.executable, "-m", "palimpsest_pipeline_tests.runtime.embedded_postgres.starter"]


def start_process(server: EmbeddedPostgres, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*STARTER, str(server.data_dir), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(process: "subprocess.Popen[str]") -> dict[str, object]:
    assert process.stdout is not None
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer


def scalar(server: EmbeddedPostgres, statement: str, database: str = "palimpsest") -> object:
    with psycopg.connect(server.build_libpq_url(database)) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    assert row is not None
    return row[0]


def kill(pid: int) -> None:
    """kill -9, and wait until the process is gone; nobody may be there to reap it."""
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=5)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_first_start_makes_the_databases_and_both_drivers_reach_them(make_server: MakeServer) -> None:
    databases = ("palimpsest", "dagster", 'odd "name" of 100%')
    server = make_server(databases=databases)
    server.start()
    for database in databases:
        for driver in ("psycopg", "psycopg2"):
            engine = sa.create_engine(server.build_url(database, driver))
            assert engine.driver == driver
            with engine.connect() as connection:
                assert connection.execute(sa.text("SELECT current_database()")).scalar_one() == database
            engine.dispose()


def test_the_server_runs_with_the_settings_the_pipeline_relies_on(postgres: EmbeddedPostgres) -> None:
    wanted = {
        "TimeZone": "UTC",
        "jit": "off",
        "max_connections": "200",
        "shared_buffers": "256MB",
        "server_encoding": "UTF8",
    }
    assert {name: scalar(postgres, f"SHOW {name}") for name in wanted} == wanted


@pytest.mark.slow
def test_only_a_server_for_tests_runs_without_durability(make_server: MakeServer, folder: Path) -> None:
    durable, forgetful = make_server(folder / "durable", durable=True), make_server(folder / "forgetful", durable=False)
    for server, expected in ((durable, "on"), (forgetful, "off")):
        server.start()
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert scalar(server, f"SHOW {name}") == expected


def test_nobody_else_can_reach_the_server(make_server: MakeServer) -> None:
    server = make_server()
    connection = server.start()
    assert scalar(server, "SHOW listen_addresses") == ""
    cluster = server.status().cluster
    for directory in (connection.socket_dir, cluster, server.status().log.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert directory.stat().st_uid == find_server_user(cluster.stat().st_uid).uid
    assert (cluster / "postmaster.pid").read_text().splitlines()[
        5
    ] == ""  # the address it listens on, as the server noted it


@pytest.mark.slow
def test_a_port_that_is_asked_for_is_on_loopback_and_takes_roles_with_a_password_only(make_server: MakeServer) -> None:
    port = free_port()
    server = make_server(databases=("palimpsest",), tcp_port=port)
    server.start()
    with psycopg.connect(server.build_libpq_url("palimpsest"), autocommit=True) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        connection.execute("create role reader login password 'reads'")
    with psycopg.connect(f"host=127.0.0.1 port={port} dbname=palimpsest user=reader password=reads") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    for way in ("user=reader password=wrong", "user=reader", "user=postgres"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"host=127.0.0.1 port={port} dbname=palimpsest {way}")


def test_a_second_process_attaches_to_the_running_server(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    process = start_process(server)
    assert said(process) == {"pid": server.status().pid, "answer": [42], "url": server.build_url("palimpsest")}
    assert process.wait() == 0
    assert server.status().running


@pytest.mark.slow
def test_a_server_that_is_starting_is_told_from_its_pid_file_and_can_be_stopped(make_server: MakeServer) -> None:
    server = make_server(databases=())
    server.start()
    cluster = server.status().cluster
    pid_file = cluster / "postmaster.pid"
    written = pid_file.read_text().splitlines()
    pid_file.write_text(
        "\n".join([*written[:4], ""]) + "\n"
    )  # as Postgres writes it first: the socket's folder is still empty

    status = server.status()
    assert (status.running, status.pid, status.version) == (True, int(written[0]), None)
    with pytest.raises(EmbeddedPostgresError, match=rf"the server \(pid {written[0]}\) is starting.*try again"):
        server.build_url("palimpsest")
    server.stop()
    assert not server.status().running


@pytest.mark.slow
def test_two_starters_at_once_get_the_same_server(make_server: MakeServer) -> None:
    server = make_server()
    processes = [start_process(server) for _ in range(2)]
    answers = [said(process) for process in processes]
    assert answers[0] == answers[1]
    assert answers[0]["pid"] == server.status().pid
    assert [process.wait() for process in processes] == [0, 0]


@pytest.mark.slow
def test_the_server_outlives_a_killed_starter(make_server: MakeServer) -> None:
    server = make_server()
    process = start_process(server, "--hold")
    pid = said(process)["pid"]
    process.kill()
    process.wait()
    assert server.status().pid == pid
    server.start()
    assert server.status().pid == pid


def test_a_killed_server_starts_again_with_its_data(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    server.start()
    with psycopg.connect(server.build_libpq_url("palimpsest")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    pid = server.status().pid
    assert pid is not None
    kill(pid)
    assert (server.status().cluster / "postmaster.pid").exists()
    assert not server.status().running
    server.start()
    assert server.status().pid != pid
    assert scalar(server, "SELECT n FROM kept") == 7


@pytest.mark.slow
def test_a_server_process_that_survives_a_crash_is_ended_before_the_next_start(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    pid = server.status().pid
    assert pid is not None
    connection = psycopg.connect(server.build_libpq_url("palimpsest"))
    survivor = psutil.Process(connection.info.backend_pid)
    # Busy for hours without ever waiting, so it does not notice the end of its parent.
    connection.pgconn.send_query(
        b"SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100000) c"
    )
    used_s = survivor.cpu_times().user
    while survivor.cpu_times().user < used_s + 0.05:
        assert connection.pgconn.status == psycopg.pq.ConnStatus.OK
    kill(pid)
    assert survivor.is_running()
    server.start()
    connection.close()
    assert not survivor.is_running() or survivor.status() == psutil.STATUS_ZOMBIE
    assert scalar(server, "SELECT 1") == 1


@pytest.mark.slow
def test_a_pid_file_from_before_a_reboot_does_not_stop_a_start(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    cluster = server.status().cluster
    pid_file = cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    user = find_server_user(cluster.stat().st_uid)
    switch = {"user": user.uid, "group": user.gid, "extra_groups": []} if user.needs_switch else {}
    # An unrelated process of the server's user got the number that the server had.
    stranger = subprocess.Popen(["/bin/sleep", "600"], cwd="/", **switch)
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        os.chown(pid_file, user.uid, user.gid)
        assert not server.status().running
        server.start()
        assert server.status().running
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.slow
def test_a_server_known_by_another_path_is_recognised_as_running(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    server.start()
    (folder / "link").symlink_to(server.data_dir)
    other = make_server(folder / "link")
    other.start()
    assert other.status().pid == server.status().pid


def test_a_clean_stop_ends_open_connections_and_leaves_no_process(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    pid = server.status().pid
    assert pid is not None
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    with psycopg.connect(server.build_libpq_url("dagster")) as connection:
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    gone, alive = psutil.wait_procs(processes, timeout=10)
    assert len(gone) > 1
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert server.status().running is False
    assert server.status().version is None
    server.stop()
    with pytest.raises(EmbeddedPostgresError, match="is not running: start it first"):
        server.build_url("palimpsest")


@pytest.mark.slow
def test_an_interrupted_first_start_leaves_nothing_in_the_way(make_server: MakeServer) -> None:
    server = make_server()
    interrupted = server.data_dir / "cluster.new-0123"
    interrupted.mkdir(parents=True)
    server.data_dir.chmod(0o711)
    (interrupted / "PG_VERSION").write_text("18\n")
    server.start()
    assert scalar(server, "SELECT 1") == 1
    assert not interrupted.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a" * 120, "with, comma", "größe"])
def test_a_folder_whose_path_no_socket_can_have_gets_a_short_private_one(
    make_server: MakeServer, folder: Path, name: str
) -> None:
    server = make_server(folder / name / "postgres")
    address = server.start()
    assert file_places.can_hold_socket(address.socket_dir)
    assert not address.socket_dir.is_relative_to(folder)
    assert stat.S_IMODE(address.socket_dir.stat().st_mode) == 0o700
    assert scalar(server, "SELECT 1") == 1
    server.stop()
    assert not address.socket_dir.exists()
    assert server.start() == address


@pytest.mark.slow
def test_a_short_socket_folder_held_by_someone_else_is_not_used(make_server: MakeServer, folder: Path) -> None:
    server = make_server(folder / ("a" * 120))
    usual = server.start().socket_dir
    server.stop()
    usual.mkdir(mode=0o755)
    usual.chmod(0o755)
    try:
        used = server.start().socket_dir
        assert used != usual
        assert stat.S_IMODE(used.stat().st_mode) == 0o700
    finally:
        usual.rmdir()


@pytest.mark.slow
def test_a_cluster_of_another_major_version_says_dump_and_restore(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.stop()
    (server.status().cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(
        EmbeddedPostgresError, match=r"made by Postgres 15, .*dump it with pg_dumpall of Postgres 15.*restore"
    ) as caught:
        server.start()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_does_not_start_gives_its_own_reason_in_one_line(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.stop()
    with (server.status().cluster / "postgresql.auto.conf").open("a") as settings:
        settings.write("work_mem = 'as much as you like'\n")
    with pytest.raises(
        EmbeddedPostgresError, match=r"did not start: .*postgresql\.auto\.conf.* contains errors; see .*server\.log"
    ) as caught:
        server.start()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_failed_initdb_gives_its_reason_and_leaves_nothing(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    monkeypatch.setattr("palimpsest_pipeline.runtime.embedded_postgres.server.SUPERUSER", "pg_forbidden")
    with pytest.raises(
        EmbeddedPostgresError, match=r"initdb failed in .*: initdb: error: superuser name .* is disallowed"
    ) as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert [path.name for path in server.data_dir.iterdir()] == ["lock"]


def test_a_data_folder_that_cannot_be_made_is_one_clear_line(make_server: MakeServer, folder: Path) -> None:
    (folder / "file").write_text("in the way")
    for impossible in (folder / "file" / "postgres", folder / "file", Path("/proc/palimpsest/postgres")):
        with pytest.raises(
            EmbeddedPostgresError, match=r"cannot make the data folder .*; choose one that you can write$"
        ) as caught:
            make_server(impossible).start()
        assert "\n" not in str(caught.value)


def test_a_folder_name_that_a_shell_would_read_differently_is_refused(make_server: MakeServer, folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="choose another"):
        make_server(folder / "$HOME").start()
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_folder_name_with_spaces_and_quotes_works(make_server: MakeServer, folder: Path) -> None:
    server = make_server(folder / "it's a +1 folder")
    server.start()
    assert scalar(server, "SELECT 1") == 1


@pytest.mark.slow
def test_a_long_log_is_set_aside_at_the_next_start(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server()
    server.start()
    server.stop()
    monkeypatch.setattr("palimpsest_pipeline.runtime.embedded_postgres.server.MAX_LOG_BYTES", 10)
    server.start()
    log = server.status().log
    assert "database system is shut down" in log.with_suffix(".log.1").read_text()
    assert "database system is shut down" not in log.read_text()


@pytest.mark.slow
def test_removing_deletes_the_database_and_nothing_else(make_server: MakeServer, folder: Path) -> None:
    server, other = make_server(), make_server(folder / "shared")
    (folder / "shared").mkdir()
    (folder / "shared" / "notes.txt").write_text("mine")
    server.start()
    other.start()
    server.remove()
    other.remove()
    assert not server.data_dir.exists()
    assert [path.name for path in other.data_dir.iterdir()] == ["notes.txt"]
    server.remove()


def test_a_pid_that_belongs_to_no_process_is_no_server(folder: Path) -> None:
    assert postmaster.find_postmaster(folder) is None
    (folder / "postmaster.pid").write_text("4194305\n/nowhere\n1\n5432\n/nowhere\n\n1 1\nready\n")
    assert postmaster.find_postmaster(folder) is None
    (folder / "postmaster.pid").write_text("12\n")
    assert postmaster.find_postmaster(folder) is None
