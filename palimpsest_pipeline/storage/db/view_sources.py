"""Which of the analysts' views read which tables, from the views' own files."""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final

from .revisions import view_files, view_name

TABLE: Final = re.compile(r"\b(?:from|join)\s+((?:core|mart|ops|palimpsest)\.\w+)")


def views_of(table: str) -> list[str]:
    """Views that read `schema.table`, themselves or through others, in order of their names: `palimpsest.coverage_events`."""
    found: set[str] = set()
    left = [table]
    while left:
        new = _readers().get(left.pop(), set()) - found
        found |= new
        left += new
    return sorted(found)


def tables_of(view: str) -> tuple[str, ...]:
    """Tables, views and functions that a view or function reads itself, in order of their names."""
    return tuple(sorted(table for table, readers in _readers().items() if view in readers))


@cache
def _readers() -> Mapping[str, set[str]]:
    readers = defaultdict(set)
    for file in view_files():
        for table in TABLE.findall(file.read_text()):
            readers[table].add(f"palimpsest.{view_name(file)}")
    return readers
