"""The data dictionary of this checkout: a database made for the purpose, and which checks, tests and examples guard
what is in it.

Belongs here: gathering. Does not: what the text looks like (`storage/marts/dictionary`).
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
"""Schemas whose tables are known by their bare names too, where those are more than one word."""


class NoCheckout(PalimpsestError):
    """The dictionary is made in a checkout only. The message says where the one that came with the package is."""


def locate_dictionary() -> Path:
    """Where the dictionary of this checkout lies. Raises NoCheckout."""
    file = sql_dir() / DICTIONARY_FILE
    if not (sql_dir().parent / TESTS_PACKAGE).is_dir():
        raise NoCheckout(
            f"the dictionary is made in a checkout, where the tests are; the one of this version is {file}"
        )
    return file


def build_dictionary() -> str:
    """The dictionary as it must be now; takes some seconds, in which a server of its own runs in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="palimpsest-dictionary-") as folder:
        Path(folder).chmod(0o711)  # as root the server's user must pass through
        server = EmbeddedPostgres(Path(folder) / "postgres", databases=[DATABASE_NAME], durable=False)
        try:
            server.start()
            migrate.upgrade(server.build_url(DATABASE_NAME))
            with psycopg.connect(server.build_libpq_url(DATABASE_NAME)) as conn:
                return build_dictionary_of(conn)
        finally:
            server.remove()


def build_dictionary_of(conn: psycopg.Connection) -> str:
    """The dictionary of a migrated database."""
    found = read_entries(conn)
    return render_dictionary(found, find_guards(found))


def find_guards(relations: Sequence[Entry]) -> Mapping[str, Guards]:
    """By full name: the assets that fill a table with their checks, and the tests and example queries that name it."""
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
    asked = _find_mentions(relations, sorted((sql_dir() / "queries").glob("*.sql")), sql_dir())
    return {
        entry.full_name: Guards(
            assets=sorted(key.to_user_string() for key in filled[entry.full_name]),
            blocking_checks=sorted({name for key in filled[entry.full_name] for name in checks[key, True]}),
            checks=sorted({name for key in filled[entry.full_name] for name in checks[key, False]}),
            tests=tests[entry.full_name],
            example_queries=asked[entry.full_name],
        )
        for entry in relations
    }


def _find_mentions(found: Iterable[Entry], files: Iterable[Path], below: Path) -> Mapping[str, list[str]]:
    """By full name, the files that name it."""
    patterns = {
        entry.full_name: re.compile(
            rf"\b({entry.schema}\.)?{entry.name}\b"
            if entry.schema in BARE_NAME_SCHEMAS and "_" in entry.name
            else rf"\b{entry.full_name}\b"
        )
        for entry in found
    }
    naming: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        text = file.read_text()
        for name, pattern in patterns.items():
            if pattern.search(text):
                naming[name].append(str(file.relative_to(below)))
    return naming
