"""The database roles of analysts and of the sender, and the URLs at which they connect.

`sql/grants.sql` names the tables that the roles may read.
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
"""Databases of the embedded server other than the program's own database."""
CONNECTION_PARAMETERS: Final = ("host", "port", "sslmode", "sslrootcert")
"""Query parameters of a database URL that are copied into the analysts' URL; login parameters are not."""


def grant_analyst_access(pipeline: Pipeline) -> None:
    """Create or renew the roles on the embedded server; on another one renew the grants of existing roles.

    On a server other than the embedded one only `palimpsest db roles` creates the roles. Every upgrade of the schema
    calls this function.
    """
    with pipeline.connect() as conn:
        if pipeline.settings.is_embedded:
            _grant_on_embedded_server(conn)
        elif roles.list_existing_roles(conn):
            roles.grant_reading(conn)


def enforce_analyst_access(pipeline: Pipeline) -> list[str]:
    """Restrict both roles to their own rights, on any server; return the rights that could not be revoked.

    Each result begins with the name of the role.

    Afterwards only owners and users with an explicit grant can create temporary tables or large objects in the
    program's database, or connect to Dagster's database. A right remains if the pipeline's database user is not allowed
    to revoke it. Raises RoleMissing.
    """
    settings = pipeline.settings
    with pipeline.connect() as conn:
        if settings.is_embedded:
            _grant_on_embedded_server(conn)
        else:
            roles.ensure_role(conn)
            roles.forbid_writing(conn)
        closed = OTHER_DATABASES if settings.is_embedded else ()
        excess_rights = [
            f"{role}: {right}" for role in roles.RIGHTS for right in roles.find_excess_rights(conn, role, closed)
        ]
    if settings.dagster_database_url is not None:
        dagster = Database(f"postgresql://{settings.dagster_database_url.get_secret_value().partition('://')[2]}")
        with dagster.connect() as conn:
            name = conn.info.dbname
            roles.forbid_entering(conn, [name])
            excess_rights += [
                f"{role}: {right}"
                for role in roles.RIGHTS
                for right in roles.find_excess_rights(conn, role, [name])
                if right.startswith("it may enter")
            ]
    return excess_rights


def build_analyst_url(settings: Settings) -> str:
    """Return the URL with which analysts connect to the database in psql and other clients.

    For a server other than the embedded one the URL contains no password. Raises EmbeddedPostgresError when the
    embedded server is not running.
    """
    return _build_role_url(settings, roles.ANALYST)


def build_sender_url(settings: Settings) -> str:
    """Return the URL with which the sender of messages to traders connects.

    It is the one of the settings, otherwise like `build_analyst_url` for the sender's role.
    """
    if settings.sender_database_url is not None:
        return settings.sender_database_url.get_secret_value()
    return _build_role_url(settings, roles.SENDER_ROLE)


def _build_role_url(settings: Settings, role: str) -> str:
    if settings.database_url is None:
        return replace(make_embedded_server(settings).get_address(), user=role).build_libpq_url(DATABASE_NAMES[0])
    own_url = make_url(Database(settings.database_url.get_secret_value()).conninfo)
    parameters = {name: value for name, value in own_url.query.items() if name in CONNECTION_PARAMETERS}
    role_url = URL.create(
        "postgresql", role, host=own_url.host, port=own_url.port, database=own_url.database, query=parameters
    )
    return role_url.render_as_string()


def _grant_on_embedded_server(conn: psycopg.Connection) -> None:
    roles.ensure_role(conn)
    roles.forbid_writing(conn)
    roles.forbid_locking(conn)
    roles.forbid_entering(conn, OTHER_DATABASES)
