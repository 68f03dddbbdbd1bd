"""The dialect of SportyBet: the `factsCenter` API behind the site, one host for all countries."""

from .adapter import SportybetAdapter

__all__ = ["SportybetAdapter"]
