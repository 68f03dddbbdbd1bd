"""The scrape: discover listings, choose targets, capture their odds, and summarise the result.

All requests go through one engine. The package uses no database, no Dagster and no settings.
"""

from .capture import capture_targets
from .discovery import continue_discoveries, discover
from .engine import HostSetup, ScrapeEngine, build_host_setups
from .outcomes import (
    build_discovery_result,
    build_running_runs,
    build_unfinished_result,
    rebuild_outcomes,
    rebuild_tallies,
)
from .stage_tally import StageTally
from .targets import build_targets

__all__ = [
    "HostSetup",
    "ScrapeEngine",
    "StageTally",
    "build_discovery_result",
    "build_host_setups",
    "build_running_runs",
    "build_targets",
    "build_unfinished_result",
    "capture_targets",
    "continue_discoveries",
    "discover",
    "rebuild_outcomes",
    "rebuild_tallies",
]
