"""The dialect of Betika: the `uo` API behind the site, one catalogue for all its countries."""

from .adapter import BetikaAdapter

__all__ = ["BetikaAdapter"]
