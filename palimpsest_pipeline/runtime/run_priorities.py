"""Tags of runs that control the order of Dagster's queue, concurrency limits and retries.

Runs without a priority come last. Backfills have none.
"""

from typing import Final

PRIORITY_TAG: Final = "dagster/priority"
URGENT_TAGS: Final = {PRIORITY_TAG: "30"}
"""Priority of runs for fixtures that kick off soon or that a user has requested."""
SCRAPING_TAGS: Final = {PRIORITY_TAG: "20"}
"""Priority of full cycles."""
WORK_TAG: Final = "palimpsest/work"
DERIVATION_WORK: Final = "derivation"
DERIVATION_TAGS: Final = {WORK_TAG: DERIVATION_WORK}
"""Tag of a run that sends no requests to platforms.

Dagster limits how many of these run at once, so a scrape can always start.
"""
LIVE_DERIVATION_TAGS: Final = {PRIORITY_TAG: "10", **DERIVATION_TAGS}
"""Tags of a run that derives tables from a new scrape. Its priority is higher than a backfill's."""
RESERVED_SCRAPE_RUNS: Final = 2
"""Number of concurrent runs that are reserved for scrapes.

One is for a full cycle, the other for fixtures that kick off soon.
"""
MAX_BACKFILL_RUNS: Final = 1
MIN_RUNS_FOR_FREE_SLOTS: Final = MAX_BACKFILL_RUNS + RESERVED_SCRAPE_RUNS + 1
"""Minimum limit of concurrent runs with which the reserved runs for scrapes are always free."""


def compute_max_derivations(max_concurrent_runs: int) -> int:
    """Return the maximum number of concurrent derivations, in addition to one run of a backfill.

    It is at least 1, even if `max_concurrent_runs` is lower.
    """
    return max(1, max_concurrent_runs - MAX_BACKFILL_RUNS - RESERVED_SCRAPE_RUNS)


NO_RETRY_TAGS: Final = {"dagster/max_retries": "0"}
"""Tag of runs that Dagster does not start again after their process has died.

Scrapes have it, because a repeated scrape would come too late: the next scheduled one follows, and a sensor derives the
answers that were landed. Runs started in a terminal have it too, because the user may have ended them.
"""
