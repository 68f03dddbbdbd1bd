"""Jobs and the schedule. One path for all: the jobs differ only in what they select."""

import dagster as dg

from ..domain.instants import hour_key
from ..domain.words import Trigger
from ..settings import load_settings
from .landing.assets import TRIGGER_TAG

DERIVED = dg.AssetSelection.groups("core", "mart")

full_cycle = dg.define_asset_job(
    "full_cycle",
    selection=dg.AssetSelection.groups("landing", "core", "mart"),
    description="Discover and capture everything now, then derive core and mart of the hour.",
)

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.assets(["landing", "odds_payloads"]) | DERIVED,
    description="Capture given fixtures now (config `sr_ids`), then derive core and mart of the hour.",
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
