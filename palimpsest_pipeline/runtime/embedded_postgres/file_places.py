"""Choose the places of the server's files: beside the caller's data, or in a private directory.

Owner and permissions are set only on directories that this module creates.
"""

import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import EmbeddedPostgresError
from .privilege import ServerUser

POINTER_FILE: Final = "location"
"""File in the data directory that contains the path of the cluster if it is elsewhere."""
UNFINISHED_PREFIX: Final = "cluster.new-"
MAX_SOCKET_BYTES: Final = 100
"""Maximum length of a socket's path in bytes.

The kernel's limit is 108 on Linux and 104 on macOS, including the final NUL.
"""
SOCKET_FILE: Final = "/.s.PGSQL.5432"
PLAIN_PATH_PATTERN: Final = re.compile(r"[\w./ @+-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClusterHome:
    """The directory that contains one cluster. Only the server's user can access its content."""

    root: Path

    @property
    def cluster(self) -> Path:
        return self.root / "cluster"

    def list_leftovers(self) -> list[Path]:
        """Return the directories of clusters whose creation was interrupted."""
        return list(self.root.glob(f"{UNFINISHED_PREFIX}*"))

    def build_unfinished_path(self) -> Path:
        """Return a new path at which a cluster is created.

        The directory is renamed when it is complete, so `cluster` is never incomplete. Each path is different, because
        the initdb of a killed process may still write to its own path.
        """
        return self.root / f"{UNFINISHED_PREFIX}{secrets.token_hex(4)}"

    @property
    def socket(self) -> Path:
        return self.root / "socket"

    @property
    def log(self) -> Path:
        return self.root / "log" / "server.log"


def find_home(data_dir: Path) -> ClusterHome:
    """Return the home of `data_dir`: the directory itself, or the path in its pointer file.

    Raises EmbeddedPostgresError if that path no longer exists.
    """
    pointer = data_dir / POINTER_FILE
    try:
        if not pointer.is_file():
            return ClusterHome(data_dir)
        place = Path(pointer.read_text().strip())
        if place.is_dir():
            return ClusterHome(place)
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"cannot read {data_dir}: {error.strerror}; run as its owner or choose another data folder"
        ) from error
    raise EmbeddedPostgresError(
        f"{pointer} says the database is in {place}, which does not exist: restore that folder, or delete {data_dir} "
        "to start with an empty database"
    )


def is_lost(data_dir: Path) -> bool:
    """Return whether the path in the pointer file no longer exists, so the data is lost."""
    pointer = data_dir / POINTER_FILE
    return pointer.is_file() and not Path(pointer.read_text().strip()).exists()


def find_owner(home: ClusterHome) -> int | None:
    """Return the user id that owns the existing cluster; None when there is no cluster."""
    try:
        return home.cluster.stat().st_uid
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"cannot enter {home.root}: run as its owner, or choose another data folder"
        ) from error


def choose_home(data_dir: Path, user: ServerUser, fallback_dirs: tuple[Path, ...]) -> ClusterHome:
    """Return the home of a new cluster: `data_dir` if the server's user can use it.

    Otherwise a new private directory is created, and `data_dir` gets a pointer file to it.
    """
    if can_host(data_dir, user):
        return ClusterHome(data_dir)
    root = next(make_shared_roots(user, fallback_dirs), None)
    if root is None:
        folders = ", ".join(map(str, (data_dir, *fallback_dirs)))
        raise EmbeddedPostgresError(
            f"user {user.name} can use none of {folders}: choose a data folder that this user can reach"
        )
    place = root / f"cluster-{secrets.token_hex(6)}"
    place.mkdir(mode=0o711)
    place.chmod(0o711)
    (data_dir / POINTER_FILE).write_text(f"{place}\n")
    return ClusterHome(place)


def can_host(directory: Path, user: ServerUser) -> bool:
    """Return whether `user` can access a private directory inside `directory`.

    False when the user may not enter a parent directory, and on file systems without owners and permissions (some
    network and host mounts).
    """
    probe = directory / f".probe-{secrets.token_hex(4)}"
    try:
        make_private_directory(probe, user)
        return user.succeeds(["/bin/sh", "-c", 'cd "$1" && : > file && rm file', "sh", probe])
    except OSError:
        return False
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def make_private_directory(path: Path, user: ServerUser) -> None:
    """Make `path` a directory that is owned by `user` and that no other user may enter.

    The parent must exist. Raises OSError when it is impossible.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # an unusual umask or a parent with setgid may have changed the permissions
        if user.needs_switch:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user.uid or status.st_mode & 0o777 != 0o700:
        raise PermissionError(1, "exists and is not a private directory of the server's user", str(path))


def claim_directory(path: Path, user: ServerUser) -> None:
    """Make a directory private like `make_private_directory`, but raise EmbeddedPostgresError."""
    try:
        make_private_directory(path, user)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"cannot make {path} private to {user.name} ({error.strerror}): remove it, or choose another data folder"
        ) from error


def list_default_fallback_dirs() -> tuple[Path, ...]:
    """Return directories to try, in order, when the data directory cannot contain a cluster."""
    temporary = Path(tempfile.gettempdir())
    if os.geteuid() == 0:
        return (
            Path("/var/lib/palimpsest-pipeline"),
            Path("/var/tmp/palimpsest-pipeline"),
            temporary / "palimpsest-pipeline",
        )
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    own_temporary = temporary / f"palimpsest-pipeline-{os.geteuid()}"
    return (Path(data_home).expanduser() / "palimpsest-pipeline", own_temporary)


def make_shared_roots(user: ServerUser, fallback_dirs: tuple[Path, ...]) -> Iterator[Path]:
    """Create `fallback_dirs` and yield those that are safe and that `user` can access.

    A directory is safe when no other user can write to it.
    """
    for root in fallback_dirs:
        try:
            root.mkdir(mode=0o711, parents=True)
            root.chmod(0o711)
        except FileExistsError:
            pass
        except OSError:
            continue
        status = root.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
        if is_ours and can_host(root, user):
            yield root


def remove_home(home: ClusterHome) -> None:
    """Delete the server's files in the home, and the home itself if it is then empty."""
    for path in (home.cluster, *home.list_leftovers(), home.socket, home.log.parent):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        home.root.rmdir()


def make_socket_directory(home: ClusterHome, user: ServerUser) -> Path:
    """Return a private directory for the server's socket.

    It is in the home, or in another place with a shorter path if the home's path is too long for a socket. Raises
    EmbeddedPostgresError when there is no such place.
    """
    if can_hold_socket(home.socket):
        claim_directory(home.socket, user)
        return home.socket
    name = f"palimpsest-{hashlib.sha256(os.fsencode(home.root)).hexdigest()[:12]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    bases = [Path(base) for base in (runtime, tempfile.gettempdir(), "/tmp", "/var/tmp") if base]
    for base in bases:
        # The name without a random part is the same after every restart. The random one is used if another user has
        # taken the name.
        for path in (base / name, base / f"{name}-{secrets.token_hex(4)}"):
            if not can_hold_socket(path):
                continue
            with suppress(OSError):
                make_private_directory(path, user)
                if user.can_enter(path):
                    return path
                path.rmdir()
    raise EmbeddedPostgresError(
        f"no folder for the server's socket: {', '.join(map(str, bases))} are closed to {user.name}; set TMPDIR to "
        "an open one"
    )


def can_hold_socket(directory: Path) -> bool:
    """Return whether a socket in `directory` has a path that the kernel, libpq and a URL accept."""
    text = str(directory)
    return (
        len(os.fsencode(text)) + len(SOCKET_FILE) <= MAX_SOCKET_BYTES and PLAIN_PATH_PATTERN.fullmatch(text) is not None
    )
