"""The declarations of all tables: columns, keys, constraints and comments.

The comments reach Postgres, Dagster and the analysts. `ops` is the ledger, `core` holds the content of the landing, and
`mart` is derived from core. Every change here needs a migration; `palimpsest db check` fails when the database and the
declarations differ.
"""

from . import core, current_prices, lifecycle, mart, ops, players
from .base import SCHEMAS, Base

metadata = Base.metadata

__all__ = ["SCHEMAS", "Base", "core", "current_prices", "lifecycle", "mart", "metadata", "ops", "players"]
