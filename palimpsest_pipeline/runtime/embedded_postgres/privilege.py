"""Choose the operating-system user that runs the server, and run commands as this user.

Postgres refuses to run as root.
"""

import os
import pwd
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import EmbeddedPostgresError

USER_VARIABLE: Final = "PALIMPSEST_PG_USER"
PREFERRED_USERS: Final = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user that owns the cluster and runs the server.

    `needs_switch` is true when the current process runs as root and must switch to this user.
    """

    name: str
    uid: int
    gid: int
    needs_switch: bool

    def run(self, command: Sequence[str | Path], timeout_s: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """Run `command` as this user and return its output.

        It runs without this process's terminal and working directory. Raises OSError when it cannot be started.
        """
        switch: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.needs_switch else {}
        return subprocess.run(
            [str(part) for part in command],
            cwd="/",
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C in this process's terminal, or closing it, must not reach the server
            timeout=timeout_s,
            check=False,
            **switch,
        )

    def succeeds(self, command: Sequence[str | Path]) -> bool:
        """Return whether `command`, run as this user, exits with 0."""
        try:
            return self.run(command, timeout_s=30.0).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False

    def can_enter(self, directory: Path) -> bool:
        """Return whether this user can access `directory` through all its parents."""
        return self.succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", directory])


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without PG* and locale variables, so messages are in English."""
    removed_prefixes = ("PG", "LC_", "LANG")
    return {name: value for name, value in environment.items() if not name.startswith(removed_prefixes)} | {
        "LC_ALL": "C"
    }


def find_server_user(owner_uid: int | None = None) -> ServerUser:
    """Return the user that runs the server.

    A normal user runs the server itself. Root switches to the owner of the existing cluster (`owner_uid`), or for a new
    cluster to an existing user without privileges. Raises EmbeddedPostgresError when there is none.
    """
    uid = os.geteuid()
    if uid != 0:
        return ServerUser(_find_user_name(uid), uid, os.getegid(), needs_switch=False)
    if owner_uid:
        return _build_server_user(owner_uid)
    for entry in rank_candidates(pwd.getpwall(), os.environ.get(USER_VARIABLE)):
        user = ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid, needs_switch=True)
        if user.succeeds(["/bin/sh", "-c", "exit 0"]):
            return user
    raise EmbeddedPostgresError(
        f"Postgres does not run as root and there is no unprivileged user to switch to: name one in {USER_VARIABLE}, "
        "or start as a normal user"
    )


def rank_candidates(entries: Iterable[pwd.struct_passwd], wished_name: str | None) -> list[pwd.struct_passwd]:
    """Return the users to try, in order.

    With `wished_name` only this user; otherwise `postgres`, `nobody`, then every other user except root. Raises
    EmbeddedPostgresError when the wished user is root or does not exist.
    """
    unprivileged = [entry for entry in entries if entry.pw_uid != 0]
    if wished_name:
        wished_users = [entry for entry in unprivileged if entry.pw_name == wished_name]
        if not wished_users:
            raise EmbeddedPostgresError(
                f"{USER_VARIABLE}={wished_name} is not an existing unprivileged user: name another one, or leave it "
                "unset"
            )
        return wished_users
    rank_by_name = {name: place for place, name in enumerate(PREFERRED_USERS)}
    # Service accounts follow in descending order of uid, so the low system ids (daemon, bin) come last.
    return sorted(unprivileged, key=lambda entry: (rank_by_name.get(entry.pw_name, len(rank_by_name)), -entry.pw_uid))


def _build_server_user(uid: int) -> ServerUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return ServerUser(str(uid), uid, uid, needs_switch=True)
    return ServerUser(entry.pw_name, uid, entry.pw_gid, needs_switch=True)


def _find_user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
