"""Asking a host: the only room that imports httpx. One attempt at a time, typed failures, and the table of what follows
from them.

Knows no platform's dialect, no budget, and keeps nothing. What asks is in `client` and `post_json`; the rest imports no
HTTP library, which takes longer
to load than all the rest of the rooms together: whoever only judges or plans pays nothing for it.
"""

from .client_config import HostConfig

__all__ = ["HostConfig"]
