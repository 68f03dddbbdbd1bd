"""Read the revision of a database and find the files of migrations, views and functions.

Belongs here: code that migrations and the comparison (`drift`) share. Nothing here changes a database.
"""

import re
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from ..tables import SCHEMAS, metadata

VERSION_SCHEMA: Final = "ops"
MigrationRefused = CommandError
"""The error of Alembic when no migrations lead from the database's revision to the wanted one."""
DAY_PARTITION_PATTERN: Final = re.compile(r"^(captures|market_changes)_\d{8}$")


def sql_dir() -> Path:
    """Return the folder that contains `migrations` and `views`.

    In an installed wheel it is inside the package, in a checkout beside it.
    """
    package = Path(__file__).parents[2]
    installed = package / "_sql"
    return installed if installed.is_dir() else package.parent / "sql"


def alembic_options() -> dict[str, Any]:
    """Return the Alembic options for migrations and for comparing the models with the database."""
    return {
        "target_metadata": metadata,
        "version_table_schema": VERSION_SCHEMA,
        "include_schemas": True,
        "include_name": _is_ours,
        "compare_type": True,
    }


def read_head_revision() -> str:
    """Return the newest revision that this version of the package knows."""
    revision = ScriptDirectory.from_config(build_alembic_config(None)).get_current_head()
    assert revision is not None
    return revision


def read_current_revision(connection: sa.Connection) -> str | None:
    """Return the Alembic revision of the database; None when the product is not installed in it."""
    return MigrationContext.configure(connection, opts={"version_table_schema": VERSION_SCHEMA}).get_current_revision()


VIEWS_PRESENT_SQL: Final = """
    select viewname::text as name, 'view' as kind from pg_views where schemaname = 'palimpsest'
    union all
    select proname::text, 'function' from pg_proc where pronamespace = to_regnamespace('palimpsest')
"""


def list_view_files() -> list[Path]:
    """Return the SQL files of views and functions, in order of creation.

    A view may use views of earlier files.
    """
    return sorted((sql_dir() / "views").glob("*.sql"))


def parse_view_name(file: Path) -> str:
    """Return the view or function that a file creates: `tournaments` for `010_tournaments.sql`."""
    return file.stem.partition("_")[2]


def build_alembic_config(connection: sa.Connection | None) -> Config:
    """Return Alembic's configuration for a run in this process; its env.py uses `connection`."""
    config = Config()
    config.set_main_option("script_location", str(sql_dir() / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Return whether Alembic compares an object.

    It compares the objects of the product's schemas, except daily partitions (created at run time) and Alembic's own
    table.
    """
    if kind == "schema":
        return name in SCHEMAS
    if kind == "table":
        return name is not None and name != "alembic_version" and not DAY_PARTITION_PATTERN.match(name)
    return True
