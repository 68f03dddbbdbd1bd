"""Read past cycles and their results. Writes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.cycles import CycleResult, PlatformRun
from palimpsest_pipeline.domain.enums import Platform, RunStatus

from ..db.copy_frames import read_frame
from .cycle_ledger import CycleRecord

RUNS_SQL: Final = """
    select platform, status, started_at, finished_at, discovered, targets, fetched, requests, bytes,
        errors_by_class, p50_ms, p95_ms, message,
           clock_offset_s, capture_s, floor_s
    from ops.scrape_runs where cycle_id = %s order by platform
"""
RUNS_OF_DAGSTER_RUN_SQL: Final = """
    select r.cycle_id, r.platform, r.status, r.discovered, r.targets, r.fetched, r.refused, r.requests, r.bytes,
        r.p50_ms, r.p95_ms,
           r.capture_s, r.message
    from ops.scrape_batches b join ops.scrape_runs r using (cycle_id) where b.run_id = %s
    order by r.cycle_id, r.platform
"""
REFUSALS_SQL: Final = """
    select r.cycle_id, r.platform, r.fetched, r.refused, r.refusal
    from ops.scrape_batches b join ops.scrape_runs r using (cycle_id)
    where b.cycle_id = any(%s) and r.refused > 0 order by r.cycle_id, r.platform
"""
FIXTURES_OF_DAGSTER_RUN_SQL: Final = """
    select distinct s.sr_id from ops.scrape_batches b join ops.event_scrape_status s using (cycle_id)
    where b.run_id = %s and s.sr_id is not null order by s.sr_id
"""
UNENDED_STATUSES_SQL: Final = "'running', 'cancelled', 'interrupted'"
UNENDED_CYCLES_SQL: Final = f"select cycle_id from ops.scrape_batches where status in ({UNENDED_STATUSES_SQL})"
"""SQL for the ids of cycles that were cancelled or interrupted, or that are running.

Data that is missing in such a cycle does not mean that a platform failed.
"""
FAILED_PLATFORMS_SQL: Final = f"""
    select r.cycle_id, r.platform, r.message from ops.scrape_runs r join ops.scrape_batches b using (cycle_id)
    where r.status = 'failed' and r.cycle_id = any(%s) and b.status not in ({UNENDED_STATUSES_SQL})
    order by r.cycle_id, r.platform
"""
CLOCK_OFFSETS_SQL: Final = f"""
    select r.cycle_id, r.platform, r.clock_offset_s from ops.scrape_runs r join ops.scrape_batches b using (cycle_id)
    where r.clock_offset_s is not null and r.cycle_id = any(%s) and b.status not in ({UNENDED_STATUSES_SQL})
    order by r.cycle_id, r.platform
"""
SKEW_SQL: Final = """
    select cycle_id, 1000 * extract(epoch from max(first_at) - min(first_at)) as skew_ms
    from (
        select cycle_id, sr_id, platform, min(observed_at) as first_at from ops.event_scrape_status
        where cycle_id = any(%s) and sr_id is not null and status = 'completed' group by cycle_id, sr_id, platform
    ) answered
    group by cycle_id, sr_id having count(first_at) > 1
"""
SKEW_QUANTILES_SQL: Final = f"""
    select cycle_id, percentile_cont(0.5) within group (order by skew_ms) as p50_ms,
        percentile_cont(0.95) within group (order by skew_ms) as p95_ms
    from ({SKEW_SQL}) fixtures group by cycle_id
"""


def read_result(conn: psycopg.Connection, batch: CycleRecord) -> CycleResult:
    """Return the present result of the cycle: the results of its platforms, without single listings."""
    runs = [
        PlatformRun(Platform(platform), RunStatus(status), *values)
        for platform, status, *values in conn.execute(RUNS_SQL, [batch.cycle.cycle_id]).fetchall()
    ]
    return CycleResult(batch.cycle, batch.status, batch.finished_at or batch.heartbeat_at, runs)


def read_runs_of_dagster_run(conn: psycopg.Connection, run_id: str) -> pl.DataFrame:
    """Return one row per platform of the cycle that a Dagster run scraped, with its figures.

    The frame is empty when the run scraped no cycle.
    """
    return read_frame(conn, RUNS_OF_DAGSTER_RUN_SQL, [run_id])


def read_fixtures_of_dagster_run(conn: psycopg.Connection, run_id: str) -> list[int]:
    """Return the SportRadar ids of the fixtures that a Dagster run requested from any platform."""
    return [sr_id for (sr_id,) in conn.execute(FIXTURES_OF_DAGSTER_RUN_SQL, [run_id]).fetchall()]


def read_failed_platforms(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> list[tuple[int, str]]:
    """Return (cycle id, sentence) for each platform that failed in one of these cycles.

    Running, cancelled and interrupted cycles are left out.
    """
    return [
        (cycle_id, f"{platform} failed: {message}")
        for cycle_id, platform, message in conn.execute(FAILED_PLATFORMS_SQL, [list(cycle_ids)]).fetchall()
    ]


def read_refusals(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> pl.DataFrame:
    """Return the platforms of these cycles with rejected answers.

    The columns are cycle_id, platform, fetched, refused and refusal.
    """
    return read_frame(conn, REFUSALS_SQL, [list(cycle_ids)])


def read_clock_offsets_s(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> list[tuple[int, Platform, float]]:
    """Return (cycle id, platform, seconds by which the host's clock is ahead of the pipeline's clock).

    Hosts that do not report their clock are left out, as are running, cancelled and interrupted cycles.
    """
    return [
        (cycle_id, Platform(platform), offset_s)
        for cycle_id, platform, offset_s in conn.execute(CLOCK_OFFSETS_SQL, [list(cycle_ids)]).fetchall()
    ]


def read_unended_cycles(conn: psycopg.Connection) -> list[int]:
    """Return the ids of cycles that were cancelled or interrupted, or that are running."""
    return [cycle_id for (cycle_id,) in conn.execute(UNENDED_CYCLES_SQL).fetchall()]


def read_skews_ms(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> list[float]:
    """Return the skews of fixtures in these cycles, in milliseconds.

    A fixture has one in each cycle in which at least two platforms answered. It is the latest minus the earliest of the
    platforms' first good answers.
    """
    return [float(skew_ms) for _, skew_ms in conn.execute(SKEW_SQL, [list(cycle_ids)]).fetchall()]


def read_skew_quantiles_ms(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> pl.DataFrame:
    """Return median and 95th percentile of `read_skews_ms` by cycle: cycle_id, p50_ms, p95_ms.

    A cycle without such a fixture has no row.
    """
    return read_frame(conn, SKEW_QUANTILES_SQL, [list(cycle_ids)])


def read_fixtures_of_slot(conn: psycopg.Connection, slot_at: datetime) -> set[int]:
    """Return the fixtures for which a cycle was started at this slot of the kickoff cadence.

    `slot_at` is the start of the slot. The result of the cycle does not matter.
    """
    rows = conn.execute("select unnest(sr_ids) from ops.scrape_batches where slot_at = %s", [slot_at])
    return {sr_id for (sr_id,) in rows}


def find_last_answering_cycles(
    conn: psycopg.Connection, sr_ids: Sequence[int], since_cycle_id: int
) -> dict[tuple[int, Platform], int]:
    """Return the newest cycle in which each platform answered about each fixture.

    The keys are (SportRadar id, platform). Cycles before `since_cycle_id` do not count.
    """
    rows = conn.execute(
        """
        select sr_id, platform, max(cycle_id) from ops.event_scrape_status
        where sr_id = any(%s) and cycle_id >= %s and http_status is not null group by sr_id, platform
        """,
        [list(sr_ids), since_cycle_id],
    )
    return {(sr_id, Platform(platform)): cycle_id for sr_id, platform, cycle_id in rows}
