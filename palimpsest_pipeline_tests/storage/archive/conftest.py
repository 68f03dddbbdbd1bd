"""A database with a small world of several days, one to change for each test, and an archive to write it to."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.fixtures.postgres import (
    copy_database,
    create_database,
    drop_database,
    upgrade_with_platforms,
)

from .. import layer_worlds
from ..history_worlds import DAYS


@pytest.fixture(scope="module")
def world_template(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Name of a database with the world in it, which nobody changes."""
    name = f"world_{uuid4().hex[:12]}"
    create_database(postgres, name)
    upgrade_with_platforms(postgres.build_url(name))
    with Database(postgres.build_url(name)).connect() as conn:
        partitions.ensure_partitions(conn, DAYS)
        layer_worlds.ingest_world(conn, layer_worlds.answers())
    yield name
    drop_database(postgres, name)


@pytest.fixture
def database(postgres: EmbeddedPostgres, world_template: str) -> Iterator[Database]:
    """A copy of the world."""
    with copy_database(postgres, world_template) as url:
        yield Database(url)


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "export")
