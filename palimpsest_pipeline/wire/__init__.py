"""Asking a host: the only room that imports httpx. Budget, retry, typed failures, breaker. Knows no platform's dialect and keeps nothing."""

from .client import PlatformClient
from .config import HostConfig, HostLimits

__all__ = ["HostConfig", "HostLimits", "PlatformClient"]
