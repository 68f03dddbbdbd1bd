"""How analysts come to the data: their role on the server in use, kept out of everything else, and the address they log in at.

Belongs here: which databases are theirs, and which are not. Does not: what the role may see (`sql/grants.sql`), the statements (`storage/roles`).
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from sqlalchemy.engine import URL, make_url

from ..settings import Settings
from ..storage import roles
from ..storage.database import Database
from .pipeline import DATABASES, Pipeline, embedded_server

NOT_THEIRS: Final = (DATABASES[1], "postgres", "template1")
"""Databases of the embedded server besides ours."""


def admit(pipeline: Pipeline) -> None:
    """The role and its grants, with every upgrade of the schema; where the pipeline's user may not make it, nothing. On the embedded server, which
    is ours alone, it is kept out of the other databases too; a server of one's own has others, who are not to notice."""
    with pipeline.connect() as conn, suppress(roles.RoleMissing):
        roles.ensure(conn)
        if pipeline.settings.embedded:
            roles.forbid_writing(conn)
            roles.forbid_entering(conn, NOT_THEIRS)


def admit_thoroughly(pipeline: Pipeline) -> list[str]:
    """As `admit`, and on a server of one's own too nobody may make temporary tables in our database nor enter Dagster's but who was granted it or
    owns it. Returns what the role may do besides reading, since the pipeline's user may not forbid it. Raises RoleMissing."""
    settings = pipeline.settings
    with pipeline.connect() as conn:
        roles.ensure(conn)
        roles.forbid_writing(conn)
        if settings.embedded:
            roles.forbid_entering(conn, NOT_THEIRS)
        left = roles.beyond_reading(conn, NOT_THEIRS if settings.embedded else ())
    if settings.dagster_database_url is not None:
        dagster = Database(f"postgresql://{settings.dagster_database_url.get_secret_value().partition('://')[2]}")
        with dagster.connect() as conn:
            name = conn.info.dbname
            roles.forbid_entering(conn, [name])
            left += [said for said in roles.beyond_reading(conn, [name]) if said.startswith("it may enter")]
    return left


def address(settings: Settings) -> str:
    """URL at which analysts log in, for psql and other clients; without a password on a server of one's own. Raises EmbeddedPostgresError when the
    embedded server is not running."""
    if settings.database_url is None:
        return replace(embedded_server(settings).connection(), user=roles.ANALYST).libpq_url(DATABASES[0])
    ours = make_url(Database(settings.database_url.get_secret_value()).conninfo)
    theirs = URL.create("postgresql", roles.ANALYST, host=ours.host, port=ours.port, database=ours.database, query=ours.query)
    return theirs.render_as_string()
