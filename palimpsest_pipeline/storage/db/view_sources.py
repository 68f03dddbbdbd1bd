"""Which of the analysts' views read which tables, from the views' own files."""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final

from .revisions import list_view_files, parse_view_name

TABLE_PATTERN: Final = re.compile(r"\b(?:from|join)\s+((?:core|mart|ops|palimpsest)\.\w+)")


def find_views(table: str) -> list[str]:
    """Views that read `schema.table`, themselves or through others, in order of their names:
    `palimpsest.coverage_events`.
    """
    found: set[str] = set()
    left = [table]
    while left:
        new = _map_readers().get(left.pop(), set()) - found
        found |= new
        left += new
    return sorted(found)


def find_tables(view: str) -> tuple[str, ...]:
    """Tables, views and functions that a view or function reads itself, in order of their names."""
    return tuple(sorted(table for table, readers in _map_readers().items() if view in readers))


@cache
def _map_readers() -> Mapping[str, set[str]]:
    readers = defaultdict(set)
    for file in list_view_files():
        for table in TABLE_PATTERN.findall(file.read_text()):
            readers[table].add(f"palimpsest.{parse_view_name(file)}")
    return readers
