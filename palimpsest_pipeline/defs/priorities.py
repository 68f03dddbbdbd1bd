"""Which queued run goes first, and which is not begun anew: tags of jobs and of run requests. What has no priority comes last: backfills, wherever
they were launched."""

from typing import Final

TAG: Final = "dagster/priority"
URGENT: Final = {TAG: "30"}
"""Fixtures that kick off soon, or that somebody asked for."""
SCRAPING: Final = {TAG: "20"}
"""Full cycles."""
DERIVING: Final = {TAG: "10"}
"""What was scraped becomes tables. Asks no platform, so it can wait, but less than a backfill."""
ONCE: Final = {"dagster/max_retries": "0"}
"""No daemon begins the run anew when its process died. For what asks the platforms: its moment has passed, the next tick comes, and what it had
landed is derived by itself. And for runs from a terminal: who looks on may have ended it."""
