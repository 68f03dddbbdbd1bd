"""Which queued run goes first, how many derive at a time, and which is not begun anew: tags of jobs and of run
requests.

What has no priority comes last: backfills, wherever they were launched.
"""

from typing import Final

PRIORITY_TAG: Final = "dagster/priority"
URGENT_TAGS: Final = {PRIORITY_TAG: "30"}
"""Fixtures that kick off soon, or that somebody asked for."""
SCRAPING_TAGS: Final = {PRIORITY_TAG: "20"}
"""Full cycles."""
WORK_TAG: Final = "palimpsest/work"
DERIVATION_WORK: Final = "derivation"
DERIVATION_TAGS: Final = {WORK_TAG: DERIVATION_WORK}
"""A run that asks no platform. Few of these execute at a time, so that a run that scrapes finds a free slot."""
LIVE_DERIVATION_TAGS: Final = {PRIORITY_TAG: "10", **DERIVATION_TAGS}
"""What was scraped becomes tables. Asks no platform, so it can wait, but less than a backfill."""
RESERVED_SCRAPE_RUNS: Final = 2
"""Concurrent runs that derivations and backfills leave free for scrapes: a full cycle, and one for the minutes
before a kickoff.
"""
MAX_BACKFILL_RUNS: Final = 1
MIN_RUNS_FOR_FREE_SLOTS: Final = MAX_BACKFILL_RUNS + RESERVED_SCRAPE_RUNS + 1
"""Of so many runs at a time, scrapes always find their slots free."""


def compute_max_derivations(max_concurrent_runs: int) -> int:
    """Return how many derivations may execute at a time, beside one run of a backfill: at least one, however few
    runs there may be.
    """
    return max(1, max_concurrent_runs - MAX_BACKFILL_RUNS - RESERVED_SCRAPE_RUNS)


NO_RETRY_TAGS: Final = {"dagster/max_retries": "0"}
"""No daemon begins the run anew when its process died. For what asks the platforms: its moment has passed, the next
tick comes, and what it had landed is derived by itself. And for runs from a terminal: who looks on may have ended
it."""
