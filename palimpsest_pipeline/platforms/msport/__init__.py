"""The dialect of MSport: the `facts-center` API behind the site, one host for all countries."""

from .adapter import MsportAdapter

__all__ = ["MsportAdapter"]
