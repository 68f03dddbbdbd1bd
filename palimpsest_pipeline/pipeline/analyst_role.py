"""How analysts come to the data: their role on the server in use, kept out of everything else, and the address they log
in at.

Belongs here: which databases are theirs, and which are not. Does not: what the role may see (`sql/grants.sql`), the
statements (`storage/db/roles`).
"""

from dataclasses import replace
from typing import Final

import psycopg
from sqlalchemy.engine import URL, make_url

from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db import roles
from palimpsest_pipeline.storage.db.connection import Database

from .context import DATABASE_NAMES, Pipeline, make_embedded_server

OTHER_DATABASES: Final = (DATABASE_NAMES[1], "postgres", "template1")
"""Databases of the embedded server besides ours."""
CONNECTION_PARAMETERS: Final = ("host", "port", "sslmode", "sslrootcert")
"""What a URL says after its question mark of the way to the server; anything else there is of who logs in, or how."""


def grant_analyst_access(pipeline: Pipeline) -> None:
    """With every upgrade of the schema: on the embedded server, which is ours alone, the role, its grants and what it
    is kept out of. A server of one's own gets a role only by `palimpsest db roles`; one that is there has its grants
    renewed."""
    with pipeline.connect() as conn:
        if pipeline.settings.is_embedded:
            _grant_on_embedded_server(conn)
        elif roles.role_exists(conn):
            roles.grant_reading(conn)


def enforce_analyst_access(pipeline: Pipeline) -> list[str]:
    """As `grant_analyst_access`, and on a server of one's own too nobody may make temporary tables or large objects in
    our database nor enter Dagster's but who was granted it or owns it. Returns what the role may do besides reading,
    since the pipeline's user may not forbid it. Raises RoleMissing."""
    settings = pipeline.settings
    with pipeline.connect() as conn:
        if settings.is_embedded:
            _grant_on_embedded_server(conn)
        else:
            roles.ensure_role(conn)
            roles.forbid_writing(conn)
        left = roles.find_excess_rights(conn, OTHER_DATABASES if settings.is_embedded else ())
    if settings.dagster_database_url is not None:
        dagster = Database(f"postgresql://{settings.dagster_database_url.get_secret_value().partition('://')[2]}")
        with dagster.connect() as conn:
            name = conn.info.dbname
            roles.forbid_entering(conn, [name])
            left += [said for said in roles.find_excess_rights(conn, [name]) if said.startswith("it may enter")]
    return left


def build_analyst_url(settings: Settings) -> str:
    """URL at which analysts log in, for psql and other clients; without a password on a server of one's own. Raises
    EmbeddedPostgresError when the embedded server is not running."""
    if settings.database_url is None:
        return replace(make_embedded_server(settings).get_address(), user=roles.ANALYST).build_libpq_url(
            DATABASE_NAMES[0]
        )
    ours = make_url(Database(settings.database_url.get_secret_value()).conninfo)
    way = {name: value for name, value in ours.query.items() if name in CONNECTION_PARAMETERS}
    theirs = URL.create("postgresql", roles.ANALYST, host=ours.host, port=ours.port, database=ours.database, query=way)
    return theirs.render_as_string()


def _grant_on_embedded_server(conn: psycopg.Connection) -> None:
    roles.ensure_role(conn)
    roles.forbid_writing(conn)
    roles.forbid_locking(conn)
    roles.forbid_entering(conn, OTHER_DATABASES)
