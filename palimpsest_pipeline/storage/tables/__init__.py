"""Every table of ours, declared once: columns, keys, constraints and the comments that reach Postgres, Dagster and the
analysts.

`ops` is the ledger, `core` what the landing says, `mart` what is derived from core. A migration follows any change
here; `palimpsest db check` fails when the two disagree.
"""

from . import core, current_prices, lifecycle, mart, ops, players
from .base import SCHEMAS, Base

metadata = Base.metadata

__all__ = ["SCHEMAS", "Base", "core", "current_prices", "lifecycle", "mart", "metadata", "ops", "players"]
