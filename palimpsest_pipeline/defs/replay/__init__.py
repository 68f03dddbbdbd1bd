"""Replay: deriving core and mart of past hours from what was landed. Never asks a platform."""

from .backfill import Report, backfill, lost, make_due
from .plan import Hour, plan

__all__ = ["Hour", "Report", "backfill", "lost", "make_due", "plan"]
