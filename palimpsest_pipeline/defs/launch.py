"""Runs started from the command line: the same jobs on the same instance, so that all of it shows in the UI."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg

from ..domain.instants import hour_key
from ..domain.words import Trigger
from .landing.assets import TRIGGER_TAG
from .partitions import FIRST_HOUR, hours
from .pipeline import Pipeline

INTERRUPTIONS: Final = (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)
CHECK_FAILED: Final = "DagsterAssetCheckFailedError"  # its class is not public
INTERRUPTED: Final = "interrupted; what had arrived is kept"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How one run ended; without an id it was refused before it began. `error` is the message of the first failed step, without its traceback."""

    run_id: str
    partition: str
    success: bool
    error: str | None


def run_job(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    job: str,
    hour: datetime,
    *,
    trigger: Trigger = Trigger.MANUAL,
    sr_ids: Sequence[int] = (),
) -> RunOutcome:
    """Execute `job` for the hour in this process, recorded on the instance. Failures are returned, not raised."""
    from ..definitions import defs  # noqa: PLC0415 - the definitions import this package

    key = hour_key(hour)
    if not hours.has_partition_key(key):
        return RunOutcome(
            "", key, False, f"{key} is no hour of this pipeline: its hours are those from {hour_key(FIRST_HOUR)} to the current one, in UTC"
        )
    config: dict[str, object] = {
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}
    }  # the instance keeps the log; a terminal shows progress
    if sr_ids:
        config["ops"] = {"landing__odds_payloads": {"config": {"sr_ids": list(sr_ids)}}}
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=key,
        tags={TRIGGER_TAG: trigger.value},
        run_config=config,
        resources={"pipeline": pipeline},
        raise_on_error=False,
    )
    return RunOutcome(result.run_id, key, result.success, None if result.success else first_error(result))


def first_error(result: dg.ExecuteInProcessResult) -> str:
    """The innermost message of the first failure: what a user can act on."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            if error is not None and error.cls_name in INTERRUPTIONS:
                return INTERRUPTED
            if error is not None and error.cls_name == CHECK_FAILED:
                return failed_checks(result)
            if error is not None:
                told = error.message.strip().partition("\n")[0]
                return re.sub(rf"^(\w+\.)*{error.cls_name}: ", "", told) or str(error.cls_name)
    for event in result.all_events:
        if event.is_failure and event.message:
            return event.message
    return "the run failed before its first step"


def failed_checks(result: dg.ExecuteInProcessResult) -> str:
    """Each failed blocking check by name, with what it says."""
    failed = [c for c in result.get_asset_check_evaluations() if not c.passed and c.blocking]
    return "; ".join(f"check {c.check_name} of {c.asset_key.to_user_string()} failed: {c.description or 'it says no more'}" for c in failed)
