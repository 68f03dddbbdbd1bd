"""HTTP requests to hosts: one attempt at a time, failures with a class, and how each class is handled.

This is the only package that imports httpx. It has no code for a single platform and no request budgets, and stores
nothing. An HTTP library takes longer to load than all other packages together, so only `client`, `post_json` and the
modules they use import one.
"""

from .client_config import HostConfig

__all__ = ["HostConfig"]
