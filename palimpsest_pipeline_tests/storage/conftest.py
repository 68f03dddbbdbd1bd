"""Databases with our tables, for the tests of the storage room."""

from collections.abc import Iterator

import psycopg
import pytest

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database

from .history_worlds import DAYS


@pytest.fixture(scope="module")
def migrated_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database for all tests of a module, which leave nothing in it."""
    with migrated_database(postgres) as url:
        yield url


@pytest.fixture
def conn(migrated_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the module's database, in a transaction that is rolled back."""
    with Database(migrated_url).connect() as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def history_conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    """A migrated database with the partitions of the tests' days, in a transaction that is rolled back."""
    with Database(migrated_database_url).connect() as connection:
        partitions.ensure_partitions(connection, DAYS)
        connection.commit()
        yield connection
        connection.rollback()
