"""Questions about what ran and how it went. Reads only."""

from datetime import datetime
from typing import Final

import polars as pl
import psycopg

from ..domain.cycles import CycleResult, PlatformRun
from ..domain.words import Platform, RunStatus
from .frames import read_frame
from .ledger import Batch

RUNS_SQL: Final = """
    select platform, status, started_at, finished_at, discovered, targets, fetched, requests, bytes, errors_by_class, p50_ms, p95_ms, message
    from ops.scrape_runs where cycle_id = %s order by platform
"""
RUNS_OF_DAGSTER_RUN_SQL: Final = """
    select r.cycle_id, r.platform, r.status, r.discovered, r.targets, r.fetched, r.requests, r.bytes, r.p50_ms, r.p95_ms, r.message
    from ops.scrape_batches b join ops.scrape_runs r using (cycle_id) where b.run_id = %s order by r.cycle_id, r.platform
"""
RUNS_OF_DAGSTER_RUN: Final = {
    "cycle_id": pl.Int64,
    "platform": pl.String,
    "status": pl.String,
    "discovered": pl.Int32,
    "targets": pl.Int32,
    "fetched": pl.Int32,
    "requests": pl.Int32,
    "bytes": pl.Int64,
    "p50_ms": pl.Float64,
    "p95_ms": pl.Float64,
    "message": pl.String,
}
FAILED_SQL: Final = """
    select r.platform, r.message from ops.scrape_runs r
    where r.status = 'failed' and r.cycle_id = (select max(cycle_id) from ops.scrape_batches where partition_hour = %s and status <> 'running')
    order by r.platform
"""
SKEW_SQL: Final = """
    select 1000 * extract(epoch from max(first_at) - min(first_at)) as skew_ms
    from (
        select sr_id, platform, min(received_at) as first_at from ops.event_scrape_status
        where cycle_id = %s and sr_id is not null and status = 'completed' group by sr_id, platform
    ) answered
    group by sr_id having count(*) > 1
"""


def result_of(conn: psycopg.Connection, batch: Batch) -> CycleResult:
    """What the cycle has come to so far: its platforms' runs, without the ledger lines of single listings."""
    runs = [
        PlatformRun(Platform(platform), RunStatus(status), *rest)
        for platform, status, *rest in conn.execute(RUNS_SQL, [batch.cycle.cycle_id]).fetchall()
    ]
    return CycleResult(batch.cycle, batch.status, batch.finished_at or batch.heartbeat_at, runs)


def runs_of_dagster_run(conn: psycopg.Connection, run_id: str) -> pl.DataFrame:
    """How each platform fared in the cycle that a Dagster run scraped (columns `RUNS_OF_DAGSTER_RUN`); empty when it scraped none."""
    return read_frame(conn, RUNS_OF_DAGSTER_RUN_SQL, [run_id], RUNS_OF_DAGSTER_RUN)


def failed_platforms(conn: psycopg.Connection, hour: datetime) -> list[str]:
    """A line for each platform that came to nothing in the hour's last finished cycle."""
    return [f"{platform} failed: {message}" for platform, message in conn.execute(FAILED_SQL, [hour]).fetchall()]


def skew_ms(conn: psycopg.Connection, cycle_id: int) -> pl.Series:
    """Per fixture answered by two platforms or more: how far apart their first answers were received, in ms."""
    return read_frame(conn, SKEW_SQL, [cycle_id], {"skew_ms": pl.Float64})["skew_ms"]
