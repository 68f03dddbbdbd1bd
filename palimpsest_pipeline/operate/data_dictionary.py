"""The data dictionary of this checkout, built from the comments of a temporary database.

It also names the checks, tests and example queries for each relation. Belongs here: collecting these facts. Does not
belong here: the layout of the text (`storage/marts/dictionary`).
"""

import importlib
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.defs.asset_metadata import list_written_tables
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import migrate
from palimpsest_pipeline.storage.db.revisions import sql_dir
from palimpsest_pipeline.storage.marts.dictionary import Entry, Guards, read_entries, render_dictionary

DICTIONARY_FILE: Final = "DICTIONARY.md"
DATABASE_NAME: Final = "dictionary"
DEFINITIONS_MODULE: Final = "palimpsest_pipeline.definitions"
TESTS_PACKAGE: Final = "palimpsest_pipeline_tests"
BARE_NAME_SCHEMAS: Final = ("mart",)
"""Schemas whose tables are also recognised in texts without the schema, if the name has several words."""


class NoCheckout(PalimpsestError):
    """The program does not run from a checkout. The message names the dictionary inside the package."""


def locate_dictionary() -> Path:
    """Return the path of this checkout's dictionary. Raises NoCheckout."""
    file = sql_dir() / DICTIONARY_FILE
    if not (sql_dir().parent / TESTS_PACKAGE).is_dir():
        raise NoCheckout(
            f"the dictionary can only be built in a checkout with the tests; the dictionary of this version is {file}"
        )
    return file


def build_dictionary() -> str:
    """Return the text of the dictionary for the current models and migrations.

    This takes some seconds: a temporary server runs the migrations.
    """
    with tempfile.TemporaryDirectory(prefix="palimpsest-dictionary-") as folder:
        Path(folder).chmod(0o711)  # if we are root, the server's user must be able to enter it
        server = EmbeddedPostgres(Path(folder) / "postgres", databases=[DATABASE_NAME], durable=False)
        try:
            server.start()
            migrate.upgrade(server.build_url(DATABASE_NAME))
            with psycopg.connect(server.build_libpq_url(DATABASE_NAME)) as conn:
                return describe_database(conn)
        finally:
            server.remove()


def describe_database(conn: psycopg.Connection) -> str:
    """Return the text of the dictionary for a migrated database."""
    entries = read_entries(conn)
    return render_dictionary(entries, find_guards(entries))


def find_guards(relations: Sequence[Entry]) -> Mapping[str, Guards]:
    """Return by full name of each relation its assets and checks, and the files that mention it.

    The assets are those that write a table; the files are tests and example queries.
    """
    definitions: dg.Definitions = importlib.import_module(DEFINITIONS_MODULE).defs
    graph = definitions.resolve_asset_graph()
    filled: defaultdict[str, list[dg.AssetKey]] = defaultdict(list)
    for spec in definitions.resolve_all_asset_specs():
        for table, columns in list_written_tables(spec).items():
            if "*" in columns:
                filled[table].append(spec.key)
    checks: defaultdict[tuple[dg.AssetKey, bool], set[str]] = defaultdict(set)
    for key in graph.asset_check_keys:
        checks[key.asset_key, graph.get_check_spec(key).blocking].add(key.name)
    root = sql_dir().parent
    tests = _find_mentions(
        relations,
        sorted(f for f in (root / TESTS_PACKAGE).rglob("*") if f.suffix == ".sql" or f.match("test_*.py")),
        root / TESTS_PACKAGE,
    )
    example_queries = _find_mentions(relations, sorted((sql_dir() / "queries").glob("*.sql")), sql_dir())
    return {
        entry.full_name: Guards(
            assets=sorted(key.to_user_string() for key in filled[entry.full_name]),
            blocking_checks=sorted({name for key in filled[entry.full_name] for name in checks[key, True]}),
            checks=sorted({name for key in filled[entry.full_name] for name in checks[key, False]}),
            tests=tests[entry.full_name],
            example_queries=example_queries[entry.full_name],
        )
        for entry in relations
    }


def _find_mentions(entries: Iterable[Entry], files: Iterable[Path], base: Path) -> Mapping[str, list[str]]:
    """Return the files that mention each relation, by its full name."""
    patterns = {
        entry.full_name: (
            entry.name,
            re.compile(
                rf"\b({entry.schema}\.)?{entry.name}\b"
                if entry.schema in BARE_NAME_SCHEMAS and "_" in entry.name
                else rf"\b{entry.full_name}\b"
            ),
        )
        for entry in entries
    }
    mentions: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        text = file.read_text()
        for full_name, (name, pattern) in patterns.items():
            if name in text and pattern.search(text):  # most files lack the name, and the pattern is slow
                mentions[full_name].append(str(file.relative_to(base)))
    return mentions
