"""Which queued run goes first, how many derive at a time, and which is not begun anew: tags of jobs and of run requests.

What has no priority comes last: backfills, wherever they were launched.
"""

from typing import Final

TAG: Final = "dagster/priority"
URGENT: Final = {TAG: "30"}
"""Fixtures that kick off soon, or that somebody asked for."""
SCRAPING: Final = {TAG: "20"}
"""Full cycles."""
WORK_TAG: Final = "palimpsest/work"
DERIVATION: Final = "derivation"
DERIVES: Final = {WORK_TAG: DERIVATION}
"""A run that asks no platform. Few of these execute at a time, so that a run that scrapes finds a free slot."""
DERIVING: Final = {TAG: "10", **DERIVES}
"""What was scraped becomes tables. Asks no platform, so it can wait, but less than a backfill."""
SLOTS_FOR_SCRAPES: Final = 2
"""Concurrent runs that derivations and backfills leave free for scrapes: a full cycle, and one for the minutes before a kickoff."""
BACKFILL_RUNS: Final = 1
ENOUGH_RUNS: Final = BACKFILL_RUNS + SLOTS_FOR_SCRAPES + 1
"""Of so many runs at a time, scrapes always find their slots free."""


def max_derivations(max_concurrent_runs: int) -> int:
    """Return how many derivations may execute at a time, beside one run of a backfill: at least one, however few runs there may be."""
    return max(1, max_concurrent_runs - BACKFILL_RUNS - SLOTS_FOR_SCRAPES)


ONCE: Final = {"dagster/max_retries": "0"}
"""No daemon begins the run anew when its process died. For what asks the platforms: its moment has passed, the next tick comes, and what it had
landed is derived by itself. And for runs from a terminal: who looks on may have ended it."""
