"""Build the engine's setups of hosts from adapters, clients and budgets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.base import PlatformAdapter

from .dialect_guard import guard_judge
from .engine import HostSetup
from .host_budget import HostBudget

if TYPE_CHECKING:
    from palimpsest_pipeline.wire.client import PlatformClient


def build_host_setups(
    adapters: Mapping[Platform, PlatformAdapter],
    clients: "Mapping[Platform, PlatformClient]",
    budgets: Mapping[Platform, HostBudget],
) -> dict[Platform, HostSetup]:
    """Return the setup of each platform that has a client."""
    return {
        platform: HostSetup(client, guard_judge(adapters[platform]), budgets[platform])
        for platform, client in clients.items()
    }
