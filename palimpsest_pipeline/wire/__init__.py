"""Asking a host: the only room that imports httpx. One attempt at a time, typed failures, and the table of what follows from them.

Knows no platform's dialect, no budget, and keeps nothing.
"""

from .client import PlatformClient
from .config import HostConfig
from .post import PostFailed, post_json

__all__ = ["HostConfig", "PlatformClient", "PostFailed", "post_json"]
