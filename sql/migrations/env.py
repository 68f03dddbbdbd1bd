"""Alembic's entry: run the migrations on the connection that `palimpsest db upgrade` gives, or on one made here for the alembic command.

`alembic -x url=postgresql+psycopg://... upgrade head`; without -x the address is PALIMPSEST_DATABASE_URL. Both ways are one transaction, hold
the same lock and leave the views in place: see palimpsest_pipeline.storage.db.migrate.
"""

import os

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from palimpsest_pipeline.storage.db import migrate
from palimpsest_pipeline.storage.db.connection import Database


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, **migrate.alembic_options())
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    if context.is_offline_mode():
        raise CommandError(
            "migrations run on a database: views and partitions depend on what is there, so there is no SQL script of them"
        )
    given: sa.Connection | None = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get("PALIMPSEST_DATABASE_URL")
    if not url:
        raise CommandError("which database? alembic -x url=postgresql+psycopg://... or PALIMPSEST_DATABASE_URL")
    with Database(url).sqlalchemy_engine().begin() as connection, migrate.guarded(connection):
        run(connection)


main()
