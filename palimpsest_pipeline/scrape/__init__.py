"""The scrape: discover, choose targets, capture, and say what came of it. asyncio; no database, no Dagster, no settings: sinks are given to it."""

from .capture import capture
from .cycle import Scraped, run_cycle
from .discovery import Found, discover
from .ledger import discovery_result
from .targets import targets

__all__ = ["Found", "Scraped", "capture", "discover", "discovery_result", "run_cycle", "targets"]
