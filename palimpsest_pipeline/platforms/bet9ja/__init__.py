"""The dialect of Bet9ja: the desktop feed behind sports.bet9ja.com."""

from .adapter import Bet9jaAdapter

__all__ = ["Bet9jaAdapter"]
