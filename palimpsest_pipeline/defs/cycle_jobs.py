"""The jobs. One path for all: they differ only in what they select. When they run is said in `cycle_triggers.py`."""

import dagster as dg

from palimpsest_pipeline.runtime import run_priorities

from .core.assets import history_equals_current
from .landing.assets import every_platform_answered
from .life.checks import no_kickoff_date_is_dirty_for_long
from .mart.current_price_jobs import PRESENT
from .monitoring.jobs import OF_NOW
from .report.assets import coverage_report

EVERY_PLATFORM_ANSWERED = dg.AssetSelection.checks(every_platform_answered)
NO_DATE_IS_FORGOTTEN = dg.AssetSelection.checks(no_kickoff_date_is_dirty_for_long)
BY_CYCLES = dg.AssetSelection.groups("core", "mart") - PRESENT - OF_NOW
"""What is derived cycle by cycle."""
DERIVED = BY_CYCLES | PRESENT - OF_NOW
"""`BY_CYCLES` and the assets of current prices and alerts. A backfill derives those once, at its end, instead of once per day."""

COVERAGE_PAGE = dg.AssetSelection.assets(coverage_report)

full_cycle = dg.define_asset_job(
    "full_cycle",
    selection=(dg.AssetSelection.groups("landing") - OF_NOW) | DERIVED | NO_DATE_IS_FORGOTTEN | COVERAGE_PAGE,
    tags={**run_priorities.SCRAPING, **run_priorities.ONCE},
    description="Discover and capture everything now, then derive core and mart of it, and write the coverage page.",
)

OF_ALL_FIXTURES = dg.AssetSelection.assets(["mart", "coverage_fixture"], ["mart", "coverage_tournament"], ["mart", "match_rate_platform"])
"""What a cycle that asked for given fixtures can say nothing about."""

# Without the checks of the mart, which take as long as the rest: the next replay of the day makes them on these rows too.
OF_GIVEN_FIXTURES = (
    (dg.AssetSelection.assets(["landing", "odds_payloads"]) | DERIVED - OF_ALL_FIXTURES).without_checks()
    | EVERY_PLATFORM_ANSWERED
    | dg.AssetSelection.checks(history_equals_current)
)
"""Assets and checks of a run that asks for given fixtures only. When core contradicts itself in a cycle, nothing downstream is derived from it; the
prices of the minutes before a kickoff are written by then."""

refresh = dg.define_asset_job(
    "refresh",
    selection=OF_GIVEN_FIXTURES,
    tags={**run_priorities.URGENT, **run_priorities.ONCE},
    description="Capture given fixtures now (config `sr_ids`), then derive what they bear on: core, and what the mart says of single cycles.",
)

kickoff_window = dg.define_asset_job(
    "kickoff_window",
    selection=OF_GIVEN_FIXTURES,
    tags={**run_priorities.URGENT, **run_priorities.ONCE},
    description="Capture the fixtures that kick off soon, at each minute of a slot (config `slot_at`) at which some are due; then derive the rest.",
)

cycle_marts = dg.define_asset_job(
    "cycle_marts",
    selection=dg.AssetSelection.groups("mart") - PRESENT - OF_NOW,
    tags=run_priorities.DERIVES,
    description="Derive the marts of those cycles of a day whose core is up to date. Never asks a platform.",
)

replay = dg.define_asset_job(
    "replay",
    selection=BY_CYCLES,
    tags=run_priorities.DERIVES,
    description="Derive core and mart of a past day from what was landed: the cycles that are due. Never asks a platform.",
)
