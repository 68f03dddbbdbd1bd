"""HTTP requests to hosts: one attempt at a time, typed failures, and the table of their consequences.

This is the only package that imports httpx. It knows no platform's dialect and no budget, and stores nothing. Only
`client`, `post_json` and the modules they use import an HTTP library, which takes longer to load than all the other
packages together; code that only judges answers or plans requests does not load it.
"""

from .client_config import HostConfig

__all__ = ["HostConfig"]
