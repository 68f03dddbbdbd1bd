"""The database of the sender of messages to traders, opened with the sender's role."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.pipeline.analyst_role import build_sender_url
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db import roles
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUnreachable
from palimpsest_pipeline.storage.db.revisions import SchemaOutOfDate

from .databases import open_databases


class SenderLoginFailed(PalimpsestError, RuntimeError):
    """The error when the sender's role cannot log in or lacks its rights. The message gives the remedy."""


@contextmanager
def open_sender_database(settings: Settings) -> Iterator[Database]:
    """Yield the program's database, entered as the sender; an embedded server runs during the block.

    The owner of the tables never logs in here. With PALIMPSEST_SENDER_DATABASE_URL only this URL is used, so the
    program's own URL need not be known. Without it, raises SenderLoginFailed or SchemaOutOfDate.
    """
    if settings.sender_database_url is not None:
        yield Database(build_sender_url(settings))
        return
    with open_databases(settings):
        database = Database(build_sender_url(settings))
        _require_outbox(database)
        yield database


def _require_outbox(database: Database) -> None:
    """Raise SenderLoginFailed or SchemaOutOfDate unless the sender can read the outbox."""
    remedy = "run `palimpsest db roles`"
    try:
        with database.connect() as conn:
            conn.execute("select from ops.push_rules, ops.push_outbox limit 0")
    except DatabaseUnreachable as error:
        raise SenderLoginFailed(
            f"{error}. If the server has no role {roles.SENDER}, {remedy}; if the role has a password, write its "
            "address into PALIMPSEST_SENDER_DATABASE_URL"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise SenderLoginFailed(f"the role {roles.SENDER} may not read the outbox: {remedy}") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise SchemaOutOfDate(
            "the database has no outbox for messages: run `palimpsest db upgrade` (scrape, backfill and up do it "
            "themselves)"
        ) from error
