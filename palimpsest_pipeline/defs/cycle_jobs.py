"""The Dagster jobs that scrape or derive cycles.

They differ only in the assets that they select; `cycle_triggers.py` defines when they run.
"""

from typing import Final

import dagster as dg

from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.storage.marts import odds_alert_rows
from palimpsest_pipeline.storage.marts.current_price_rows import COMPARED_TABLES
from palimpsest_pipeline.storage.marts.odds_alert_rows import PRICE_LEAD_TABLE

from .core.assets import history_equals_current
from .landing.assets import every_platform_answered
from .life.assets import no_kickoff_date_is_dirty_for_long
from .mart.assets import coverage_report
from .monitoring.jobs import PRESENT_STATE_CHECKS

PRESENT_JOB: Final = "present"
FIXTURE_ASSETS: Final = dg.AssetSelection.assets(
    *(table.split(".") for table in (*COMPARED_TABLES, odds_alert_rows.ODDS_ALERT_TABLE, PRICE_LEAD_TABLE))
)
"""Assets that are derived fixture by fixture, and not cycle by cycle."""

PLATFORM_ANSWERS_CHECK = dg.AssetSelection.checks(every_platform_answered)
DIRTY_DATES_CHECK = dg.AssetSelection.checks(no_kickoff_date_is_dirty_for_long)
CYCLE_ASSETS = dg.AssetSelection.groups("core", "mart") - FIXTURE_ASSETS - PRESENT_STATE_CHECKS
"""Assets that are derived cycle by cycle."""
DERIVED_ASSETS = CYCLE_ASSETS | FIXTURE_ASSETS - PRESENT_STATE_CHECKS
"""`CYCLE_ASSETS` and the assets of current prices and alerts to traders.

A backfill derives current prices and alerts once, at its end, instead of once per day.
"""

COVERAGE_PAGE_ASSET = dg.AssetSelection.assets(coverage_report)

full_cycle_job = dg.define_asset_job(
    "full_cycle",
    selection=(dg.AssetSelection.groups("landing") - PRESENT_STATE_CHECKS)
    | DERIVED_ASSETS
    | DIRTY_DATES_CHECK
    | COVERAGE_PAGE_ASSET,
    tags={**run_priorities.SCRAPING_TAGS, **run_priorities.NO_RETRY_TAGS},
    description="Discover and capture everything now, then derive core and mart, and write the coverage page.",
)

ALL_FIXTURES_ASSETS = dg.AssetSelection.assets(
    ["mart", "coverage_fixture"], ["mart", "coverage_tournament"], ["mart", "match_rate_platform"]
)
"""Assets that a cycle for given fixtures cannot derive, because they need all fixtures."""

# Without the checks of the mart, which take as long as all other steps. The next replay of the day checks these rows
# too.
GIVEN_FIXTURES_SELECTION = (
    (dg.AssetSelection.assets(["landing", "odds_payloads"]) | DERIVED_ASSETS - ALL_FIXTURES_ASSETS).without_checks()
    | PLATFORM_ANSWERS_CHECK
    | dg.AssetSelection.checks(history_equals_current)
)
"""Assets and checks of a run that requests only given fixtures.

If the stored odds of a cycle fail `history_equals_current`, nothing downstream is derived from the cycle. The prices of
the minutes before a kickoff are already written by then.
"""

refresh_job = dg.define_asset_job(
    "refresh",
    selection=GIVEN_FIXTURES_SELECTION,
    tags={**run_priorities.URGENT_TAGS, **run_priorities.NO_RETRY_TAGS},
    description="Capture given fixtures now (config `sr_ids`), then derive core and the marts of single cycles.",
)

kickoff_window_job = dg.define_asset_job(
    "kickoff_window",
    selection=GIVEN_FIXTURES_SELECTION,
    tags={**run_priorities.URGENT_TAGS, **run_priorities.NO_RETRY_TAGS},
    description="Capture the fixtures that kick off soon at each due minute of a slot (config `slot_at`), then derive"
    " the rest.",
)

cycle_marts_job = dg.define_asset_job(
    "cycle_marts",
    selection=dg.AssetSelection.groups("mart") - FIXTURE_ASSETS - PRESENT_STATE_CHECKS,
    tags=run_priorities.DERIVATION_TAGS,
    description="Derive the marts of those cycles of a day whose core is up to date. Never asks a platform.",
)

replay_job = dg.define_asset_job(
    "replay",
    selection=CYCLE_ASSETS,
    tags=run_priorities.DERIVATION_TAGS,
    description="Derive core and mart of the due cycles of a past day from the landed answers. Never asks a platform.",
)


current_prices_job = dg.define_asset_job(
    PRESENT_JOB,
    selection=FIXTURE_ASSETS - PRESENT_STATE_CHECKS,
    tags=run_priorities.LIVE_DERIVATION_TAGS,
    description="Derive price comparisons, gaps, alerts to traders and price leads for the due fixtures. Cycles also do"
    " this themselves.",
)
