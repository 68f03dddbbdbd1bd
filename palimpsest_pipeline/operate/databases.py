"""Access to the databases for commands: the embedded server or the user's own, and the schema.

The embedded server is started and stopped around the command.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Sport
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.pipeline import analyst_role
from palimpsest_pipeline.pipeline.context import Pipeline, make_embedded_server, make_home
from palimpsest_pipeline.pipeline.home_notes import settle_first_day
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.runtime.server_sharing import mark_in_use
from palimpsest_pipeline.runtime.signals import DeferredSignals
from palimpsest_pipeline.settings import Settings, SettingsError
from palimpsest_pipeline.storage.db import migrate, roles
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUnreachable
from palimpsest_pipeline.storage.db.reference_rows import ReferenceRows
from palimpsest_pipeline.storage.db.revisions import SchemaOutOfDate, describe_other_state, read_revision
from palimpsest_pipeline.storage.odds import partitions

from .export_root import mark_complete_root

log = logging.getLogger(__name__)


class SenderLoginFailed(PalimpsestError, RuntimeError):
    """The error when the sender's role cannot log in or lacks its rights. The message gives the remedy."""


@contextmanager
def open_databases(settings: Settings, *, keep_running: bool = False) -> Iterator[Pipeline]:
    """Yield the pipeline with its databases running.

    An embedded server that a command started is stopped by the last command that uses it; with `keep_running` it runs
    until `palimpsest down`.
    """
    if not settings.is_embedded:
        with ExitStack() as stack:
            # This file only informs `palimpsest down`, so a user who cannot write it can still read the database.
            with suppress(SettingsError, OSError):
                stack.enter_context(mark_in_use(make_home(settings)))
            yield Pipeline(settings)
        return
    server = make_embedded_server(settings)
    with mark_in_use(make_home(settings)) as use:
        try:
            with DeferredSignals():  # a Ctrl-C during the start would leave a server that cannot be stopped
                if keep_running or not server.status().running:
                    use.set_stop_when_last(not keep_running)
                server.start()
            yield Pipeline(settings)
        finally:
            with DeferredSignals():  # a repeated Ctrl-C must not leave the server running
                if use.must_stop_server():
                    server.stop()


def upgrade_schema(pipeline: Pipeline) -> None:
    """Upgrade the schema to the newest version and update everything that depends on it. Idempotent.

    This includes views, reference rows and the rights of the analysts' role. The folder of the export gets its marker
    file if it is complete. If the home folder has no first day, one is written.
    """
    vocabulary = load_installed_vocabulary()
    migrate.upgrade(
        pipeline.database.url,
        reference=ReferenceRows(
            sports=pl.DataFrame({"sport": [s.value for s in Sport], "name": [s.value.capitalize() for s in Sport]}),
            markets=vocabulary.markets,
            outcomes=vocabulary.outcomes,
        ),
    )
    with pipeline.connect() as conn:
        pipeline.record_platforms(conn, pipeline.platforms)
    analyst_role.grant_analyst_access(pipeline)
    mark_complete_root(pipeline)
    settle_first_day(pipeline)


def prepare_schema(pipeline: Pipeline) -> None:
    """Upgrade the schema, and create the partitions of the odds history for the days ahead.

    The nightly maintenance creates later ones. A new installation, or one that was off for long, needs them at once for
    its checks.
    """
    upgrade_schema(pipeline)
    with pipeline.connect() as conn:
        partitions.ensure_days_ahead(conn, pipeline.clock.now())


def require_schema(pipeline: Pipeline) -> None:
    """Raise SchemaOutOfDate unless the schema has the version of this program.

    For commands that only read and therefore must not migrate.
    """
    with pipeline.database.sqlalchemy_engine().connect() as connection:
        problem = describe_other_state(read_revision(connection))
    if problem:
        raise SchemaOutOfDate(problem)


@contextmanager
def open_sender_database(settings: Settings) -> Iterator[Database]:
    """Yield the program's database, entered as the sender; an embedded server runs during the block.

    The owner of the tables never logs in here. With PALIMPSEST_SENDER_DATABASE_URL only this URL is used, so the
    program's own URL need not be known. Without it, raises SenderLoginFailed or SchemaOutOfDate.
    """
    if settings.sender_database_url is not None:
        yield Database(analyst_role.build_sender_url(settings))
        return
    with open_databases(settings):
        database = Database(analyst_role.build_sender_url(settings))
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
            f"{error}. If the server has no role {roles.SENDER_ROLE}, {remedy}; if the role has a password, write its "
            "address into PALIMPSEST_SENDER_DATABASE_URL"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise SenderLoginFailed(f"the role {roles.SENDER_ROLE} may not read the outbox: {remedy}") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise SchemaOutOfDate(
            "the database has no outbox for messages: run `palimpsest db upgrade` (scrape, backfill and up do it "
            "themselves)"
        ) from error
