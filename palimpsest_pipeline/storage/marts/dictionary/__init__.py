"""The data dictionary: every table, view and function of ours with its columns, as one text that needs no database to
be read.

Belongs here: what Postgres's own catalogue says of them, and how it is written down. Does not: any definition (the
comments of `tables` and of `sql/views` are), what guards a table (who calls knows checks and tests), where the file
lies.
"""

from .entries import Column, Entry, find_unit, read_entries
from .text import Guards, render_dictionary

__all__ = ["Column", "Entry", "Guards", "find_unit", "read_entries", "render_dictionary"]
