"""The database of the sender of messages to traders, opened with the sender's role.

Belongs here: the connection of the command. Does not belong here: sending (`pipeline.push.send`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.pipeline.analyst_role import build_sender_url
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db import roles
from palimpsest_pipeline.storage.db.connection import Database

from .databases import open_databases, require_schema


class SenderRoleMissing(PalimpsestError, RuntimeError):
    """The error when the server has no role for the sender. The message gives the remedy."""


@contextmanager
def open_sender_database(settings: Settings) -> Iterator[Database]:
    """Yield the program's database, entered as the sender; an embedded server runs during the block.

    With PALIMPSEST_SENDER_DATABASE_URL only this URL is used, so the program's own URL need not be known here. Raises
    SenderRoleMissing.
    """
    if settings.sender_database_url is not None:
        yield Database(build_sender_url(settings))
        return
    with open_databases(settings) as pipeline:
        require_schema(pipeline)
        _require_role(pipeline)
        yield Database(build_sender_url(settings))


def _require_role(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        if not roles.sender_exists(conn):
            raise SenderRoleMissing(f"the database server has no role {roles.SENDER}: run `palimpsest db roles`")
