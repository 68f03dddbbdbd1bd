"""Tags of jobs and run requests that set the order of the queue, concurrency limits and retries.

A run without a priority comes last: backfills, wherever they were started.
"""

from typing import Final

PRIORITY_TAG: Final = "dagster/priority"
URGENT_TAGS: Final = {PRIORITY_TAG: "30"}
"""Priority of runs for fixtures that kick off soon, or that a user requested."""
SCRAPING_TAGS: Final = {PRIORITY_TAG: "20"}
"""Priority of full cycles."""
WORK_TAG: Final = "palimpsest/work"
DERIVATION_WORK: Final = "derivation"
DERIVATION_TAGS: Final = {WORK_TAG: DERIVATION_WORK}
"""Tag of a run that sends no requests to platforms.

Few of these execute at a time, so that a scrape finds a free slot.
"""
LIVE_DERIVATION_TAGS: Final = {PRIORITY_TAG: "10", **DERIVATION_TAGS}
"""Tags of a run that derives tables from a fresh scrape. It can wait, but less than a backfill."""
RESERVED_SCRAPE_RUNS: Final = 2
"""Concurrent runs that derivations and backfills leave free for scrapes.

One is for a full cycle, the other for the minutes before a kickoff.
"""
MAX_BACKFILL_RUNS: Final = 1
MIN_RUNS_FOR_FREE_SLOTS: Final = MAX_BACKFILL_RUNS + RESERVED_SCRAPE_RUNS + 1
"""Minimum number of concurrent runs with which scrapes always find their slots free."""


def compute_max_derivations(max_concurrent_runs: int) -> int:
    """Return the maximum number of concurrent derivations, besides one run of a backfill.

    It is at least one, even if the limit of runs is lower.
    """
    return max(1, max_concurrent_runs - MAX_BACKFILL_RUNS - RESERVED_SCRAPE_RUNS)


NO_RETRY_TAGS: Final = {"dagster/max_retries": "0"}
"""Tag of runs that no daemon starts again after their process died.

Scrapes have it, because their moment has passed: the next tick comes, and a sensor derives the payloads that were
landed. Runs from a terminal have it too, because the user may have ended them.
"""
