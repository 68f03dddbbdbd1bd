"""Databases with our tables, for the tests of the storage room."""

from collections.abc import Iterator

import psycopg
import pytest

from palimpsest_pipeline.storage import migrate, partitions
from palimpsest_pipeline.storage.database import Database
from palimpsest_pipeline_tests.storage.history_worlds import DAYS


@pytest.fixture
def history_conn(database_url: str) -> Iterator[psycopg.Connection]:
    """A migrated database with the partitions of the tests' days, in a transaction that is rolled back."""
    migrate.upgrade(database_url)
    with Database(database_url).connect() as connection:
        partitions.ensure(connection, DAYS)
        connection.commit()
        yield connection
        connection.rollback()
