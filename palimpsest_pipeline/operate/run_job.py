"""Dagster runs that a command executes in its own process.

They use the same jobs and the same instance as the daemon's runs, so the UI shows all of them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO
from typing import Any, Final
from uuid import uuid4

import dagster as dg
import psutil

from palimpsest_pipeline.defs import run_heartbeat
from palimpsest_pipeline.defs.repository_origin import REPOSITORY_TAGS, assign_repository
from palimpsest_pipeline.defs.step_failures import CHECK_FAILED_CLASS, INTERRUPTION_CLASSES, find_innermost_error
from palimpsest_pipeline.domain.enums import Trigger
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.domain.secrets import redact
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.run_priorities import NO_RETRY_TAGS
from palimpsest_pipeline.runtime.run_tags import HOURS_TAG, SKIPPED_TAG, TRIGGER_TAG
from palimpsest_pipeline.storage.ledger import cycle_reader

SCRAPING_OPS: Final = ("landing__discovery_payloads", "landing__odds_payloads")
NOT_LISTED_STATUS: Final = "not_listed"
CANCELLED_MESSAGE: Final = "cancelled; answers that have arrived are kept"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of one run. `run_id` is empty for a run that was refused before its start.

    `error` is the message of the first failed step, without its traceback.
    """

    run_id: str
    partition: str
    success: bool
    error: str | None
    startup_s: float = 0.0
    """Seconds from the start of this process to the start of the run: imports, database, definitions."""
    scrape_s: float = 0.0
    """Seconds of the run's discovery and capture."""
    derive_s: float = 0.0
    """Seconds of all other steps of the run."""

    @property
    def cancelled(self) -> bool:
        """Whether the run was ended by Ctrl-C, SIGTERM or a termination in the UI."""
        return self.error == CANCELLED_MESSAGE

    @property
    def timing(self) -> dict[str, float]:
        return {
            "startup_s": round(self.startup_s, 3),
            "scrape_s": round(self.scrape_s, 3),
            "derive_s": round(self.derive_s, 3),
        }


def run_job(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    job: str,
    day: date | None = None,
    *,
    hours: tuple[datetime, datetime] | None = None,
    group: str | None = None,
    trigger: Trigger = Trigger.MANUAL,
    sr_ids: Sequence[int] = (),
    slot_at: datetime | None = None,
    op_config: Mapping[str, Mapping[str, object]] | None = None,
) -> RunOutcome:
    """Execute `job` in this process; the instance records the run.

    `day` is the UTC day or kickoff date of the job's partition; None for a job without partitions. Failures are
    returned, not raised; a skipped run counts as failed. `hours` are the first and last hour (included) whose cycles
    are derived; default: the whole day. With `group`, only the job's assets of this asset group are executed.
    `op_config` maps the name of an op to its configuration.
    """
    from palimpsest_pipeline.definitions import defs  # noqa: PLC0415 - the definitions import this package

    resolved = defs.resolve_job_def(job)
    key, partitions = None if day is None else str(day), resolved.partitions_def
    if key is not None and partitions is not None and not partitions.has_partition_key(key):
        key_range = f"from {partitions.get_first_partition_key()} to {partitions.get_last_partition_key()}"
        return RunOutcome(
            "", key, False, f"{key} has no partition in Dagster: the partitions of the job {job} go {key_range} (UTC)"
        )
    capture_config: dict[str, object] = {}
    if sr_ids:
        capture_config["sr_ids"] = list(sr_ids)
    elif slot_at:
        capture_config["slot_at"] = slot_at.isoformat()
    configs = {**({SCRAPING_OPS[1]: capture_config} if capture_config else {}), **(op_config or {})}
    # The instance stores the log, so the terminal shows only progress.
    config: dict[str, object] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if configs:
        config["ops"] = {op: {"config": dict(values)} for op, values in configs.items()}
    if group is not None:
        graph = resolved.asset_layer.asset_graph
        group_keys = {k for k in resolved.asset_layer.executable_asset_keys if graph.get(k).group_name == group}
        resolved = resolved.get_subset(asset_selection=group_keys)
    tags = {TRIGGER_TAG: trigger.value, **({HOURS_TAG: "/".join(map(format_hour_key, hours))} if hours else {})}

    @dg.resource
    def pipeline_resource(context: dg.InitResourceContext) -> Iterator[Pipeline]:
        """Yield the pipeline. Dagster calls this before the first step, when no other code changes the run."""
        if context.instance is not None and context.run is not None:
            assign_repository(context.instance, context.run)
        try:
            yield pipeline
        finally:
            pipeline.book_reader.drop_all()

    startup_s, began, run_id = time.time() - psutil.Process().create_time(), time.monotonic(), str(uuid4())
    # Libraries write texts to standard error that are also in the run's log, or that do not help the user.
    with run_heartbeat.start_run_heartbeat(pipeline, run_id, job), redirect_stderr(StringIO()):
        result = resolved.execute_in_process(
            instance=instance,
            run_id=run_id,
            partition_key=key,
            tags={**REPOSITORY_TAGS, **NO_RETRY_TAGS, **tags},
            run_config=config,
            resources={"pipeline": pipeline_resource},
            raise_on_error=False,
        )
    took_s = time.monotonic() - began
    scrapes = [event for event in result.all_events if event.is_step_success and event.step_key in SCRAPING_OPS]
    scrape_s = sum(event.step_success_data.duration_ms for event in scrapes) / 1000
    run = instance.get_run_by_id(result.run_id)
    error = (
        run.tags.get(SKIPPED_TAG)
        if result.success and run
        else redact(find_first_error(result), *pipeline.settings.list_secrets())
    )
    return RunOutcome(result.run_id, key or "", error is None, error, startup_s, scrape_s, took_s - scrape_s)


def read_refresh_result(
    pipeline: Pipeline, run_id: str, sr_ids: Sequence[int]
) -> tuple[list[dict[str, Any]], list[int]]:
    """Return a row per platform for a refresh of these fixtures, and the ids that no platform lists.

    A row has `platform`, `status`, `listings`, `fetched`, `ms` (first request to last answer, milliseconds) and
    `failure` (None without one). The status of a platform that lists none of the fixtures is `not_listed`.
    """
    with pipeline.connect() as conn:
        runs = {run["platform"]: run for run in cycle_reader.read_runs_of_dagster_run(conn, run_id).to_dicts()}
        listed_sr_ids = cycle_reader.read_fixtures_of_dagster_run(conn, run_id)
    not_listed_run = {"status": NOT_LISTED_STATUS, "targets": 0, "fetched": 0, "capture_s": None, "message": ""}
    rows = []
    for platform in pipeline.platforms:
        run = runs.get(platform, not_listed_run)
        ms = None if run["capture_s"] is None else round(run["capture_s"] * 1000)
        row = {
            "platform": platform,
            "status": run["status"],
            "listings": run["targets"],
            "fetched": run["fetched"],
        }
        rows.append({**row, "ms": ms, "failure": run["message"] or None})
    return rows, sorted(set(sr_ids) - set(listed_sr_ids))


def find_first_error(result: dg.ExecuteInProcessResult) -> str:
    """Return the message of the innermost cause of the first failure, which contains the advice."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            if error is None:
                continue
            error_class, message = find_innermost_error(error)
            if error_class in INTERRUPTION_CLASSES:
                return CANCELLED_MESSAGE
            return describe_failed_checks(result) if error_class == CHECK_FAILED_CLASS else message
    for event in result.all_events:
        if event.is_failure and event.message:
            return event.message
    return "the run failed before its first step"


def describe_failed_checks(result: dg.ExecuteInProcessResult) -> str:
    """Return each failed blocking check by name, with its description."""
    failed = [c for c in result.get_asset_check_evaluations() if not c.passed and c.blocking]
    return "; ".join(
        f"check {c.check_name} of {c.asset_key.to_user_string()} failed: {c.description or 'it gives no reason'}"
        for c in failed
    )
