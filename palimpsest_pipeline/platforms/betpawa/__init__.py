"""The dialect of BetPawa: the sportsbook API behind betpawa.ng and its sister brands, v3 and v4."""

from .adapter import BetpawaAdapter

__all__ = ["BetpawaAdapter"]
