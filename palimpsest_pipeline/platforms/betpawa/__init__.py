"""BetPawa's dialect: the sportsbook API behind betpawa.ng and its sister brands, wire generations v3 and v4."""

from .adapter import BetpawaAdapter

__all__ = ["BetpawaAdapter"]
