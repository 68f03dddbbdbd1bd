"""The revision of the schema, a digest of its DDL, and the SQL files of its views.

A database records the revision that created it.

Until version 0.1.0 there is one revision. Every change of the tables or of `sql/*_tables.sql` changes the digest, so
that a database of another state is recognised. Nothing here changes a database.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic.util import CommandError

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.tables import SCHEMAS, metadata

VERSION_TABLE: Final = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
    schema="ops",
)
"""The table with the revision of the database. Its form is that of Alembic, for later revisions."""
MigrationRefused = CommandError
"""The error of Alembic when no migrations lead from a database's revision to the wanted one."""
BEFORE_TABLES_FILE: Final = "before_tables.sql"
AFTER_TABLES_FILE: Final = "after_tables.sql"
VIEWS_PRESENT_SQL: Final = """
    select viewname::text as name, 'view' as kind from pg_views where schemaname = 'palimpsest'
    union all
    select proname::text, 'function' from pg_proc where pronamespace = to_regnamespace('palimpsest')
"""


class SchemaOutOfDate(PalimpsestError):
    """The database lacks our tables or has another state of them. The message gives the remedy."""


def sql_dir() -> Path:
    """Return the folder of the SQL files.

    In an installed wheel it is inside the package, in a checkout beside it.
    """
    package = Path(__file__).parents[2]
    installed = package / "_sql"
    return installed if installed.is_dir() else package.parent / "sql"


@cache
def compute_revision() -> str:
    """Return the digest of the DDL of schemas, types, tables, indexes, comments and functions.

    White space does not count, and neither do views, which every upgrade can create again.
    """
    statements: list[str] = []

    def add_statement(statement: Any, *_: Any, **__: Any) -> None:
        statements.append(" ".join(str(statement.compile(dialect=engine.dialect)).split()))

    engine = sa.create_mock_engine("postgresql+psycopg://", add_statement)
    metadata.create_all(engine, checkfirst=False)
    texts = [(sql_dir() / name).read_text() for name in (BEFORE_TABLES_FILE, AFTER_TABLES_FILE)]
    content = "\n".join([*map(repr, SCHEMAS.items()), *sorted(statements), *(" ".join(text.split()) for text in texts)])
    return md5(content.encode(), usedforsecurity=False).hexdigest()[:12]


def read_revision(connection: sa.Connection) -> str | None:
    """Return the revision of the database; None when the product is not installed in it."""
    if not sa.inspect(connection).has_table(VERSION_TABLE.name, VERSION_TABLE.schema):
        return None
    return connection.scalar(sa.select(VERSION_TABLE.c.version_num))


def describe_other_state(revision: str | None) -> str | None:
    """Return one sentence with the remedy unless `revision` of a database is that of this program."""
    if revision == compute_revision():
        return None
    if revision is None:
        return (
            "the database has no tables of ours: run `palimpsest db upgrade` (scrape, backfill and up do it themselves)"
        )
    return (
        f"the database was made by another version of the program (schema {revision}, not {compute_revision()}), and "
        "nothing converts it: drop our tables with `palimpsest db downgrade base`, run `palimpsest db upgrade`, and "
        "derive everything again from the landing with `palimpsest backfill --stale`"
    )


def list_view_files() -> list[Path]:
    """Return the SQL files of views and functions, in order of creation.

    A view may use views of earlier files.
    """
    return sorted((sql_dir() / "views").glob("*.sql"))


def parse_view_name(file: Path) -> str:
    """Return the view or function that a file creates: `tournaments` for `010_tournaments.sql`."""
    return file.stem.partition("_")[2]


TABLE_PATTERN: Final = re.compile(r"\b(?:from|join)\s+((?:core|mart|ops|palimpsest)\.\w+)")


def find_views(table: str) -> list[str]:
    """Return the sorted names of all views that read `schema.table`, directly or through other views.

    A name has the form `palimpsest.coverage_events`.
    """
    views: set[str] = set()
    pending = [table]
    while pending:
        new_views = _map_readers().get(pending.pop(), set()) - views
        views |= new_views
        pending += new_views
    return sorted(views)


def find_tables(view: str) -> tuple[str, ...]:
    """Return the sorted names of tables, views and functions that a view or function reads directly."""
    return tuple(sorted(table for table, readers in _map_readers().items() if view in readers))


@cache
def _map_readers() -> Mapping[str, set[str]]:
    readers = defaultdict(set)
    for file in list_view_files():
        for table in TABLE_PATTERN.findall(file.read_text()):
            readers[table].add(f"palimpsest.{parse_view_name(file)}")
    return readers
