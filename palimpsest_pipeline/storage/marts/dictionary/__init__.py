"""Build the data dictionary: all tables, views and functions with their columns, as one text.

The text can be read without a database.
"""

from .entries import Column, Entry, find_unit, read_entries
from .text import Guards, render_dictionary

__all__ = ["Column", "Entry", "Guards", "find_unit", "read_entries", "render_dictionary"]
