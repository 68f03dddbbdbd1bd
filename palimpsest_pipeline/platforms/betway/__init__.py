"""The dialect of Betway's African sites: the feeds behind them, one host for all countries."""

from .adapter import BetwayAdapter

__all__ = ["BetwayAdapter"]
