"""The `palimpsest db` commands: the schema, its dictionary, its address and the rights of readers.

Exit codes as in `cli/__main__.py`.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import EXIT_PARTIAL, fail, open_current_pipeline, out, print_line, say

if TYPE_CHECKING:
    from palimpsest_pipeline.pipeline.context import Pipeline

db_app = typer.Typer(no_args_is_help=True, help="The database schema, and the rights to read it.")


@db_app.command("upgrade")
def upgrade_command() -> None:
    """Upgrade our schema and Dagster's to the newest version; leave the embedded server running.

    `dagster dev` can then use it. Prints the duration, and the size of our database before and after.
    """
    from palimpsest_pipeline.defs.instance import open_instance
    from palimpsest_pipeline.operate.databases import open_databases, prepare_schema
    from palimpsest_pipeline.storage.odds.storage_growth import read_database_bytes

    def measure_mb(pipeline: "Pipeline") -> float:
        with pipeline.connect() as conn:
            return read_database_bytes(conn) / 1e6

    configured = load_settings()
    with open_databases(configured, keep_running=True) as pipeline:
        before_mb, began_s = measure_mb(pipeline), time.monotonic()
        prepare_schema(pipeline)
        with open_instance(configured):
            pass
        say(
            f"upgraded in {time.monotonic() - began_s:.1f} s; our database takes {measure_mb(pipeline):.1f} MB, "
            f"{before_mb:.1f} MB before"
        )
        print_line(f"schemas are up to date; for Dagster: export DAGSTER_HOME={configured.dagster_home}")


@db_app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Only base: it removes everything.")] = "base",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Drop our schemas with all their data, whichever version made them. The landing and the export stay."""
    from palimpsest_pipeline.operate.databases import open_databases
    from palimpsest_pipeline.storage.db import migrate
    from palimpsest_pipeline.tables import SCHEMAS

    if revision != "base":
        raise typer.BadParameter(f"there is no older schema {revision!r}; base drops ours")
    if not yes:
        typer.confirm(f"Drop the schemas {', '.join(SCHEMAS)} with all their data?", abort=True)
    with open_databases(load_settings()) as pipeline:
        migrate.downgrade_to_base(pipeline.database.url)
    out.print("our schemas are dropped")


@db_app.command()
def check() -> None:
    """Compare the database with the models. Exit code 1 when they differ."""
    from palimpsest_pipeline.operate.databases import open_databases
    from palimpsest_pipeline.storage.db.drift import find_drift

    with open_databases(load_settings()) as pipeline:
        differences = find_drift(pipeline.database.url)
    if differences:
        for line in differences:
            print_line(line)
        raise fail(f"differences between the declared tables and the database: {len(differences)}")
    out.print("models and database agree")


@db_app.command()
def url(
    analyst: Annotated[
        bool,
        typer.Option(
            "--analyst", help="The address of the read-only role, without its password, which is not known here."
        ),
    ] = False,
) -> None:
    """Print the database's address, password included, for psql and other clients.

    An embedded server must be running.
    """
    from palimpsest_pipeline.pipeline import analyst_role
    from palimpsest_pipeline.pipeline.context import DATABASE_NAMES, Pipeline, make_embedded_server

    configured = load_settings()
    if configured.is_embedded and not make_embedded_server(configured).status().running:
        raise fail(
            "the embedded server is not running: start it with `palimpsest up` or `palimpsest db upgrade`; it runs "
            "until `palimpsest down`"
        )
    if analyst:
        address = analyst_role.build_analyst_url(configured)
    else:
        address = (
            make_embedded_server(configured).build_libpq_url(DATABASE_NAMES[0])
            if configured.is_embedded
            else Pipeline(configured).database.conninfo
        )
    print_line(address)


@db_app.command()
def roles() -> None:
    """Create the roles of analysts and of the sender of messages, or update their rights.

    Analysts read the marts and the views for analysts; the sender delivers the messages to traders. The command also
    revokes the general rights to create temporary tables and large objects in our database, and to connect to
    Dagster's. Prints the rights of the roles beyond these that the pipeline's user may not revoke. Exit code 3 when an
    administrator must revoke some of them.
    """
    from palimpsest_pipeline.pipeline.analyst_role import enforce_analyst_access
    from palimpsest_pipeline.storage.db.roles import ANALYST, RIGHTS, SENDER_ROLE, may_lock

    configured = load_settings()
    with open_current_pipeline(configured) as pipeline:
        excess_rights = enforce_analyst_access(pipeline)
        with pipeline.connect() as conn:
            locking_roles = [role for role in RIGHTS if may_lock(conn, role)]
    print_line(f"{ANALYST} reads the schemas palimpsest and mart; `palimpsest db url --analyst` has its address")
    if not configured.is_embedded:
        say(f"if the server asks for a password, set one: alter role {ANALYST} password '...'; so for {SENDER_ROLE}")
    for line in excess_rights:
        say(line)
    for role in locking_roles:
        say(
            f"{role}: it may take advisory locks, which can block the pipeline while its session lasts. A superuser "
            "can grant pg_advisory_lock and the similar functions to the pipeline's user by name, and then revoke them "
            "from everybody"
        )
    if excess_rights:
        raise fail(
            "a role may do more than it needs: let an administrator of the server revoke these rights. To revoke "
            "rights of everybody, run `palimpsest db roles` with a superuser's name in PALIMPSEST_DATABASE_URL",
            EXIT_PARTIAL,
        )


@db_app.command()
def dictionary(
    file: Annotated[Path | None, typer.Argument(help="File to write; without it, the text is printed.")] = None,
) -> None:
    """Print the data dictionary, as Markdown: every table, view, function and column with its meaning.

    It is made from the comments of a temporary database.
    """
    from palimpsest_pipeline.operate.data_dictionary import build_dictionary

    text = build_dictionary()
    if file is None:
        out.print(text, highlight=False, soft_wrap=True, markup=False, end="")
    else:
        file.write_text(text, encoding="utf-8")
        print_line(f"wrote {file}")
