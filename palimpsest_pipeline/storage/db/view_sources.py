"""Find the tables that each view reads, and the views that read a table, from the SQL files."""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final

from .revisions import list_view_files, parse_view_name

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
