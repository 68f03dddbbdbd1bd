"""Jobs, the schedule and the sensor. One path for all: the jobs differ only in what they select."""

import dagster as dg

from ..domain.instants import hour_key
from ..domain.words import Trigger
from ..settings import load_settings
from . import priorities
from .landing.assets import TRIGGER_TAG
from .landing.checks import every_platform_answered
from .mart.life import TABLES
from .mart.life_checks import no_kickoff_date_is_dirty_for_long

EVERY_PLATFORM_ANSWERED = dg.AssetSelection.checks(every_platform_answered)
LIFE = dg.AssetSelection.assets(*(table.split(".") for table in TABLES))
"""What is derived by kickoff dates, in a job of its own."""
NO_DATE_IS_FORGOTTEN = dg.AssetSelection.checks(no_kickoff_date_is_dirty_for_long)
DERIVED = dg.AssetSelection.groups("core", "mart") - LIFE
"""What is derived cycle by cycle, by hours."""

full_cycle = dg.define_asset_job(
    "full_cycle",
    selection=dg.AssetSelection.groups("landing") | DERIVED | NO_DATE_IS_FORGOTTEN,
    tags={**priorities.SCRAPING, **priorities.ONCE},
    description="Discover and capture everything now, then derive core and mart of the hour.",
)

OF_ALL_FIXTURES = dg.AssetSelection.assets(["mart", "coverage_fixture"], ["mart", "coverage_tournament"], ["mart", "match_rate_platform"])
"""What a cycle that asked for given fixtures can say nothing about."""

# Without the checks of the mart, which take as long as the rest: the next full cycle or replay of the hour makes them on these rows too.
OF_GIVEN_FIXTURES = (dg.AssetSelection.assets(["landing", "odds_payloads"]) | DERIVED - OF_ALL_FIXTURES).without_checks() | EVERY_PLATFORM_ANSWERED
"""What asks for given fixtures, and what is said of single cycles."""

refresh = dg.define_asset_job(
    "refresh",
    selection=OF_GIVEN_FIXTURES,
    tags={**priorities.URGENT, **priorities.ONCE},
    description="Capture given fixtures now (config `sr_ids`), then derive what they bear on: core, and what the mart says of single cycles.",
)

kickoff_window = dg.define_asset_job(
    "kickoff_window",
    selection=OF_GIVEN_FIXTURES,
    tags={**priorities.URGENT, **priorities.ONCE},
    description="Capture the fixtures that kick off soon, at each minute of a slot (config `slot_at`) at which some are due; then derive the rest.",
)

replay = dg.define_asset_job(
    "replay",
    selection=DERIVED,
    description="Derive core and mart of past hours from what was landed. Never asks a platform.",
)


def _cron(minutes: int) -> str:
    return "0 * * * *" if minutes == 60 else f"*/{minutes} * * * *"


@dg.schedule(
    job=full_cycle,
    cron_schedule=_cron(load_settings().full_cycle_minutes),
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="A full cycle at the cadence of PALIMPSEST_FULL_CYCLE_MINUTES. Off until switched on.",
)
def full_cycle_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run per tick, in the partition of the tick's hour."""
    key = hour_key(context.scheduled_execution_time)
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat(), partition_key=key, tags={TRIGGER_TAG: Trigger.SCHEDULED})
