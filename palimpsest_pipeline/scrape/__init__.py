"""The scrape: discover, choose targets, capture, and say what came of it. Asks through one engine; no database, no Dagster, no settings."""

from .capture import capture
from .cycle import Scraped, hosts, run_cycle
from .discovery import continue_discoveries, discover
from .engine import Engine, Host
from .outcomes import broken_off, discovery_result, outcomes_of_landed, running, tallies_of_landed
from .stage_tally import Tally
from .targets import targets

__all__ = [
    "Engine",
    "Host",
    "Scraped",
    "Tally",
    "broken_off",
    "capture",
    "continue_discoveries",
    "discover",
    "discovery_result",
    "hosts",
    "outcomes_of_landed",
    "run_cycle",
    "running",
    "tallies_of_landed",
    "targets",
]
