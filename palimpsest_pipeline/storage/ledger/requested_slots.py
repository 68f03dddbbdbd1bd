"""Read the ledger's data about the slots of the kickoff cadence. Reads only.

A slot is a period of some minutes, given by its start. One run of the cadence requests the fixtures that are due in it.

`metrics.coverage.slot_results` computes the slots of a kickoff and judges them.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from ..db.copy_frames import read_frame

KNOWN_KICKOFFS_SQL: Final = """
    select sr_id, known_from, known_until, kickoff_at
    from (
        select sr_id, known_from, kickoff_at, lead(known_from) over (partition by sr_id
            order by known_from) as known_until
        from ops.known_kickoffs
        where sr_id in (select sr_id from ops.known_kickoffs where kickoff_at > %(begin)s and kickoff_at <= %(last)s)
    ) as versions
    where kickoff_at > %(begin)s and kickoff_at <= %(last)s and known_from < %(end)s
        and (known_until is null or known_until > %(begin)s)
"""
ASKED_SLOTS_SQL: Final = """
    with asked as (
        select unnest(sr_ids) as sr_id, slot_at, cycle_id, status from ops.scrape_batches
        where slot_at >= %(begin)s and slot_at < %(end)s and scope = 'kickoff'
    ), believed as (
        select cycle_id, platform, bool_or(status = 'completed') or count(distinct coalesce(sr_id::text,
            external_id)) = 1 as is_believed
        from ops.event_scrape_status where cycle_id in (select cycle_id from asked)
        group by cycle_id, platform
    ), answers as (
        select asked.sr_id, asked.slot_at, asked.status, line.platform,
               coalesce(
                   bool_or(line.status = 'completed' or line.error_class = 'not_found' and believed.is_believed)
                   filter (where (run.status = 'failed' and run.refusal <> '') is not true), false
               ) as answered
        from asked
        left join ops.event_scrape_status line on line.cycle_id = asked.cycle_id and line.sr_id = asked.sr_id
        left join ops.scrape_runs run on run.cycle_id = line.cycle_id and run.platform = line.platform
        left join believed on believed.cycle_id = line.cycle_id and believed.platform = line.platform
        group by asked.sr_id, asked.slot_at, asked.status, line.platform
    )
    select sr_id, slot_at, bool_or(answered or status = 'running') as answered,
           coalesce(array_agg(distinct platform order by platform) filter (where not answered
               and platform is not null), '{}') as silent
    from answers group by sr_id, slot_at
"""


def read_known_kickoffs(conn: psycopg.Connection, begin: datetime, end: datetime, reach: timedelta) -> pl.DataFrame:
    """Return the kickoffs that were known in the period [begin, end), unsorted (`KNOWN_KICKOFFS`).

    Only kickoffs up to `reach` after `end` are returned. `known_until` is null for a kickoff that is still known. A
    period in which no platform listed the fixture has no row.
    """
    return read_frame(conn, KNOWN_KICKOFFS_SQL, {"begin": begin, "end": end, "last": end + reach})


def read_asked_slots(conn: psycopg.Connection, begin: datetime, end: datetime) -> pl.DataFrame:
    """Return one row per fixture and slot in [begin, end) for which a cycle requested it (`ASKED_SLOTS`).

    The rows are unsorted. `answered` is true when at least one platform gave a good answer about the fixture or
    reported that its listing is gone, and while the cycle is running.

    A report that a listing is gone does not always count. It counts if the platform returned odds of another fixture in
    the cycle, or was requested for this fixture only; if a platform has none of several fixtures, its interface has
    probably changed. If nearly all answers of a platform were rejected, its answers and reports do not count. `silent`
    lists the platforms that got a request and gave neither answer nor report.
    """
    return read_frame(conn, ASKED_SLOTS_SQL, {"begin": begin, "end": end})


def read_first_slot(conn: psycopg.Connection, since: datetime) -> datetime | None:
    """Return the first slot at `since` or later for which a cycle was started; None when there is none."""
    row = conn.execute("select min(slot_at) from ops.scrape_batches where slot_at >= %s", [since]).fetchone()
    return None if row is None else row[0]
