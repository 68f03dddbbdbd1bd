"""Life of the embedded server: make the cluster, start, attach, stop, remove.

How its files are placed is in `file_places`.
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
from .connection import SOCKET_PORT, SUPERUSER, Driver, ServerAddress
from .errors import EmbeddedPostgresError
from .privilege import ServerUser, find_server_user

START_TIMEOUT_S: Final = 300
"""A start that fails is known at once; one that recovers from a crash may take its time."""
INITDB_TIMEOUT_S: Final = 300
STOP_TIMEOUT_S: Final = 60
LOCK_FILE: Final = "lock"
MAX_LOG_BYTES: Final = 10_000_000
"""A server log beyond this size is set aside at the next start; one older log is kept."""

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
# Who can open the private socket is trusted; every user of the machine can reach the port.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Whether the server runs.

    `pid` is None when it does not; `version` (e.g. `18.4`) also while it starts or gives no answer.
    """

    running: bool
    pid: int | None
    version: str | None
    cluster: Path
    log: Path


class EmbeddedPostgres:
    """A Postgres whose files live in `data_dir`, reachable by its user (and root) only.

    `start` attaches when the server is already up, whoever started it; the server outlives this process until `stop`.
    With `durable=False` a crash of the machine may lose the cluster: for tests.
    """

    def __init__(
        self,
        data_dir: Path,
        databases: Sequence[str] = ("palimpsest", "dagster"),
        durable: bool = True,
        fallback_dirs: Sequence[Path] | None = None,
        tcp_port: int | None = None,
    ) -> None:
        """`elsewhere`: directories to use when `data_dir` is out of reach of the server's user; by default the system's
        usual ones.

        `tcp_port`: a server that is started listens on it on loopback too, for roles that have a password.
        """
        self.data_dir = Path(os.path.abspath(data_dir))  # noqa: PTH100 - resolve() would follow links that the user chose
        self.databases = tuple(databases)
        self.durable = durable
        self.tcp_port = tcp_port
        self.fallback_dirs = file_places.list_default_fallback_dirs() if fallback_dirs is None else tuple(fallback_dirs)

    def start(self) -> ServerAddress:
        """Start or attach, and make sure the databases exist. Raises EmbeddedPostgresError with what to do about it."""
        self._make_data_dir()
        with self._hold_lock():
            running = self._await_ready()  # also one that another process began to start, or asked to stop
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
        """Stop the server and wait until it is gone; open connections are ended.

        Nothing happens when it is not running.
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
                [program, "-D", home.cluster, "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_S), "stop"],
                STOP_TIMEOUT_S,
            )
            if answer.returncode != 0 and self._find_postmaster() is not None:
                raise EmbeddedPostgresError(
                    f"the server (pid {running.pid}) did not stop: {_extract_reason(answer.stdout)}; see {home.log}"
                )
            if running.address is not None and running.address.socket_dir.parent != home.root:
                with suppress(OSError):
                    running.address.socket_dir.rmdir()

    def remove(self) -> None:
        """Stop the server and delete its files: all data is gone."""
        if not self.data_dir.is_dir():
            return
        if not file_places.is_lost(self.data_dir):
            self.stop()
            file_places.remove_home(file_places.find_home(self.data_dir))
        for name in (file_places.POINTER_FILE, LOCK_FILE):
            (self.data_dir / name).unlink(missing_ok=True)
        file_places.remove_home(file_places.ClusterHome(self.data_dir))

    def status(self) -> ServerStatus:
        """Whether the server runs, as of now.

        A server that is starting, or gives no answer, runs: only its version is not known.
        """
        home = file_places.find_home(self.data_dir)
        running = self._find_postmaster()
        if running is None:
            return ServerStatus(False, None, None, home.cluster, home.log)
        return ServerStatus(True, running.pid, _read_version(running), home.cluster, home.log)

    def get_address(self) -> ServerAddress:
        """Address of the running server.

        Raises EmbeddedPostgresError when it is not running, or has only begun to start.
        """
        running = self._find_postmaster()
        if running is None:
            raise EmbeddedPostgresError(f"the Postgres in {self.data_dir} is not running: start it first")
        return running.required_address

    def build_url(self, database: str, driver: Driver = "psycopg") -> str:
        """SQLAlchemy URL of `database`, for one of both drivers.

        Raises EmbeddedPostgresError when the server is not running.
        """
        return self.get_address().build_url(database, driver)

    def build_libpq_url(self, database: str) -> str:
        """URL of `database` for psycopg.connect and psql.

        Raises EmbeddedPostgresError when the server is not running.
        """
        return self.get_address().build_libpq_url(database)

    def create_database(self, name: str) -> None:
        """Create an empty database; an existing one is left as it is."""
        _create_database(self.get_address(), name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it; a missing one is no error."""
        with _connect_as_administrator(self.get_address()) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _make_data_dir(self) -> None:
        if unusable := set(str(self.data_dir)) & set('"$`\\\n'):
            raise EmbeddedPostgresError(
                f"Postgres cannot live in a folder named with {' '.join(sorted(unusable))!r}: choose another than {self.data_dir}"
            )
        try:
            fresh = not self.data_dir.exists()
            self.data_dir.mkdir(parents=True, exist_ok=True)
            if fresh:
                self.data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"cannot make the data folder {self.data_dir}: {error.strerror}; choose one that you can write"
            ) from error

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        """One process at a time starts or stops; the lock goes with the process that holds it."""
        path = self.data_dir / LOCK_FILE
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
        return postmaster.await_ready(file_places.find_home(self.data_dir).cluster, START_TIMEOUT_S)

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
            rules.chmod(0o644)  # its folder is the server's alone
            options |= {"listen_addresses": LOOPBACK_ADDRESS, "port": str(self.tcp_port), "hba_file": str(rules)}
        line = " ".join(shlex.quote(part) for name, value in options.items() for part in ("-c", f"{name}={value}"))
        command: list[str | Path] = [
            programs["pg_ctl"],
            "-D",
            home.cluster,
            "-l",
            home.log,
            "-w",
            "-t",
            str(START_TIMEOUT_S),
            "-o",
            line,
            "start",
        ]
        log_start = home.log.stat().st_size if home.log.exists() else 0
        answer = _run_command(user, command, START_TIMEOUT_S)
        if answer.returncode != 0:
            raise EmbeddedPostgresError(
                f"Postgres did not start: {_extract_reason(_read_log_tail(home.log, log_start) or answer.stdout)}; see {home.log}"
            )

    def _make_cluster(self, home: file_places.ClusterHome, user: ServerUser, programs: binaries.Binaries) -> None:
        """initdb beside the final place, then one rename: an interrupted start leaves nothing that looks complete."""
        for leftover in home.list_leftovers():
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished = home.build_unfinished_path()
        file_places.claim_directory(unfinished, user)
        how = [
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
            how.append("--no-sync")
        answer = _run_command(user, [programs["initdb"], "-D", unfinished, *how], INITDB_TIMEOUT_S)
        if answer.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedPostgresError(f"initdb failed in {home.root}: {_extract_reason(answer.stdout)}")
        unfinished.rename(home.cluster)

    def _check_major(self, home: file_places.ClusterHome, programs: binaries.Binaries) -> None:
        try:
            major = (home.cluster / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"{home.cluster} is no Postgres cluster ({error.strerror}): restore it, or delete it to begin anew"
            ) from error
        if major != programs.major:
            raise EmbeddedPostgresError(
                f"{home.cluster} was made by Postgres {major} and this is {programs.version}: dump it with pg_dumpall of Postgres {major}, "
                f"move the folder away, start again and restore the dump"
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
        # From template0, which nobody can be connected to; another process may be creating the same one.
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
    """Run a program that has a time limit of its own; ours only catches one that hangs."""
    try:
        return user.run(command, timeout_s + 30.0)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(
            f"cannot run {Path(command[0]).name} as {user.name}: {_extract_reason(str(error))}"
        ) from error


def _read_log_tail(log: Path, start: int) -> str:
    """What the log gained since it was `start` bytes long."""
    try:
        return log.read_bytes()[start:].decode(errors="replace")
    except OSError:
        return ""


def _extract_reason(text: str) -> str:
    """The line of an output that says why: the last one marked as an error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    marked = [line for line in lines if "FATAL:" in line or "error:" in line]
    return marked[-1].split("FATAL:")[-1].strip() if marked else lines[-1]
