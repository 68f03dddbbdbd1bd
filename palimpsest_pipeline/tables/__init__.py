"""The SQLAlchemy declarations of all tables: columns, keys, constraints and comments.

The comments are shown in Postgres and Dagster and to analysts. The schema `ops` has the ledger, `core` the content of
the landing, and `mart` tables derived from core. Every change here makes a new revision of the schema
(`storage.db.revisions`); `palimpsest db check` fails when the database and the declarations differ.
"""

from . import core, current_prices, lifecycle, mart, ops, players, push
from .declarative_base import SCHEMAS, Base

metadata = Base.metadata

__all__ = ["SCHEMAS", "Base", "core", "current_prices", "lifecycle", "mart", "metadata", "ops", "players", "push"]
