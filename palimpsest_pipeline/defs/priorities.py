"""Which queued run goes first: tags of jobs and of run requests. What has none of these comes last: backfills, wherever they were launched."""

from typing import Final

TAG: Final = "dagster/priority"
URGENT: Final = {TAG: "30"}
"""Fixtures that kick off soon, or that somebody asked for."""
SCRAPING: Final = {TAG: "20"}
"""Full cycles."""
DERIVING: Final = {TAG: "10"}
"""What was scraped becomes tables. Asks no platform, so it can wait, but less than a backfill."""
