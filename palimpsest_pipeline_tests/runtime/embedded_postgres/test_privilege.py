"""Which user runs the server, and what root must cope with: closed parents, unreachable binaries, missing users."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, binaries, file_places
from palimpsest_pipeline.runtime.embedded_postgres.privilege import (
    USER_VARIABLE,
    ServerUser,
    clean_environment,
    find_server_user,
    rank_candidates,
)

MakeServer = Callable[..., EmbeddedPostgres]


def entry(name: str, uid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh"))


def works(server: EmbeddedPostgres) -> bool:
    with psycopg.connect(server.build_libpq_url("palimpsest")) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def modes(path: Path) -> dict[Path, int]:
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in (path, *path.parents)}


def test_the_users_to_try_are_postgres_then_nobody_then_any_other_but_never_root() -> None:
    users = {"root": 0, "toor": 0, "daemon": 1, "nobody": 65534, "postgres": 101, "app": 1000}
    entries = [entry(name, uid) for name, uid in users.items()]
    assert [user.pw_name for user in rank_candidates(entries, None)] == ["postgres", "nobody", "app", "daemon"]
    assert [user.pw_name for user in rank_candidates(entries[:3], None)] == ["daemon"]
    assert [user.pw_name for user in rank_candidates(entries, "app")] == ["app"]
    assert rank_candidates(entries[:2], None) == []


@pytest.mark.parametrize("wished", ["root", "missing"])
def test_a_wished_user_that_is_root_or_missing_is_refused(wished: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match=rf"{USER_VARIABLE}={wished} is not an existing unprivileged user"):
        rank_candidates([entry("root", 0), entry("postgres", 101)], wished)


def test_settings_of_other_postgres_clients_do_not_reach_the_server() -> None:
    others = {"PGPORT": "1", "PGDATA": "/x", "LC_ALL": "xx_XX", "LANG": "xx", "LANGUAGE": "xx"}
    ours = {"PATH": "/bin", "HOME": "/"}
    assert clean_environment(others | ours) == {**ours, "LC_ALL": "C"}


def test_root_without_any_unprivileged_user_is_told_what_to_do(as_root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    monkeypatch.setattr(pwd, "getpwall", lambda: [entry("root", 0)])
    with pytest.raises(
        EmbeddedPostgresError, match="name one in PALIMPSEST_PG_USER, or start as a normal user"
    ) as caught:
        find_server_user()
    assert "\n" not in str(caught.value)


def test_as_root_the_server_runs_as_an_unprivileged_user(as_root: None, make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    process = psutil.Process(server.status().pid)
    assert process.uids().effective != 0
    assert process.gids().effective != 0
    assert process.uids().effective == find_server_user().uid


@pytest.mark.slow
def test_as_root_an_existing_cluster_keeps_its_user(
    nobody: pwd.struct_passwd, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(USER_VARIABLE, "nobody")
    server = make_server()
    server.start()
    server.stop()
    monkeypatch.setenv(USER_VARIABLE, "daemon")
    server.start()
    assert psutil.Process(server.status().pid).uids().effective == nobody.pw_uid


@pytest.mark.slow
def test_as_root_below_a_closed_parent_the_cluster_lives_elsewhere_and_is_found_again(
    as_root: None, make_server: MakeServer, folder: Path
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = make_server(closed / "checkout" / "postgres")
    before = modes(closed)
    server.start()
    assert works(server)
    home = server.status().cluster.parent
    assert home.parent == folder / "elsewhere"
    assert stat.S_IMODE(server.status().cluster.stat().st_mode) == 0o700
    assert modes(closed) == before
    server.stop()
    again = EmbeddedPostgres(server.data_dir, durable=False, fallback_dirs=())
    again.start()
    assert again.status().cluster.parent == home
    assert works(again)
    again.remove()
    assert not home.exists()
    assert not server.data_dir.exists()


def test_as_root_with_no_place_in_reach_the_error_is_one_line(
    as_root: None, make_server: MakeServer, folder: Path
) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match="choose a data folder that this user can reach") as caught:
        make_server(folder / "closed" / "postgres", fallback_dirs=(folder / "closed" / "elsewhere",)).start()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_place_elsewhere_that_is_gone_is_reported_and_not_replaced_by_an_empty_one(
    as_root: None, make_server: MakeServer, folder: Path
) -> None:
    (folder / "closed").mkdir(mode=0o700)
    server = make_server(folder / "closed" / "postgres")
    server.start()
    server.stop()
    shutil.rmtree(server.status().cluster.parent)
    with pytest.raises(
        EmbeddedPostgresError,
        match=r"which does not exist: restore that folder, or delete .* to start with an empty database",
    ):
        server.start()


def test_a_place_elsewhere_that_others_can_write_is_not_used(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "link").symlink_to(folder)
    assert list(
        file_places.make_shared_roots(find_server_user(), (folder / "open", folder / "link", folder / "fresh"))
    ) == [folder / "fresh"]


@pytest.mark.slow
def test_as_root_binaries_out_of_reach_are_copied_once(
    as_root: None, make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = binaries.find_wheel_installation()
    site = folder / "closed" / "site-packages"
    (folder / "closed").mkdir(mode=0o700)
    for name in (f"{binaries.WHEEL_PACKAGE}/{installed.name}", f"{binaries.WHEEL_PACKAGE}.libs"):
        if (installed.parents[1] / name).is_dir():
            shutil.copytree(installed.parents[1] / name, site / name)
    monkeypatch.setattr(binaries, "find_wheel_installation", lambda: site / binaries.WHEEL_PACKAGE / installed.name)
    server = make_server()
    server.start()
    assert works(server)
    program = Path(psutil.Process(server.status().pid).cmdline()[0])
    assert program.is_relative_to(folder / "elsewhere")
    assert program.stat().st_uid == 0
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    made = program.stat().st_ino
    server.stop()
    server.start()
    assert program.stat().st_ino == made
    assert [path.name for path in (folder / "elsewhere").iterdir()] == [
        program.relative_to(folder / "elsewhere").parts[0]
    ]


def run_as(user: str, *arguments: str) -> list[dict[str, object]]:
    """What the starter says when it runs as another, normal user."""
    module = "palimpsest_pipeline_tests.runtime.embedded_postgres.starter"
    command = [sys.executable, "-m", module, *arguments, "--user", user]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def reachable_as_nobody() -> None:
    entry_of_nobody = pwd.getpwnam("nobody")
    user = ServerUser("nobody", entry_of_nobody.pw_uid, entry_of_nobody.pw_gid, needs_switch=True)
    if binaries.read_version(user, binaries.find_wheel_installation() / "bin") is None:
        pytest.skip("a normal user cannot run the binaries where this environment is installed")


@pytest.mark.slow
def test_a_normal_user_starts_and_stops_a_server_of_its_own(nobody: pwd.struct_passwd, folder: Path) -> None:
    reachable_as_nobody()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    started, stopped = run_as("nobody", str(folder / "postgres"), "--stop")
    assert started["answer"] == [42]
    assert stopped == {"running": False}
    assert (folder / "postgres" / "cluster").stat().st_uid == nobody.pw_uid
    assert stat.S_IMODE((folder / "postgres").stat().st_mode) == 0o700


@pytest.mark.slow
def test_root_attaches_to_and_stops_the_server_of_a_normal_user(
    nobody: pwd.struct_passwd, folder: Path, make_server: MakeServer
) -> None:
    reachable_as_nobody()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    (started,) = run_as("nobody", str(folder / "postgres"))
    server = make_server()
    assert server.status().pid == started["pid"]
    server.start()
    assert works(server)
    server.stop()
    server.start()
    assert psutil.Process(server.status().pid).uids().effective == nobody.pw_uid


def test_a_folder_that_a_normal_user_cannot_write_is_one_clear_line(
    nobody: pwd.struct_passwd, folder: Path, make_server: MakeServer
) -> None:
    (folder / "roots").mkdir(mode=0o755)
    (missing,) = run_as("nobody", str(folder / "postgres"))
    (existing,) = run_as("nobody", str(folder / "roots"))
    denied = "Permission denied; choose one that you can write"
    assert missing == {"error": f"cannot make the data folder {folder / 'postgres'}: {denied}"}
    assert existing == {"error": f"cannot write to the data folder {folder / 'roots'}: {denied}"}
    make_server().start()
    (of_root,) = run_as("nobody", str(folder / "postgres"))
    assert "choose" in str(of_root["error"])
    assert "\n" not in str(of_root["error"])
