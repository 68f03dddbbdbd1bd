"""Servers of their own for the tests of the embedded Postgres."""

import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.postgres import make_server_folder

MakeServer = Callable[..., EmbeddedPostgres]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that every user can pass through but not list."""
    with make_server_folder() as path:
        yield path


@pytest.fixture
def make_server(folder: Path) -> Iterator[MakeServer]:
    """Makes servers that are not started yet; all are removed at the end."""
    made: list[EmbeddedPostgres] = []

    def make(data_dir: Path | None = None, **options: object) -> EmbeddedPostgres:
        settings = {"durable": False, "fallback_dirs": (folder / "elsewhere",)} | options
        made.append(EmbeddedPostgres(data_dir or folder / "postgres", **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def as_root() -> None:
    """Skips unless the tests run as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can switch to another user")


@pytest.fixture
def nobody(as_root: None) -> pwd.struct_passwd:
    """The unprivileged user that every system has."""
    return pwd.getpwnam("nobody")
