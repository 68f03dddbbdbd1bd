"""The embedded server: create the cluster, start it, attach to it, stop it, remove it.

`file_places` chooses the places of the files.
"""

import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import errors, sql

from . import binaries, file_places, postmaster
from .errors import EmbeddedPostgresError
from .privilege import ServerUser, find_server_user
from .server_address import SOCKET_PORT, SUPERUSER, Driver, ServerAddress

_START_TIMEOUT_S: Final = 300
"""Maximum seconds for a start. It is long, because a recovery after a crash may be slow."""
INITDB_TIMEOUT_S: Final = 300
_STOP_TIMEOUT_S: Final = 60
_LOCK_FILE: Final = "lock"
MAX_LOG_BYTES: Final = 10_000_000
"""A server log that is larger than this is renamed at the next start. One older log is kept."""

SERVER_SETTINGS: Final = {
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "max_connections": "200",
    "shared_buffers": "256MB",
}
NON_DURABLE_SETTINGS: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
LOOPBACK_ADDRESS: Final = "127.0.0.1"
HBA_RULES_WITH_PORT: Final = """\
# A user who can open the private socket is trusted; every user of the machine can reach the port.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Whether the server runs.

    `pid` is None when it does not run. `version` (e.g. `18.4`) is None also while the server starts or does not answer.
    """

    running: bool
    pid: int | None
    version: str | None
    cluster: Path
    log: Path


class EmbeddedPostgres:
    """A Postgres server with files in `data_dir`, which only its user and root can access.

    `start` attaches to a server that already runs, even if another process started it. The server keeps running after
    this process ends, until `stop`. With `durable=False` a crash of the machine may destroy the cluster; use this for
    tests.
    """

    def __init__(
        self,
        data_dir: Path,
        databases: Sequence[str] = ("palimpsest", "dagster"),
        durable: bool = True,
        fallback_dirs: Sequence[Path] | None = None,
        tcp_port: int | None = None,
    ) -> None:
        """Set the properties of a server; nothing is started.

        `fallback_dirs` are directories to use when the server's user cannot access `data_dir`; the default is a list of
        usual system directories. `tcp_port` is a port on the loopback interface for roles with a password; it is used
        when this object starts the server.
        """
        self.data_dir = Path(os.path.abspath(data_dir))  # noqa: PTH100 - resolve() would replace links that the user chose
        self.databases = tuple(databases)
        self.durable = durable
        self.tcp_port = tcp_port
        self.fallback_dirs = file_places.list_default_fallback_dirs() if fallback_dirs is None else tuple(fallback_dirs)

    def start(self) -> ServerAddress:
        """Start the server or attach to it, and create missing databases. Raises EmbeddedPostgresError."""
        self._make_data_dir()
        with self._hold_lock():
            running = self._await_ready()  # another process may be starting or stopping the server
            if running is None and self._find_postmaster() is None:
                self._start_server()
                running = self._await_ready()
            if running is None:
                raise EmbeddedPostgresError(
                    f"the server in {self.data_dir} ended or takes no connections: see {self.status().log}"
                )
            for database in self.databases:
                _create_database(running.required_address, database)
            return running.required_address

    def stop(self) -> None:
        """Stop the server and wait for its end. Open connections are closed.

        Does nothing when it is not running.
        """
        if not self.data_dir.is_dir():
            return
        with self._hold_lock():
            running = self._find_postmaster()
            if running is None:
                return
            home = file_places.find_home(self.data_dir)
            user = self._find_user(home)
            program = self._find_binaries(user)["pg_ctl"]
            answer = _run_command(
                user,
                [program, "-D", home.cluster, "-m", "fast", "-w", "-t", str(_STOP_TIMEOUT_S), "stop"],
                _STOP_TIMEOUT_S,
            )
            if answer.returncode != 0 and self._find_postmaster() is not None:
                raise EmbeddedPostgresError(
                    f"the server (pid {running.pid}) did not stop: {_extract_reason(answer.stdout)}; see {home.log}"
                )
            if running.address is not None and running.address.socket_dir.parent != home.root:
                with suppress(OSError):
                    running.address.socket_dir.rmdir()

    def remove(self) -> None:
        """Stop the server and delete its files with all data."""
        if not self.data_dir.is_dir():
            return
        if not file_places.is_lost(self.data_dir):
            self.stop()
            file_places.remove_home(file_places.find_home(self.data_dir))
        for name in (file_places.POINTER_FILE, _LOCK_FILE):
            (self.data_dir / name).unlink(missing_ok=True)
        file_places.remove_home(file_places.ClusterHome(self.data_dir))

    def status(self) -> ServerStatus:
        """Return whether the server runs now.

        A server that starts or does not answer counts as running; its version is then None.
        """
        home = file_places.find_home(self.data_dir)
        running = self._find_postmaster()
        if running is None:
            return ServerStatus(False, None, None, home.cluster, home.log)
        return ServerStatus(True, running.pid, _read_version(running), home.cluster, home.log)

    def get_address(self) -> ServerAddress:
        """Return the address of the running server.

        Raises EmbeddedPostgresError when it is not running, or has no socket yet.
        """
        running = self._find_postmaster()
        if running is None:
            raise EmbeddedPostgresError(f"the Postgres in {self.data_dir} is not running: start it first")
        return running.required_address

    def build_url(self, database: str, driver: Driver = "psycopg") -> str:
        """Return the SQLAlchemy URL of `database`.

        Raises EmbeddedPostgresError when the server is not running.
        """
        return self.get_address().build_url(database, driver)

    def build_libpq_url(self, database: str) -> str:
        """Return the URL of `database` for psycopg.connect and psql.

        Raises EmbeddedPostgresError when the server is not running.
        """
        return self.get_address().build_libpq_url(database)

    def _make_data_dir(self) -> None:
        if bad_characters := set(str(self.data_dir)) & set('"$`\\\n'):
            raise EmbeddedPostgresError(
                f"Postgres cannot use a folder whose name contains {' '.join(sorted(bad_characters))!r}: choose "
                f"another folder than {self.data_dir}"
            )
        try:
            is_new = not self.data_dir.exists()
            self.data_dir.mkdir(parents=True, exist_ok=True)
            if is_new:
                self.data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"cannot make the data folder {self.data_dir}: {error.strerror}; choose one that you can write"
            ) from error

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        """Hold a file lock, so that only one process at a time starts or stops the server.

        The operating system releases the lock of a process that dies.
        """
        path = self.data_dir / _LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"cannot write to the data folder {self.data_dir}: {error.strerror}; choose one that you can write"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _find_postmaster(self) -> postmaster.Postmaster | None:
        return postmaster.find_postmaster(file_places.find_home(self.data_dir).cluster)

    def _await_ready(self) -> postmaster.Postmaster | None:
        return postmaster.await_ready(file_places.find_home(self.data_dir).cluster, _START_TIMEOUT_S)

    def _find_user(self, home: file_places.ClusterHome) -> ServerUser:
        owner = file_places.find_owner(home)
        user = find_server_user(owner)
        if owner is not None and owner != user.uid:
            raise EmbeddedPostgresError(
                f"{home.cluster} belongs to another user (uid {owner}): run as that user, or choose another data folder"
            )
        return user

    def _find_binaries(self, user: ServerUser) -> binaries.Binaries:
        return binaries.find_runnable_binaries(user, file_places.make_shared_roots(user, self.fallback_dirs))

    def _start_server(self) -> None:
        home = file_places.find_home(self.data_dir)
        user = self._find_user(home)
        programs = self._find_binaries(user)
        if not home.cluster.is_dir():
            if home.root == self.data_dir:
                home = file_places.choose_home(self.data_dir, user, self.fallback_dirs)
            self._make_cluster(home, user, programs)
        self._check_major(home, programs)
        if not user.can_enter(home.cluster):
            raise EmbeddedPostgresError(
                f"user {user.name} can no longer reach {home.cluster}: open its parent folders, or move the data folder"
            )
        postmaster.clear_remains(home.cluster, user)
        socket_dir = file_places.make_socket_directory(home, user)
        file_places.claim_directory(home.log.parent, user)
        _rotate_log(home.log)
        options = (
            SERVER_SETTINGS
            | ({} if self.durable else NON_DURABLE_SETTINGS)
            | {"port": str(SOCKET_PORT), "unix_socket_directories": f'"{socket_dir}"'}
        )
        if self.tcp_port is not None:
            rules = home.cluster / "hba_with_port.conf"
            rules.write_text(HBA_RULES_WITH_PORT)
            rules.chmod(0o644)  # the file may be readable, because only the server's user can enter its directory
            options |= {"listen_addresses": LOOPBACK_ADDRESS, "port": str(self.tcp_port), "hba_file": str(rules)}
        option_line = " ".join(
            shlex.quote(part) for name, value in options.items() for part in ("-c", f"{name}={value}")
        )
        command: list[str | Path] = [
            programs["pg_ctl"],
            "-D",
            home.cluster,
            "-l",
            home.log,
            "-w",
            "-t",
            str(_START_TIMEOUT_S),
            "-o",
            option_line,
            "start",
        ]
        log_start = home.log.stat().st_size if home.log.exists() else 0
        answer = _run_command(user, command, _START_TIMEOUT_S)
        if answer.returncode != 0:
            raise EmbeddedPostgresError(
                f"Postgres did not start: {_extract_reason(_read_log_tail(home.log, log_start) or answer.stdout)}; "
                f"see {home.log}"
            )

    def _make_cluster(self, home: file_places.ClusterHome, user: ServerUser, programs: binaries.Binaries) -> None:
        """Create the cluster with initdb under another name, then rename it.

        If it is interrupted, no incomplete cluster exists under the final name.
        """
        for leftover in home.list_leftovers():
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished = home.build_unfinished_path()
        file_places.claim_directory(unfinished, user)
        arguments = [
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        if not self.durable:
            arguments.append("--no-sync")
        answer = _run_command(user, [programs["initdb"], "-D", unfinished, *arguments], INITDB_TIMEOUT_S)
        if answer.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedPostgresError(f"initdb failed in {home.root}: {_extract_reason(answer.stdout)}")
        unfinished.rename(home.cluster)

    def _check_major(self, home: file_places.ClusterHome, programs: binaries.Binaries) -> None:
        try:
            major = (home.cluster / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"{home.cluster} is not a Postgres cluster ({error.strerror}): restore it, or delete it to start "
                "with an empty one"
            ) from error
        if major != programs.major:
            raise EmbeddedPostgresError(
                f"{home.cluster} was made by Postgres {major}, but this is {programs.version}: dump it with "
                f"pg_dumpall of Postgres {major}, move the folder away, start again and restore the dump"
            )


@contextmanager
def _connect_as_administrator(address: ServerAddress) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    try:
        connection = psycopg.connect(address.build_libpq_url("postgres"), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise EmbeddedPostgresError(
            f"the server at {address.socket_dir} takes no connection: {_extract_reason(str(error))}"
        ) from error
    with connection:
        yield connection


def _create_database(address: ServerAddress, name: str) -> None:
    with _connect_as_administrator(address) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        # template0 is used because nobody can connect to it; a connection would block the copy. Another process may
        # create the same database at the same time.
        with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))


def _read_version(running: postmaster.Postmaster) -> str | None:
    try:
        with _connect_as_administrator(running.required_address) as connection:
            return connection.info.parameter_status("server_version")
    except EmbeddedPostgresError:
        return None


def _rotate_log(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))


def _run_command(
    user: ServerUser, command: Sequence[str | Path], timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """Run a program that has its own time limit of `timeout_s` seconds.

    It is killed 30 s after this limit if it hangs.
    """
    try:
        return user.run(command, timeout_s + 30.0)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(
            f"cannot run {Path(command[0]).name} as {user.name}: {_extract_reason(str(error))}"
        ) from error


def _read_log_tail(log: Path, start: int) -> str:
    """Return the text that was added to the log after its first `start` bytes."""
    try:
        return log.read_bytes()[start:].decode(errors="replace")
    except OSError:
        return ""


def _extract_reason(text: str) -> str:
    """Return the line of a program's output that explains an error: the last error line or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no output"]
    error_lines = [line for line in lines if "FATAL:" in line or "error:" in line]
    return error_lines[-1].split("FATAL:")[-1].strip() if error_lines else lines[-1]
