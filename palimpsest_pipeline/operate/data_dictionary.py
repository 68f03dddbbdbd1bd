"""The data dictionary, built from the comments of a temporary database.

It also names the assets, checks and example queries of each relation. The layout of the text is in
`storage/marts/dictionary`.
"""

import importlib
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.defs.asset_metadata import list_written_tables
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import migrate
from palimpsest_pipeline.storage.db.revisions import sql_dir
from palimpsest_pipeline.storage.marts.dictionary import Entry, Guards, read_entries, render_dictionary

DATABASE_NAME: Final = "dictionary"
_DEFINITIONS_MODULE: Final = "palimpsest_pipeline.definitions"


def build_dictionary() -> str:
    """Return the text of the dictionary. This takes some seconds: a temporary server creates the schema."""
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
    """Return the text of the dictionary for a database with our schema."""
    entries = read_entries(conn)
    return render_dictionary(entries, find_guards(entries))


def find_guards(relations: Sequence[Entry]) -> Mapping[str, Guards]:
    """Return by full name of each relation its assets and checks, and the example queries that read it.

    The assets are those that write a table.
    """
    definitions: dg.Definitions = importlib.import_module(_DEFINITIONS_MODULE).defs
    graph = definitions.resolve_asset_graph()
    filled: defaultdict[str, list[dg.AssetKey]] = defaultdict(list)
    for spec in definitions.resolve_all_asset_specs():
        for table, columns in list_written_tables(spec).items():
            if "*" in columns:
                filled[table].append(spec.key)
    checks: defaultdict[tuple[dg.AssetKey, bool], set[str]] = defaultdict(set)
    for key in graph.asset_check_keys:
        checks[key.asset_key, graph.get_check_spec(key).blocking].add(key.name)
    queries = {file.stem: file.read_text() for file in sorted((sql_dir() / "queries").glob("*.sql"))}
    return {
        entry.full_name: Guards(
            assets=sorted(key.to_user_string() for key in filled[entry.full_name]),
            blocking_checks=sorted({name for key in filled[entry.full_name] for name in checks[key, True]}),
            checks=sorted({name for key in filled[entry.full_name] for name in checks[key, False]}),
            example_queries=[
                name for name, text in queries.items() if re.search(rf"\b{re.escape(entry.full_name)}\b", text)
            ],
        )
        for entry in relations
    }
