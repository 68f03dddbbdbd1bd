"""The `palimpsest db` commands: the schema, its dictionary, who may read it and at which address.

Exit codes as in `cli/__main__.py`.
"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import EXIT_PARTIAL, fail, out, say

if TYPE_CHECKING:
    from palimpsest_pipeline.pipeline.context import Pipeline

db_app = typer.Typer(no_args_is_help=True, help="The database schema, and who may read it.")


@db_app.command()
def upgrade() -> None:
    """Bring our schema and Dagster's to the newest version; start the embedded server and leave it running, ready for
    `dagster dev`.

    Tells how long it took, and what room our database takes since and took before.
    """
    from palimpsest_pipeline.defs.instance import open_instance
    from palimpsest_pipeline.operate.databases import open_databases, prepare_schema
    from palimpsest_pipeline.storage.odds.table_sizes import read_database_bytes

    def measure_mb(pipeline: "Pipeline") -> float:
        with pipeline.connect() as conn:
            return read_database_bytes(conn) / 1e6

    chosen = load_settings()
    with open_databases(chosen, keep_running=True) as found:
        before_mb, began_s = measure_mb(found), time.monotonic()
        prepare_schema(found)
        with open_instance(chosen):
            pass
        say(
            f"upgraded in {time.monotonic() - began_s:.1f} s; our database takes {measure_mb(found):.1f} MB, {before_mb:.1f} MB before"
        )
        out.print(
            f"schemas are up to date; for Dagster: export DAGSTER_HOME={chosen.dagster_home}",
            soft_wrap=True,
            highlight=False,
        )


@db_app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go back to; base removes everything.")] = "base",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take the schema back. Drops what newer revisions made, data included."""
    from palimpsest_pipeline.operate.databases import open_databases
    from palimpsest_pipeline.storage.db import migrate

    if not yes:
        typer.confirm(f"Downgrade to {revision!r}? Tables made since are dropped with their data", abort=True)
    with open_databases(load_settings()) as found:
        migrate.downgrade(found.database.url, revision)
    out.print(f"schema is at {revision}")


@db_app.command()
def check() -> None:
    """Compare the database with the models. Exit code 1 when they differ."""
    from palimpsest_pipeline.operate.databases import open_databases
    from palimpsest_pipeline.storage.db import migrate

    with open_databases(load_settings()) as found:
        differences = migrate.find_drift(found.database.url)
    if differences:
        for line in differences:
            out.print(line, markup=False)
        raise fail(
            f"{len(differences)} differences between the models and the database: run `palimpsest db upgrade`, or add a migration"
        )
    out.print("models and database agree")


@db_app.command()
def url(
    analyst: Annotated[
        bool, typer.Option("--analyst", help="That of the read-only role, whose password is not known here.")
    ] = False,
) -> None:
    """Print the database's address, password included, for psql and other clients.

    An embedded server must be running.
    """
    from palimpsest_pipeline.pipeline import analyst_role
    from palimpsest_pipeline.pipeline.context import DATABASE_NAMES, Pipeline, make_embedded_server

    chosen = load_settings()
    if chosen.is_embedded and not make_embedded_server(chosen).status().running:
        raise fail(
            "the embedded server is not running; `palimpsest up` starts it, and so does `palimpsest db upgrade`, until `palimpsest down`"
        )
    if analyst:
        address = analyst_role.build_analyst_url(chosen)
    else:
        address = (
            make_embedded_server(chosen).build_libpq_url(DATABASE_NAMES[0])
            if chosen.is_embedded
            else Pipeline(chosen).database.conninfo
        )
    out.print(address, soft_wrap=True, highlight=False, markup=False)


@db_app.command()
def roles() -> None:
    """Make the read-only role of analysts, or bring its rights up to date: it reads the marts and the analysts' views.

    As far as the pipeline's user may forbid it, nobody makes temporary tables or large objects in our database, nor
    enters Dagster's, but who owns it or was granted it. Says what the role may do besides reading. Exit code 3 when an
    administrator has to forbid some of it.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.pipeline.analyst_role import enforce_analyst_access
    from palimpsest_pipeline.storage.db.roles import ANALYST, may_lock

    chosen = load_settings()
    with open_databases(chosen) as found:
        require_schema(found)
        left = enforce_analyst_access(found)
        with found.connect() as conn:
            locks = may_lock(conn)
    out.print(
        f"{ANALYST} reads the schemas palimpsest and mart; `palimpsest db url --analyst` has its address",
        highlight=False,
        soft_wrap=True,
    )
    if not chosen.is_embedded:
        say(f"its password is yours to set, where the server asks for one: alter role {ANALYST} password '...'")
    for line in left:
        say(f"{ANALYST}: {line}")
    if locks:
        say(
            f"{ANALYST}: it may take advisory locks, and so hold up the pipeline while its session lasts. A superuser can revoke pg_advisory_lock "
            "and its like from everybody, once he has granted them to the pipeline's user by name"
        )
    if left:
        raise fail(
            f"{ANALYST} may do more than read: let an administrator of the server revoke it. What everybody may do there a superuser forbids with "
            "`palimpsest db roles`, his name in PALIMPSEST_DATABASE_URL",
            EXIT_PARTIAL,
        )


@db_app.command()
def dictionary(
    only_check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when the file is out of date.")
    ] = False,
) -> None:
    """Write `sql/DICTIONARY.md` of this checkout, from the comments of tables, views and columns.

    Makes a database of its own meanwhile.
    """
    from palimpsest_pipeline.operate.data_dictionary import build_dictionary, locate_dictionary

    file = locate_dictionary()
    text = build_dictionary()
    if only_check and (not file.exists() or file.read_text() != text):
        raise fail(f"{file} is out of date: run `palimpsest db dictionary`")
    if not only_check:
        file.write_text(text)
    out.print(f"{file} is up to date", highlight=False, soft_wrap=True)
